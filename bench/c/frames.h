/* Frames: two bitmaps, a hint and a summary; lowest frame first. */
#pragma once
#include "kernel.h"

/* The first word of `free` that is not 0; the last word when all are. */
static inline u64 bitmap_find_word(struct bitmap *b) {
    if (b->summary[0] != 0)
        return __builtin_ctzl(b->summary[0]);
    return b->summary[1] != 0 ? 64 + __builtin_ctzl(b->summary[1]) : ZONE_FRAMES / 64 - 1;
}

static void bitmap_init(struct bitmap *b, u64 start) {
    *b = (struct bitmap){.start = start};
}

static void bitmap_add(struct bitmap *b, u64 pa) {
    u64 bit = (pa - b->start) >> PAGE_SHIFT;
    b->managed[bit >> 6] |= 1UL << (bit & 63);
    b->free[bit >> 6] |= 1UL << (bit & 63);
    b->summary[bit >> 12] |= 1UL << (bit >> 6 & 63);
    b->nr_total_frames++;
    b->nr_free_frames++;
    b->hint = bitmap_find_word(b);
}

static inline i64 bitmap_take(struct bitmap *b) {
    u64 index = b->hint;
    u64 bits = b->free[index];
    if (bits == 0)
        return NO_FRAME;
    u64 rest = bits & (bits - 1);
    b->free[index] = rest;
    b->nr_free_frames--;
    if (rest == 0) {
        b->summary[index >> 6] &= ~(1UL << (index & 63));
        b->hint = bitmap_find_word(b);
    }
    return b->start + (((index << 6) + __builtin_ctzl(bits)) << PAGE_SHIFT);
}

static inline i64 bitmap_check_free(struct bitmap *b, i64 pa) {
    if (pa & (PAGE_BYTES - 1))
        return MISALIGNED;
    u64 bit = (u64)(pa - b->start) >> PAGE_SHIFT;
    if (bit >= ZONE_FRAMES)
        return FOREIGN;
    u64 mask = 1UL << (bit & 63);
    if (!(b->managed[bit >> 6] & mask))
        return FOREIGN;
    if (b->free[bit >> 6] & mask)
        return DOUBLE_FREE;
    return OK;
}

static inline void bitmap_put(struct bitmap *b, u64 pa) {
    u64 bit = (pa - b->start) >> PAGE_SHIFT;
    u64 index = bit >> 6;
    b->free[index] |= 1UL << (bit & 63);
    b->summary[index >> 6] |= 1UL << (index & 63);
    b->nr_free_frames++;
    if (index < b->hint)
        b->hint = index;
}

static inline i64 take_frame(struct kernel *k) {
    if (!k->are_frames_open)
        panic();
    return bitmap_take(&k->zone);
}

static i64 alloc_page(struct kernel *k) {
    i64 pa = take_frame(k);
    if (pa >= 0)
        fill(pa, 0, PAGE_BYTES);
    return pa;
}

static inline i64 free_page(struct kernel *k, i64 pa) {
    i64 code = bitmap_check_free(&k->zone, pa);
    if (code == OK) {
        if (record_at(k, pa)->level != 0)
            return RESERVED;
        bitmap_put(&k->zone, pa);
        return OK;
    }
    if (pa >= 0 && pa < (i64)ZONE_START && (pa & (PAGE_BYTES - 1)) == 0)
        return RESERVED;
    return code;
}

static i64 take_table(struct kernel *k, int level) {
    i64 pa = bitmap_take(&k->pool);
    if (pa < 0 && k->are_frames_open)
        pa = bitmap_take(&k->zone);
    if (pa >= 0)
        record_at(k, pa)->level = level;
    return pa;
}

static i64 alloc_table(struct kernel *k, int level) {
    i64 pa = take_table(k, level);
    if (pa >= 0)
        fill(pa, 0, PAGE_BYTES);
    return pa;
}

static i64 free_table(struct kernel *k, i64 pa) {
    struct bitmap *stock = pa < (i64)POOL_END ? &k->pool : &k->zone;
    i64 code = bitmap_check_free(stock, pa);
    if (code == OK) {
        if (record_at(k, pa)->level == 0)
            return RESERVED;
        record_at(k, pa)->level = 0;
        bitmap_put(stock, pa);
        return OK;
    }
    bool is_reserved = (pa >= 0 && pa < (i64)POOL_START) || (pa >= (i64)POOL_END && pa < (i64)ZONE_START);
    return is_reserved && (pa & (PAGE_BYTES - 1)) == 0 ? RESERVED : code;
}
