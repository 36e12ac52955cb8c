/* The twin of the buddy allocator. */
#pragma once
#include "blocks.h"

#define REFILL 32

static void buddy_init(struct buddy *b, i64 start, i64 end) {
    *b = (struct buddy){.start = start, .end = end};
    for (int order = 0; order < NR_ORDERS; order++)
        b->heads[order] = NO_LINK;
}

static inline void list_push(struct buddy *b, struct database *d, u64 pfn, int order) {
    struct record *record = open_record(d, pfn, order);
    uint32_t following = b->heads[order];
    record->state = ON_LIST;
    record->order = order;
    record->next = following;
    record->previous = NO_LINK;
    if (following != NO_LINK)
        d->records[following].previous = pfn;
    b->heads[order] = pfn;
    b->nr_blocks[order]++;
    b->not_empty |= 1UL << order;
}

static inline void list_remove(struct buddy *b, struct database *d, u64 pfn, int order) {
    struct record *record = &d->records[pfn];
    uint32_t following = record->next, previous = record->previous;
    record->state = INSIDE;
    if (following != NO_LINK)
        d->records[following].previous = previous;
    if (previous != NO_LINK) {
        d->records[previous].next = following;
    } else {
        b->heads[order] = following;
        if (following == NO_LINK)
            b->not_empty &= ~(1UL << order);
    }
    b->nr_blocks[order]--;
}

static inline bool is_on_list(struct database *d, u64 pfn, int order) {
    if (!can_read(d, pfn))
        return false;
    struct record *record = &d->records[pfn];
    return record->state == ON_LIST && record->order == order;
}

static void buddy_put(struct buddy *b, struct database *d, i64 pfn, int order) {
    b->nr_free_frames += 1L << order;
    while (order < MAX_ORDER) {
        i64 other = pfn ^ 1L << order;
        if (other < b->start || other >= b->end || !is_on_list(d, other, order))
            break;
        list_remove(b, d, other, order);
        b->nr_merges++;
        pfn = MIN(pfn, other);
        order++;
    }
    list_push(b, d, pfn, order);
}

static void buddy_add(struct buddy *b, struct database *d, i64 start, i64 end) {
    i64 at = start;
    while (at < end) {
        int order = MIN(__builtin_ctzl(at | 1L << MAX_ORDER), 63 - __builtin_clzl(end - at));
        buddy_put(b, d, at, order);
        at += 1L << order;
    }
}

static i64 buddy_take(struct buddy *b, struct database *d, int wanted) {
    u64 candidates = b->not_empty >> wanted;
    if (candidates == 0)
        return NO_FRAME;
    int order = wanted + __builtin_ctzl(candidates);
    i64 pfn = b->heads[order];
    list_remove(b, d, pfn, order);
    b->nr_free_frames -= 1L << wanted;
    while (order > wanted) {
        order--;
        b->nr_splits++;
        list_push(b, d, pfn + (1L << order), order);
    }
    return pfn;
}

static bool buddy_is_free(struct database *d, i64 pfn) {
    for (int order = 0; order < NR_ORDERS; order++)
        if (is_on_list(d, pfn & -(1L << order), order))
            return true;
    return false;
}

static void buddy_refill(struct buddy *b, struct database *d, struct hot *h) {
    u64 nr_blocks = 0;
    while (nr_blocks < MIN(REFILL, h->limit / 2)) {
        i64 pfn = buddy_take(b, d, h->order);
        if (pfn < 0)
            break;
        hot_push(h, pfn);
        nr_blocks++;
    }
}

static void buddy_take_back(struct buddy *b, struct database *d, struct hot *h, i64 nr_blocks) {
    for (; nr_blocks > 0; nr_blocks--)
        buddy_put(b, d, hot_pop_oldest(h), h->order);
}
