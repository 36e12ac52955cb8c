/* How a program counts instructions of operations: under `-icount shift=0` one is one nanosecond of the guest's clock.

   A line for each operation: its name and the least of several rounds, in nanoseconds times 100 for one operation. The
   loop around the operation and the two readings of the clock are taken off; `nop` says what one instruction comes to. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 1024, ROUNDS = 9, REPEATS = 1000 };

struct operation {
    const char *name;
    void (*before)(void), (*timed)(void), (*after)(void);
    long repeats;
    int has_loop;
};

static char *area; /* PAGES pages of a round */

static long long now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static void fail(const char *what) {
    printf("failed: %s\n", what);
    fflush(stdout);
    exit(1);
}

static char *fresh(void) {
    char *at = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) fail("mmap");
    return at;
}

static void touch(void) {
    for (long i = 0; i < PAGES; i++) ((volatile char *)area)[i * PAGE] = 1;
}

static void nothing(void) {}
static void map_area(void) { area = fresh(); }
static void unmap_area(void) { if (munmap(area, PAGES * PAGE)) fail("munmap"); }
static void map_touched(void) { map_area(); touch(); }

static void nops(void) {
    for (long i = 0; i < REPEATS; i++) __asm__ volatile("nop");
}
static void empty_loop(void) {
    for (long i = 0; i < REPEATS; i++) __asm__ volatile("");
}

static long long least(const struct operation *one) {
    long long best = 1LL << 62;
    for (int round = 0; round < ROUNDS; round++) {
        one->before();
        long long start = now();
        one->timed();
        long long taken = now() - start;
        one->after();
        if (taken < best) best = taken;
    }
    return best;
}

static void report(const char *name, long long taken, long repeats) { printf("figure %s %lld\n", name, taken * 100 / repeats); }

/* Measure all; the first is NOPS. */
static long long measure_all(const struct operation *operations, unsigned count) {
    const struct operation clock_only = {"", nothing, nothing, nothing, 1, 0};
    const struct operation loop_only = {"", nothing, empty_loop, nothing, REPEATS, 1};
    long long of_clock = least(&clock_only), of_loop = least(&loop_only) - of_clock;
    for (unsigned i = 0; i < count; i++) {
        const struct operation *one = &operations[i];
        long long taken = least(one) - of_clock - (one->has_loop ? of_loop * one->repeats / REPEATS : 0);
        report(one->name, taken, one->repeats);
    }
    fflush(stdout);
    return of_clock;
}

#define NOPS {"nop", nothing, nops, nothing, REPEATS, 1}
