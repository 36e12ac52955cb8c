/* Signals between tasks: handlers, masks, restarts, frames, other stacks. */
#include "tasks.h"
#include <setjmp.h>
#include <ucontext.h>

static volatile sig_atomic_t seen, count, depth, deepest;
static volatile int order[100];

static void note(int number) { seen = number; count++; }
static void nothing(int number) { (void)number; }

static void by_kill(void) {
    sigset_t none = set_of(0);
    handle(SIGUSR1, note, 0);
    block(SIGUSR1);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { CHECK(sigsuspend(&none) == -1); _exit(seen); }
    CHECK(kill(child, 0) == 0 && kill(child, SIGUSR1) == 0);
    say_end("child", child);
}

static void ends_by(void) { /* what becomes of a task that does nothing about it */
    static const int numbers[] = {SIGHUP, SIGINT, SIGQUIT, SIGKILL, SIGUSR1, SIGPIPE, SIGALRM, SIGTERM, SIGSTKFLT, SIGVTALRM, SIGPROF, SIGIO, SIGXCPU, SIGSYS, 34, 64};
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) for (;;) pause();
        CHECK(kill(child, numbers[i]) == 0);
        say_end("child", child);
    }
    static const int harmless[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT};
    for (unsigned i = 0; i < 4; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) { sleep_ms(20); _exit(0); }
        CHECK(kill(child, harmless[i]) == 0);
        say_end("child", child);
    }
}

static void child_ends(void) { /* SIGCHLD with all that it tells */
    handle(SIGCHLD, note, 0);
    block(SIGCHLD);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) _exit(3);
    sigset_t none = set_of(0);
    FAILS(sigsuspend(&none), EINTR);
    say("%d\n", seen == SIGCHLD);
    say_end("child", child);
}

static siginfo_t info;
static pid_t expected_sender;
static void take_info(int number, siginfo_t *about, void *context) { (void)context; seen = number; info = *about; }

static void handle_info(int number) {
    struct sigaction action = {.sa_sigaction = take_info, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(number, &action, NULL) == 0);
}

static void say_info(const char *what) {
    say("%s: number %d, code %d, errno %d", what, info.si_signo, info.si_code, info.si_errno);
    if (info.si_signo == SIGCHLD) say(", status %d, sender %d, user %d\n", info.si_status, info.si_pid == expected_sender, info.si_uid == getuid());
    else if (info.si_signo == SIGSEGV || info.si_signo == SIGBUS) say(", address %lx\n", (long)info.si_addr & 0xfff);
    else say(", sender %d, user %d\n", info.si_pid == expected_sender, info.si_uid == getuid());
}

static void infos(void) {
    int ways[] = {0, 1, 2, 3};
    sigset_t none = set_of(0);
    handle_info(SIGCHLD);
    handle_info(SIGUSR1);
    block(SIGCHLD);
    block(SIGUSR1);
    for (int i = 0; i < 3; i++) {
        expected_sender = fork();
        CHECK(expected_sender >= 0);
        if (expected_sender == 0) { if (ways[i] == 1) raise(SIGKILL); if (ways[i] == 2) abort(); _exit(44); }
        CHECK(sigsuspend(&none) == -1);
        say_info("child");
        CHECK(wait(NULL) == expected_sender);
    }
    pid_t parent = getpid();
    expected_sender = fork();
    CHECK(expected_sender >= 0);
    if (expected_sender == 0) { CHECK(kill(parent, SIGUSR1) == 0); for (;;) pause(); }
    CHECK(sigsuspend(&none) == -1);
    say_info("kill");
    CHECK(kill(expected_sender, SIGSTOP) == 0 && sigsuspend(&none) == -1);
    say_info("stop");
    CHECK(kill(expected_sender, SIGCONT) == 0 && sigsuspend(&none) == -1);
    say_info("go on");
    CHECK(kill(expected_sender, SIGKILL) == 0 && sigsuspend(&none) == -1);
    say_info("end");
    wait_for(expected_sender);
    expected_sender = getpid();
    CHECK(raise(SIGUSR1) == 0 && sigsuspend(&none) == -1);
    say_info("raise");
    expected_sender = 0;
    handle_info(SIGALRM);
    struct itimerval soon = {{0, 0}, {0, 5000}};
    CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0 && pause() == -1);
    say("alarm: code %d\n", info.si_code);
}

static sigjmp_buf back;
static void take_fault(int number, siginfo_t *about, void *context) { (void)context; seen = number; info = *about; siglongjmp(back, 1); }

static void faults(void) { /* what a handler is told of them */
    struct sigaction action = {.sa_sigaction = take_fault, .sa_flags = SA_SIGINFO};
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    char *page = map_pages(1, PROT_READ);
    volatile int zero = 0, one = 1;
    for (int i = 0; i < 5; i++) CHECK(sigaction(numbers[i], &action, NULL) == 0);
    for (int i = 0; i < 7; i++) {
        if (sigsetjmp(back, 1) == 0) {
            if (i == 0) *(volatile int *)0x123 = 1;
            if (i == 1) *(volatile char *)(page + 0x45) = 1;
            if (i == 2) __asm__ volatile("ud2");
            if (i == 3) one /= zero;
            if (i == 4) __asm__ volatile("int3");
            if (i == 5) __asm__ volatile("hlt");
            if (i == 6) *(volatile char *)0x800000000000 = 1;
            CHECK(!"came back");
        }
        say("%d: number %d, code %d", i, info.si_signo, info.si_code);
        if (i < 2 || i > 4) say(", address %lx", (long)info.si_addr & 0xfff);
        say("\n");
    }
}

static char *repaired;
static void repair(int number, siginfo_t *about, void *context) {
    (void)number, (void)context;
    char *page = (char *)((uintptr_t)about->si_addr & -(uintptr_t)PAGE);
    CHECK(page >= repaired && mprotect(page, PAGE, PROT_READ | PROT_WRITE) == 0);
    count++;
}

static void repairs(void) { /* the handler makes the page writable, and the write happens */
    struct sigaction action = {.sa_sigaction = repair, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    repaired = map_pages(50, PROT_NONE);
    for (long i = 0; i < 50; i++) repaired[i * PAGE + i] = (char)i;
    for (long i = 0; i < 50; i++) CHECK(repaired[i * PAGE + i] == i);
    say("%d repaired\n", count);
    pid_t child = fork();
    CHECK(child >= 0);
    CHECK(mprotect(repaired, 50 * PAGE, PROT_READ) == 0);
    for (long i = 0; i < 50; i++) repaired[i * PAGE + i] = (char)(i + (child ? 1 : 2));
    for (long i = 0; i < 50; i++) CHECK(repaired[i * PAGE + i] == i + (child ? 1 : 2));
    if (child == 0) _exit(count);
    say_end("child", child);
    say("%d repaired\n", count);
}

static void steps_over(int number, siginfo_t *about, void *context) {
    ucontext_t *all = context;
    (void)number, (void)about;
    all->uc_mcontext.gregs[REG_RIP] += 2; /* behind ud2 */
    all->uc_mcontext.gregs[REG_RBX] = 0x1234;
}

static void changes_registers(void) { /* what a handler writes into the frame is what the program finds */
    struct sigaction action = {.sa_sigaction = steps_over, .sa_flags = SA_SIGINFO};
    long rbx = 5, r12 = 0x7654321, rax = 99;
    CHECK(sigaction(SIGILL, &action, NULL) == 0);
    register long r12_now __asm__("r12") = r12;
    __asm__ volatile("ud2" : "+b"(rbx), "+a"(rax), "+r"(r12_now));
    say("%lx %ld %lx\n", rbx, rax, r12_now);
}

static void keeps_all(void) { /* flags, vectors and the red zone are as before a handler, whatever it does */
    long wrong;
    handle(SIGUSR1, nothing, 0);
    __asm__ volatile(
        "movq %%rsp, %%rbx\n"
        "movq $0x1122334455667788, %%rax\n movq %%rax, -8(%%rsp)\n movq %%rax, -120(%%rsp)\n movq %%rax, %%xmm7\n"
        "movq %2, %%rdi\n movl $10, %%esi\n movl $62, %%eax\n std\n stc\n syscall\n"
        "pushfq\n cld\n popq %%r8\n andq $0x401, %%r8\n" /* the push overwrites -8 */
        "xorl %%edx, %%edx\n cmpq $0x401, %%r8\n je 1f\n orl $1, %%edx\n 1:\n"
        "movq $0x1122334455667788, %%rcx\n cmpq %%rcx, -120(%%rsp)\n je 1f\n orl $2, %%edx\n 1:\n"
        "movq %%xmm7, %%r9\n cmpq %%rcx, %%r9\n je 1f\n orl $4, %%edx\n 1:\n"
        "cmpq %%rsp, %%rbx\n je 1f\n orl $8, %%edx\n 1:\n movslq %%edx, %0\n orq %%rax, %0\n"
        : "=&d"(wrong) : "0"(0), "r"((long)getpid()) : "rax", "rbx", "rcx", "rdi", "rsi", "r8", "r9", "r11", "xmm7", "memory", "cc");
    say("wrong: %ld\n", wrong);
}

static void is_nested(int number) {
    depth++;
    if (depth > deepest) deepest = depth;
    order[count++ % 100] = number;
    if (number == SIGUSR1 && count < 5) raise(SIGUSR2);
    if (number == SIGUSR2 && count < 5) raise(SIGTERM);
    depth--;
}

static void nested(void) {
    handle(SIGUSR1, is_nested, 0);
    handle(SIGUSR2, is_nested, 0);
    handle(SIGTERM, is_nested, 0);
    raise(SIGUSR1);
    say("%d times, %d deep: %d %d %d\n", count, deepest, order[0], order[1], order[2]);
}

static void itself(int number) {
    depth++;
    if (depth > deepest) deepest = depth;
    if (count++ < 3) raise(number);
    depth--;
}

static void own_number_in_handler(void) {
    handle(SIGUSR1, itself, 0);
    raise(SIGUSR1);
    say("blocked while it runs: %d times, %d deep\n", count, deepest);
    count = deepest = 0;
    handle(SIGUSR1, itself, SA_NODEFER);
    raise(SIGUSR1);
    say("SA_NODEFER: %d times, %d deep\n", count, deepest);
}

static void once(void) {
    handle(SIGUSR1, note, SA_RESETHAND);
    raise(SIGUSR1);
    struct sigaction now;
    CHECK(sigaction(SIGUSR1, NULL, &now) == 0);
    say("default again: %d, after %d\n", now.sa_handler == SIG_DFL, count);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { raise(SIGUSR1); _exit(0); }
    say_end("child", child);
}

static void with_mask(int number) {
    sigset_t mask;
    CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
    order[count++] = number;
    if (number == SIGUSR1) {
        say("in the handler: USR1 %d, USR2 %d, TERM %d, KILL %d\n", sigismember(&mask, SIGUSR1), sigismember(&mask, SIGUSR2), sigismember(&mask, SIGTERM), sigismember(&mask, SIGKILL));
        raise(SIGUSR2);
        order[count++] = 0;
    }
}

static void masks(void) {
    struct sigaction action = {.sa_handler = with_mask}, old;
    sigset_t mask;
    sigfillset(&action.sa_mask);
    sigdelset(&action.sa_mask, SIGTERM);
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && sigaction(SIGUSR1, NULL, &old) == 0);
    say("kept: %d %d %d\n", sigismember(&old.sa_mask, SIGHUP), sigismember(&old.sa_mask, SIGTERM), sigismember(&old.sa_mask, SIGKILL));
    handle(SIGUSR2, with_mask, 0);
    raise(SIGUSR1);
    say("order %d %d %d\n", order[0], order[1], order[2]);
    CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0 && !sigismember(&mask, SIGUSR1));
    sigset_t all, pending;
    sigfillset(&all);
    CHECK(sigprocmask(SIG_SETMASK, &all, NULL) == 0 && sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
    say("KILL %d, STOP %d, TERM %d\n", sigismember(&mask, SIGKILL), sigismember(&mask, SIGSTOP), sigismember(&mask, SIGTERM));
    count = 0;
    raise(SIGUSR2);
    raise(SIGUSR2);
    CHECK(sigpending(&pending) == 0);
    say("pending %d, times %d\n", sigismember(&pending, SIGUSR2), count);
    CHECK(sigprocmask(SIG_SETMASK, &mask, NULL) == 0);
    unblock(SIGUSR2);
    say("times %d\n", count); /* one that is pending twice comes once */
    FAILS(sigprocmask(77, &all, NULL), EINVAL);
    FAILS(syscall(SYS_rt_sigprocmask, 0, &all, NULL, 4), EINVAL);
    FAILS(syscall(SYS_rt_sigprocmask, 0, 8, NULL, 8), EFAULT);
    struct sigaction any = {.sa_handler = note};
    FAILS(sigaction(SIGKILL, &any, NULL), EINVAL);
    FAILS(sigaction(SIGSTOP, &any, NULL), EINVAL);
    FAILS(syscall(SYS_rt_sigaction, 65, &any, NULL, 8), EINVAL);
    FAILS(syscall(SYS_rt_sigaction, 0, &any, NULL, 8), EINVAL);
}

static void several_pending(void) { /* those of the processor first, then by number; the last made runs first */
    sigset_t all, old;
    handle(SIGUSR1, is_nested, 0);
    handle(SIGUSR2, is_nested, 0);
    handle(SIGHUP, is_nested, 0);
    handle(SIGTERM, is_nested, 0);
    count = 50;
    sigfillset(&all);
    CHECK(sigprocmask(SIG_SETMASK, &all, &old) == 0);
    raise(SIGTERM); raise(SIGHUP); raise(SIGUSR2); raise(SIGUSR1);
    CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
    say("%d %d %d %d, %d deep\n", order[50], order[51], order[52], order[53], deepest);
}

static void inherited(void) {
    handle(SIGUSR1, note, 0);
    block(SIGUSR2);
    raise(SIGUSR2);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        sigset_t pending, mask;
        raise(SIGUSR1);
        CHECK(sigpending(&pending) == 0 && sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
        say("child: handler %d, pending %d, blocked %d\n", seen, sigismember(&pending, SIGUSR2), sigismember(&mask, SIGUSR2));
        _exit(0);
    }
    wait_well(child);
    say("parent: handler %d\n", seen);
}

static char *other_stack;
static volatile int is_on_it;
static void where(int number) {
    char here;
    stack_t now;
    (void)number;
    is_on_it = &here >= other_stack && &here < other_stack + 65536;
    CHECK(sigaltstack(NULL, &now) == 0);
    say("on it %d, says %d\n", is_on_it, now.ss_flags & 3);
    stack_t another = {.ss_sp = other_stack, .ss_size = 32768};
    say_error("change it now", sigaltstack(&another, NULL));
}

static void other_stacks(void) {
    other_stack = map_pages(16, PROT_READ | PROT_WRITE);
    stack_t other = {.ss_sp = other_stack, .ss_size = 65536}, old;
    handle(SIGUSR1, where, SA_ONSTACK);
    handle(SIGUSR2, where, 0);
    raise(SIGUSR1);
    CHECK(sigaltstack(&other, &old) == 0);
    say("was off: %d\n", old.ss_flags == SS_DISABLE);
    raise(SIGUSR1);
    raise(SIGUSR2);
    stack_t small = {.ss_sp = other_stack, .ss_size = 100};
    FAILS(sigaltstack(&small, NULL), ENOMEM);
    stack_t wrong = {.ss_sp = other_stack, .ss_size = 65536, .ss_flags = 0x55};
    FAILS(sigaltstack(&wrong, NULL), EINVAL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { CHECK(sigaltstack(NULL, &old) == 0 && old.ss_sp == other_stack); raise(SIGUSR1); _exit(0); }
    wait_well(child);
    stack_t off = {.ss_flags = SS_DISABLE};
    CHECK(sigaltstack(&off, NULL) == 0);
    raise(SIGUSR1);
}

static int overflow(volatile char *before) { volatile char frame[4000]; frame[0] = *before; return overflow(frame) + frame[0]; }
static void at_overflow(int number) { seen = number; siglongjmp(back, 1); }

static void overflow_is_caught(void) { /* on another stack the end of the stack can be handled; without it is the end */
    other_stack = map_pages(16, PROT_READ | PROT_WRITE);
    stack_t other = {.ss_sp = other_stack, .ss_size = 65536};
    char start = 1;
    handle(SIGSEGV, at_overflow, 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { overflow(&start); _exit(0); }
    say_end("without", child);
    CHECK(sigaltstack(&other, NULL) == 0);
    handle(SIGSEGV, at_overflow, SA_ONSTACK);
    for (int i = 0; i < 3; i++) if (sigsetjmp(back, 1) == 0) overflow(&start);
    say("caught %d\n", seen);
}

static void jumps_out(int number) { count++; siglongjmp(back, number); }

static void jump_out(void) { /* again and again; the mask is restored by siglongjmp */
    handle(SIGUSR1, jumps_out, 0);
    for (volatile int i = 0; i < 200; i++) {
        if (sigsetjmp(back, 1)) continue;
        raise(SIGUSR1);
        CHECK(!"came back");
    }
    sigset_t mask;
    CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
    say("%d, blocked %d\n", count, sigismember(&mask, SIGUSR1));
}

static void without_saving(void) {
    handle(SIGUSR1, jumps_out, 0);
    if (sigsetjmp(back, 0) == 0) raise(SIGUSR1);
    sigset_t mask;
    CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
    say("blocked %d\n", sigismember(&mask, SIGUSR1));
}

static void wait_is_interrupted(void) {
    struct itimerval soon = {{0, 0}, {0, 20000}};
    int gate[2];
    CHECK(pipe(gate) == 0);
    for (int restart = 0; restart < 2; restart++) {
        count = 0;
        handle(SIGALRM, note, restart ? SA_RESTART : 0);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) { if (restart) sleep_ms(60); else take(gate[0]); _exit(7); }
        CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
        int status = 0;
        pid_t answer = waitpid(child, &status, 0);
        say("restart %d: %d, errno %d, handler %d\n", restart, answer == child, answer == child ? 0 : errno, count);
        if (!restart) { put(gate[1]); say_end("child", child); }
    }
}

static void sleep_is_interrupted(void) { /* never made anew; says what is left */
    struct itimerval soon = {{0, 0}, {0, 30000}};
    struct timespec ask = {10, 0}, left = {0, 0};
    handle(SIGALRM, note, SA_RESTART);
    CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
    FAILS(nanosleep(&ask, &left), EINTR);
    say("left 9 s and more: %d\n", left.tv_sec == 9 && left.tv_nsec > 0);
    CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
    FAILS(pause(), EINTR);
    CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &ask, &left) == EINTR);
    say("%d\n", count);
}

static void ignored_does_not_interrupt(void) { /* neither what is ignored nor what does nothing by itself */
    handle(SIGUSR1, SIG_IGN, 0);
    int ends[2];
    char byte;
    CHECK(pipe(ends) == 0);
    pid_t parent = getpid(), child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        sleep_ms(10);
        CHECK(kill(parent, SIGUSR1) == 0 && kill(parent, SIGWINCH) == 0 && kill(parent, SIGCONT) == 0);
        sleep_ms(10);
        put(ends[1]);
        _exit(0);
    }
    CHECK(read(ends[0], &byte, 1) == 1);
    wait_well(child);
    say("not interrupted\n");
}

static void suspended(void) {
    handle(SIGUSR1, note, 0);
    block(SIGUSR1);
    raise(SIGUSR1);
    sigset_t none = set_of(0), mask;
    FAILS(sigsuspend(&none), EINTR); /* it was pending: at once */
    CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
    say("%d, blocked again %d\n", count, sigismember(&mask, SIGUSR1));
    sigset_t but = set_of(SIGUSR1);
    handle(SIGUSR2, note, 0);
    pid_t parent = getpid(), child = fork();
    CHECK(child >= 0);
    if (child == 0) { sleep_ms(10); kill(parent, SIGUSR1); sleep_ms(10); kill(parent, SIGUSR2); _exit(0); }
    FAILS(sigsuspend(&but), EINTR);
    say("by %d\n", seen);
    wait_well(child);
    unblock(SIGUSR1);
    say("then %d\n", seen);
}

static void timed_wait(void) {
    siginfo_t about;
    struct timespec soon = {0, 10000000};
    sigset_t one = set_of(SIGUSR1);
    block(SIGUSR1);
    FAILS(sigtimedwait(&one, &about, &soon), EAGAIN);
    raise(SIGUSR1);
    say("%d\n", sigtimedwait(&one, &about, &soon));
    pid_t parent = getpid(), child = fork();
    CHECK(child >= 0);
    if (child == 0) { sleep_ms(10); kill(parent, SIGUSR1); _exit(0); }
    say("%d", sigwaitinfo(&one, &about));
    say(" %d\n", about.si_pid == child);
    wait_well(child);
}

static void nobody_gets_it(void) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) _exit(0);
    sleep_ms(20);
    say_error("a zombie", kill(child, SIGKILL));
    wait_well(child);
    say_error("the dead", kill(child, SIGTERM));
    say_error("never was", kill(0x3fffff0, SIGTERM));
    say_error("a number too large", kill(getpid(), 65));
    say_error("a number below zero", kill(getpid(), -1));
    say_error("no group", kill(-0x3fffff0, SIGTERM));
    say_error("tkill the dead", syscall(SYS_tkill, child, SIGTERM));
    say_error("tkill nobody", syscall(SYS_tkill, 0, SIGTERM));
    say_error("tgkill of another", syscall(SYS_tgkill, getppid(), getpid(), 0));
    say_error("tgkill", syscall(SYS_tgkill, getpid(), getpid(), 0));
}

static void handler_and_exit(int number) { (void)number; say("from the handler\n"); _exit(17); }

static void exits_in_handler(void) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { handle(SIGTERM, handler_and_exit, 0); raise(SIGTERM); _exit(1); }
    say_end("child", child);
}

static void forks_in(int number) {
    (void)number;
    pid_t child = fork();
    CHECK(child >= 0);
    count++;
    if (child) say_end("made in the handler", child);
    else depth = 1;
}

static void forks_in_handler(void) { /* both return through the frame */
    handle(SIGUSR1, forks_in, 0);
    raise(SIGUSR1);
    if (depth) _exit(19);
    say("%d\n", count);
}

static void ping_pong(void) { /* two tasks tell each other by signals alone */
    enum { ROUNDS = 200 };
    handle(SIGUSR1, note, 0);
    block(SIGUSR1);
    sigset_t none = set_of(0);
    pid_t parent = getpid(), child = fork();
    CHECK(child >= 0);
    for (int i = 0; i < ROUNDS; i++) {
        if (child) { int before = count; CHECK(kill(child, SIGUSR1) == 0); while (count == before) sigsuspend(&none); }
        else { int before = count; while (count == before) sigsuspend(&none); CHECK(kill(parent, SIGUSR1) == 0); }
    }
    if (child == 0) _exit(0);
    wait_well(child);
    say("%d rounds\n", count);
}

static void busy_and_told(void) { /* one that never calls gets it, too */
    int ends[2];
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { handle(SIGUSR1, note, 0); put(ends[1]); while (!seen); _exit(seen); }
    take(ends[0]);
    CHECK(kill(child, SIGUSR1) == 0);
    say_end("child", child);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) for (;;);
    CHECK(kill(child, SIGTERM) == 0);
    say_end("loop", child);
}

static void queued(void) { /* sigqueue hands a value over */
    union sigval value = {.sival_int = 1234};
    handle_info(SIGUSR2);
    expected_sender = getpid();
    CHECK(sigqueue(getpid(), SIGUSR2, value) == 0);
    say_info("queue");
    say("value %d\n", info.si_value.sival_int);
}

static void real_time(void) { /* those above 32 come as often as they were sent, in order */
    handle_info(40);
    struct sigaction action = {.sa_sigaction = take_info, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(41, &action, NULL) == 0);
    handle(42, note, 0);
    block(42);
    for (int i = 0; i < 3; i++) raise(42);
    unblock(42);
    say("%d times\n", count);
}

static void fault_while_blocked(void) {
    for (int way = 0; way < 2; way++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            handle(SIGSEGV, way ? SIG_IGN : note, 0);
            if (way == 0) block(SIGSEGV);
            *(volatile int *)8 = 1;
            _exit(0);
        }
        say_end("child", child);
    }
}

static const struct way ways[] = {WAY(by_kill), WAY(ends_by), WAY(child_ends), WAY(infos), WAY(faults), WAY(repairs), WAY(changes_registers),
    WAY(keeps_all), WAY(nested), WAY(own_number_in_handler), WAY(once), WAY(masks), WAY(several_pending), WAY(inherited),
    WAY(other_stacks), WAY(overflow_is_caught), WAY(jump_out), WAY(without_saving), WAY(wait_is_interrupted),
    WAY(sleep_is_interrupted), WAY(ignored_does_not_interrupt), WAY(suspended), WAY(timed_wait), WAY(nobody_gets_it),
    WAY(exits_in_handler), WAY(forks_in_handler), WAY(ping_pong), WAY(busy_and_told), WAY(queued), WAY(real_time),
    WAY(fault_while_blocked), {NULL, NULL}};
