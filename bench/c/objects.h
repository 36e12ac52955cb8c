/* The twin of the heap of size classes: the same state, design and checks, in C. Frames come from a stand-in on both
   sides (bench/drivers/heap_pages.py has the kernel's): memory is there when it is touched, and what that costs is no part
   of these figures. DESIGN is KMALLOC or DLMALLOC, HARDENING is OFF or CHEAP; these, the
   addresses of the ranges, HEAP_SEED, SPARE_BYTES and STATE_OFFSET come from bench/objects.py. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t u64;
typedef int64_t i64;

#define COLD __attribute__((cold, noinline))

#define KMALLOC 0
#define DLMALLOC 1

#define OFF 0
#define CHEAP 1

enum { OK = 0, BAD_FREE = -15, NO_ADDRESSES = -16 };

#define PAGE_SHIFT 12
#define PAGE_BYTES (1L << PAGE_SHIFT)

#define NR_SMALL_BINS 64
#define NR_TREE_BINS 32
#define NR_SLAB_WORDS 4
#define NR_ROUNDS 16
#define NR_RUN_LENGTHS 4
#define NR_CLASSES 48
#define NR_CLASS_STEPS 280

struct chunk {
    u64 header;
    struct chunk *next, *previous, *left, *right, *parent;
};

struct bins {
    u64 small_map, tree_map;
    struct chunk *small[NR_SMALL_BINS], *trees[NR_TREE_BINS];
};

struct chunks {
    u64 start, top, committed_end, end, reach_bytes, remainder, remainder_bytes, used_bytes, release_from;
    struct bins bins;
};

struct record {
    u64 free[NR_SLAB_WORDS];
    struct record *next, *previous;
    struct cache *cache;
    uint32_t reciprocal;
    uint16_t colour;
    uint8_t distance, state;
};

struct round {
    u64 ptr, place;
};

struct cache {
    u64 *word, first, object_bytes, nr_open, all_free[NR_SLAB_WORDS];
    struct round *top, rounds[NR_ROUNDS];
    u64 nothing, reciprocal;
    struct record *current, *partial, *empty;
    u64 nr_objects, nr_pages, nr_slabs, nr_empty, max_empty, next_colour, last_colour, colour_bytes, nr_cold;
    u64 allocs; /* not counted here: as long as the kernel's, a whole number of lines */
};

struct area {
    u64 records, records_end, start, top, end, ready;
    struct record *runs[NR_RUN_LENGTHS], *spare[NR_RUN_LENGTHS];
    u64 nr_mapped, nr_spare;
};

struct slabs {
    struct area area;
    u64 nr_large, large_bytes;
    uint8_t class_of[NR_CLASS_STEPS];
    struct cache caches[NR_CLASSES];
};

struct hardening {
    u64 secret, generator, nr_given;
};

struct kernel {
    char before[STATE_OFFSET]; /* every field lies where the kernel's does */
    struct chunks chunks;
    struct slabs slabs;
    struct hardening hardening;
};

/* ------------------------------------------------------------------ what the machine does */
static inline u64 shift_right(u64 word, u64 count) {
    return word >> (count & 63);
}

static inline void fill(u64 addr, u64 byte, u64 nbytes) {
    u64 count = nbytes >> 3, left = nbytes & 7, pattern = byte * 0x0101010101010101;
    __asm__ volatile("rep stosq" : "+D"(addr), "+c"(count) : "a"(pattern) : "memory");
    if (__builtin_expect(left != 0, 0))
        __asm__ volatile("rep stosb" : "+D"(addr), "+c"(left) : "a"(pattern) : "memory");
}

static inline void copy(u64 to, u64 source, u64 nbytes) {
    u64 count = nbytes >> 3, left = nbytes & 7;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(source), "+c"(count) : : "memory");
    if (__builtin_expect(left != 0, 0))
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(source), "+c"(left) : : "memory");
}

__attribute__((noreturn, cold, noinline)) static void panic(void) {
    __builtin_trap();
}

/* ------------------------------------------------------------------ frames */
static inline i64 map_fresh(u64 end, u64 limit) {
    return (i64)end > (i64)limit ? NO_ADDRESSES : OK;
}
