/* Tasks that make tasks: chains, crowds, vfork, orphans. */
#include "tasks.h"
#include <sched.h>
#include <setjmp.h>
#include <sys/prctl.h>

enum { DEPTH = 30, LATE = 12, CROWD = 300, TREE = 5 };

static int values[4096];
static volatile long counter = 1;

static void link_of_chain(int depth) {
    values[depth * 100] = depth + 1;
    counter = counter * 3 % 1000003;
    long mine = counter;
    if (depth + 1 < DEPTH) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) { link_of_chain(depth + 1); _exit((int)(counter % 200)); }
        say_end("link", child);
    }
    CHECK(counter == mine);
    for (int i = 0; i < DEPTH; i++) CHECK(values[i * 100] == (i <= depth ? i + 1 : 0));
}

static void chain(void) { link_of_chain(0); say("%ld\n", counter); }

/* All fork before anybody writes; then each writes, from the last to the first, or from the first to the last. */
static void late(int first_writes_first) {
    static char page[3 * PAGE];
    char *shared = map_shared(1);
    int all[2], turns[LATE + 2][2], level = 0;
    memset(page, 'a', sizeof page);
    CHECK(pipe(all) == 0);
    for (int i = 0; i < LATE + 2; i++) CHECK(pipe(turns[i]) == 0);
    pid_t child = -1;
    while (level < LATE) {
        child = fork();
        CHECK(child >= 0);
        if (child) break;
        level++;
    }
    if (level == LATE) put(turns[first_writes_first ? 0 : LATE][1]);
    take(turns[level][0]);
    for (long i = 0; i < (long)sizeof page; i++) CHECK(page[i] == 'a');
    memset(page, 'b' + level, sizeof page);
    shared[level] = page[PAGE];
    int next = level + (first_writes_first ? 1 : -1);
    if (next >= 0) put(turns[next][1]);
    if (level < LATE) wait_well(child);
    for (long i = 0; i < (long)sizeof page; i++) CHECK(page[i] == 'b' + level);
    if (level) _exit(0);
    say("%s\n", shared);
}

static void late_last_first(void) { late(0); }
static void late_first_first(void) { late(1); }

static void crowd(void) {
    static char page[PAGE] __attribute__((aligned(4096)));
    int gate[2], ready[2];
    long sum = 0;
    memset(page, 7, sizeof page);
    CHECK(pipe(gate) == 0 && pipe(ready) == 0);
    for (int i = 0; i < CROWD; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child) continue;
        close(gate[1]);
        put(ready[1]);
        char byte;
        CHECK(read(gate[0], &byte, 1) == 0 && page[i] == 7 && page[PAGE - 1] == 7);
        page[i] = (char)(i % 100);
        CHECK(page[0] == (i ? 7 : 0) && page[PAGE - 1] == 7);
        _exit(page[i]);
    }
    for (int i = 0; i < CROWD; i++) take(ready[0]);
    close(gate[1]);
    for (int i = 0; i < CROWD; i++) {
        int status;
        CHECK(wait(&status) > 0 && WIFEXITED(status));
        sum += WEXITSTATUS(status);
    }
    for (int i = 0; i < PAGE; i++) CHECK(page[i] == 7);
    say("%d children, sum %ld\n", CROWD, sum);
}

static int branch(int depth) {
    int sum = 1;
    if (depth == 0) return sum;
    pid_t children[2];
    for (int i = 0; i < 2; i++) {
        children[i] = fork();
        CHECK(children[i] >= 0);
        if (children[i] == 0) _exit(branch(depth - 1));
    }
    for (int i = 0; i < 2; i++) sum += WEXITSTATUS(wait_for(children[i]));
    return sum;
}

static void tree(void) { say("%d tasks\n", branch(TREE)); }

static void with_vfork(void) {
    volatile int seen = 1;
    pid_t child = vfork();
    CHECK(child >= 0);
    if (child == 0) { seen = 2; counter = 77; _exit(3); } /* the parent's own memory, and it waits */
    say("parent sees %d %ld\n", seen, counter);
    say_end("child of vfork", child);
}

static void with_vfork_and_exec(void) {
    static char *const arguments[] = {"forks", "hello", NULL}, *const environment[] = {NULL};
    pid_t child = vfork();
    CHECK(child >= 0);
    if (child == 0) { execve("forks", arguments, environment); _exit(99); }
    counter = 5;
    say_end("child", child);
    child = vfork();
    CHECK(child >= 0);
    if (child == 0) { execve("/none", arguments, environment); _exit(errno); }
    say_end("child without a program", child);
}

static void hello(void) { say("hello of a task\n"); }

static void vfork_in_vfork(void) {
    pid_t child = vfork();
    CHECK(child >= 0);
    if (child == 0) {
        pid_t inner = vfork();
        if (inner == 0) { counter += 10; _exit(4); }
        int status;
        if (inner < 0 || waitpid(inner, &status, 0) != inner) _exit(100);
        counter += 100;
        _exit(WEXITSTATUS(status) + 1);
    }
    say_end("child", child);
    say("%ld\n", counter);
}

static void vfork_killed(void) { /* a child that dies by a signal lets its parent go on */
    pid_t child = vfork();
    CHECK(child >= 0);
    if (child == 0) { *(volatile int *)8 = 1; _exit(0); }
    say_end("child", child);
}

static void orphan(void) {
    int gone[2], answer[2], here[2];
    CHECK(pipe(gone) == 0 && pipe(answer) == 0 && pipe(here) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        pid_t before = getpid();
        if (fork() == 0) {
            CHECK(getppid() == before);
            put(here[1]);
            take(gone[0]);
            char changed = getppid() != before;
            CHECK(write(answer[1], &changed, 1) == 1);
            _exit(9);
        }
        take(here[0]);
        _exit(5);
    }
    close(answer[1]);
    say_end("parent of the orphan", child);
    FAILS(wait(NULL), ECHILD); /* it is not the grandfather's */
    put(gone[1]);
    char changed = 0;
    CHECK(read(answer[0], &changed, 1) == 1);
    say("its parent changed: %d\n", changed);
    CHECK(read(answer[0], &changed, 1) == 0); /* until it has ended */
}

static int deep_stack(int depth) { volatile char room[3000]; room[0] = (char)depth; return depth ? deep_stack(depth - 1) + room[0] - room[0] : 0; }

static void stacks(void) { /* each has its own, also what grows later */
    char local[10000];
    memset(local, 1, sizeof local);
    deep_stack(20);
    pid_t child = fork();
    CHECK(child >= 0);
    memset(local, child ? 2 : 3, sizeof local);
    deep_stack(child ? 300 : 500);
    for (unsigned i = 0; i < sizeof local; i++) CHECK(local[i] == (child ? 2 : 3));
    if (child == 0) _exit(6);
    say_end("child", child);
}

static void registers(void) { /* vector state and flags are the task's own */
    double x = 1.5;
    unsigned before = 0x1f80 | 0x6000, after;
    __asm__ volatile("ldmxcsr %0" :: "m"(before));
    pid_t child = fork();
    CHECK(child >= 0);
    __asm__ volatile("stmxcsr %0" : "=m"(after));
    CHECK((after & 0x6000) == 0x6000);
    if (child == 0) {
        unsigned usual = 0x1f80;
        __asm__ volatile("ldmxcsr %0" :: "m"(usual));
        for (int i = 0; i < 1000; i++) x = x * 1.01 + (double)getppid() * 0;
        _exit(x > 20000 && x < 40000 ? 8 : 1);
    }
    for (int i = 0; i < 2000; i++) { x = x * 0.5 + 1; if (i % 100 == 0) sched_yield(); }
    CHECK(x > 1.99 && x < 2.01);
    __asm__ volatile("stmxcsr %0" : "=m"(after));
    CHECK((after & 0x6000) == 0x6000);
    say_end("child", child);
}

static void busy(void) { /* two that never call: both get on */
    volatile char *done = map_shared(1);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { while (!done[0]); done[1] = 1; while (!done[2]); _exit(2); }
    done[0] = 1;
    while (!done[1]);
    done[2] = 1;
    say_end("child", child);
}

static void own_numbers(void) {
    pid_t mine = getpid(), group = getpgrp(), session = getsid(0);
    int numbers[2];
    CHECK(pipe(numbers) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        pid_t own = getpid();
        CHECK(getppid() == mine && own != mine && getpgrp() == group && getsid(0) == session && own == (pid_t)syscall(SYS_gettid));
        CHECK(write(numbers[1], &own, sizeof own) == sizeof own);
        _exit(0);
    }
    pid_t told;
    CHECK(read(numbers[0], &told, sizeof told) == sizeof told && told == child && getpid() == mine);
    wait_well(child);
    FAILS(kill(child, 0), ESRCH);
    say("numbers are right\n");
}

static void many_in_turn(void) { /* numbers and frames come back */
    long sum = 0;
    for (int i = 0; i < 2000; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) { values[i] = i; _exit(i % 7 + values[i + 1]); }
        sum += WEXITSTATUS(wait_for(child));
    }
    say("sum %ld\n", sum);
}

static void raw_clone(void) {
    pid_t tid = 0;
    long child = syscall(SYS_clone, 0x01000000 | 0x00100000 | SIGCHLD, 0, &tid, &tid, 0); /* CHILD_SETTID, PARENT_SETTID */
    CHECK(child >= 0);
    CHECK(tid == (child ? (pid_t)child : (pid_t)syscall(SYS_gettid)));
    if (child == 0) _exit(12);
    say_end("child", (pid_t)child);
    child = syscall(SYS_clone, 0, 0, 0, 0, 0); /* no signal at its end: only __WALL or __WCLONE finds it */
    CHECK(child >= 0);
    if (child == 0) _exit(13);
    FAILS(waitpid((pid_t)child, NULL, 0), ECHILD);
    int status;
    CHECK(waitpid((pid_t)child, &status, __WALL) == child);
    say_status("silent child", status);
    FAILS(syscall(SYS_clone, 0x00010000, 0, 0, 0, 0), EINVAL); /* a thread without the same handlers */
    FAILS(syscall(SYS_clone, 0x00000800, 0, 0, 0, 0), EINVAL); /* handlers without the same memory */
}

static int clone_main(void *argument) { counter = 1234; *(int *)argument = 4321; return 21; }

static void clone_with_stack(void) { /* as posix_spawn does */
    static char stack[64 * 1024] __attribute__((aligned(16)));
    int here = 0;
    pid_t child = clone(clone_main, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, &here);
    CHECK(child > 0);
    say("%ld %d\n", counter, here);
    say_end("child", child);
}

static void clone_same_memory(void) { /* CLONE_VM alone: both go on */
    static char stack[64 * 1024] __attribute__((aligned(16)));
    int here = 0;
    pid_t child = clone(clone_main, stack + sizeof stack, CLONE_VM | SIGCHLD, &here);
    CHECK(child > 0);
    say_end("child", child);
    say("%ld %d\n", counter, here);
}

static void jump_over_fork(void) {
    jmp_buf back;
    if (setjmp(back) == 0) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) longjmp(back, 5);
        say_end("child", child);
        return;
    }
    _exit(31);
}

static void buffers(void) { /* what stands in a buffer is there twice */
    printf("twice ");
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) exit(0);
    wait_well(child);
    printf("\n");
    fflush(stdout);
}

static void exit_functions(void) {
    struct { int dummy; } unused = {0};
    (void)unused;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { atexit(hello); exit(300); }
    say_end("child", child);
}

static void limits_are_inherited(void) {
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = 50;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    umask(077);
    CHECK(chdir("/") == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        char where[10];
        CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 50);
        CHECK(umask(0) == 077 && getcwd(where, sizeof where) && !strcmp(where, "/"));
        _exit(0);
    }
    wait_well(child);
    CHECK(umask(0) == 077);
    say("limit, mask and folder are inherited\n");
}

static const struct way ways[] = {WAY(chain), WAY(late_last_first), WAY(late_first_first), WAY(crowd), WAY(tree), WAY(with_vfork),
    WAY(with_vfork_and_exec), WAY(hello), WAY(vfork_in_vfork), WAY(vfork_killed), WAY(orphan), WAY(stacks), WAY(registers), WAY(busy),
    WAY(own_numbers), WAY(many_in_turn), WAY(raw_clone), WAY(clone_with_stack), WAY(clone_same_memory), WAY(jump_over_fork), WAY(buffers),
    WAY(exit_functions), WAY(limits_are_inherited), {NULL, NULL}};
