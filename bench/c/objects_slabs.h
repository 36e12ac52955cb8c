/* Slabs: bits for objects, in records apart from them; runs of pages. */
#pragma once
#include "objects.h"

enum { NOTHING, FULL, PARTIAL, EMPTY, CURRENT };

#define MAX_OBJECTS (NR_SLAB_WORDS * 64UL)
#define MAX_SLAB_PAGES 8UL
#define KEPT_EMPTY 2
#define SPARE 1 /* in the place of a colour */
#define SPARE_FACTOR 3

/* ------------------------------------------------------------------ pages */
static void area_init(struct kernel *k, u64 records, u64 start, u64 max_bytes) {
    k->slabs.area = (struct area){records, records, start, start, start + max_bytes, start, {0}, {0}, 0, 0};
}

static inline bool slabs_have(struct kernel *k, u64 ptr) {
    struct area *area = &k->slabs.area;
    return (i64)area->start <= (i64)ptr && (i64)ptr < (i64)area->top;
}

/* The record of a pointer's slab, how far behind the first object it is, and which object begins there, if one does. */
static inline struct record *find(struct kernel *k, u64 ptr, u64 *distance, u64 *number) {
    struct area *area = &k->slabs.area;
    struct record *page = (struct record *)area->records + ((ptr - area->start) >> PAGE_SHIFT);
    *distance = (ptr & (PAGE_BYTES - 1)) + ((u64)page->distance << PAGE_SHIFT) - page->colour;
    *number = (i64)(*distance * page->reciprocal) >> 32;
    return page - page->distance;
}

static inline u64 address_of(struct kernel *k, struct record *record) {
    struct area *area = &k->slabs.area;
    return area->start + ((u64)(record - (struct record *)area->records) << PAGE_SHIFT);
}

static inline bool is_record(struct kernel *k, const struct record *record) {
    struct area *area = &k->slabs.area;
    u64 at = (u64)record;
    return (i64)area->records <= (i64)at && (i64)at < (i64)area->records_end &&
           (at - area->records) % sizeof(struct record) == 0;
}

static inline void begin_run(struct record *first, u64 nr_pages) {
    for (u64 number = 0; number < nr_pages; number++) {
        first[number].distance = number;
        first[number].state = NOTHING;
    }
}

static inline void push_spare(struct kernel *k, struct record *record, u64 length) {
    record->colour = SPARE;
    record->next = k->slabs.area.spare[length];
    k->slabs.area.spare[length] = record;
}

static struct record *take_spare(struct kernel *k, u64 larger, u64 length) {
    struct area *area = &k->slabs.area;
    struct record *record = area->spare[larger];
    area->spare[larger] = record->next;
    area->nr_spare -= 1UL << length;
    for (u64 half = larger; half-- > length;) {
        begin_run(record + (1UL << half), 1UL << half);
        push_spare(k, record + (1UL << half), half);
    }
    return record;
}

static struct record *pages_extend(struct kernel *k, u64 nr_pages) {
    struct area *area = &k->slabs.area;
    u64 first = (area->top - area->start) >> PAGE_SHIFT;
    u64 records_before = area->records_end;
    u64 records_end = (area->records + (first + nr_pages) * sizeof(struct record) + PAGE_BYTES - 1) & -PAGE_BYTES;
    u64 end = area->top + (nr_pages << PAGE_SHIFT);
    if (records_end > area->records_end) {
        if (map_fresh(records_end, area->start) != OK)
            return NULL;
        area->records_end = records_end;
    }
    if (map_fresh(end, area->end) != OK) {
        area->records_end = records_before;
        return NULL;
    }
    area->ready = end;
    area->top = end;
    area->nr_mapped += nr_pages;
    struct record *record = (struct record *)area->records + first;
    begin_run(record, nr_pages);
    return record;
}

static struct record *pages_take(struct kernel *k, u64 nr_pages) {
    struct area *area = &k->slabs.area;
    u64 length = __builtin_ctzl(nr_pages);
    if (area->spare[length])
        return take_spare(k, length, length);
    struct record *record = area->runs[length];
    if (!record) {
        for (u64 larger = length + 1; larger < NR_RUN_LENGTHS; larger++)
            if (area->spare[larger])
                return take_spare(k, larger, length);
        return pages_extend(k, nr_pages);
    }
    if (map_fresh(address_of(k, record) + (nr_pages << PAGE_SHIFT), area->end) != OK)
        return NULL;
    if (HARDENING != OFF && record->next && !is_record(k, record->next))
        panic();
    area->runs[length] = record->next;
    area->nr_mapped += nr_pages;
    return record;
}

static void pages_release(struct kernel *k, struct record *record, u64 length) {
    struct area *area = &k->slabs.area;
    area->nr_mapped -= 1UL << length;
    record->colour = 0;
    record->next = area->runs[length];
    area->runs[length] = record;
}

static inline u64 most_spare_pages(struct kernel *k) {
    struct area *area = &k->slabs.area;
    return (SPARE_BYTES >> PAGE_SHIFT) + SPARE_FACTOR * (area->nr_mapped - area->nr_spare);
}

static void release_one(struct kernel *k) {
    struct area *area = &k->slabs.area;
    if (area->nr_spare <= most_spare_pages(k))
        return;
    for (u64 length = 0; length < NR_RUN_LENGTHS; length++) {
        struct record *record = area->spare[length];
        if (record) {
            area->spare[length] = record->next;
            area->nr_spare -= 1UL << length;
            pages_release(k, record, length);
            return;
        }
    }
}

static void pages_put(struct kernel *k, struct record *record, u64 nr_pages) {
    struct area *area = &k->slabs.area;
    u64 length = __builtin_ctzl(nr_pages);
    if (area->nr_spare + nr_pages <= most_spare_pages(k)) {
        push_spare(k, record, length);
        area->nr_spare += nr_pages;
    } else {
        pages_release(k, record, length);
        release_one(k);
    }
}

/* ------------------------------------------------------------------ lists */
static void push(struct cache *cache, struct record *record, int state) {
    record->state = state;
    record->previous = NULL;
    if (state == EMPTY) {
        record->next = cache->empty;
        cache->empty = record;
        cache->nr_empty++;
    } else {
        record->next = cache->partial;
        cache->partial = record;
    }
    if (record->next)
        record->next->previous = record;
}

static inline void require_links(struct kernel *k, struct cache *cache, struct record *record) {
    if (HARDENING == OFF)
        return;
    struct record *first = record->state == EMPTY ? cache->empty : cache->partial;
    if (record->next && (!is_record(k, record->next) || record->next->previous != record))
        panic();
    if (!record->previous && first != record)
        panic();
    if (record->previous && (!is_record(k, record->previous) || record->previous->next != record))
        panic();
}

static void pull(struct kernel *k, struct cache *cache, struct record *record) {
    require_links(k, cache, record);
    if (record->next)
        record->next->previous = record->previous;
    if (record->previous)
        record->previous->next = record->next;
    else if (record->state == EMPTY)
        cache->empty = record->next;
    else
        cache->partial = record->next;
    if (record->state == EMPTY)
        cache->nr_empty--;
}

static inline bool is_empty(const struct cache *cache, const struct record *record) {
    for (int index = 0; index < NR_SLAB_WORDS; index++)
        if (record->free[index] != cache->all_free[index])
            return false;
    return true;
}

/* ------------------------------------------------------------------ magazine */
static inline struct record *record_of(const struct round *round) {
    return (struct record *)((i64)round->place >> 3 & -(i64)sizeof(struct record));
}

static inline void magazine_push(struct cache *cache, u64 ptr, u64 *word, u64 bit) {
    *cache->top++ = (struct round){ptr, (u64)word << 3 | bit};
}

static inline u64 magazine_pop(struct cache *cache) {
    struct round *round = --cache->top;
    *(u64 *)((i64)round->place >> 3 & -8) &= ~(1UL << (round->place & 63));
    return round->ptr;
}

static void magazine_forget(struct cache *cache, const struct record *record) {
    struct round *kept = cache->rounds;
    for (struct round *round = cache->rounds; round != cache->top; round++)
        if (record_of(round) != record)
            *kept++ = *round;
    cache->top = kept;
}

/* ------------------------------------------------------------------ slabs */
static struct record *slab_make(struct kernel *k, struct cache *cache) {
    struct record *record = pages_take(k, cache->nr_pages);
    if (!record)
        return record;
    u64 colour = cache->next_colour;
    cache->next_colour = colour + cache->colour_bytes > cache->last_colour ? 0 : colour + cache->colour_bytes;
    record->cache = cache;
    for (u64 number = 0; number < cache->nr_pages; number++) {
        record[number].reciprocal = cache->reciprocal;
        record[number].colour = colour;
    }
    for (int index = 0; index < NR_SLAB_WORDS; index++)
        record->free[index] = cache->all_free[index];
    cache->nr_slabs++;
    return record;
}

static void slab_unmake(struct kernel *k, struct cache *cache, struct record *record) {
    record->state = NOTHING;
    cache->nr_slabs--;
    pages_put(k, record, cache->nr_pages);
}

/* ------------------------------------------------------------------ alloc */
static inline u64 take_lowest(struct cache *cache, u64 bits) {
    *cache->word = bits & (bits - 1);
    return cache->first + __builtin_ctzl(bits) * cache->object_bytes;
}

static inline bool find_word(struct kernel *k, struct cache *cache) {
    struct record *record = cache->current;
    if (!record)
        return false;
    for (int index = 0; index < NR_SLAB_WORDS; index++) {
        if (record->free[index]) {
            cache->word = &record->free[index];
            cache->first = address_of(k, record) + record->colour + 64 * index * cache->object_bytes;
            return true;
        }
    }
    return false;
}

static void forget_current(struct cache *cache) {
    cache->current = NULL;
    cache->word = &cache->nothing;
}

static struct record *next_slab(struct kernel *k, struct cache *cache) {
    struct record *record = cache->partial ? cache->partial : cache->empty;
    if (record) {
        pull(k, cache, record);
        return record;
    }
    return slab_make(k, cache);
}

static COLD u64 slab_take_slowly(struct kernel *k, struct cache *cache) {
    while (!find_word(k, cache)) {
        if (cache->current)
            cache->current->state = FULL;
        forget_current(cache);
        struct record *record = next_slab(k, cache);
        if (!record)
            return 0;
        record->state = CURRENT;
        cache->current = record;
    }
    return take_lowest(cache, *cache->word);
}

static inline u64 slab_take(struct kernel *k, struct cache *cache) {
    if (cache->top != cache->rounds)
        return magazine_pop(cache);
    u64 bits = *cache->word;
    return bits ? take_lowest(cache, bits) : slab_take_slowly(k, cache);
}

/* ------------------------------------------------------------------ free */
static COLD void settle(struct kernel *k, struct cache *cache, struct record *record) {
    if (record->state == CURRENT)
        return;
    int wanted = is_empty(cache, record) ? EMPTY : PARTIAL;
    if (record->state == wanted)
        return;
    if (record->state != FULL)
        pull(k, cache, record);
    if (wanted == EMPTY)
        magazine_forget(cache, record);
    if (wanted == EMPTY && cache->nr_empty >= cache->max_empty)
        slab_unmake(k, cache, record);
    else
        push(cache, record, wanted);
}

static inline bool is_object(const struct cache *cache, u64 distance, u64 number) {
    return number < cache->nr_open && number * cache->object_bytes == distance;
}

static inline i64 slab_put(struct kernel *k, u64 ptr) {
    u64 distance, number;
    struct record *record = find(k, ptr, &distance, &number);
    struct cache *cache = record->cache;
    if (record->state == NOTHING || !is_object(cache, distance, number))
        return BAD_FREE;
    u64 index = number >> 6, before = record->free[index], bit = 1UL << (number & 63);
    if (before & bit)
        return BAD_FREE;
    u64 now = before | bit;
    record->free[index] = now;
    if (now == cache->all_free[index] && record->state != CURRENT)
        settle(k, cache, record);
    else if (cache->top != cache->rounds + NR_ROUNDS)
        magazine_push(cache, ptr, &record->free[index], number & 63);
    else if (record->state == FULL)
        settle(k, cache, record);
    return OK;
}

static u64 slab_usable_bytes(struct kernel *k, u64 ptr) {
    u64 distance, number;
    struct record *record = find(k, ptr, &distance, &number);
    if (record->state == NOTHING)
        return 0;
    struct cache *cache = record->cache;
    if (!is_object(cache, distance, number))
        return 0;
    return record->free[number >> 6] >> (number & 63) & 1 ? 0 : cache->object_bytes;
}

/* ------------------------------------------------------------------ caches */
static bool is_well_used(u64 nbytes, u64 size) {
    return nbytes >= 8 * size && nbytes % size <= nbytes >> 3;
}

static u64 pages_for(u64 size) {
    u64 nr_pages = 1;
    while (nr_pages < MAX_SLAB_PAGES && !is_well_used(nr_pages << PAGE_SHIFT, size))
        nr_pages *= 2;
    return nr_pages;
}

static void cache_init(struct cache *cache, u64 object_bytes, u64 alignment) {
    u64 size = ((object_bytes < 8 ? 8 : object_bytes) + alignment - 1) & -alignment;
    u64 nr_pages = pages_for(size), nr_objects = (nr_pages << PAGE_SHIFT) / size;
    *cache = (struct cache){.object_bytes = size, .nr_pages = nr_pages, .max_empty = KEPT_EMPTY};
    cache->reciprocal = ((1UL << 32) + size - 1) / size;
    cache->nr_objects = nr_objects < MAX_OBJECTS ? nr_objects : MAX_OBJECTS;
    cache->nr_open = cache->nr_objects;
    cache->colour_bytes = alignment < 64 ? 64 : alignment;
    cache->last_colour = (nr_pages << PAGE_SHIFT) - cache->nr_objects * size;
    for (u64 index = 0; index < NR_SLAB_WORDS; index++) {
        u64 nr_bits = cache->nr_objects > 64 * index ? cache->nr_objects - 64 * index : 0;
        cache->all_free[index] = nr_bits >= 64 ? ~0UL : (1UL << nr_bits) - 1;
    }
    cache->top = cache->rounds;
    forget_current(cache);
}
