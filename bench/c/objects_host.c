/* The process in which heaps with many live blocks are timed beside each other: a kernel and its twin, or one kernel at
   several levels of hardening.

   usage: host time|count|worst <live blocks> <smallest bytes> <sizes> <bytes of a pair> <microseconds a sample> <samples>
               <operations at most, 0 for all> <pattern>,... <variant> ...

   One line a pattern: its name, operations, whether all results were equal, then the nanoseconds an operation of each
   sample, of the variants in turn. The clock is the processor time of this thread. With `count` one sample: instructions
   an operation, told by the processor's trap flag. With `worst`, calls are timed one by one, and the same calls again
   so many times, from the same start; each counts with its fastest time, because in that nothing else came between.
   Printed are the median, one of a thousand and the slowest of kmalloc, then of kfree. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>

typedef uint64_t u64;
typedef int64_t i64;
typedef i64 step();

struct pattern {
    const char *name;
    i64 n; /* operations of a round; 0: as many as there are live blocks */
};

#define FIRST_VARIANT 10 /* among the words of the command */
#define MAX_PATTERNS 8
#define MAX_VARIANTS 8

struct variant {
    const char *name;
    u64 ranges[3]; /* where chunks, records and slabs are */
    step *setup, *take, *give, *timed[MAX_PATTERNS];
};

#include "objects_cases.h" /* made by bench/objects.py: patterns, variants, RANGE_BYTES, STATE_BYTES, PLAN_BYTES */

static void *map_at(void *wanted, u64 nbytes) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (wanted ? MAP_FIXED_NOREPLACE : 0);
    void *found = mmap(wanted, nbytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (found == MAP_FAILED || (wanted && found != wanted)) {
        fprintf(stderr, "no room for %lu bytes at %p\n", nbytes, wanted);
        exit(1);
    }
    madvise(found, nbytes, MADV_HUGEPAGE); /* the same for all; where it is refused, all do without */
    return found;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

/* ------------------------------------------------------------------ instructions */
#define TRAP_FLAG 0x100

static volatile u64 nr_steps;
static volatile sig_atomic_t is_counting;

static void on_step(int number, siginfo_t *info, void *context) {
    (void)number, (void)info;
    nr_steps++;
    if (!is_counting)
        ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~(i64)TRAP_FLAG;
}

/* Instructions of one call. Those around it are the same for all and a few. */
static double count(step *timed, void *state, u64 *plan, i64 n, i64 *result) {
    struct sigaction action = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
    nr_steps = 0;
    is_counting = 1;
    __asm__ volatile("pushfq; orl %0, (%%rsp); popfq" : : "i"(TRAP_FLAG) : "memory", "cc");
    *result = *result * 31 + timed(state, plan, n);
    is_counting = 0;
    __asm__ volatile("nop; nop" : : : "memory");
    return nr_steps;
}

/* ------------------------------------------------------------------ time */
struct side {
    const struct variant *variant;
    void *state;
    u64 *plan;
    i64 found; /* by the setup */
};

static struct side make_side(const struct variant *variant, char **words) {
    struct side side = {variant, map_at(NULL, STATE_BYTES), map_at(NULL, PLAN_BYTES), 0};
    for (int index = 0; index < 3; index++)
        map_at((void *)variant->ranges[index], RANGE_BYTES);
    for (int index = 0; index < 4; index++)
        side.plan[index] = atoll(words[index]);
    return side;
}

static double run(const struct side *side, int pattern, i64 n, i64 rounds, i64 *result) {
    double begin = now();
    for (i64 round = 0; round < rounds; round++)
        *result = *result * 31 + side->variant->timed[pattern](side->state, side->plan, n);
    return now() - begin;
}

static void print(int pattern, i64 n, int nr_sides, const i64 *results, const double *samples, int nr_samples) {
    int are_equal = 1;
    for (int index = 1; index < nr_sides; index++)
        are_equal &= results[index] == results[0];
    printf("%s %ld %d", patterns[pattern].name, n, are_equal);
    for (int sample = 0; sample < nr_samples; sample++)
        printf(" %.4f", samples[sample]);
    printf("\n");
    fflush(stdout);
}

static void count_instructions(int pattern, struct side *sides, int nr_sides, i64 n) {
    i64 results[MAX_VARIANTS] = {0};
    double samples[MAX_VARIANTS];
    for (int index = 0; index < nr_sides; index++) {
        const struct side *side = &sides[index];
        results[index] = side->found;
        samples[index] = count(side->variant->timed[pattern], side->state, side->plan, n, &results[index]) / n;
    }
    print(pattern, n, nr_sides, results, samples, nr_sides);
}

static double cycle_ns(void) {
    double begin = now();
    u64 start = __builtin_ia32_rdtsc();
    while (now() - begin < 2e7)
        ;
    return (now() - begin) / (__builtin_ia32_rdtsc() - start);
}

static inline u64 stamp(void) {
    unsigned aux;
    __builtin_ia32_lfence();
    u64 found = __builtin_ia32_rdtscp(&aux);
    __builtin_ia32_lfence();
    return found;
}

static int by_size(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

/* The same sequence of calls once, each call's fastest time so far in `fastest`, takes before gives. */
static void time_calls(const struct side *side, i64 n, double ns, double least, double *fastest) {
    const u64 *plan = side->plan;
    u64 nr_live = plan[0], *held = malloc(nr_live * sizeof *held), random = 1;
    side->variant->setup(side->state, side->plan, 0L);
    memcpy(held, plan + HELD_WORD, nr_live * sizeof *held);
    for (i64 call = 0; call < n; call++) {
        random = random * 6364136223846793005UL + 1;
        u64 slot = (random >> 33) % nr_live;
        random = random * 6364136223846793005UL + 1;
        i64 nbytes = plan[1] + (random >> 33) % plan[2];
        u64 begin = stamp();
        side->variant->give(side->state, side->plan, held[slot]);
        u64 middle = stamp();
        held[slot] = side->variant->take(side->state, side->plan, nbytes);
        u64 end = stamp();
        double give = (middle - begin) * ns - least, take = (end - middle) * ns - least;
        if (take < fastest[call])
            fastest[call] = take;
        if (give < fastest[n + call])
            fastest[n + call] = give;
    }
    free(held);
}

static void measure_worst(int pattern, const struct side *side, int nr_samples, i64 n) {
    double ns = cycle_ns(), least = 1e9, *fastest = malloc(2 * n * sizeof *fastest), found[6];
    for (int index = 0; index < 1000; index++) {
        u64 begin = stamp();
        double taken = (stamp() - begin) * ns;
        least = taken < least ? taken : least;
    }
    for (i64 index = 0; index < 2 * n; index++)
        fastest[index] = 1e18;
    for (int sample = 0; sample < nr_samples; sample++)
        time_calls(side, n, ns, least, fastest);
    for (int kind = 0; kind < 2; kind++) {
        double *of = fastest + kind * n;
        qsort(of, n, sizeof *of, by_size);
        found[3 * kind] = of[n / 2];
        found[3 * kind + 1] = of[n - 1 - n / 1000];
        found[3 * kind + 2] = of[n - 1];
    }
    i64 result = 0;
    print(pattern, n, 1, &result, found, 6);
    free(fastest);
}

static void measure(int pattern, struct side *sides, int nr_sides, double sample_ns, int nr_samples, i64 n) {
    i64 results[MAX_VARIANTS] = {0};
    double first = 0;
    for (int index = 0; index < nr_sides; index++)
        results[index] = sides[index].found;
    for (int index = 0; index < nr_sides; index++)
        first = run(&sides[index], pattern, n, 2, &results[index]) / 2;
    i64 rounds = first < sample_ns ? (i64)(sample_ns / (first + 1)) + 1 : 1;
    double *samples = calloc(nr_sides * nr_samples, sizeof *samples);
    for (int sample = 0; sample < nr_sides * nr_samples; sample++) {
        int index = sample % nr_sides;
        samples[sample] = run(&sides[index], pattern, n, rounds, &results[index]) / (rounds * n);
    }
    print(pattern, n, nr_sides, results, samples, nr_sides * nr_samples);
    free(samples);
}

static const struct variant *find_variant(const char *name) {
    for (size_t index = 0; index < sizeof variants / sizeof *variants; index++)
        if (strcmp(variants[index].name, name) == 0)
            return &variants[index];
    fprintf(stderr, "there is no variant %s\n", name);
    exit(2);
}

static int is_asked_for(const char *pattern, const char *names) {
    size_t length = strlen(pattern);
    for (const char *at = strstr(names, pattern); at; at = strstr(at + 1, pattern))
        if ((at == names || at[-1] == ',') && (at[length] == ',' || !at[length]))
            return 1;
    return 0;
}

int main(int argc, char **argv) {
    if (argc < FIRST_VARIANT + 1 || argc > FIRST_VARIANT + MAX_VARIANTS)
        return 2;
    struct side sides[MAX_VARIANTS];
    int nr_sides = argc - FIRST_VARIANT, is_count = strcmp(argv[1], "count") == 0;
    i64 most = atoll(argv[8]);
    for (int index = 0; index < nr_sides; index++) {
        sides[index] = make_side(find_variant(argv[FIRST_VARIANT + index]), argv + 2);
        sides[index].found = sides[index].variant->setup(sides[index].state, sides[index].plan, 0L);
    }
    for (size_t pattern = 0; pattern < sizeof patterns / sizeof *patterns; pattern++) {
        if (!is_asked_for(patterns[pattern].name, argv[9]))
            continue;
        i64 n = patterns[pattern].n ? patterns[pattern].n : (i64)sides[0].plan[0];
        n = most && n > most ? most : n;
        if (strcmp(argv[1], "worst") == 0)
            measure_worst(pattern, &sides[0], atoi(argv[7]), n);
        else if (is_count)
            count_instructions(pattern, sides, nr_sides, n);
        else
            measure(pattern, sides, nr_sides, atof(argv[6]) * 1e3, atoi(argv[7]), n);
    }
    return 0;
}
