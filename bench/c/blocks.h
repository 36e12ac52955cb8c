/* The twin of the frames of all of RAM: the same design and checks, in C. ALLOCATOR is TREE or BUDDY, as configured. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef uint64_t u64;
typedef int64_t i64;

#define TREE 0
#define BUDDY 1

enum {
    OK = 0,
    NO_FRAME = -1,
    MISALIGNED = -2,
    FOREIGN = -3,
    DOUBLE_FREE = -5,
    WRONG_BLOCK = -17,
    SHARED = -18,
    BAD_ORDER = -19,
};

#define MAX_ORDER 18
#define NR_ORDERS (MAX_ORDER + 1)
#define HUGE_ORDER 9
#define HUGE_FRAMES (1L << HUGE_ORDER)
#define NO_LINK 0xFFFFFFFFU

enum { NONE, FIRST, ALL };          /* known */
enum { INSIDE, USED, ON_LIST };     /* state */
#define OWNER_MASK 0xFFFF0000UL
#define USED_ONCE (USED | 1UL << 32)

struct record {
    union {
        struct {
            uint8_t state, order;
            uint16_t owner;
            uint32_t nr_references;
        };
        u64 head;
    };
    uint32_t next, previous;
};

struct database {
    struct record *records;
    uint8_t *known;
    u64 nr_frames;
};

#define NR_SLOTS 128
#define HUGE_SLOTS 16

struct hot {
    u64 order, limit, top, bottom;
    i64 frontier;
    uint32_t slots[NR_SLOTS];
};

#define ANY 7
#define WHOLE 6
#define NR_SETS 8
#define MAX_HEIGHT 5

struct line {
    u64 bits[NR_SETS];
};

struct sets {
    u64 not_empty, height;
    struct line *lines[MAX_HEIGHT];
};

struct level {
    u64 nr_words, *free, *split;
    struct sets sets;
};

#define DIGIT_BITS 6
#define TOP 2

struct tree {
    i64 start, nr_frames, nr_free_frames, nr_splits, nr_merges;
    struct level levels[TOP + 1];
};

struct buddy {
    i64 start, end, nr_free_frames, nr_splits, nr_merges;
    u64 not_empty, nr_blocks[NR_ORDERS];
    uint32_t heads[NR_ORDERS];
};

#define NR_ZONES 3
#define NO_ZONE NR_ZONES
#define LOW_END (1L << 8)
#define MIDDLE_END (1L << 20)

struct zone {
    i64 start, end, fallback, nr_total_frames;
    struct hot single, huge, zeroed;
    struct tree tree;
    struct buddy buddy;
};

struct frames {
    struct zone zones[NR_ZONES];
    struct database database;
    u64 preferred;
};

static inline void fill(void *addr, u64 byte, u64 nbytes) {
    u64 count = nbytes >> 3;
    __asm__ volatile("rep stosq" : "+D"(addr), "+c"(count) : "a"(byte * 0x0101010101010101) : "memory");
}

#define COLD __attribute__((cold, noinline))
#define RARELY(x) __builtin_expect(!!(x), 0)
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* ------------------------------------------------------------------ the frame database */
static u64 known_bytes(u64 nr_frames) {
    return ((nr_frames + HUGE_FRAMES - 1) / HUGE_FRAMES + 7) & ~7UL;
}

static inline bool can_read(struct database *d, u64 pfn) {
    uint8_t known = d->known[pfn >> HUGE_ORDER];
    return known == ALL || (known == FIRST && pfn % HUGE_FRAMES == 0);
}

static COLD void write_all(struct database *d, u64 first) {
    int keep = d->known[first >> HUGE_ORDER] == FIRST;
    fill(&d->records[first + keep], 0, (HUGE_FRAMES - keep) * sizeof(struct record));
    d->known[first >> HUGE_ORDER] = ALL;
}

static inline void open_all(struct database *d, u64 pfn) {
    if (d->known[pfn >> HUGE_ORDER] != ALL)
        write_all(d, pfn & -HUGE_FRAMES);
}

static inline struct record *open_record(struct database *d, u64 pfn, u64 order) {
    struct record *record = &d->records[pfn];
    if (order < HUGE_ORDER) {
        open_all(d, pfn);
    } else if (d->known[pfn >> HUGE_ORDER] == NONE) {
        d->known[pfn >> HUGE_ORDER] = FIRST;
        *record = (struct record){0};
    }
    return record;
}

static inline void note_used(struct database *d, u64 pfn, u64 order, u64 owner) {
    open_record(d, pfn, order)->head = USED_ONCE | order << 8 | owner << 16;
}

static i64 find_used_round(struct database *d, i64 pfn) {
    for (int order = 0; order <= MAX_ORDER; order++) {
        i64 first = pfn & -(1L << order);
        if (can_read(d, first)) {
            struct record *record = &d->records[first];
            if (record->state == USED && pfn - first < 1L << record->order)
                return first;
        }
    }
    return -1;
}

/* ------------------------------------------------------------------ hot lists */
static inline u64 hot_count(struct hot *h) {
    return h->top - h->bottom;
}

static inline void hot_push(struct hot *h, u64 pfn) {
    u64 top = h->top;
    h->slots[top & (NR_SLOTS - 1)] = pfn;
    h->top = top + 1;
}

static inline i64 hot_pop(struct hot *h) {
    u64 top = h->top - 1;
    h->top = top;
    return h->slots[top & (NR_SLOTS - 1)];
}

static inline i64 hot_oldest(struct hot *h) {
    return h->slots[h->bottom & (NR_SLOTS - 1)];
}

static inline i64 hot_pop_oldest(struct hot *h) {
    return h->slots[h->bottom++ & (NR_SLOTS - 1)];
}

static bool hot_has(struct hot *h, i64 pfn) {
    for (u64 at = h->bottom; at < h->top; at++)
        if (h->slots[at & (NR_SLOTS - 1)] == (pfn & -(1L << h->order)))
            return true;
    return false;
}

static void hot_init(struct hot *h, u64 order, u64 limit, i64 frontier) {
    *h = (struct hot){order, limit, 0, 0, frontier, {0}};
}
