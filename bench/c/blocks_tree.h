/* The twin of the tree and its sets of words. */
#pragma once
#include "blocks.h"

#define PAIRS 0x5555555555555555UL
#define QUADS 0x1111111111111111UL
#define OCTETS 0x0101010101010101UL
#define BLOCKS_16 0x0001000100010001UL
#define BLOCKS_32 0x0000000100000001UL
#define NO_WORD (1UL << 62)

static inline int class_of(u64 bits) {
    if (bits == 0)
        return -1;
    u64 starts = bits & bits >> 1 & PAIRS;
    if (starts == 0)
        return 0;
    starts &= starts >> 2 & QUADS;
    if (starts == 0)
        return 1;
    starts &= starts >> 4 & OCTETS;
    if (starts == 0)
        return 2;
    starts &= starts >> 8 & BLOCKS_16;
    if (starts == 0)
        return 3;
    if ((starts & starts >> 16 & BLOCKS_32) == 0)
        return 4;
    return bits == ~0UL ? WHOLE : 5;
}

static inline u64 starts_in(u64 bits, u64 order) {
    u64 starts = bits;
    if (order >= 1)
        starts &= starts >> 1 & PAIRS;
    if (order >= 2)
        starts &= starts >> 2 & QUADS;
    if (order >= 3)
        starts &= starts >> 4 & OCTETS;
    if (order >= 4)
        starts &= starts >> 8 & BLOCKS_16;
    if (order >= 5)
        starts &= starts >> 16 & BLOCKS_32;
    if (order >= WHOLE)
        starts &= starts >> 32 & 1;
    return starts;
}

static inline u64 block_mask(u64 order) {
    return ~0UL >> (64 - (1UL << order));
}

static u64 line_bytes(u64 nr_words) {
    u64 total = 0, nr_lines = nr_words;
    for (;;) {
        nr_lines = (nr_lines + 63) >> 6;
        total += nr_lines * sizeof(struct line);
        if (nr_lines == 1)
            return total;
    }
}

static void sets_init(struct sets *s, u64 at, u64 nr_words) {
    fill((void *)at, 0, line_bytes(nr_words));
    s->not_empty = 0;
    u64 nr_lines = nr_words;
    int height = 0;
    while (height == 0 || nr_lines > 1) {
        nr_lines = (nr_lines + 63) >> 6;
        s->lines[height++] = (struct line *)at;
        at += nr_lines * sizeof(struct line);
    }
    s->height = height;
}

static inline void enter(struct sets *s, int number, u64 index) {
    for (u64 height = 0; height < s->height; height++) {
        u64 *word = &s->lines[height][index >> 6].bits[number];
        u64 before = *word;
        *word = before | 1UL << (index & 63);
        if (before != 0)
            return;
        index >>= 6;
    }
    s->not_empty |= 1UL << number;
}

static inline void leave(struct sets *s, int number, u64 index) {
    for (u64 height = 0; height < s->height; height++) {
        u64 *word = &s->lines[height][index >> 6].bits[number];
        u64 after = *word & ~(1UL << (index & 63));
        *word = after;
        if (after != 0)
            return;
        index >>= 6;
    }
    s->not_empty &= ~(1UL << number);
}

static inline u64 first_in(struct sets *s, int number) {
    u64 index = 0;
    for (int height = s->height - 1; height >= 0; height--)
        index = (index << 6) + __builtin_ctzl(s->lines[height][index].bits[number]);
    return index;
}

static void move(struct sets *s, u64 index, u64 before, u64 after) {
    int old = class_of(before), new = class_of(after);
    if (old == new)
        return;
    if (old < 0)
        enter(s, ANY, index);
    else
        leave(s, old, index);
    if (new < 0)
        leave(s, ANY, index);
    else
        enter(s, new, index);
}

/* ------------------------------------------------------------------ the tree */
static u64 words_on(u64 nr_frames, int level) {
    int shift = DIGIT_BITS * (level + 1);
    return MAX(1, (nr_frames + (1UL << shift) - 1) >> shift);
}

static u64 tree_bytes(u64 nr_frames) {
    u64 total = 0;
    for (int level = 0; level <= TOP; level++)
        total += (level ? 2 : 1) * words_on(nr_frames, level) * 8 + line_bytes(words_on(nr_frames, level));
    return total;
}

static void tree_init(struct tree *t, u64 at, i64 start, i64 nr_frames) {
    *t = (struct tree){.start = start, .nr_frames = nr_frames};
    for (int number = TOP; number >= 0; number--) {
        struct level *level = &t->levels[number];
        level->nr_words = words_on(nr_frames, number);
        sets_init(&level->sets, at, level->nr_words);
        at += line_bytes(level->nr_words);
    }
    for (int number = TOP; number >= 0; number--) {
        struct level *level = &t->levels[number];
        level->free = (u64 *)at;
        at += level->nr_words * 8;
        level->split = number ? (u64 *)at : 0;
        at += level->nr_words * 8;
    }
    fill(t->levels[TOP].free, 0, 16 * t->levels[TOP].nr_words);
}

static inline int level_of(int order) {
    return MIN(order / DIGIT_BITS, TOP);
}

static inline bool is_set(u64 *words, u64 bit) {
    return words[bit >> 6] >> (bit & 63) & 1;
}

static inline void set_split(struct level *l, u64 bit) {
    l->split[bit >> 6] |= 1UL << (bit & 63);
}

static inline void clear_split(struct level *l, u64 bit) {
    l->split[bit >> 6] &= ~(1UL << (bit & 63));
}

static inline void put_word(struct level *l, u64 index, u64 before, u64 after) {
    l->free[index] = after;
    move(&l->sets, index, before, after);
}

static void open_word(struct tree *t, int number, u64 index) {
    for (int upper = TOP; upper > number; upper--) {
        u64 bit = index >> DIGIT_BITS * (upper - number - 1);
        if (!is_set(t->levels[upper].split, bit)) {
            set_split(&t->levels[upper], bit);
            t->levels[upper - 1].free[bit] = 0;
            if (upper > 1)
                t->levels[upper - 1].split[bit] = 0;
        }
    }
}

static void put_bits(struct tree *t, int number, u64 index, u64 bits) {
    for (;;) {
        struct level *level = &t->levels[number];
        u64 before = level->free[index], after = before | bits;
        if (after != ~0UL || number == TOP) {
            put_word(level, index, before, after);
            return;
        }
        move(&level->sets, index, before, 0);
        number++;
        clear_split(&t->levels[number], index);
        t->nr_merges++;
        bits = 1UL << (index & 63);
        index >>= 6;
    }
}

static void tree_put(struct tree *t, i64 pfn, int order) {
    int number = level_of(order);
    u64 bit = (pfn - t->start) >> DIGIT_BITS * number;
    t->nr_free_frames += 1L << order;
    put_bits(t, number, bit >> 6, block_mask(order - DIGIT_BITS * number) << (bit & 63));
}

static void tree_add(struct tree *t, i64 start, i64 end) {
    i64 at = start - t->start, behind = end - t->start;
    while (at < behind) {
        int order = MIN(__builtin_ctzl(at | 1L << MAX_ORDER), 63 - __builtin_clzl(behind - at));
        int number = level_of(order);
        open_word(t, number, at >> DIGIT_BITS * (number + 1));
        tree_put(t, t->start + at, order);
        at += 1L << order;
    }
}

static inline u64 suitable(struct sets *s, int order) {
    return order == 0 ? s->not_empty & 1UL << ANY : s->not_empty & ((1UL << ANY) - (1UL << order));
}

static void carve(struct tree *t, int number, u64 at, int order) {
    int lowest = level_of(order);
    u64 index = at >> DIGIT_BITS * (number + 1);
    u64 content = t->levels[number].free[index], before = content;
    while (number > lowest) {
        struct level *level = &t->levels[number];
        u64 bit = at >> DIGIT_BITS * number;
        put_word(level, index, before, content & ~(1UL << (bit & 63)));
        set_split(level, bit);
        t->nr_splits++;
        number--;
        index = bit;
        content = ~0UL;
        before = 0;
        if (number > 0)
            t->levels[number].split[index] = 0;
    }
    u64 bit = at >> DIGIT_BITS * lowest;
    u64 mask = block_mask(order - DIGIT_BITS * lowest) << (bit & 63);
    put_word(&t->levels[lowest], index, before, content & ~mask);
    t->nr_free_frames -= 1L << order;
}

static i64 tree_take(struct tree *t, int order) {
    int number = level_of(order), wanted = order - DIGIT_BITS * number;
    u64 candidates = suitable(&t->levels[number].sets, wanted);
    while (candidates == 0) {
        if (++number > TOP)
            return NO_FRAME;
        wanted = 0;
        candidates = suitable(&t->levels[number].sets, wanted);
    }
    struct level *level = &t->levels[number];
    u64 index = first_in(&level->sets, __builtin_ctzl(candidates));
    u64 starts = starts_in(level->free[index], wanted);
    u64 at = ((index << 6) + __builtin_ctzl(starts)) << DIGIT_BITS * number;
    carve(t, number, at, order);
    return t->start + at;
}

static int find_free(struct tree *t, i64 pfn, int order) {
    u64 at = pfn - t->start, bit;
    int lowest = level_of(order);
    for (int number = TOP; number > lowest; number--) {
        bit = at >> DIGIT_BITS * number;
        if (is_set(t->levels[number].free, bit))
            return number;
        if (!is_set(t->levels[number].split, bit))
            return -1;
    }
    bit = at >> DIGIT_BITS * lowest;
    u64 mask = block_mask(order - DIGIT_BITS * lowest) << (bit & 63);
    return (~t->levels[lowest].free[bit >> 6] & mask) == 0 ? lowest : -1;
}

static void tree_take_at(struct tree *t, i64 pfn, int order) {
    int number = find_free(t, pfn, order);
    if (number >= 0)
        carve(t, number, pfn - t->start, order);
}

static u64 find_fitting(struct level *level, int order) {
    u64 candidates = suitable(&level->sets, order);
    return candidates == 0 ? NO_WORD : first_in(&level->sets, __builtin_ctzl(candidates));
}

static u64 find_whole(struct tree *t, int number) {
    u64 lowest = NO_WORD;
    for (int upper = number + 1; upper <= TOP; upper++) {
        struct level *level = &t->levels[upper];
        if (level->sets.not_empty != 0) {
            u64 index = first_in(&level->sets, ANY);
            u64 bit = (index << 6) + __builtin_ctzl(level->free[index]);
            lowest = MIN(lowest, bit << DIGIT_BITS * (upper - number - 1));
        }
    }
    return lowest;
}

static u64 open_whole(struct tree *t, int number, u64 index, int order) {
    int order_of_word = DIGIT_BITS * (number + 1);
    tree_take_at(t, t->start + (index << order_of_word), order_of_word);
    open_word(t, number, index);
    t->nr_splits++;
    return starts_in(~0UL, order);
}

static u64 take_all(struct tree *t, int number, u64 index, int order) {
    struct level *level = &t->levels[number];
    u64 before = level->free[index], starts = starts_in(before, order);
    put_word(level, index, before, before & ~(starts * block_mask(order)));
    t->nr_free_frames -= (i64)__builtin_popcountl(starts) << (order + DIGIT_BITS * number);
    return starts;
}

static i64 tree_refill(struct tree *t, struct hot *h) {
    int number = level_of(h->order), wanted = h->order - DIGIT_BITS * number;
    u64 index = find_fitting(&t->levels[number], wanted), whole = find_whole(t, number), starts;
    if (whole < index && (wanted == 0 || index == NO_WORD)) {
        index = whole;
        starts = open_whole(t, number, whole, wanted);
    } else if (index != NO_WORD) {
        starts = take_all(t, number, index, wanted);
    } else {
        return 0;
    }
    h->frontier = t->start + (i64)((index + 1) << DIGIT_BITS * (number + 1));
    i64 nr_blocks = 0;
    while (starts != 0) {
        int bit = 63 - __builtin_clzl(starts);
        starts &= ~(1UL << bit);
        hot_push(h, t->start + (((index << 6) + bit) << DIGIT_BITS * number));
        nr_blocks++;
    }
    return nr_blocks;
}

static i64 end_of_lowest(struct tree *t, int number) {
    struct sets *sets = &t->levels[number].sets;
    if (sets->not_empty == 0)
        return t->start + t->nr_frames;
    return t->start + (i64)((first_in(sets, ANY) + 1) << DIGIT_BITS * (number + 1));
}

static void tree_take_back(struct tree *t, struct hot *h, i64 nr_blocks) {
    int number = level_of(h->order);
    u64 block = block_mask(h->order - DIGIT_BITS * number);
    t->nr_free_frames += nr_blocks << h->order;
    while (nr_blocks > 0) {
        u64 index = (u64)(hot_oldest(h) - t->start) >> DIGIT_BITS * (number + 1), bits = 0;
        while (nr_blocks > 0 && (u64)(hot_oldest(h) - t->start) >> DIGIT_BITS * (number + 1) == index) {
            u64 bit = (u64)(hot_pop_oldest(h) - t->start) >> DIGIT_BITS * number;
            bits |= block << (bit & 63);
            nr_blocks--;
        }
        put_bits(t, number, index, bits);
    }
    h->frontier = MIN(h->frontier, end_of_lowest(t, number));
}
