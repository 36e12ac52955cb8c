/* The kernel's twin: the same design, checks and zeroing, in C. Everything lies ARENA higher than the kernel's own. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef uint64_t u64;
typedef int64_t i64;

#define ARENA 0x40000000UL /* below 2 GiB, so that its constants fit an instruction as well as the kernel's */

#define PAGE_SHIFT 12
#define PAGE_BYTES (1L << PAGE_SHIFT)
#define POOL_START (ARENA + 0x10000)
#define POOL_END (ARENA + 0x100000)
#define ROOT (ARENA + 0x100000)
#define ZONE_START (ARENA + 0x200000)
#define ZONE_FRAMES 8192
#define NR_TRACKED_FRAMES (0x200 + ZONE_FRAMES)
#define HEAP (ARENA + 0x10000000)
#define HEAP_INITIAL_BYTES (1L << 20)
#define HEAP_MAX_BYTES (16L << 20)

enum {
    OK = 0,
    NO_FRAME = -1,
    MISALIGNED = -2,
    FOREIGN = -3,
    RESERVED = -4,
    DOUBLE_FREE = -5,
    NOT_CANONICAL = -6,
    OUT_OF_RANGE = -7,
    BAD_FLAGS = -8,
    ALREADY_MAPPED = -9,
    NOT_MAPPED = -10,
    ENTRY_IN_USE = -11,
    LARGE_PAGE = -12,
    SMALL_PAGE = -13,
    BAD_FREE = -14,
    NO_ADDRESSES = -15,
    BAD_LEVEL = -16,
};

struct bitmap {
    u64 start, hint, nr_total_frames, nr_free_frames;
    u64 summary[ZONE_FRAMES / 64 / 64];
    u64 managed[ZONE_FRAMES / 64];
    u64 free[ZONE_FRAMES / 64];
};

struct record {
    uint16_t nr_entries;
    uint8_t level, nr_references;
};

#define NR_KNOWN 8
#define NOWHERE 1UL

struct known {
    u64 start, entry;
};

struct chunk {
    u64 header;
    struct chunk *next, *previous;
};

struct heap {
    u64 top, committed_end, end, used_bytes;
    struct chunk queue;
};

struct kernel {
    u64 console[2], memory_map[789]; /* not used here: every field lies where the kernel's does */
    struct bitmap pool, zone;
    u64 are_frames_open, requests, refuse_at;
    struct record records[NR_TRACKED_FRAMES];
    u64 root, nr_tables;
    struct known known[NR_KNOWN];
    struct heap heap;
    u64 secret;
};

static inline struct record *record_at(struct kernel *k, i64 pa) {
    return &k->records[(pa - (i64)ARENA) >> PAGE_SHIFT];
}

static inline void fill(u64 addr, u64 byte, u64 nbytes) {
    u64 count = nbytes >> 3;
    __asm__ volatile("rep stosq" : "+D"(addr), "+c"(count) : "a"(byte * 0x0101010101010101) : "memory");
}

__attribute__((noreturn, cold, noinline)) static void panic(void) {
    __builtin_trap();
}
