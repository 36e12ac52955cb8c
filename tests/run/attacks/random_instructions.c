/* Instructions at random, in children: whatever they do, the kernel stands and their parent goes on. For our kernel alone.
   Arguments: seed, how many children. */
#define OWN_MAIN
#include "../tasks/tasks.h"

enum { CODE = 4 * 4096 };

static void random_code(unsigned char *at, unsigned nbytes) {
    static const unsigned char frequent[] = {0x0f, 0x05, 0x48, 0x66, 0xf0, 0xf3, 0xf2, 0xcd, 0x80, 0xcc, 0xc3, 0xcf, 0xf4, 0x8e, 0x01, 0xae, 0x50, 0x9d, 0x9c, 0xeb, 0xe8, 0xff};
    for (unsigned i = 0; i < nbytes; i++) at[i] = below(3) == 0 ? frequent[below(sizeof frequent)] : (unsigned char)next_random();
}

static void wild_state(void *code) { /* registers that a program may have, and off */
    static uint64_t values[16];
    static const uint64_t special[] = {0, 1, 0x7ffffffff000, 0x800000000000, 0xFFFF800000100000, 0xFFFFFFFF80100000, (uint64_t)-1};
    for (int i = 0; i < 16; i++) values[i] = below(3) == 0 ? special[below(7)] : below(2) ? next_random() : (uint64_t)(uintptr_t)code + below(CODE);
    values[0] = below(4) ? below(340) : values[0]; /* the number of a call */
    __asm__ volatile(
        "mov %0, %%r15; push %1; mov 0(%%r15), %%rax; mov 8(%%r15), %%rbx; mov 16(%%r15), %%rcx; mov 24(%%r15), %%rdx; mov 32(%%r15), %%rsi;"
        "mov 40(%%r15), %%rdi; mov 48(%%r15), %%rbp; mov 56(%%r15), %%r8; mov 64(%%r15), %%r9; mov 72(%%r15), %%r10; mov 80(%%r15), %%r11;"
        "mov 88(%%r15), %%r12; mov 96(%%r15), %%r13; mov 104(%%r15), %%r14; ret" :: "r"(values), "r"(code) : "memory");
}

static void nothing(int number) { (void)number; }

int main(int argc, char **argv) {
    random_state += (argc > 1 ? (uint64_t)atol(argv[1]) : 1) * 0x9E3779B97F4A7C15;
    long count = argc > 2 ? atol(argv[2]) : 100, by_signal = 0, by_itself = 0;
    for (long i = 0; i < count; i++) {
        next_random();
        pid_t child = fork();
        if (child < 0) { while (waitpid(-1, NULL, WNOHANG) > 0); continue; }
        if (child == 0) {
            struct rlimit processes = {0, 0};
            setrlimit(RLIMIT_NPROC, &processes); /* no bomb by chance, where that is obeyed */
            setpgid(0, 0);
            close(0); close(1); close(2);
            unsigned char *code = (unsigned char *)map_pages(CODE / 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
            random_code(code, CODE);
            if (below(4) == 0) for (int number = 1; number < 32; number++) signal(number, nothing);
            struct itimerval soon = {{0, 0}, {0, 40000}};
            setitimer(ITIMER_REAL, &soon, NULL);
            wild_state(code + below(100));
            _exit(0);
        }
        int status;
        pid_t got;
        for (int tries = 0; (got = waitpid(child, &status, WNOHANG)) == 0 && tries < 8; tries++) sleep_ms(10);
        if (got == 0) { kill(-child, SIGKILL); kill(child, SIGKILL); got = waitpid(child, &status, 0); }
        if (got != child) continue;
        if (WIFSIGNALED(status)) by_signal++; else by_itself++;
    }
    kill(-1, SIGKILL);
    while (wait(NULL) > 0);
    dprintf(2, "children were ended: %d\n", by_signal > 0);
    (void)by_itself;
    return 0;
}
