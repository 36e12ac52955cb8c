/* The twin of zeroing ahead of time, and of the loops of bench/drivers/zeroing.py. */
#pragma once
#include "blocks.h"

#define PAGE_BYTES 4096UL
#define LINE_BYTES 64
#define MAX_HELD 4096
#define ZEROING(name) i64 NAMED(ALLOCATOR_NAME, name)(struct frames *f, struct zero_plan *plan, i64 n)

struct zero_plan {
    struct record *records;
    u64 nr_frames;
    char *window;
    u64 nr_held;
    uint32_t held[MAX_HELD];
};

static inline i64 alloc_zeroed(struct frames *f, u64 owner) {
    struct hot *stock = &f->zones[f->preferred].zeroed;
    if (RARELY(stock->top == stock->bottom))
        return NO_FRAME;
    i64 pfn = hot_pop(stock);
    f->database.records[pfn].head = USED_ONCE | owner << 16;
    return pfn;
}

static i64 zero_some_ahead(struct frames *f, char *window, i64 nr_frames) {
    struct zone *zone = &f->zones[f->preferred];
    i64 nr_zeroed = 0;
    while (nr_zeroed < nr_frames && hot_count(&zone->zeroed) < zone->zeroed.limit) {
        i64 pfn = take_hot(zone, &f->database, &zone->single);
        if (pfn < 0)
            break;
        fill(window + pfn * PAGE_BYTES, 0, PAGE_BYTES);
        hot_push(&zone->zeroed, pfn);
        nr_zeroed++;
    }
    return nr_zeroed;
}

static inline void write_to(struct zero_plan *plan, i64 pfn) {
    for (u64 at = 0; at < PAGE_BYTES; at += LINE_BYTES)
        *(volatile u64 *)(plan->window + pfn * PAGE_BYTES + at) = at;
}

static i64 give_held(struct frames *f, struct zero_plan *plan) {
    i64 code = 0;
    while (plan->nr_held > 0)
        code |= free_frame(f, plan->held[--plan->nr_held]);
    return code;
}

ZEROING(zero_stock) {
    return zero_some_ahead(f, plan->window, n);
}

ZEROING(zero_now) {
    i64 total = 0;
    plan->nr_held = n;
    for (i64 index = 0; index < n; index++) {
        i64 pfn = alloc_frame(f, OWNER);
        fill(plan->window + pfn * PAGE_BYTES, 0, PAGE_BYTES);
        plan->held[index] = pfn;
        total += pfn;
    }
    return total + give_held(f, plan);
}

ZEROING(zero_now_use) {
    i64 total = 0;
    plan->nr_held = n;
    for (i64 index = 0; index < n; index++) {
        i64 pfn = alloc_frame(f, OWNER);
        fill(plan->window + pfn * PAGE_BYTES, 0, PAGE_BYTES);
        write_to(plan, pfn);
        plan->held[index] = pfn;
        total += pfn;
    }
    return total + give_held(f, plan);
}

ZEROING(zero_ahead) {
    i64 total = 0;
    plan->nr_held = n;
    for (i64 index = 0; index < n; index++) {
        i64 pfn = alloc_zeroed(f, OWNER);
        plan->held[index] = pfn;
        total += pfn;
    }
    return total + give_held(f, plan);
}

ZEROING(zero_ahead_use) {
    i64 total = 0;
    plan->nr_held = n;
    for (i64 index = 0; index < n; index++) {
        i64 pfn = alloc_zeroed(f, OWNER);
        write_to(plan, pfn);
        plan->held[index] = pfn;
        total += pfn;
    }
    return total + give_held(f, plan);
}

ZEROING(zero_setup) {
    frames_init(f, plan->records, plan->nr_frames);
    add_ram(f, 0, plan->nr_frames);
    plan->nr_held = 0;
    return NAMED(ALLOCATOR_NAME, zero_now)(f, plan, n);
}

ZEROING(zero_upwards) {
    (void)f;
    for (i64 pfn = 0; pfn < n; pfn++)
        fill(plan->window + pfn * PAGE_BYTES, 0, PAGE_BYTES);
    return n;
}

ZEROING(zero_downwards) {
    (void)f;
    for (i64 index = 0; index < n; index++)
        fill(plan->window + (n - 1 - index) * PAGE_BYTES, 0, PAGE_BYTES);
    return n;
}
