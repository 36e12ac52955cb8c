/* Pages: levels are data; branches are built and cut with one store; each table counts its entries. */
#pragma once
#include "frames.h"

#define PRESENT (1UL << 0)
#define WRITABLE (1UL << 1)
#define USER (1UL << 2)
#define HUGE_LEAF (1UL << 7)
#define PAT_LARGE (1UL << 12)
#define NX (1UL << 63)
#define ADDRESS ((1UL << 52) - (1UL << 12))
#define RIGHTS (WRITABLE | USER)
#define ROOT_LEVEL 4

static inline u64 page_bytes(int level) {
    return 1UL << (PAGE_SHIFT + 9 * (level - 1));
}

static inline bool is_leaf(u64 entry, int level) {
    return level == 1 || ((entry & HUGE_LEAF) && level <= 3);
}

static inline bool is_canonical(u64 va) {
    return va + (1UL << 47) < 1UL << 48;
}

static inline u64 *slot_in(u64 table, u64 va, int level) {
    return (u64 *)table + (va >> (PAGE_SHIFT + 9 * (level - 1)) & 511);
}

static inline u64 *slot_below(u64 entry, u64 va, int level) {
    return slot_in(entry & ADDRESS, va, level);
}

struct place {
    i64 code;
    int level;
    u64 *slot, entry;
};

static inline struct place walk(struct kernel *k, u64 va) {
    if (!is_canonical(va))
        return (struct place){.code = NOT_CANONICAL};
    int level = ROOT_LEVEL;
    u64 *slot = slot_in(k->root, va, level);
    u64 entry = *slot;
    while ((entry & PRESENT) && !is_leaf(entry, level)) {
        level--;
        slot = slot_below(entry, va, level);
        entry = *slot;
    }
    return (struct place){entry & PRESENT ? OK : NOT_MAPPED, level, slot, entry};
}

static inline u64 page_of(u64 entry, int level) {
    return entry & ADDRESS & -page_bytes(level);
}

/* Tables of level 1 that were walked to: known[index of the table in its own, modulo their number]. */
static inline struct known *known_of(struct kernel *k, u64 va) {
    return &k->known[va >> 21 & (NR_KNOWN - 1)];
}

static inline bool is_known(struct kernel *k, u64 va, int level, u64 rights) {
    struct known *known = known_of(k, va);
    return level == 1 && known->start == (va & -page_bytes(2)) && !(rights & ~known->entry);
}

static inline u64 *known_slot(struct kernel *k, u64 va) {
    return slot_below(known_of(k, va)->entry, va, 1);
}

static inline struct place walk_and_know(struct kernel *k, u64 va) {
    struct place place = walk(k, va);
    if (place.level == 1)
        *known_of(k, va) = (struct known){va & -page_bytes(2), (u64)place.slot & ADDRESS};
    return place;
}

static inline void forget_known(struct kernel *k, u64 va, int level) {
    struct known *known = known_of(k, va);
    if (level == 1 && known->start == (va & -page_bytes(2)))
        known->start = NOWHERE;
}

#define COLD __attribute__((cold, noinline))

COLD static i64 translate_by_walk(struct kernel *k, u64 va) {
    struct place place = walk_and_know(k, va);
    if (place.code != OK)
        return place.code;
    return page_of(place.entry, place.level) | (va & (page_bytes(place.level) - 1));
}

static i64 get_physical(struct kernel *k, u64 va) {
    if (!is_known(k, va, 1, 0))
        return translate_by_walk(k, va);
    u64 entry = *known_slot(k, va);
    return entry & PRESENT ? (i64)(page_of(entry, 1) | (va & (PAGE_BYTES - 1))) : NOT_MAPPED;
}

static void free_branch(struct kernel *k, u64 va, u64 entry, int level, int top) {
    for (int below = top - 1; below >= level; below--) {
        u64 table = entry & ADDRESS;
        u64 *slot = slot_in(table, va, below);
        entry = *slot;
        forget_known(k, va, below);
        record_at(k, (u64)slot)->nr_entries = 0;
        k->nr_tables--;
        if (free_table(k, table) != OK)
            panic();
    }
}

static u64 build_branch(struct kernel *k, u64 va, u64 entry, int level, int top) {
    for (int below = level; below < top; below++) {
        i64 table = alloc_table(k, below);
        if (table < 0) {
            free_branch(k, va, entry, level, below);
            return 0;
        }
        *slot_in(table, va, below) = entry;
        record_at(k, table)->nr_entries = 1;
        k->nr_tables++;
        entry = table | PRESENT | WRITABLE | USER;
    }
    return entry;
}

static void allow_above(struct kernel *k, u64 va, u64 rights, int level) {
    struct known *known = known_of(k, va);
    if (level == 1 && known->start == (va & -page_bytes(2)))
        known->entry |= rights;
    u64 *slot = slot_in(k->root, va, ROOT_LEVEL);
    for (int above = ROOT_LEVEL; above > level; above--) {
        u64 entry = *slot;
        if ((entry & rights) != rights)
            *slot = entry | rights;
        slot = slot_below(entry, va, above - 1);
    }
}

static inline i64 check_place(u64 va, int level) {
    if (level < 1 || level > 3)
        return BAD_LEVEL;
    if (!is_canonical(va))
        return NOT_CANONICAL;
    return va & (page_bytes(level) - 1) ? MISALIGNED : OK;
}

static inline bool are_flags_good(u64 flags, int level) {
    return (flags & PRESENT) && !(flags & ADDRESS & ~(level == 1 ? 0 : PAT_LARGE));
}

COLD static i64 map_by_walk(struct kernel *k, u64 va, u64 leaf, u64 rights, int level) {
    struct place place = walk_and_know(k, va);
    if (place.code == OK || place.level < level)
        return ALREADY_MAPPED;
    if (place.entry != 0)
        return ENTRY_IN_USE;
    u64 branch = build_branch(k, va, leaf, level, place.level);
    if (branch == 0)
        return NO_FRAME;
    allow_above(k, va, rights, place.level);
    *place.slot = branch;
    record_at(k, (u64)place.slot)->nr_entries++;
    return OK;
}

static inline i64 map_leaf(struct kernel *k, u64 va, u64 pa, u64 flags, int level) {
    i64 code = check_place(va, level);
    if (code != OK)
        return code;
    if (pa & (page_bytes(level) - 1))
        return MISALIGNED;
    if (pa >= 1UL << 52)
        return OUT_OF_RANGE;
    if (!are_flags_good(flags, level))
        return BAD_FLAGS;
    u64 leaf = pa | flags | (level == 1 ? 0 : HUGE_LEAF);
    if (!is_known(k, va, level, flags & RIGHTS))
        return map_by_walk(k, va, leaf, flags & RIGHTS, level);
    u64 *slot = known_slot(k, va);
    if (*slot != 0)
        return *slot & PRESENT ? ALREADY_MAPPED : ENTRY_IN_USE;
    *slot = leaf;
    record_at(k, (u64)slot)->nr_entries++;
    return OK;
}

static u64 *find_cut(struct kernel *k, u64 va, int leaf_level, int *cut_level) {
    u64 *slot = slot_in(k->root, va, ROOT_LEVEL);
    u64 *cut_slot = slot;
    *cut_level = ROOT_LEVEL;
    for (int level = ROOT_LEVEL - 1; level >= leaf_level; level--) {
        slot = slot_below(*slot, va, level);
        if (record_at(k, (u64)slot)->nr_entries > 1) {
            *cut_level = level;
            cut_slot = slot;
        }
    }
    return cut_slot;
}

COLD static void unmap_with_tables(struct kernel *k, u64 va, int level) {
    int cut_level;
    u64 *slot = find_cut(k, va, level, &cut_level);
    u64 branch = *slot;
    *slot = 0;
    record_at(k, (u64)slot)->nr_entries--;
    free_branch(k, va, branch, level, cut_level);
}

static inline i64 unmap_entry(struct kernel *k, u64 va, u64 *slot, u64 entry, int level) {
    struct record *record = record_at(k, (u64)slot);
    if (record->nr_entries == 1) {
        unmap_with_tables(k, va, level);
    } else {
        *slot = 0;
        record->nr_entries--;
    }
    return page_of(entry, level);
}

COLD static i64 unmap_by_walk(struct kernel *k, u64 va, int level) {
    struct place place = walk_and_know(k, va);
    if (place.code != OK)
        return place.code;
    if (place.level != level)
        return place.level > level ? LARGE_PAGE : SMALL_PAGE;
    return unmap_entry(k, va, place.slot, place.entry, level);
}

static inline i64 unmap_leaf(struct kernel *k, u64 va, int level) {
    i64 code = check_place(va, level);
    if (code != OK)
        return code;
    if (!is_known(k, va, level, 0))
        return unmap_by_walk(k, va, level);
    u64 *slot = known_slot(k, va), entry = *slot;
    return entry & PRESENT ? unmap_entry(k, va, slot, entry, level) : NOT_MAPPED;
}

static i64 map_page(struct kernel *k, u64 va, u64 pa, u64 flags) {
    return map_leaf(k, va, pa, flags, 1);
}

static i64 unmap_page(struct kernel *k, u64 va) {
    return unmap_leaf(k, va, 1);
}
