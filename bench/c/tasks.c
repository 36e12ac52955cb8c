/* What several tasks cost: fork, copy-on-write, exec, pipes, switches. Run as bench/c/ring3.c is; return_0 is beside it. */
#include "counted.h"
#include <sys/wait.h>

enum { FORKS = 20, PROGRAMS = 10, TRIPS = 300 };

static long long *told; /* shared with children */
static int there[2], back[2];

static void wait_for(pid_t child) {
    int status;
    if (waitpid(child, &status, 0) != child || status) fail("a child");
}

static long long of_child(void (*timed)(void)) { /* what a child needs while its parent waits */
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
        long long start = now();
        timed();
        *told = now() - start;
        _exit(0);
    }
    wait_for(child);
    return *told;
}

static long long least_of_child(void (*timed)(void)) {
    long long best = 1LL << 62;
    for (int round = 0; round < ROUNDS; round++) {
        map_touched();
        long long taken = of_child(timed);
        if (taken < best) best = taken;
        unmap_area();
    }
    return best;
}

static void end_child(void) { of_child(nothing); }
static void map_and_fork(void) { map_touched(); end_child(); }

static void forks(void) { /* the children end at once */
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child < 0) fail("fork");
        if (child == 0) _exit(0);
        wait_for(child);
    }
}

static long long fork_alone(void) { /* until the parent goes on */
    long long best = 1LL << 62;
    for (int round = 0; round < ROUNDS; round++) {
        long long start = now();
        pid_t child = fork();
        long long taken = now() - start;
        if (child < 0) fail("fork");
        if (child == 0) { char byte; if (read(there[0], &byte, 1) != 1) _exit(1); _exit(0); }
        if (write(there[1], "x", 1) != 1) fail("write");
        wait_for(child);
        if (taken < best) best = taken;
    }
    return best;
}

static void programs(void) {
    static char *const arguments[] = {"return_0", NULL}, *const environment[] = {NULL};
    for (int i = 0; i < PROGRAMS; i++) {
        pid_t child = fork();
        if (child < 0) fail("fork");
        if (child == 0) { execve("return_0", arguments, environment); _exit(1); }
        wait_for(child);
    }
}

static void own_pipe(void) { /* a byte into a pipe and out of it, twice, in one task */
    char byte = 'x';
    for (int i = 0; i < 2 * TRIPS; i++) if (write(there[1], &byte, 1) != 1 || read(there[0], &byte, 1) != 1) fail("pipe");
}

static void trips(void) {
    char byte = 'x';
    for (int i = 0; i < TRIPS; i++) if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) fail("pipe");
}

static pid_t start_echo(void) {
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child) return child;
    char byte;
    while (read(there[0], &byte, 1) == 1 && byte != 'q') if (write(back[1], &byte, 1) != 1) _exit(1);
    _exit(0);
}

static const struct operation operations[] = {
    NOPS,
    {"last-owner", map_and_fork, touch, unmap_area, PAGES, 1},
    {"fork-exit-wait", nothing, forks, nothing, FORKS, 0},
    {"fork-exec-exit-wait", nothing, programs, nothing, PROGRAMS, 0},
};

int main(void) {
    told = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (told == MAP_FAILED || pipe(there) || pipe(back)) fail("mmap or pipe");
    *told = 0;
    long long of_clock = measure_all(operations, sizeof operations / sizeof *operations);
    report("copy-on-write", least_of_child(touch) - of_clock, PAGES);
    map_touched();
    long long with_pages = fork_alone();
    unmap_area();
    report("fork-page", with_pages - fork_alone(), PAGES);
    const struct operation own = {"", nothing, own_pipe, nothing, 1, 0}, round = {"", nothing, trips, nothing, 1, 0};
    long long within = least(&own) - of_clock;
    pid_t echo = start_echo();
    long long between = least(&round) - of_clock;
    if (write(there[1], "q", 1) != 1) fail("write");
    wait_for(echo);
    report("pipe-round-trip", between, TRIPS);
    report("switch", between - within, 2 * TRIPS);
    fflush(stdout);
    return 0;
}
