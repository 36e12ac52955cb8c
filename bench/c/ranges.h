/* Ranges: runs of entries in a table; emptied tables wait in a list until all is flushed. */
#pragma once
#include "pages.h"

#define PAT (1UL << 7)
#define SEEN (3UL << 5)
#define FLUSH_THRESHOLD 32
#define FLUSH_ALL (-1L)

static inline i64 min(i64 a, i64 b) {
    return a < b ? a : b;
}

static i64 check_range(u64 va, i64 nbytes) {
    if (!is_canonical(va))
        return NOT_CANONICAL;
    u64 room = ((i64)va >= 0 ? 1UL << 47 : 0) - va;
    if ((u64)nbytes > room)
        return NOT_CANONICAL;
    return (va | nbytes) % PAGE_BYTES ? MISALIGNED : OK;
}

static i64 check_memory(u64 pa, i64 nbytes, u64 flags) {
    if (pa % PAGE_BYTES)
        return MISALIGNED;
    if (pa > (1UL << 52) - nbytes)
        return OUT_OF_RANGE;
    return are_flags_good(flags, 1) ? OK : BAD_FLAGS;
}

static inline int index_in(u64 va, int level) {
    return va >> (PAGE_SHIFT + 9 * (level - 1)) & 511;
}

static int fitting_level(u64 va, u64 pa, u64 nbytes, int largest) {
    int level = largest;
    while (level > 1 && (((va | pa) & (page_bytes(level) - 1)) || nbytes < page_bytes(level)))
        level--;
    return level;
}

static inline u64 flags_in(u64 flags, int level) {
    return level == 1 || !(flags & PAT) ? flags : flags ^ (PAT | PAT_LARGE);
}

static inline u64 flags_of(u64 leaf, int level) {
    u64 flags = leaf & ~ADDRESS;
    if (level == 1)
        return flags;
    return (flags & ~HUGE_LEAF) | (leaf & PAT_LARGE ? PAT : 0);
}

static inline u64 make_leaf(u64 pa, u64 flags, int level) {
    return pa | flags | (level == 1 ? 0 : HUGE_LEAF);
}

static inline i64 run_length(u64 va, u64 end, int level) {
    i64 nr_pages = (end - (va & -page_bytes(level)) + page_bytes(level) - 1) / page_bytes(level);
    return min(512 - index_in(va, level), nr_pages);
}

static void write_run(u64 *at, i64 nr_entries, u64 leaf, u64 step) {
    for (i64 round = 0; round < nr_entries / 4; round++, at += 4, leaf += 4 * step) {
        at[0] = leaf;
        at[1] = leaf + step;
        at[2] = leaf + 2 * step;
        at[3] = leaf + 3 * step;
    }
    for (i64 rest = 0; rest < nr_entries % 4; rest++, leaf += step)
        *at++ = leaf;
}

static u64 build_table(struct kernel *k, u64 va, u64 leaf, i64 nr_pages, int level) {
    i64 table = take_table(k, level);
    if (table < 0)
        return 0;
    u64 *start = slot_in(table, va, level), *end = start + nr_pages;
    fill(table, 0, (u64)start - table);
    write_run(start, nr_pages, leaf, page_bytes(level));
    fill((u64)end, 0, table + PAGE_BYTES - (u64)end);
    record_at(k, table)->nr_entries = nr_pages;
    k->nr_tables++;
    return table | PRESENT | WRITABLE | USER;
}

static u64 build_row(struct kernel *k, u64 va, u64 leaf, i64 nr_pages, int level, int top) {
    u64 table = build_table(k, va, leaf, nr_pages, level);
    if (table == 0)
        return 0;
    u64 branch = build_branch(k, va, table, level + 1, top);
    if (branch == 0)
        free_branch(k, va, table, level, level + 1);
    return branch;
}

static i64 map_run(struct kernel *k, u64 *at, u64 end, u64 pa, u64 flags, int largest) {
    struct place place = walk(k, *at);
    if (place.code == OK)
        return ALREADY_MAPPED;
    if (place.entry != 0)
        return ENTRY_IN_USE;
    int level = min(fitting_level(*at, pa, end - *at, largest), place.level);
    u64 leaf = make_leaf(pa, flags_in(flags, level), level);
    i64 nr_pages = min(512 - index_in(*at, level), (end - *at) / page_bytes(level));
    if (place.level > level) {
        u64 branch = build_row(k, *at, leaf, nr_pages, level, place.level);
        if (branch == 0)
            return NO_FRAME;
        *place.slot = branch;
        record_at(k, (u64)place.slot)->nr_entries++;
        *at += nr_pages * page_bytes(level);
        return OK;
    }
    i64 index = 0;
    for (; index < nr_pages && place.slot[index] == 0; index++)
        place.slot[index] = leaf + index * page_bytes(level);
    record_at(k, (u64)place.slot)->nr_entries += index;
    *at += index * page_bytes(level);
    return OK;
}

static void allow_over(struct kernel *k, u64 va, u64 end, u64 rights) {
    for (u64 at = va; (i64)at < (i64)end;) {
        int level = walk(k, at).level;
        allow_above(k, at, rights, level);
        at = (at & -page_bytes(level + 1)) + page_bytes(level + 1);
    }
}

static i64 survey_run(u64 *at, i64 most, int level, u64 *bits) {
    u64 needed = level == 1 ? PRESENT : PRESENT | HUGE_LEAF;
    u64 any = 0;
    i64 index = 0;
    for (; index + 8 <= most; index += 8) {
        u64 *of = at + index;
        if ((of[0] & of[1] & of[2] & of[3] & of[4] & of[5] & of[6] & of[7] & needed) != needed)
            break;
        any |= of[0] | of[1] | of[2] | of[3] | of[4] | of[5] | of[6] | of[7];
    }
    for (; index < most && (at[index] & needed) == needed; index++)
        any |= at[index];
    *bits |= any;
    return index;
}

static i64 survey(struct kernel *k, u64 va, u64 end, u64 *bits) {
    i64 nr_pages = 0;
    for (u64 at = va; (i64)at < (i64)end;) {
        struct place place = walk(k, at);
        if (place.code != OK)
            return place.code;
        i64 nr_run = survey_run(place.slot, run_length(at, end, place.level), place.level, bits);
        nr_pages += nr_run;
        at = (at & -page_bytes(place.level)) + nr_run * page_bytes(place.level);
    }
    return nr_pages;
}

static bool split_page(struct kernel *k, u64 *slot, int level) {
    i64 table = alloc_table(k, level - 1);
    if (table < 0)
        return false;
    u64 entry = *slot;
    u64 leaf = make_leaf(page_of(entry, level), flags_in(flags_of(entry, level), level - 1), level - 1);
    write_run((u64 *)table, 512, leaf, page_bytes(level - 1));
    record_at(k, table)->nr_entries = 512;
    k->nr_tables++;
    *slot = table | PRESENT | WRITABLE | USER;
    return true;
}

static void free_parked(struct kernel *k, u64 table) {
    while (table) {
        u64 following = *(u64 *)table;
        record_at(k, table)->nr_entries = 0;
        k->nr_tables--;
        if (free_table(k, table) != OK)
            panic();
        table = following;
    }
}

static inline u64 park_table(struct kernel *k, u64 va, int level, u64 table, u64 parked) {
    forget_known(k, va, level);
    *(u64 *)table = parked;
    return table;
}

static u64 *find_slot(struct kernel *k, u64 va, int level) {
    u64 *slot = slot_in(k->root, va, ROOT_LEVEL);
    for (int above = ROOT_LEVEL; above > level; above--) {
        if (!(*slot & PRESENT) || is_leaf(*slot, above))
            return 0;
        slot = slot_below(*slot, va, above - 1);
    }
    return slot;
}

static u64 joined_leaf(u64 *entries, int level) {
    u64 first = entries[0], step = page_bytes(level - 1), seen = 0;
    if (!(first & PRESENT) || !is_leaf(first, level - 1) || page_of(first, level - 1) % page_bytes(level))
        return 0;
    for (int index = 511; index >= 0; index--) {
        if ((entries[index] & ~SEEN) != (first & ~SEEN) + index * step)
            return 0;
        seen |= entries[index] & SEEN;
    }
    return make_leaf(page_of(first, level - 1), flags_in(flags_of(first, level - 1), level) | seen, level);
}

static u64 join_page(struct kernel *k, u64 va, int level, u64 parked) {
    u64 *slot = find_slot(k, va, level);
    u64 entry = slot ? *slot : 0;
    if (!(entry & PRESENT) || is_leaf(entry, level) || record_at(k, entry & ADDRESS)->nr_entries != 512)
        return parked;
    u64 leaf = joined_leaf((u64 *)(entry & ADDRESS), level);
    if (leaf == 0)
        return parked;
    *slot = leaf;
    return park_table(k, va, level - 1, entry & ADDRESS, parked);
}

static u64 behind(struct kernel *k, u64 va, int level) {
    struct place place = walk(k, va);
    u64 step = page_bytes(place.level > level ? place.level : level), bits = 0;
    i64 nr_leaves = 1;
    if (place.code == OK && place.level >= level)
        nr_leaves = survey_run(place.slot, 512 - index_in(va, place.level), place.level, &bits);
    return (va & -step) + nr_leaves * step;
}

static u64 join_pages(struct kernel *k, u64 va, u64 end) {
    u64 parked = 0;
    for (int level = 2; level <= 3; level++)
        for (u64 at = va & -page_bytes(level); (i64)at < (i64)end;) {
            parked = join_page(k, at, level, parked);
            at = behind(k, at, level);
        }
    return parked;
}

static void undo_splits(struct kernel *k, u64 va, int nr_splits) {
    int level = walk(k, va).level;
    u64 parked = 0;
    for (int above = level + 1; above <= level + nr_splits; above++)
        parked = join_page(k, va, above, parked);
    free_parked(k, parked);
}

static int split_at(struct kernel *k, u64 at, u64 flags) {
    int nr_splits = 0;
    for (;;) {
        struct place place = walk(k, at);
        if (place.code != OK || !(at & (page_bytes(place.level) - 1)) ||
            flags_of(place.entry & ~SEEN, place.level) == (flags & ~SEEN))
            return nr_splits;
        if (!split_page(k, place.slot, place.level)) {
            undo_splits(k, at, nr_splits);
            return NO_FRAME;
        }
        nr_splits++;
    }
}

static i64 split_edges(struct kernel *k, u64 va, u64 end, u64 flags) {
    int first = split_at(k, va, flags);
    if (first < 0)
        return first;
    int second = split_at(k, end, flags);
    if (second < 0)
        undo_splits(k, va, first);
    return min(second, 0);
}

static inline i64 flush_run(i64 nr_pages, i64 budget) {
    return budget < nr_pages ? FLUSH_ALL : budget - nr_pages;
}

static u64 clear_run(struct kernel *k, u64 at, u64 end, i64 *budget, u64 *parked) {
    struct place place = walk(k, at);
    i64 nr_pages = run_length(at, end, place.level);
    if (place.level > 1) {
        u64 bits = 0;
        nr_pages = survey_run(place.slot, nr_pages, place.level, &bits);
    }
    struct record *record = record_at(k, (u64)place.slot);
    if (record->nr_entries == nr_pages) {
        record->nr_entries = 1;
        int cut_level;
        u64 *cut_slot = find_cut(k, at, place.level, &cut_level);
        u64 rest = *cut_slot;
        *cut_slot = 0;
        record_at(k, (u64)cut_slot)->nr_entries--;
        for (int below = cut_level - 1; below >= place.level; below--) {
            u64 table = rest & ADDRESS;
            rest = *slot_in(table, at, below);
            *parked = park_table(k, at, below, table, *parked);
        }
    } else {
        for (i64 index = 0; index < nr_pages; index++)
            *(volatile u64 *)&place.slot[index] = 0;
        record->nr_entries -= nr_pages;
    }
    *budget = flush_run(nr_pages, *budget);
    return at + nr_pages * page_bytes(place.level);
}

static void clear_range(struct kernel *k, u64 va, u64 end, i64 budget) {
    u64 parked = 0;
    for (u64 at = va; (i64)at < (i64)end;)
        at = clear_run(k, at, end, &budget, &parked);
    free_parked(k, parked);
}

static i64 map_range(struct kernel *k, u64 va, u64 pa, i64 nbytes, u64 flags) {
    i64 code = check_range(va, nbytes);
    if (code == OK)
        code = check_memory(pa, nbytes, flags);
    if (code != OK)
        return code;
    u64 at = va;
    int largest = nbytes >= 1L << 30 && (va - pa) % (1UL << 30) == 0 ? 3 : 2;
    while ((i64)at < (i64)(va + nbytes) && code == OK)
        code = map_run(k, &at, va + nbytes, pa + (at - va), flags, largest);
    if (code != OK) {
        clear_range(k, va, at, FLUSH_ALL);
        return code;
    }
    allow_over(k, va, va + nbytes, flags & RIGHTS);
    return OK;
}

static i64 unmap_range(struct kernel *k, u64 va, i64 nbytes) {
    i64 code = check_range(va, nbytes);
    if (code != OK)
        return code;
    u64 bits = 0;
    i64 nr_pages = survey(k, va, va + nbytes, &bits);
    if (nr_pages < 0)
        return nr_pages;
    code = split_edges(k, va, va + nbytes, 0);
    if (code == OK)
        clear_range(k, va, va + nbytes, nr_pages <= FLUSH_THRESHOLD ? FLUSH_THRESHOLD : FLUSH_ALL);
    return code;
}

static i64 protect_range(struct kernel *k, u64 va, i64 nbytes, u64 flags) {
    i64 code = check_range(va, nbytes);
    if (code == OK && !are_flags_good(flags, 1))
        code = BAD_FLAGS;
    if (code != OK)
        return code;
    u64 bits = 0, end = va + nbytes;
    i64 nr_pages = survey(k, va, end, &bits);
    if (nr_pages < 0)
        return nr_pages;
    code = split_edges(k, va, end, flags);
    if (code != OK)
        return code;
    allow_over(k, va, end, flags & RIGHTS);
    for (u64 at = va; (i64)at < (i64)end;) {
        struct place place = walk(k, at);
        i64 nr_run = run_length(at, end, place.level);
        u64 kept = (ADDRESS & -page_bytes(place.level)) | SEEN;
        u64 other = make_leaf(0, flags_in(flags, place.level), place.level);
        if (place.level > 1)
            nr_run = survey_run(place.slot, nr_run, place.level, &bits);
        for (i64 index = 0; index < nr_run; index++)
            place.slot[index] = (place.slot[index] & kept) | other;
        at = (at & -page_bytes(place.level)) + nr_run * page_bytes(place.level);
    }
    free_parked(k, join_pages(k, va, end));
    return OK;
}
