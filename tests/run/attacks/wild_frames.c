/* A signal frame that a program forges: sigreturn must believe nothing. The first argument names what is wild, to the first dot; another task
   lives beside it and says so in the end. A frame may end the task by a signal, or be made harmless. */
#include "../tasks/tasks.h"
#include <ucontext.h>

static const char *wanted;
static int is(const char *name) { return !strcmp(wanted, name); }

static char *before_hole(void) { char *at = map_pages(2, PROT_READ | PROT_WRITE); CHECK(munmap(at + 4096, 4096) == 0); return at; }
static void after(void) { say("came back\n"); _exit(5); }
static char stack_of_after[4096] __attribute__((aligned(16)));

static void forge(int number, siginfo_t *about, void *context) {
    ucontext_t *all = context;
    greg_t *r = all->uc_mcontext.gregs;
    unsigned short *selectors = (unsigned short *)&r[REG_CSGSFS]; /* cs, gs, fs, ss */
    unsigned char *vectors = (unsigned char *)all->uc_mcontext.fpregs;
    (void)number, (void)about;
    r[REG_RIP] = (greg_t)(uintptr_t)after;
    r[REG_RSP] = (greg_t)(uintptr_t)(stack_of_after + sizeof stack_of_after - 8);
    if (is("rip-non-canonical")) r[REG_RIP] = 0x800000000000;
    if (is("rip-far-non-canonical")) r[REG_RIP] = 0x4141414141414141;
    if (is("rip-kernel")) r[REG_RIP] = (greg_t)0xFFFFFFFF80100000;
    if (is("rip-direct-map")) r[REG_RIP] = (greg_t)0xFFFF800000100000;
    if (is("rip-last-page")) r[REG_RIP] = 0x7fffffffefff;
    if (is("rip-end")) r[REG_RIP] = 0x7ffffffff000;
    if (is("rip-zero")) r[REG_RIP] = 0;
    if (is("rip-data")) r[REG_RIP] = (greg_t)(uintptr_t)stack_of_after;
    if (is("rsp-non-canonical")) r[REG_RSP] = 0x800000000000;
    if (is("rsp-kernel")) r[REG_RSP] = (greg_t)0xFFFFFFFF801E0000;
    if (is("rsp-zero")) r[REG_RSP] = 0;
    if (is("cs-zero")) selectors[0] = 0;
    if (is("cs-kernel")) selectors[0] = 8;
    if (is("cs-kernel-3")) selectors[0] = 0xb;
    if (is("cs-32")) selectors[0] = 0x23;
    if (is("cs-wild")) selectors[0] = 0xffff;
    if (is("cs-ring-0")) selectors[0] = 0x30;
    if (is("ss-zero")) selectors[3] = 0;
    if (is("ss-kernel")) selectors[3] = 0x10;
    if (is("ss-wild")) selectors[3] = 0xfffb;
    if (is("ss-of-code")) selectors[3] = 0x33;
    if (is("gs-wild")) selectors[1] = 0xfffb;
    if (is("fs-wild")) selectors[2] = 0x1b;
    if (is("flags-io")) r[REG_EFL] |= 0x3000;
    if (is("flags-nested")) r[REG_EFL] |= 0x4000;
    if (is("flags-aligned")) r[REG_EFL] |= 0x40000;
    if (is("flags-vm")) r[REG_EFL] |= 0x20000;
    if (is("flags-resume")) r[REG_EFL] |= 0x10000;
    if (is("flags-no-interrupts")) r[REG_EFL] &= ~0x200;
    if (is("flags-down")) r[REG_EFL] |= 0x400;
    if (is("flags-virtual")) r[REG_EFL] |= 0x180000;
    if (is("flags-all")) r[REG_EFL] = (greg_t)~0x100ull;
    if (is("flags-trap")) r[REG_EFL] |= 0x100;
    if (is("flags-none")) r[REG_EFL] = 0;
    if (is("vectors-none")) all->uc_mcontext.fpregs = NULL;
    if (is("vectors-wild")) all->uc_mcontext.fpregs = (void *)0x1234560;
    if (is("vectors-kernel")) all->uc_mcontext.fpregs = (void *)0xFFFF800000100000;
    if (is("vectors-non-canonical")) all->uc_mcontext.fpregs = (void *)0x800000000000;
    if (is("vectors-crooked")) all->uc_mcontext.fpregs = (void *)(vectors + 1);
    if (is("vectors-at-hole")) all->uc_mcontext.fpregs = (void *)(before_hole() + 4096 - 64);
    if (is("mxcsr-wild")) memset(vectors + 24, 0xff, 4);
    if (is("mxcsr-reserved")) vectors[26] = 1;
    if (is("mxcsr-unmasked")) vectors[24] = vectors[25] = 0;
    if (is("x87-unmasked")) vectors[0] = vectors[1] = 0, vectors[2] = 0xff;
    if (is("vectors-random")) for (int i = 0; i < 512; i++) vectors[i] = (unsigned char)next_random();
    if (is("vectors-size")) memset(vectors + 464, 0xff, 48);
    if (is("mask-all")) memset(&all->uc_sigmask, 0xff, 8);
    if (is("flags-word")) all->uc_flags = ~0ul;
    if (is("link-wild")) all->uc_link = (void *)0xFFFF800000100000;
    if (is("stack-wild")) { all->uc_stack.ss_sp = (void *)0xFFFF800000000000; all->uc_stack.ss_size = ~0ul; all->uc_stack.ss_flags = 0x7fff; }
    if (is("all-ones")) memset(all, 0xff, 296);
    if (is("random")) for (int i = 0; i < 296; i++) ((unsigned char *)all)[i] = (unsigned char)next_random();
}

static long sigreturn_at(uintptr_t rsp) { /* no frame at all */
    long result;
    __asm__ volatile("mov %%rsp, %%rbx; mov %1, %%rsp; syscall; mov %%rbx, %%rsp" : "=a"(result) : "r"(rsp), "a"(SYS_rt_sigreturn) : "rbx", "rcx", "r11", "memory");
    return result;
}

static void attack(void) {
    struct sigaction action = {.sa_sigaction = forge, .sa_flags = SA_SIGINFO};
    static char zeros[4096] __attribute__((aligned(64)));
    if (is("no-frame-zero")) sigreturn_at(0);
    if (is("no-frame-kernel")) sigreturn_at(0xFFFFFFFF801E0000);
    if (is("no-frame-non-canonical")) sigreturn_at(0x800000000000);
    if (is("no-frame-zeros")) sigreturn_at((uintptr_t)zeros + 1024);
    if (is("no-frame-at-hole")) sigreturn_at((uintptr_t)before_hole() + 4096 - 16);
    if (is("no-frame-ones")) { memset(zeros, 0xff, sizeof zeros); sigreturn_at((uintptr_t)zeros + 1024); }
    if (is("handler-kernel")) action.sa_handler = (void *)0xFFFFFFFF80100000;
    if (is("handler-non-canonical")) action.sa_handler = (void *)0x800000000000;
    if (is("handler-zero-page")) action.sa_handler = (void *)0x10;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    if (is("restorer-kernel") || is("no-restorer")) {
        uint64_t raw[4] = {(uint64_t)(uintptr_t)forge, is("no-restorer") ? 4 : 0x04000004, 0xFFFFFFFF80100000, 0};
        CHECK(syscall(SYS_rt_sigaction, SIGUSR1, raw, NULL, 8) == 0);
    }
    if (is("frame-below-stack") || is("frame-in-kernel") || is("frame-read-only")) {
        uintptr_t at = is("frame-in-kernel") ? 0xFFFFFFFF801E0000 : is("frame-read-only") ? (uintptr_t)map_pages(1, PROT_READ) + 4096 : 0x10000;
        long result;
        __asm__ volatile("mov %%rsp, %%rbx; mov %1, %%rsp; syscall; mov %%rbx, %%rsp" : "=a"(result)
                         : "r"(at), "a"(SYS_kill), "D"((long)getpid()), "S"((long)SIGUSR1) : "rbx", "rcx", "r11", "memory");
        _exit(6);
    }
    if (is("stack-of-signals-wild")) {
        uint64_t other[3] = {0xFFFF800000100000, 0, 65536};
        CHECK(syscall(SYS_sigaltstack, other, NULL) == 0 || errno);
        action.sa_flags |= SA_ONSTACK;
        CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    }
    raise(SIGUSR1);
}

static int names(void) {
    static const char *const all[] = {"rip-non-canonical", "rip-far-non-canonical", "rip-kernel", "rip-direct-map", "rip-last-page", "rip-end", "rip-zero", "rip-data",
        "rsp-non-canonical", "rsp-kernel", "rsp-zero", "cs-zero", "cs-kernel", "cs-kernel-3", "cs-32", "cs-wild", "cs-ring-0", "ss-zero", "ss-kernel", "ss-wild", "ss-of-code",
        "gs-wild", "fs-wild", "flags-io", "flags-nested", "flags-aligned", "flags-vm", "flags-resume", "flags-no-interrupts", "flags-down", "flags-virtual",
        "flags-all", "flags-trap", "flags-none", "vectors-none", "vectors-wild", "vectors-kernel", "vectors-non-canonical", "vectors-crooked", "vectors-at-hole",
        "mxcsr-wild", "mxcsr-reserved", "mxcsr-unmasked", "x87-unmasked", "vectors-random", "vectors-size", "mask-all", "flags-word", "link-wild", "stack-wild", "all-ones", "random",
        "no-frame-zero", "no-frame-kernel", "no-frame-non-canonical", "no-frame-zeros", "no-frame-at-hole", "no-frame-ones", "handler-kernel", "handler-non-canonical",
        "handler-zero-page", "restorer-kernel", "no-restorer", "frame-below-stack", "frame-in-kernel", "frame-read-only", "stack-of-signals-wild", NULL};
    int gate[2], answer[2], ended = 0;
    CHECK(pipe(gate) == 0 && pipe(answer) == 0);
    pid_t beside = fork(); /* lives through all of it */
    CHECK(beside >= 0);
    if (beside == 0) {
        close(gate[1]);
        for (char byte; read(gate[0], &byte, 1) == 1; ) put(answer[1]);
        _exit(7);
    }
    for (const char *const *one = all; *one; one++) {
        pid_t child = fork();
        CHECK(child >= 0);
        wanted = *one;
        if (child == 0) { alarm(5); attack(); _exit(99); }
        say_end(wanted, child);
        put(gate[1]);
        take(answer[0]);
        ended++;
    }
    close(gate[1]);
    say("%d attacks\n", ended);
    say_end("the task beside", beside);
    return 0;
}

static void all_of_them(void) { names(); }
static const struct way ways[] = {WAY(all_of_them), {NULL, NULL}};
