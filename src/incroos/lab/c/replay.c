/* Replays a trace against the malloc of this process, which is that of the library in LD_PRELOAD or else the C
   library's, and prints its figures on standard output.

       replay FLAT loop                the loop alone, against an allocator that does nothing
       replay FLAT time THREADS        as a program would: each block's first and last byte written when it is made
       replay FLAT worst TIMES         each operation by itself; TIMES keeps the least of each over all such runs
       replay FLAT footprint           each byte written and verified; how much memory the process holds at most
       replay FLAT start               how much it holds before it begins
       replay FLAT verify THREADS      each byte written and verified, in threads at once

   FLAT is a trace as lab/flat.py lays it out: nothing is decoded in a loop. The tables of this program are in memory
   before it starts, none of them comes from malloc, and huge pages are off. It is one program for every allocator:
   each of its calls goes through the same pointers.

   Exit status: 0; 1 with a sentence on standard error if the allocator fails; 2 if this program cannot do its part. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

enum kind { ALLOCATE, ALLOCATE_ZEROED, ALLOCATE_ALIGNED, REALLOCATE, FREE };

struct operation {
    uint32_t slot;
    uint8_t kind;
    uint8_t shift; /* log2 of the alignment */
    uint16_t unused;
    uint64_t size;
};

struct flat {
    uint64_t nr_operations;
    uint64_t nr_slots;
    uint64_t peak_operation; /* after which most bytes are live */
    uint64_t unused;
    struct operation operations[];
};

struct allocator {
    void *(*alloc)(size_t);
    void *(*alloc_zeroed)(size_t, size_t);
    void *(*alloc_aligned)(size_t, size_t);
    void *(*reallocate)(void *, size_t);
    void (*release)(void *);
};

static const struct flat *flat;

static void fail(int status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vdprintf(STDERR_FILENO, format, arguments);
    va_end(arguments);
    _exit(status);
}

static void *map(int fd, size_t nbytes, int how) {
    void *start = mmap(NULL, nbytes ? nbytes : 1, PROT_READ | PROT_WRITE, how | MAP_POPULATE, fd, 0);
    if (start == MAP_FAILED)
        fail(2, "there is no memory for its own tables\n");
    return start;
}

static void *table(size_t nbytes) { return map(-1, nbytes, MAP_PRIVATE | MAP_ANONYMOUS); }

static void *map_whole(const char *path, int how) {
    struct stat about;
    int fd = open(path, O_RDWR);
    if (fd < 0 || fstat(fd, &about) != 0)
        fail(2, "%s cannot be opened\n", path);
    void *start = map(fd, (size_t)about.st_size, how);
    close(fd);
    return start;
}

static double now_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* The time that this thread has waited for a processor so far, because of other programs. */
static double delay_ns(void) {
    char text[128];
    int fd = open("/proc/thread-self/schedstat", O_RDONLY);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (length <= 0)
        fail(2, "/proc/thread-self/schedstat cannot be read\n");
    close(fd);
    text[length] = 0;
    const char *second = strchr(text, ' ');
    return second == NULL ? 0 : strtod(second, NULL);
}

/* --- The allocators: the one of this process, and one that does nothing */

static struct allocator real(void) {
    /* volatile: the compiler must not know that these are malloc and free, and drop calls whose results are unused. */
    void *(*volatile alloc)(size_t) = malloc;
    void *(*volatile alloc_zeroed)(size_t, size_t) = calloc;
    void *(*volatile alloc_aligned)(size_t, size_t) = memalign;
    void *(*volatile reallocate)(void *, size_t) = realloc;
    void (*volatile release)(void *) = free;
    return (struct allocator){alloc, alloc_zeroed, alloc_aligned, reallocate, release};
}

static char *nowhere; /* memory that all blocks of the allocator that does nothing share */

static void *no_alloc(size_t nbytes) { (void)nbytes; return nowhere; }
static void *no_alloc_two(size_t one, size_t other) { (void)one; (void)other; return nowhere; }
static void *no_realloc(void *ptr, size_t nbytes) { (void)nbytes; return ptr; }
static void no_free(void *ptr) { (void)ptr; }

static struct allocator none(void) {
    size_t most = 1;
    for (uint64_t index = 0; index < flat->nr_operations; index++)
        if (flat->operations[index].size > most)
            most = flat->operations[index].size;
    nowhere = mmap(NULL, most, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (nowhere == MAP_FAILED)
        fail(2, "there are no addresses for the blocks of nobody\n");
    for (uint64_t index = 0; index < flat->nr_operations; index++) /* what the loop touches is present */
        if (flat->operations[index].size)
            nowhere[flat->operations[index].size - 1] = 1;
    return (struct allocator){no_alloc, no_alloc_two, no_alloc_two, no_realloc, no_free};
}

/* One operation; what the block is after it, NULL after a free. */
static inline __attribute__((always_inline)) void *carry_out(
    const struct allocator *allocator, const struct operation *operation, void *ptr) {
    switch (operation->kind) {
    case ALLOCATE:
        return allocator->alloc(operation->size);
    case ALLOCATE_ZEROED:
        return allocator->alloc_zeroed(1, operation->size);
    case ALLOCATE_ALIGNED:
        return allocator->alloc_aligned((size_t)1 << operation->shift, operation->size);
    case REALLOCATE:
        return allocator->reallocate(ptr, operation->size);
    default:
        allocator->release(ptr);
        return NULL;
    }
}

static void no_memory(const struct operation *operation) {
    fail(1, "operation %llu: no memory for %llu byte%s\n", (unsigned long long)(operation - flat->operations) + 1,
         (unsigned long long)operation->size, operation->size == 1 ? "" : "s");
}

/* --- Time */

static inline __attribute__((always_inline)) void touch(const struct operation *operation, char *ptr) {
    if (operation->size) {
        *(volatile char *)ptr = 1;
        *(volatile char *)(ptr + operation->size - 1) = 1;
    }
}

#define AHEAD 16 /* operations; flat.py puts as many that are never carried out behind the last */

/* The slots are prefetched: the time for a program's own pointers is not the allocator's. */
static void replay(const struct allocator *allocator, void **slots) {
    const struct operation *end = flat->operations + flat->nr_operations;
    for (const struct operation *operation = flat->operations; operation < end; operation++) {
        __builtin_prefetch(&slots[operation[AHEAD].slot], 1);
        void *ptr = carry_out(allocator, operation, slots[operation->slot]);
        slots[operation->slot] = ptr;
        if (operation->kind != FREE) {
            if (__builtin_expect(ptr == NULL, 0)) {
                if (operation->size)
                    no_memory(operation);
                continue;
            }
            touch(operation, ptr);
        }
    }
}

/* --- Every byte */

struct block {
    unsigned char *ptr;
    uint64_t size;
    unsigned char mark; /* in each of its bytes */
};

static void verify(const struct block *block, uint64_t nbytes, unsigned char mark, uint64_t index, const char *what) {
    for (uint64_t at = 0; at < nbytes; at++)
        if (block->ptr[at] != mark)
            fail(1, "operation %llu: %s, byte %llu of %llu: %#x in the place of %#x\n", (unsigned long long)index + 1,
                 what, (unsigned long long)at, (unsigned long long)nbytes, block->ptr[at], mark);
}

static void carry_out_whole(const struct allocator *allocator, uint64_t index, struct block *blocks, unsigned salt) {
    const struct operation *operation = &flat->operations[index];
    struct block *block = &blocks[operation->slot];
    if (operation->kind >= REALLOCATE)
        verify(block, block->size, block->mark, index, "a block was written to by somebody else");
    uint64_t old_size = operation->kind == REALLOCATE ? block->size : 0;
    block->ptr = carry_out(allocator, operation, block->ptr);
    block->size = operation->kind == FREE ? 0 : operation->size;
    if (operation->kind == FREE)
        return;
    if (block->ptr == NULL) {
        if (operation->size)
            no_memory(operation);
        return;
    }
    uintptr_t alignment = operation->kind == ALLOCATE_ALIGNED ? (uintptr_t)1 << operation->shift : 16;
    if (alignment > 16 || operation->size >= 16 ? (uintptr_t)block->ptr % alignment : (uintptr_t)block->ptr % 8)
        fail(1, "operation %llu: %p is not aligned\n", (unsigned long long)index + 1, (void *)block->ptr);
    if (operation->kind == ALLOCATE_ZEROED)
        verify(block, block->size, 0, index, "a zeroed block is not zero");
    verify(block, old_size < block->size ? old_size : block->size, block->mark, index, "realloc lost bytes");
    block->mark = (unsigned char)(index * 167 + 1 + salt);
    memset(block->ptr, block->mark, block->size);
}

/* --- Threads */

struct runner {
    pthread_t thread;
    const struct allocator *allocator;
    void **slots;
    struct block *blocks; /* if each byte is to be verified, in the place of slots */
    unsigned salt;
    double taken;
};

static pthread_barrier_t all_ready;

static void *run(void *argument) {
    struct runner *runner = argument;
    pthread_barrier_wait(&all_ready);
    double delay = delay_ns(), worked = now_ns(CLOCK_THREAD_CPUTIME_ID), start = now_ns(CLOCK_MONOTONIC);
    if (runner->blocks == NULL)
        replay(runner->allocator, runner->slots);
    else
        for (uint64_t index = 0; index < flat->nr_operations; index++)
            carry_out_whole(runner->allocator, index, runner->blocks, runner->salt);
    double end = now_ns(CLOCK_MONOTONIC);
    worked = now_ns(CLOCK_THREAD_CPUTIME_ID) - worked;
    /* A delay just before the start or behind the end is none of the time between; it took what the thread worked. */
    double taken = end - start - (delay_ns() - delay);
    runner->taken = taken > worked ? taken : worked;
    pthread_barrier_wait(&all_ready); /* no thread gives its memory back while another is timed */
    return NULL;
}

/* The wall-clock time of the slowest thread, minus the time that it waited for a processor; the time that threads wait
   for each other counts. A single thread is this one, so that allocators see no other and need no lock. */
static void run_all(const struct allocator *allocator, unsigned nr_threads, int is_verifying) {
    struct runner *runners = table(nr_threads * sizeof *runners);
    for (unsigned index = 0; index < nr_threads; index++) {
        runners[index].allocator = allocator;
        runners[index].salt = index * 85;
        if (is_verifying)
            runners[index].blocks = table(flat->nr_slots * sizeof(struct block));
        else
            runners[index].slots = table(flat->nr_slots * sizeof(void *));
    }
    pthread_barrier_init(&all_ready, NULL, nr_threads);
    for (unsigned index = 1; index < nr_threads; index++)
        if (pthread_create(&runners[index].thread, NULL, run, &runners[index]) != 0)
            fail(2, "no thread can be started\n");
    run(&runners[0]);
    for (unsigned index = 1; index < nr_threads; index++)
        pthread_join(runners[index].thread, NULL);
    double most = 0;
    for (unsigned index = 0; index < nr_threads; index++)
        most = runners[index].taken > most ? runners[index].taken : most;
    printf("{\"ns\": %.0f}\n", most);
}

/* --- The worst operation */

static inline __attribute__((always_inline)) uint64_t ticks(void) {
    _mm_lfence();
    uint64_t now = __rdtsc();
    _mm_lfence();
    return now;
}

/* The least difference of two readings with nothing between them. */
static uint64_t ticks_of_nothing(void) {
    uint64_t least = UINT64_MAX;
    for (int round = 0; round < 10000; round++) {
        uint64_t start = ticks(), taken = ticks() - start;
        least = taken < least ? taken : least;
    }
    return least;
}

static void time_each(const struct allocator *allocator, void **slots, uint32_t *least_of) {
    uint64_t cost = ticks_of_nothing();
    double start_ns = now_ns(CLOCK_MONOTONIC);
    uint64_t start = ticks();
    for (uint64_t index = 0; index < flat->nr_operations; index++) {
        const struct operation *operation = &flat->operations[index];
        void *ptr = slots[operation->slot];
        uint64_t before = ticks();
        ptr = carry_out(allocator, operation, ptr);
        uint64_t taken = ticks() - before;
        slots[operation->slot] = ptr;
        taken = taken > cost ? taken - cost : 0;
        uint32_t told = taken < UINT32_MAX ? (uint32_t)taken : UINT32_MAX;
        if (told < least_of[index])
            least_of[index] = told;
        if (operation->kind != FREE && ptr != NULL)
            touch(operation, ptr);
        else if (operation->kind != FREE && operation->size)
            no_memory(operation);
    }
    printf("{\"ticks_a_ns\": %.6f, \"ticks_of_nothing\": %llu}\n", (double)(ticks() - start) / (now_ns(CLOCK_MONOTONIC) - start_ns),
           (unsigned long long)cost);
}

/* --- The footprint */

/* Anonymous memory of this process that is in RAM, counted page by page and thus exact; in bytes. */
static uint64_t resident(void) {
    static char text[4096];
    int fd = open("/proc/self/smaps_rollup", O_RDONLY);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (length <= 0)
        fail(2, "/proc/self/smaps_rollup cannot be read\n");
    close(fd);
    text[length] = 0;
    const char *line = strstr(text, "\nAnonymous:");
    if (line == NULL)
        fail(2, "/proc/self/smaps_rollup says nothing of anonymous memory\n");
    return strtoull(line + 11, NULL, 10) << 10;
}

/* The kernel's own high-water mark of all memory, which is exact to some pages for each processor; in bytes. */
static uint64_t high_water(void) {
    static char text[4096];
    int fd = open("/proc/self/status", O_RDONLY);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    close(fd);
    text[length > 0 ? length : 0] = 0;
    const char *line = strstr(text, "\nVmHWM:");
    return line == NULL ? 0 : strtoull(line + 7, NULL, 10) << 10;
}

static void reset_high_water(void) {
    int fd = open("/proc/self/clear_refs", O_WRONLY);
    if (fd >= 0 && write(fd, "5", 1) != 1)
        fail(2, "/proc/self/clear_refs cannot be written\n");
    close(fd);
}

#define NR_SAMPLES 2000

static void measure_footprint(const struct allocator *allocator, uint64_t nr_operations) {
    struct block *blocks = table(flat->nr_slots * sizeof *blocks);
    uint64_t every = nr_operations / NR_SAMPLES + 1;
    uint64_t before = resident(), peak = before;
    reset_high_water();
    uint64_t mark_before = high_water();
    for (uint64_t index = 0; index < nr_operations; index++) {
        carry_out_whole(allocator, index, blocks, 0);
        if (index % every == 0 || index == flat->peak_operation || index == nr_operations - 1) {
            uint64_t now = resident();
            peak = now > peak ? now : peak;
        }
    }
    uint64_t mark = high_water();
    printf("{\"before_bytes\": %llu, \"peak_bytes\": %llu, \"high_water_bytes\": %llu, \"end_bytes\": %llu}\n",
           (unsigned long long)before, (unsigned long long)peak, (unsigned long long)(mark - mark_before),
           (unsigned long long)resident());
}

/* --- */

int main(int count, char **words) {
    static char buffer[1024];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer); /* which otherwise comes from malloc */
    if (count < 3)
        fail(2, "usage: replay FLAT loop|time THREADS|worst TIMES|footprint|start|verify THREADS\n");
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    flat = map_whole(words[1], MAP_SHARED);
    struct allocator allocator = real(), nobody;
    if (strcmp(words[2], "loop") == 0) {
        nobody = none();
        run_all(&nobody, 1, 0);
    } else if (strcmp(words[2], "time") == 0 && count > 3)
        run_all(&allocator, (unsigned)atoi(words[3]), 0);
    else if (strcmp(words[2], "verify") == 0 && count > 3)
        run_all(&allocator, (unsigned)atoi(words[3]), 1);
    else if (strcmp(words[2], "worst") == 0 && count > 3)
        time_each(&allocator, table(flat->nr_slots * sizeof(void *)), map_whole(words[3], MAP_SHARED));
    else if (strcmp(words[2], "footprint") == 0)
        measure_footprint(&allocator, flat->nr_operations);
    else if (strcmp(words[2], "start") == 0)
        measure_footprint(&allocator, 0);
    else
        fail(2, "%s is no measurement\n", words[2]);
    fflush(stdout);
    _exit(0); /* without the destructors of the allocator */
}
