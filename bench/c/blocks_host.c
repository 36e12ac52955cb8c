/* The process in which blocks of frames and their twins are timed, on as much RAM as is asked for: it is never touched,
   only its frames' records are, and those are mapped without being reserved.

   usage: host blocks <frames> <order> <percent in use> <microseconds a sample> <samples> <operations at most, 0 for all>
               [<allocator>-<pattern> ...]
          host fragmentation <frames>
          host zeroing <samples> <rounds a sample>

   One line a pattern: its name, operations, whether all results were equal, then the nanoseconds an operation of each
   sample, ours and the twin's in turn. Order -1 is for the patterns without one: all RAM is free there. No line for a pattern for which too few blocks are free. The clock is the
   processor time of this thread. */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

typedef uint64_t u64;
typedef int64_t i64;
typedef i64 step();

#define NO_ORDER -1

struct pattern {
    const char *name;
    int order; /* or NO_ORDER */
    i64 n, slots; /* the slots that it uses; 0: n is at most the number of free blocks */
    i64 spare;    /* blocks that must be free besides those in the slots */
    step *before, *timed, *after;
};

struct allocator {
    const char *name;
    step *setup[2];
    struct pattern patterns[2][16];
};

struct fragmentation {
    const char *name;
    step *start, *round, *result;
};

struct zeroing {
    const char *name;
    i64 n;
    int is_stocked, is_cold; /* frames are zeroed ahead; they are in no cache when the clock starts */
    step *setup[2], *stock[2], *timed[2];
};

#include "blocks_cases.h" /* made by bench/blocks.py */

struct plan {
    void *records;
    u64 nr_frames, order, percent, nr_slots;
    char rest[];
};

#define PLAN_BYTES (1UL << 20)
#define METADATA_BYTES(nr_frames) ((nr_frames) / 4 + (1UL << 20))

static void *map(u64 nbytes) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *found = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (found == MAP_FAILED) {
        fprintf(stderr, "no room for %lu bytes\n", nbytes);
        exit(1);
    }
    madvise(found, nbytes, MADV_HUGEPAGE);
    return found;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

struct side {
    void *frames;
    struct plan *plan;
};

static struct side make_side(u64 nr_frames, int order, u64 percent) {
    struct side side = {map(METADATA_BYTES(nr_frames)), map(PLAN_BYTES)};
    *side.plan = (struct plan){map(nr_frames * 16), nr_frames, order, percent, 0};
    return side;
}

static u64 nr_free_blocks(const struct plan *plan, int order) {
    if (order == NO_ORDER)
        return plan->nr_frames;
    u64 state = 1, total = 0;
    for (u64 block = 0; block < plan->nr_frames >> order; block++) {
        state = state * 6364136223846793005UL + 1;
        total += (state >> 33) % 100 >= plan->percent;
    }
    return total;
}

static i64 call(step *function, struct side *side, i64 n) {
    return function ? function(side->frames, side->plan, n) : 0;
}

static double run(const struct pattern *pattern, struct side *side, i64 n, i64 rounds, i64 *result) {
    double begin = now();
    for (i64 round = 0; round < rounds; round++)
        *result = *result * 31 + call(pattern->timed, side, n);
    return now() - begin;
}

static void measure(const struct allocator *this, int which, struct side sides[2], double sample_ns, int nr_samples,
                    i64 most, u64 nr_free) {
    const struct pattern *pattern[2] = {&this->patterns[0][which], &this->patterns[1][which]};
    i64 n = pattern[0]->n, slots = pattern[0]->slots ? pattern[0]->slots : n;
    if (slots > (i64)nr_free - pattern[0]->spare)
        slots = (i64)nr_free - pattern[0]->spare;
    if (slots <= 0)
        return;
    if (pattern[0]->slots == 0)
        n = slots;
    if (most && n > most)
        n = most;
    i64 results[2] = {0, 0};
    double first = 0;
    for (int index = 0; index < 2; index++) {
        sides[index].plan->nr_slots = slots;
        results[index] = call(pattern[index]->before, &sides[index], n);
        first = run(pattern[index], &sides[index], n, 2, &results[index]) / 2;
    }
    i64 rounds = first < sample_ns ? (i64)(sample_ns / (first + 1)) + 1 : 1;
    double *samples = calloc(2 * nr_samples, sizeof *samples);
    for (int sample = 0; sample < 2 * nr_samples; sample++) {
        int index = sample & 1;
        samples[sample] = run(pattern[index], &sides[index], n, rounds, &results[index]) / (rounds * n);
    }
    for (int index = 0; index < 2; index++)
        results[index] += 7 * call(pattern[index]->after, &sides[index], n);
    printf("%s-%s %ld %d", this->name, pattern[0]->name, n, results[0] == results[1]);
    for (int sample = 0; sample < 2 * nr_samples; sample++)
        printf(" %.5f", samples[sample]);
    printf("\n");
    fflush(stdout);
    free(samples);
}

static bool is_asked_for(const struct allocator *this, const char *pattern, char **names, int nr_names) {
    char name[64];
    snprintf(name, sizeof name, "%s-%s", this->name, pattern);
    for (int index = 0; index < nr_names; index++)
        if (strcmp(names[index], name) == 0)
            return true;
    return nr_names == 0;
}

static void set_up(const struct allocator *this, struct side sides[2]) {
    i64 found[2];
    for (int index = 0; index < 2; index++)
        found[index] = call(this->setup[index], &sides[index], 0);
    if (found[0] != found[1])
        fprintf(stderr, "%s: the sides differ after setup: %ld %ld\n", this->name, found[0], found[1]);
}

static void measure_all(u64 nr_frames, int order, u64 percent, double sample_ns, int nr_samples, i64 most, char **names,
                        int nr_names) {
    struct side sides[2] = {make_side(nr_frames, order, percent), make_side(nr_frames, order, percent)};
    u64 nr_free = nr_free_blocks(sides[0].plan, order);
    for (size_t at = 0; at < sizeof allocators / sizeof *allocators; at++) {
        const struct allocator *this = &allocators[at];
        bool is_set_up = order == NO_ORDER;
        for (int which = 0; this->patterns[0][which].name; which++) {
            const struct pattern *pattern = &this->patterns[0][which];
            if (pattern->order != order || !is_asked_for(this, pattern->name, names, nr_names))
                continue;
            if (!is_set_up)
                set_up(this, sides);
            is_set_up = true;
            measure(this, which, sides, sample_ns, nr_samples, order == NO_ORDER ? 0 : most, nr_free);
        }
    }
}

static void measure_fragmentation(u64 nr_frames) {
    struct side side = make_side(nr_frames, NO_ORDER, 0);
    u64 *use = map(nr_frames * 4 + 4096);
    use[0] = (u64)side.plan->records;
    use[1] = nr_frames;
    for (size_t at = 0; at < sizeof fragmentations / sizeof *fragmentations; at++) {
        const struct fragmentation *this = &fragmentations[at];
        this->start(side.frames, use, 0L);
        double begin = now();
        i64 pairs = 0;
        for (int round = 0; round < 100; round++)
            pairs += this->round(side.frames, use, 0L);
        double taken = now() - begin;
        printf("%s %ld %.2f\n", this->name, this->result(side.frames, use, 0L), taken / pairs);
        fflush(stdout);
    }
}

#define ZEROING_FRAMES 8192UL
#define PAGE_BYTES 4096UL

struct zero_plan {
    void *records;
    u64 nr_frames;
    char *window;
    u64 nr_held;
    char rest[];
};

static void flush(const char *from, u64 nbytes) {
    for (u64 at = 0; at < nbytes; at += 64)
        __asm__ volatile("clflush (%0)" : : "r"(from + at) : "memory");
    __asm__ volatile("mfence" : : : "memory");
}

static double wall(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

static int by_size(const void *a, const void *b) {
    double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

/* The median of the rounds: the clock is that on the wall, because one of the processor's time is too slow to read. */
static double zeroing_sample(const struct zeroing *this, int index, void *frames, struct zero_plan *plan, int rounds,
                             i64 *result) {
    double taken[rounds];
    for (int round = 0; round < rounds; round++) {
        if (this->is_stocked)
            *result += this->stock[index](frames, plan, this->n);
        if (this->is_cold)
            flush(plan->window, 2 * this->n * PAGE_BYTES + (1UL << 20));
        double begin = wall();
        i64 given = this->timed[index](frames, plan, this->n);
        taken[round] = wall() - begin;
        *result = *result * 31 + given;
    }
    qsort(taken, rounds, sizeof *taken, by_size);
    return taken[rounds / 2] / this->n;
}

static void measure_zeroing(int nr_samples, int rounds) {
    void *frames[2];
    struct zero_plan *plans[2];
    for (int index = 0; index < 2; index++) {
        frames[index] = map(METADATA_BYTES(ZEROING_FRAMES));
        plans[index] = map(PLAN_BYTES);
        char *window = map(ZEROING_FRAMES * PAGE_BYTES);
        memset(window, 1, ZEROING_FRAMES * PAGE_BYTES);
        *plans[index] = (struct zero_plan){map(ZEROING_FRAMES * 16), ZEROING_FRAMES, window, 0};
    }
    for (size_t at = 0; at < sizeof zeroings / sizeof *zeroings; at++) {
        const struct zeroing *this = &zeroings[at];
        i64 results[2];
        for (int index = 0; index < 2; index++) {
            results[index] = this->setup[index](frames[index], plans[index], this->n);
            zeroing_sample(this, index, frames[index], plans[index], rounds, &results[index]);
        }
        double samples[2 * nr_samples];
        for (int sample = 0; sample < 2 * nr_samples; sample++) {
            int index = sample & 1;
            samples[sample] = zeroing_sample(this, index, frames[index], plans[index], rounds, &results[index]);
        }
        printf("%s %ld %d", this->name, this->n, results[0] == results[1]);
        for (int sample = 0; sample < 2 * nr_samples; sample++)
            printf(" %.5f", samples[sample]);
        printf("\n");
    }
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "fragmentation") == 0) {
        measure_fragmentation(atoll(argv[2]));
        return 0;
    }
    if (argc == 4 && strcmp(argv[1], "zeroing") == 0) {
        measure_zeroing(atoi(argv[2]), atoi(argv[3]));
        return 0;
    }
    if (argc < 8 || strcmp(argv[1], "blocks") != 0)
        return 2;
    measure_all(atoll(argv[2]), atoi(argv[3]), atoll(argv[4]), atof(argv[5]) * 1e3, atoi(argv[6]), atoll(argv[7]),
                argv + 8, argc - 8);
    return 0;
}
