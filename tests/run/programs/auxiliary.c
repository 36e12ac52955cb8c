/* The auxiliary vector, and what lies behind it. */
#include "check.h"
#include <elf.h>
#include <sys/auxv.h>

extern char __ehdr_start[];

int main(int argc, char **argv) {
    (void)argc;
    const Elf64_Phdr *headers = (const Elf64_Phdr *)getauxval(AT_PHDR);
    const Elf64_Ehdr *head = (const Elf64_Ehdr *)__ehdr_start;
    CHECK(headers == (const Elf64_Phdr *)(__ehdr_start + head->e_phoff));
    CHECK(getauxval(AT_PHNUM) == head->e_phnum && getauxval(AT_PHENT) == sizeof *headers);
    uintptr_t bias = head->e_type == ET_DYN ? (uintptr_t)__ehdr_start : 0;
    CHECK(getauxval(AT_ENTRY) == bias + head->e_entry && getauxval(AT_BASE) == 0);
    CHECK(getauxval(AT_PAGESZ) == 4096 && sysconf(_SC_PAGESIZE) == 4096 && getauxval(AT_CLKTCK) == 100);
    CHECK(getauxval(AT_SECURE) == 0 && getauxval(AT_UID) == getuid() && getauxval(AT_EGID) == getegid());
    CHECK(getauxval(AT_RANDOM) && strlen((char *)getauxval(AT_EXECFN)) > 0);
    CHECK((uintptr_t)argv[0] < getauxval(AT_EXECFN) && (uintptr_t)&head < (uintptr_t)argv);
    CHECK(strcmp((char *)getauxval(AT_PLATFORM), "x86_64") == 0);
    uintptr_t stack;
    __asm__("mov %%rsp, %0" : "=r"(stack));
    CHECK(stack % 16 == 0);
    puts("ok");
    return 0;
}
