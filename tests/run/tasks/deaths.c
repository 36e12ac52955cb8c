/* How tasks die, as their parents see it: default actions, the end of the stack, memory that is over. */
#include "tasks.h"
#include <sys/mman.h>

static void divide(void) { volatile int zero = 0, one = 1; one /= zero; }
static void undefined(void) { __asm__ volatile("ud2"); }
static void breakpoint(void) { __asm__ volatile("int3"); }
static void privileged(void) { __asm__ volatile("hlt"); }
static void null(void) { *(volatile int *)8 = 1; }
static void kernel(void) { *(volatile int *)0xFFFFFFFF80100000 = 1; }
static void non_canonical(void) { *(volatile int *)0x800000000000 = 1; }
static void aborts(void) { abort(); }
static void bus(void) { raise(SIGBUS); }
static void system_call(void) { raise(SIGSYS); }
static void x87(void) { raise(SIGFPE); }

static int overflow(volatile char *before) { volatile char frame[4000]; frame[0] = *before; return overflow(frame) + frame[0]; }
static void stack(void) { char start = 1; overflow(&start); }

static void beyond_the_file(void) {
    write_file("short", "x", 0644);
    int file = open("short", O_RDONLY);
    volatile char *at = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, file, 0);
    CHECK(at != MAP_FAILED && at[0] == 'x');
    (void)at[PAGE];
}

static void read_only(void) { *(volatile char *)map_pages(1, PROT_READ) = 1; }
static void no_execute(void) { char *at = map_pages(1, PROT_READ | PROT_WRITE); at[0] = (char)0xc3; ((void (*)(void))(uintptr_t)at)(); }

static void each(void) {
    static const struct way all[] = {WAY(divide), WAY(undefined), WAY(breakpoint), WAY(privileged), WAY(null), WAY(kernel), WAY(non_canonical),
        WAY(aborts), WAY(bus), WAY(system_call), WAY(x87), WAY(stack), WAY(beyond_the_file), WAY(read_only), WAY(no_execute), {NULL, NULL}};
    volatile long untouched = 0x1234;
    for (const struct way *one = all; one->name; one++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) { one->run(); _exit(99); }
        say_end(one->name, child);
        CHECK(untouched == 0x1234);
    }
    CHECK(unlink("short") == 0);
}

static void again_and_again(void) { /* recursion to the end of the stack, a few tasks at once */
    enum { TASKS = 6 };
    pid_t children[TASKS];
    for (int i = 0; i < TASKS; i++) {
        children[i] = fork();
        CHECK(children[i] >= 0);
        if (children[i] == 0) { stack(); _exit(0); }
    }
    for (int i = 0; i < TASKS; i++) say_end("child", children[i]);
}

static void with_pipe(void) { /* what a task held is let go, however it dies */
    int ends[2];
    char byte;
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { put(ends[1]); null(); }
    close(ends[1]);
    CHECK(read(ends[0], &byte, 1) == 1 && read(ends[0], &byte, 1) == 0);
    say_end("child", child);
}

static void limited_address_space(void) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct rlimit limit = {64 << 20, 64 << 20};
        CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
        CHECK(mmap(NULL, 100 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);
        _exit(3);
    }
    say_end("child", child);
}

static void limited_stack(void) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct rlimit limit = {64 << 10, 64 << 10};
        CHECK(setrlimit(RLIMIT_STACK, &limit) == 0);
        stack();
    }
    say_end("child", child);
}

static const struct way ways[] = {WAY(each), WAY(again_and_again), WAY(with_pipe), WAY(limited_address_space), WAY(limited_stack), {NULL, NULL}};
