/* The twin of zones, blocks and the timed loops over them. Each loop is that of bench/drivers/blocks.py, line by line. */
#include "blocks_buddy.h"
#include "blocks_tree.h"

#define JOINED(allocator, name) twin_##allocator##_##name
#define NAMED(allocator, name) JOINED(allocator, name)
#define TWIN(name) i64 NAMED(ALLOCATOR_NAME, name)(struct frames *f, struct plan *plan, i64 n)

/* ------------------------------------------------------------------ zones */
static i64 zone_start(int number) {
    return number == 0 ? 0 : number == 1 ? LOW_END : MIDDLE_END;
}

static i64 zone_end(int number, i64 nr_frames) {
    if (number == 0)
        return MIN(LOW_END, nr_frames);
    return number == 1 ? MAX(LOW_END, MIN(MIDDLE_END, nr_frames)) : MAX(MIDDLE_END, nr_frames);
}

static inline struct zone *zone_of(struct frames *f, i64 pfn) {
    return &f->zones[pfn >= MIDDLE_END ? 2 : pfn >= LOW_END ? 1 : 0];
}

static i64 tree_start(int number) {
    return number == 2 ? MIDDLE_END : 0;
}

static u64 zone_bytes(int number, i64 nr_frames) {
    return ALLOCATOR == BUDDY ? 0 : tree_bytes(zone_end(number, nr_frames) - tree_start(number));
}

static void zone_init(struct zone *z, u64 memory, int number, i64 nr_frames) {
    z->start = zone_start(number);
    z->end = zone_end(number, nr_frames);
    z->fallback = number > 0 ? number - 1 : NO_ZONE;
    z->nr_total_frames = 0;
    hot_init(&z->single, 0, NR_SLOTS, z->end);
    hot_init(&z->huge, HUGE_ORDER, HUGE_SLOTS, z->end);
    hot_init(&z->zeroed, 0, NR_SLOTS, z->end);
    if (ALLOCATOR == BUDDY)
        buddy_init(&z->buddy, z->start, z->end);
    else
        tree_init(&z->tree, memory, tree_start(number), z->end - tree_start(number));
}

static void zone_add(struct zone *z, struct database *d, i64 start, i64 end) {
    z->nr_total_frames += end - start;
    if (ALLOCATOR == BUDDY)
        buddy_add(&z->buddy, d, start, end);
    else
        tree_add(&z->tree, start, end);
}

static inline void zone_put(struct zone *z, struct database *d, i64 pfn, int order) {
    if (ALLOCATOR == BUDDY)
        buddy_put(&z->buddy, d, pfn, order);
    else
        tree_put(&z->tree, pfn, order);
}

static inline i64 zone_take_from_allocator(struct zone *z, struct database *d, int order) {
    return ALLOCATOR == BUDDY ? buddy_take(&z->buddy, d, order) : tree_take(&z->tree, order);
}

static bool zone_is_free(struct zone *z, struct database *d, i64 pfn) {
    return ALLOCATOR == BUDDY ? buddy_is_free(d, pfn) : find_free(&z->tree, pfn, 0) >= 0;
}

static COLD void zone_refill(struct zone *z, struct database *d, struct hot *h) {
    if (ALLOCATOR == BUDDY) {
        buddy_refill(&z->buddy, d, h);
    } else if (tree_refill(&z->tree, h) != 0) {
        if (h->order == 0)
            open_all(d, hot_oldest(h));
        else
            for (u64 at = h->bottom; at < h->top; at++)
                open_record(d, h->slots[at & (NR_SLOTS - 1)], h->order);
    }
}

static inline void zone_take_back(struct zone *z, struct database *d, struct hot *h, i64 nr_blocks) {
    if (ALLOCATOR == BUDDY)
        buddy_take_back(&z->buddy, d, h, nr_blocks);
    else
        tree_take_back(&z->tree, h, nr_blocks);
}

static u64 zone_drain(struct zone *z, struct database *d) {
    u64 nr_single = hot_count(&z->single), nr_huge = hot_count(&z->huge), nr_zeroed = hot_count(&z->zeroed);
    zone_take_back(z, d, &z->single, nr_single);
    zone_take_back(z, d, &z->huge, nr_huge);
    zone_take_back(z, d, &z->zeroed, nr_zeroed);
    return nr_single + nr_huge + nr_zeroed;
}

static inline i64 take_hot(struct zone *z, struct database *d, struct hot *h) {
    if (h->top == h->bottom) {
        zone_refill(z, d, h);
        if (h->top == h->bottom)
            return NO_FRAME;
    }
    return hot_pop(h);
}

static inline i64 zone_try(struct zone *z, struct database *d, int order) {
    if (order == 0)
        return take_hot(z, d, &z->single);
    if (order == HUGE_ORDER)
        return take_hot(z, d, &z->huge);
    return zone_take_from_allocator(z, d, order);
}

static inline i64 zone_take(struct zone *z, struct database *d, int order) {
    i64 pfn = zone_try(z, d, order);
    if (pfn < 0 && zone_drain(z, d) != 0)
        pfn = zone_try(z, d, order);
    return pfn;
}

static COLD void put_slowly(struct zone *z, struct database *d, struct hot *h, i64 pfn) {
    if (pfn >= h->frontier) {
        zone_put(z, d, pfn, h->order);
    } else {
        zone_take_back(z, d, h, h->limit / 2);
        hot_push(h, pfn);
    }
}

static inline void put_hot(struct zone *z, struct database *d, struct hot *h, i64 pfn) {
    u64 top = h->top;
    if (RARELY(pfn >= h->frontier || top - h->bottom == h->limit)) {
        put_slowly(z, d, h, pfn);
    } else {
        h->slots[top & (NR_SLOTS - 1)] = pfn;
        h->top = top + 1;
    }
}

/* ------------------------------------------------------------------ blocks */
static void frames_init(struct frames *f, struct record *records, u64 nr_frames) {
    u64 at = (u64)f + sizeof *f;
    f->database = (struct database){records, (uint8_t *)at, nr_frames};
    fill((void *)at, NONE, known_bytes(nr_frames));
    at += known_bytes(nr_frames);
    f->preferred = 0;
    for (int number = 0; number < NR_ZONES; number++) {
        zone_init(&f->zones[number], at, number, nr_frames);
        at += zone_bytes(number, nr_frames);
    }
}

static void add_ram(struct frames *f, i64 start, i64 end) {
    for (u64 number = 0; number < NR_ZONES; number++) {
        struct zone *zone = &f->zones[number];
        i64 first = MAX(start, zone->start), behind = MIN(end, zone->end);
        if (first < behind) {
            zone_add(zone, &f->database, first, behind);
            f->preferred = MAX(f->preferred, number);
        }
    }
}

static COLD i64 alloc_slowly(struct frames *f, int zone, i64 order, u64 owner) {
    if (order < 0 || order > MAX_ORDER)
        return BAD_ORDER;
    i64 pfn = NO_FRAME;
    for (int number = zone; pfn < 0 && number != NO_ZONE; number = f->zones[number].fallback)
        pfn = zone_take(&f->zones[number], &f->database, order);
    if (pfn >= 0)
        note_used(&f->database, pfn, order, owner);
    return pfn;
}

static inline i64 alloc_frame(struct frames *f, u64 owner) {
    struct hot *h = &f->zones[f->preferred].single;
    if (RARELY(h->top == h->bottom))
        return alloc_slowly(f, f->preferred, 0, owner);
    i64 pfn = hot_pop(h);
    f->database.records[pfn].head = USED_ONCE | owner << 16;
    return pfn;
}

static inline i64 alloc_block(struct frames *f, int zone, i64 order, u64 owner) {
    struct hot *h = &f->zones[zone].huge;
    if (RARELY(order != HUGE_ORDER || h->top == h->bottom))
        return alloc_slowly(f, zone, order, owner);
    i64 pfn = hot_pop(h);
    f->database.records[pfn].head = USED_ONCE | HUGE_ORDER << 8 | owner << 16;
    return pfn;
}

static COLD i64 why_not_free(struct frames *f, i64 pfn, i64 order) {
    struct database *d = &f->database;
    if (order < 0 || order > MAX_ORDER)
        return BAD_ORDER;
    if (pfn < 0 || (u64)pfn >= d->nr_frames)
        return FOREIGN;
    if (pfn & ((1L << order) - 1))
        return MISALIGNED;
    i64 first = find_used_round(d, pfn);
    if (first == pfn && d->records[pfn].order == order)
        return SHARED;
    if (first >= 0)
        return WRONG_BLOCK;
    struct zone *zone = zone_of(f, pfn);
    bool is_hot = hot_has(&zone->single, pfn) || hot_has(&zone->huge, pfn) || hot_has(&zone->zeroed, pfn);
    return is_hot || zone_is_free(zone, d, pfn) ? DOUBLE_FREE : FOREIGN;
}

static inline i64 free_frame(struct frames *f, i64 pfn) {
    struct database *d = &f->database;
    if (RARELY((u64)pfn >= d->nr_frames))
        return FOREIGN;
    if (RARELY(d->known[pfn >> HUGE_ORDER] != ALL))
        return why_not_free(f, pfn, 0);
    if (RARELY((d->records[pfn].head & ~OWNER_MASK) != USED_ONCE))
        return why_not_free(f, pfn, 0);
    d->records[pfn].head = INSIDE;
    struct zone *zone = zone_of(f, pfn);
    put_hot(zone, d, &zone->single, pfn);
    return OK;
}

static inline bool can_free(struct database *d, u64 pfn, u64 order) {
    if (RARELY(pfn >= d->nr_frames || order > MAX_ORDER))
        return false;
    return can_read(d, pfn) && (d->records[pfn].head & ~OWNER_MASK) == (USED_ONCE | order << 8);
}

static COLD i64 free_slowly(struct frames *f, i64 pfn, i64 order) {
    struct database *d = &f->database;
    if (RARELY(!can_free(d, pfn, order)))
        return why_not_free(f, pfn, order);
    struct zone *zone = zone_of(f, pfn);
    d->records[pfn].head = INSIDE;
    if (order == 0)
        put_hot(zone, d, &zone->single, pfn);
    else if (order == HUGE_ORDER)
        put_hot(zone, d, &zone->huge, pfn);
    else
        zone_put(zone, d, pfn, order);
    return OK;
}

static inline i64 free_block(struct frames *f, i64 pfn, i64 order) {
    struct database *d = &f->database;
    if (RARELY(order != HUGE_ORDER || !can_free(d, pfn, HUGE_ORDER)))
        return free_slowly(f, pfn, order);
    d->records[pfn].head = INSIDE;
    struct zone *zone = zone_of(f, pfn);
    put_hot(zone, d, &zone->huge, pfn);
    return OK;
}

static i64 nr_free_frames(struct frames *f) {
    i64 total = 0;
    for (int number = 0; number < NR_ZONES; number++) {
        struct zone *z = &f->zones[number];
        total += ALLOCATOR == BUDDY ? z->buddy.nr_free_frames : z->tree.nr_free_frames;
        total += hot_count(&z->single) + hot_count(&z->zeroed) + (hot_count(&z->huge) << HUGE_ORDER);
    }
    return total;
}

/* ------------------------------------------------------------------ the loops */
#define MAX_SLOTS 65536
#define NR_STEPS 65536
#define NOBODY 0xFFFFFFFFU
#define OWNER 7

struct plan {
    struct record *records;
    u64 nr_frames, order, percent, nr_slots;
    uint32_t held[MAX_SLOTS], steps[NR_STEPS];
};

static void draw(struct plan *plan) {
    for (u64 slot = 0; slot < plan->nr_slots; slot++)
        plan->held[slot] = NOBODY;
    u64 state = 1;
    for (int step = 0; step < NR_STEPS; step++) {
        state = state * 6364136223846793005UL + 1;
        plan->steps[step] = (state >> 33) % plan->nr_slots;
    }
}

static i64 take(struct frames *f, int order) {
    return order == 0 ? alloc_frame(f, OWNER) : alloc_block(f, f->preferred, order, OWNER);
}

static i64 give(struct frames *f, i64 pfn, int order) {
    return order == 0 ? free_frame(f, pfn) : free_block(f, pfn, order);
}

TWIN(blocks_start) {
    (void)n;
    frames_init(f, plan->records, plan->nr_frames);
    add_ram(f, 0, plan->nr_frames);
    return nr_free_frames(f);
}

TWIN(blocks_setup) {
    NAMED(ALLOCATOR_NAME, blocks_start)(f, plan, n);
    i64 taken = 0;
    while (take(f, plan->order) >= 0)
        taken++;
    u64 state = 1;
    for (u64 pfn = 0; pfn < plan->nr_frames; pfn += 1UL << plan->order) {
        state = state * 6364136223846793005UL + 1;
        if ((state >> 33) % 100 >= plan->percent)
            give(f, pfn, plan->order);
    }
    for (int number = 0; number < NR_ZONES; number++)
        zone_drain(&f->zones[number], &f->database);
    return taken + nr_free_frames(f);
}

TWIN(frame_repeat) {
    (void)plan;
    i64 total = 0;
    for (i64 index = 0; index < n; index++) {
        i64 pfn = alloc_frame(f, OWNER);
        total += pfn + free_frame(f, pfn);
    }
    return total;
}

TWIN(frame_bulk) {
    i64 total = 0;
    for (i64 slot = 0; slot < n; slot++) {
        i64 pfn = alloc_frame(f, OWNER);
        plan->held[slot] = pfn;
        total += pfn;
    }
    for (i64 slot = 0; slot < n; slot++)
        total += free_frame(f, plan->held[slot]);
    return total;
}

TWIN(frame_churn_setup) {
    (void)n;
    draw(plan);
    i64 total = 0;
    for (u64 slot = 0; slot < plan->nr_slots; slot++) {
        i64 pfn = alloc_frame(f, OWNER);
        plan->held[slot] = pfn;
        total += pfn;
    }
    return total;
}

TWIN(frame_churn) {
    i64 total = 0;
    for (i64 index = 0; index < n; index++) {
        u64 slot = plan->steps[index];
        i64 pfn = alloc_frame(f, OWNER);
        total += pfn + free_frame(f, plan->held[slot]);
        plan->held[slot] = pfn;
    }
    return total;
}

TWIN(frame_random) {
    i64 total = 0;
    for (i64 index = 0; index < n; index++) {
        u64 slot = plan->steps[index];
        i64 pfn = plan->held[slot];
        if (pfn == NOBODY) {
            pfn = alloc_frame(f, OWNER);
            plan->held[slot] = pfn;
        } else {
            total += free_frame(f, pfn);
            plan->held[slot] = NOBODY;
        }
        total += pfn;
    }
    return total;
}

TWIN(frame_random_setup) {
    (void)n;
    draw(plan);
    return NAMED(ALLOCATOR_NAME, frame_random)(f, plan, NR_STEPS);
}

TWIN(frame_finish) {
    (void)n;
    i64 code = 0;
    for (u64 slot = 0; slot < plan->nr_slots; slot++)
        if (plan->held[slot] != NOBODY) {
            code |= free_frame(f, plan->held[slot]);
            plan->held[slot] = NOBODY;
        }
    return code;
}

TWIN(huge_repeat) {
    (void)plan;
    i64 total = 0;
    for (i64 index = 0; index < n; index++) {
        i64 pfn = alloc_block(f, f->preferred, HUGE_ORDER, OWNER);
        total += pfn + free_block(f, pfn, HUGE_ORDER);
    }
    return total;
}

TWIN(huge_bulk) {
    i64 total = 0;
    for (i64 slot = 0; slot < n; slot++) {
        i64 pfn = alloc_block(f, f->preferred, HUGE_ORDER, OWNER);
        plan->held[slot] = pfn;
        total += pfn;
    }
    for (i64 slot = 0; slot < n; slot++)
        total += free_block(f, plan->held[slot], HUGE_ORDER);
    return total;
}

TWIN(huge_churn_setup) {
    (void)n;
    draw(plan);
    i64 total = 0;
    for (u64 slot = 0; slot < plan->nr_slots; slot++) {
        i64 pfn = alloc_block(f, f->preferred, HUGE_ORDER, OWNER);
        plan->held[slot] = pfn;
        total += pfn;
    }
    return total;
}

TWIN(huge_churn) {
    i64 total = 0;
    for (i64 index = 0; index < n; index++) {
        u64 slot = plan->steps[index];
        i64 pfn = alloc_block(f, f->preferred, HUGE_ORDER, OWNER);
        total += pfn + free_block(f, plan->held[slot], HUGE_ORDER);
        plan->held[slot] = pfn;
    }
    return total;
}

TWIN(huge_random) {
    i64 total = 0;
    for (i64 index = 0; index < n; index++) {
        u64 slot = plan->steps[index];
        i64 pfn = plan->held[slot];
        if (pfn == NOBODY) {
            pfn = alloc_block(f, f->preferred, HUGE_ORDER, OWNER);
            plan->held[slot] = pfn;
        } else {
            total += free_block(f, pfn, HUGE_ORDER);
            plan->held[slot] = NOBODY;
        }
        total += pfn;
    }
    return total;
}

TWIN(huge_random_setup) {
    (void)n;
    draw(plan);
    return NAMED(ALLOCATOR_NAME, huge_random)(f, plan, NR_STEPS);
}

TWIN(huge_finish) {
    (void)n;
    i64 code = 0;
    for (u64 slot = 0; slot < plan->nr_slots; slot++)
        if (plan->held[slot] != NOBODY) {
            code |= free_block(f, plan->held[slot], HUGE_ORDER);
            plan->held[slot] = NOBODY;
        }
    return code;
}

/* ------------------------------------------------------------------ zeroing ahead */
#include "blocks_zeroing.h"
