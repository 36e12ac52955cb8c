/* How a program ends: the first argument names the way, the second is a number. A line is written before. */
#include "check.h"
#include <signal.h>

#define ASM(text) __asm__ volatile(text ::: "rax", "rbx", "rcx", "rdx", "memory", "cc")

static const char constant[] = "constant";
static int data[4] = {0x90c3c3c3};

static void call(const void *at) { ((void (*)(void))(uintptr_t)at)(); }
static char read_at(const volatile void *at) { return *(const volatile char *)at; }
static void write_at(const volatile void *at) { *(volatile char *)(uintptr_t)at = 1; }

static int overflow(volatile char *before) {
    volatile char frame[4000];
    frame[0] = *before;
    return overflow(frame) + frame[0];
}

static void of_processor(const char *way) {
    volatile int zero = 0, one = 1;
    if (!strcmp(way, "divide")) exit(one / zero);
    if (!strcmp(way, "divide-overflow")) ASM("mov $0x80000000, %%eax; mov $-1, %%ecx; cltd; idiv %%ecx");
    if (!strcmp(way, "ud2")) ASM("ud2");
    if (!strcmp(way, "int3")) ASM("int3");
    if (!strcmp(way, "hlt")) ASM("hlt");
    if (!strcmp(way, "cli")) ASM("cli");
    if (!strcmp(way, "in")) ASM("in $0x60, %%al");
    if (!strcmp(way, "out")) ASM("out %%al, $0xf4");
    if (!strcmp(way, "rdmsr")) ASM("mov $0xC0000080, %%ecx; rdmsr");
    if (!strcmp(way, "cr3")) ASM("mov %%cr3, %%rax");
    if (!strcmp(way, "lock")) ASM(".byte 0xf0, 0x90");
}

static void of_memory(const char *way) {
    char *page = map_pages(2, PROT_READ | PROT_WRITE);
    int on_stack[4] = {0x90c3c3c3};
    page[0] = (char)0xc3;
    if (!strcmp(way, "read-null")) read_at((void *)8);
    if (!strcmp(way, "write-null")) write_at((void *)8);
    if (!strcmp(way, "call-null")) call(NULL);
    if (!strcmp(way, "write-text")) write_at((void *)(uintptr_t)of_memory);
    if (!strcmp(way, "write-constant")) write_at(constant);
    if (!strcmp(way, "call-data")) call(data);
    if (!strcmp(way, "call-stack")) call(on_stack);
    if (!strcmp(way, "call-heap")) call(page);
    if (!strcmp(way, "overflow")) overflow(page);
    if (!strcmp(way, "far-below-stack")) write_at((char *)on_stack - (64 << 20));
    if (!strcmp(way, "read-kernel")) read_at((void *)0xFFFFFFFF80100000);
    if (!strcmp(way, "write-kernel")) write_at((void *)0xFFFF800000100000);
    if (!strcmp(way, "call-kernel")) call((void *)0xFFFFFFFF80100000);
    if (!strcmp(way, "non-canonical")) read_at((void *)0x800000000000);
    if (!strcmp(way, "call-non-canonical")) call((void *)0x800000000000);
    if (!strcmp(way, "unmapped")) { munmap(page, 4096); read_at(page); }
    if (!strcmp(way, "write-read-only")) { mprotect(page, 4096, PROT_READ); write_at(page); }
    if (!strcmp(way, "read-none")) { mprotect(page, 4096, PROT_NONE); read_at(page); }
    if (!strcmp(way, "read-beside")) { munmap(page + 4096, 4096); read_at(page + 4093), read_at(page + 4096); }
    if (!strcmp(way, "straddle")) { munmap(page + 4096, 4096); *(volatile uint64_t *)(page + 4092) = 1; }
    if (!strcmp(way, "run-off")) { memset(page, 0x90, 4096); mprotect(page, 4096, PROT_READ | PROT_EXEC); munmap(page + 4096, 4096); call(page); }
}

static void of_signals(const char *way, int number) {
    struct sigaction action = {.sa_handler = SIG_IGN};
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, number ? number : SIGTERM);
    if (!strcmp(way, "abort")) abort();
    if (!strcmp(way, "raise")) raise(number);
    if (!strcmp(way, "kill")) kill(getpid(), number);
    if (!strcmp(way, "ignored")) { sigaction(number, &action, NULL); raise(number); }
    if (!strcmp(way, "blocked")) { sigprocmask(SIG_BLOCK, &one, NULL); raise(number); puts("is blocked"); fflush(stdout); sigprocmask(SIG_UNBLOCK, &one, NULL); }
    if (!strcmp(way, "ignored-fault")) { action.sa_handler = SIG_IGN; sigaction(SIGSEGV, &action, NULL); read_at((void *)8); }
    if (!strcmp(way, "blocked-fault")) { sigemptyset(&one); sigaddset(&one, SIGSEGV); sigprocmask(SIG_BLOCK, &one, NULL); read_at((void *)8); }
}

int main(int argc, char **argv) {
    const char *way = argc > 1 ? argv[1] : "";
    int number = argc > 2 ? atoi(argv[2]) : 0;
    printf("ends by %s\n", way);
    fflush(stdout);
    if (!strcmp(way, "exit")) exit(number);
    if (!strcmp(way, "_exit")) _exit(number);
    of_processor(way);
    of_memory(way);
    of_signals(way, number);
    puts("lives on");
    return 11;
}
