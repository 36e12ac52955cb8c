/* The timed loops over the kernel's twin. Each is that of bench/drivers, line by line. */
#include "heap.h"
#include "ranges.h"

#define MAX_SLOTS 16384
#define NR_STEPS 65536
#define PAGES 0x100000000UL
#define HUGE_BYTES (1L << 21)
#define FLAGS (PRESENT | WRITABLE | NX)

struct plan {
    u64 step;
    u64 held[MAX_SLOTS];
    uint32_t order[NR_STEPS];
    uint32_t nbytes[NR_STEPS];
};

static void draw(struct plan *plan, u64 nr_slots) {
    u64 state = 1;
    plan->step = 0;
    for (int slot = 0; slot < MAX_SLOTS; slot++)
        plan->held[slot] = 0;
    for (int step = 0; step < NR_STEPS; step++) {
        state = state * 6364136223846793005UL + 1;
        plan->order[step] = (state >> 33) % nr_slots;
        state = state * 6364136223846793005UL + 1;
        plan->nbytes[step] = 16 + (state >> 33) % 512;
    }
}

static void start(struct kernel *k) {
    bitmap_init(&k->pool, POOL_START);
    bitmap_init(&k->zone, ZONE_START);
    for (u64 pa = POOL_START; pa < ARENA + 0xA0000; pa += PAGE_BYTES)
        bitmap_add(&k->pool, pa);
    for (u64 pa = ZONE_START; pa < ZONE_START + ZONE_FRAMES * PAGE_BYTES; pa += PAGE_BYTES)
        bitmap_add(&k->zone, pa);
    fill((u64)k->records, 0, sizeof k->records);
    fill(ROOT, 0, PAGE_BYTES);
    k->root = ROOT;
    k->nr_tables = 0;
    for (int index = 0; index < NR_KNOWN; index++)
        k->known[index] = (struct known){.start = NOWHERE};
    *record_at(k, ROOT) = (struct record){.level = ROOT_LEVEL, .nr_entries = 1};
    k->are_frames_open = 1;
    heap_init(k);
}

/* ------------------------------------------------------------------ frames */
i64 twin_frames_setup(struct kernel *k, struct plan *plan, i64 n) {
    (void)n;
    start(k);
    draw(plan, ZONE_FRAMES);
    return k->zone.nr_free_frames;
}

i64 twin_frames_take(struct kernel *k, struct plan *plan, i64 n) {
    i64 total = 0;
    for (i64 index = 0; index < n; index++) {
        i64 pa = take_frame(k);
        plan->held[index] = pa;
        total += pa;
    }
    return total;
}

i64 twin_frames_alloc(struct kernel *k, struct plan *plan, i64 n) {
    i64 total = 0;
    for (i64 index = 0; index < n; index++) {
        i64 pa = alloc_page(k);
        plan->held[index] = pa;
        total += pa;
    }
    return total;
}

i64 twin_frames_free(struct kernel *k, struct plan *plan, i64 n) {
    i64 code = 0;
    for (i64 index = 0; index < n; index++) {
        code |= free_page(k, plan->held[index]);
        plan->held[index] = 0;
    }
    return code;
}

i64 twin_frames_bulk(struct kernel *k, struct plan *plan, i64 n) {
    i64 total = twin_frames_take(k, plan, n);
    return total + twin_frames_free(k, plan, n);
}

i64 twin_frames_repeat(struct kernel *k, struct plan *plan, i64 n) {
    (void)plan;
    i64 total = 0;
    for (i64 index = 0; index < n; index++) {
        i64 pa = take_frame(k);
        total += pa + free_page(k, pa);
    }
    return total;
}

i64 twin_frames_random(struct kernel *k, struct plan *plan, i64 n) {
    i64 total = 0;
    for (i64 index = 0; index < n; index++) {
        u64 slot = plan->order[index];
        i64 pa = plan->held[slot];
        if (pa == 0) {
            pa = take_frame(k);
            plan->held[slot] = pa;
        } else {
            total += free_page(k, pa);
            plan->held[slot] = 0;
        }
        total += pa;
    }
    return total;
}

i64 twin_frames_random_setup(struct kernel *k, struct plan *plan, i64 n) {
    twin_frames_setup(k, plan, n);
    twin_frames_take(k, plan, ZONE_FRAMES);
    return twin_frames_random(k, plan, NR_STEPS);
}

/* ------------------------------------------------------------------ pages */
i64 twin_pages_setup(struct kernel *k, struct plan *plan, i64 n) {
    (void)plan, (void)n;
    start(k);
    return k->nr_tables;
}

i64 twin_pages_map(struct kernel *k, struct plan *plan, i64 n) {
    (void)plan;
    i64 code = 0;
    for (i64 index = 0; index < n; index++) {
        i64 at = index * PAGE_BYTES;
        code |= map_page(k, PAGES + at, ZONE_START + at, FLAGS);
    }
    return code;
}

i64 twin_pages_translate(struct kernel *k, struct plan *plan, i64 n) {
    (void)plan;
    i64 total = 0;
    for (i64 index = 0; index < n; index++)
        total += get_physical(k, PAGES + index * PAGE_BYTES + 123);
    return total;
}

i64 twin_pages_random_setup(struct kernel *k, struct plan *plan, i64 n) {
    start(k);
    draw(plan, n);
    return k->nr_tables;
}

i64 twin_pages_translate_random(struct kernel *k, struct plan *plan, i64 n) {
    i64 total = 0;
    for (i64 index = 0; index < n; index++)
        total += get_physical(k, PAGES + plan->order[index] * PAGE_BYTES + 123);
    return total;
}

i64 twin_pages_unmap(struct kernel *k, struct plan *plan, i64 n) {
    (void)plan;
    i64 total = 0;
    for (i64 index = 0; index < n; index++)
        total += unmap_page(k, PAGES + index * PAGE_BYTES);
    return total;
}

/* ------------------------------------------------------------------ the heap */
i64 twin_heap_setup(struct kernel *k, struct plan *plan, i64 n) {
    (void)plan, (void)n;
    start(k);
    return k->heap.used_bytes;
}

i64 twin_heap_pair(struct kernel *k, struct plan *plan, i64 n) {
    (void)plan;
    i64 total = 0;
    for (i64 index = 0; index < n; index++) {
        u64 block = kmalloc(k, 100);
        total += block + kfree(k, block);
    }
    return total;
}

i64 twin_heap_mix(struct kernel *k, struct plan *plan, i64 n) {
    i64 total = 0;
    u64 step = plan->step;
    for (i64 index = 0; index < n; index++) {
        u64 slot = plan->order[step];
        total += kfree(k, plan->held[slot]);
        u64 block = kmalloc(k, plan->nbytes[step]);
        plan->held[slot] = block;
        total += block;
        step = (step + 1) & (NR_STEPS - 1);
    }
    plan->step = step;
    return total + k->heap.used_bytes;
}

static i64 setup_live(struct kernel *k, struct plan *plan, i64 nr_blocks) {
    start(k);
    draw(plan, nr_blocks);
    for (i64 slot = 0; slot < nr_blocks; slot++)
        plan->held[slot] = kmalloc(k, plan->nbytes[slot]);
    for (int round = 0; round < 4; round++)
        twin_heap_mix(k, plan, NR_STEPS - 1);
    return k->heap.used_bytes;
}

i64 twin_heap_setup_few(struct kernel *k, struct plan *plan, i64 n) {
    (void)n;
    return setup_live(k, plan, 100);
}

i64 twin_heap_setup_many(struct kernel *k, struct plan *plan, i64 n) {
    (void)n;
    return setup_live(k, plan, 10000);
}

/* ------------------------------------------------------------------ ranges */
i64 twin_ranges_map(struct kernel *k, struct plan *plan, i64 n) {
    (void)plan;
    return map_range(k, PAGES, ZONE_START + PAGE_BYTES, n * PAGE_BYTES, FLAGS);
}

i64 twin_ranges_protect(struct kernel *k, struct plan *plan, i64 n) {
    (void)plan;
    return protect_range(k, PAGES, n * PAGE_BYTES, PRESENT | NX);
}

i64 twin_ranges_unmap(struct kernel *k, struct plan *plan, i64 n) {
    (void)plan;
    return unmap_range(k, PAGES, n * PAGE_BYTES);
}

i64 twin_ranges_map_huge(struct kernel *k, struct plan *plan, i64 n) {
    (void)plan;
    return map_range(k, PAGES, HUGE_BYTES, n * HUGE_BYTES, FLAGS);
}

i64 twin_ranges_protect_huge(struct kernel *k, struct plan *plan, i64 n) {
    (void)plan;
    return protect_range(k, PAGES, n * HUGE_BYTES, PRESENT | NX);
}

i64 twin_ranges_unmap_huge(struct kernel *k, struct plan *plan, i64 n) {
    (void)plan;
    return unmap_range(k, PAGES, n * HUGE_BYTES);
}
