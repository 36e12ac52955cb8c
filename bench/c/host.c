/* The process in which kernel functions and their twins are timed: maps the memory, runs both in turn, prints samples.

   usage: host <microseconds a sample> <samples> <operations at most, 0 for each case's own> [case ...]

   One line a case: name, operations, whether all results were equal, then the nanoseconds an operation of each sample,
   ours and the twin's in turn. The clock is the processor time of this thread; what reading it costs is taken off. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

typedef uint64_t u64;
typedef int64_t i64;
typedef i64 step(u64 state, u64 argument, i64 n);

struct side {
    step *setup, *setup_here, *before, *timed, *after;
    u64 state, argument;
};

struct bench_case {
    const char *name;
    i64 n;
    struct side sides[2];
};

#include "cases.h" /* made by bench/executable.py */

#define ARENA 0x40000000UL
#define RESULT_MASK (ARENA - 1) /* addresses differ by ARENA */

static void map_range(u64 start, u64 end) {
    void *wanted = (void *)start;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    if (mmap(wanted, end - start, PROT_READ | PROT_WRITE, flags, -1, 0) != wanted) {
        fprintf(stderr, "no memory at %#lx: the kernel's addresses are not free here\n", start);
        exit(1);
    }
    madvise(wanted, end - start, MADV_HUGEPAGE); /* the same for both sides; where it is refused, both do without */
    memset(wanted, 0, end - start);
}

static void map_arena(u64 at) {
    map_range(at + 0x10000, at + 0x200000);      /* boot pool, root table, memory map, Kernel struct */
    map_range(at + 0x200000, at + 0x2200000);    /* the zone */
    map_range(at + 0x10000000, at + 0x11000000); /* the heap */
    map_range(at + 0x20000000, at + 0x21000000); /* RAM of the simulated computer */
    map_range(at + 0x22000000, at + 0x22200000); /* its processor, and the plan */
    map_range(at + 0x23000000, at + 0x23002000); /* what it finds where there is no RAM */
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

static int compare(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

/* What `now() - now()` gives with nothing between: the median of many, and some hundred nanoseconds. */
static double clock_ns(void) {
    double samples[999];
    size_t nr_samples = sizeof samples / sizeof *samples;
    for (size_t sample = 0; sample < nr_samples; sample++) {
        double begin = now();
        samples[sample] = now() - begin;
    }
    qsort(samples, nr_samples, sizeof *samples, compare);
    return samples[nr_samples / 2];
}

static i64 call(step *function, const struct side *side, i64 n) {
    return function ? function(side->state, side->argument, n) : 0;
}

/* Nanoseconds of so many rounds; what the rounds gave is added to *result. */
static double run(const struct side *side, i64 n, i64 rounds, i64 *result) {
    double sum = -rounds * clock_ns();
    for (i64 round = 0; round < rounds; round++) {
        call(side->before, side, n);
        double begin = now();
        i64 given = call(side->timed, side, n);
        sum += now() - begin;
        given += 7 * call(side->after, side, n);
        *result = *result * 31 + (given & RESULT_MASK);
    }
    return sum;
}

static void measure(const struct bench_case *this, double sample_ns, int nr_samples, i64 most) {
    i64 n = most && most < this->n ? most : this->n;
    i64 results[2] = {0, 0};
    double first = 0;
    for (int index = 0; index < 2; index++) {
        const struct side *side = &this->sides[index];
        results[index] = call(side->setup, side, n) & RESULT_MASK;
        results[index] += call(side->setup_here, side, n) & RESULT_MASK;
        first = run(side, n, 2, &results[index]) / 2;
    }
    i64 rounds = first < sample_ns ? (i64)(sample_ns / (first + 1)) + 1 : 1;
    double *samples = calloc(2 * nr_samples, sizeof *samples);
    for (int sample = 0; sample < 2 * nr_samples; sample++)
        samples[sample] = run(&this->sides[sample & 1], n, rounds, &results[sample & 1]) / (rounds * n);
    printf("%s %ld %d", this->name, n, results[0] == results[1]);
    for (int sample = 0; sample < 2 * nr_samples; sample++)
        printf(" %.4f", samples[sample]);
    printf("\n");
    fflush(stdout);
    free(samples);
}

static int is_wanted(const char *name, int argc, char **argv) {
    for (int index = 4; index < argc; index++)
        if (strcmp(argv[index], name) == 0)
            return 1;
    return argc == 4;
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    map_arena(0);
    map_arena(ARENA);
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++)
        if (is_wanted(cases[index].name, argc, argv))
            measure(&cases[index], atof(argv[1]) * 1e3, atoi(argv[2]), atoll(argv[3]));
    return 0;
}
