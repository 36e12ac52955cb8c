/* Vector registers, x87 and MXCSR keep their values over system calls and page faults. */
#include "check.h"

static void set_and_compare(volatile char *touched) {
    uint64_t in[32], out[32];
    for (int i = 0; i < 32; i++) in[i] = next_random(), out[i] = 0;
#define MOVE(i, k) "movdqu " #k "(%0), %%xmm" #i "\n"
#define BACK(i, k) "movdqu %%xmm" #i ", " #k "(%1)\n"
    __asm__ volatile(
        MOVE(0, 0) MOVE(1, 16) MOVE(2, 32) MOVE(3, 48) MOVE(4, 64) MOVE(5, 80) MOVE(6, 96) MOVE(7, 112)
        MOVE(8, 128) MOVE(9, 144) MOVE(10, 160) MOVE(11, 176) MOVE(12, 192) MOVE(13, 208) MOVE(14, 224) MOVE(15, 240)
        "mov $39, %%eax\n syscall\n movb $1, (%2)\n"
        BACK(0, 0) BACK(1, 16) BACK(2, 32) BACK(3, 48) BACK(4, 64) BACK(5, 80) BACK(6, 96) BACK(7, 112)
        BACK(8, 128) BACK(9, 144) BACK(10, 160) BACK(11, 176) BACK(12, 192) BACK(13, 208) BACK(14, 224) BACK(15, 240)
        :: "r"(in), "r"(out), "r"(touched) : "rax", "rcx", "r11", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
           "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    CHECK(memcmp(in, out, sizeof in) == 0);
}

static void registers_kept(void) {
    uint64_t found[8];
    __asm__ volatile(
        "mov $0x1111, %%rbx; mov $0x2222, %%rdx; mov $0x3333, %%rsi; mov $0x4444, %%rdi; mov $0x5555, %%r8; mov $0x6666, %%r9\n"
        "mov $0x7777, %%r10; mov $0x8888, %%r12; mov $39, %%eax; syscall\n"
        "mov %%rbx, (%0); mov %%rdx, 8(%0); mov %%rsi, 16(%0); mov %%rdi, 24(%0); mov %%r8, 32(%0); mov %%r9, 40(%0)\n"
        "mov %%r10, 48(%0); mov %%r12, 56(%0)"
        :: "r"((uint64_t *)found + 0 * sizeof(char)), "m"(found) : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "memory");
    for (int i = 0; i < 8; i++) CHECK(found[i] == 0x1111u * (unsigned)(i + 1));
}

int main(void) {
    char *pages = map_pages(200, PROT_READ | PROT_WRITE);
    for (int i = 0; i < 200; i++) set_and_compare(pages + i * 4096);
    registers_kept();
    unsigned control = 0x3f80, found = 0; /* rounds down is 0x2000 */
    unsigned short word = 0x0f7f, word_found = 0;
    __asm__ volatile("ldmxcsr %0; fldcw %1" :: "m"(control), "m"(word));
    syscall(SYS_getpid);
    munmap(pages, 4096);
    __asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(found), "=m"(word_found));
    CHECK(found == control && word_found == word);
    puts("ok");
    return 0;
}
