/* The dlmalloc-style heap: best fit, remainder, top; and chunks of another size or alignment where they are. */
#pragma once
#include "objects_bins.h"

#define MAX_BYTES (1L << 38)
#define KEPT (PREVIOUS_USED | ALIGNED)
#define LEAST_RELEASE_FROM (1UL << 17)
#define MOST_IDLE (1UL << 19)

static void dlmalloc_init(struct kernel *k, u64 start, u64 max_bytes) {
    struct chunks *chunks = &k->chunks;
    chunks->start = start;
    chunks->top = start + FIRST_CHUNK;
    chunks->committed_end = start;
    chunks->end = start + max_bytes;
    chunks->reach_bytes = 0;
    chunks->remainder = 0;
    chunks->remainder_bytes = 0;
    chunks->used_bytes = 0;
    chunks->release_from = LEAST_RELEASE_FROM;
    bins_init(&chunks->bins);
}

/* ------------------------------------------------------------------ alloc */
static inline void hand_out(struct kernel *k, struct chunk *chunk, u64 nbytes) {
    write_used(k, chunk, nbytes, PREVIOUS_USED);
    note_previous_used(after(chunk, nbytes));
    k->chunks.used_bytes += nbytes;
}

static inline u64 take_small(struct kernel *k, struct chunk *chunk, u64 nbytes) {
    remove_first(k, chunk, nbytes >> 4);
    hand_out(k, chunk, nbytes);
    return (u64)chunk;
}

static inline void replace_remainder(struct kernel *k, struct chunk *chunk, u64 nbytes) {
    struct chunks *chunks = &k->chunks;
    if (chunks->remainder)
        bin_insert(k, chunk_at(chunks->remainder), chunks->remainder_bytes);
    chunks->remainder = (u64)chunk;
    chunks->remainder_bytes = nbytes;
}

static u64 split(struct kernel *k, struct chunk *chunk, u64 nbytes) {
    u64 size = checked_head(k, chunk) & BYTES_MASK;
    bin_remove(k, chunk, size);
    u64 rest = size - nbytes;
    if (rest < MIN_CHUNK_BYTES) {
        hand_out(k, chunk, size);
        return (u64)chunk;
    }
    write_used(k, chunk, nbytes, PREVIOUS_USED);
    k->chunks.used_bytes += nbytes;
    struct chunk *left = after(chunk, nbytes);
    write_free(k, left, rest);
    if (nbytes < FIRST_TREE_BYTES)
        replace_remainder(k, left, rest);
    else
        bin_insert(k, left, rest);
    return (u64)chunk;
}

static u64 cut_remainder(struct kernel *k, u64 nbytes) {
    struct chunks *chunks = &k->chunks;
    struct chunk *chunk = chunk_at(chunks->remainder);
    checked_head(k, chunk);
    u64 rest = chunks->remainder_bytes - nbytes;
    if (rest < MIN_CHUNK_BYTES) {
        hand_out(k, chunk, chunks->remainder_bytes);
        chunks->remainder = 0;
        chunks->remainder_bytes = 0;
        return (u64)chunk;
    }
    write_used(k, chunk, nbytes, PREVIOUS_USED);
    chunks->used_bytes += nbytes;
    chunks->remainder = (u64)chunk + nbytes;
    chunks->remainder_bytes = rest;
    write_free(k, chunk_at(chunks->remainder), rest);
    return (u64)chunk;
}

static inline void note_frames(struct kernel *k, u64 end) {
    struct chunks *chunks = &k->chunks;
    u64 reach = end - chunks->start;
    chunks->committed_end = end;
    chunks->reach_bytes = reach > sizeof(struct chunk) ? reach - sizeof(struct chunk) : 0;
}

static COLD i64 grow(struct kernel *k, u64 until) {
    struct chunks *chunks = &k->chunks;
    u64 end = (until + PAGE_BYTES - 1) & -PAGE_BYTES;
    i64 code = map_fresh(end, chunks->end);
    if (code == OK)
        note_frames(k, end);
    return code;
}

static inline bool has_frames(struct kernel *k, u64 until) {
    return until <= k->chunks.committed_end || grow(k, until) == OK;
}

static u64 cut_top(struct kernel *k, u64 nbytes) {
    struct chunks *chunks = &k->chunks;
    struct chunk *chunk = chunk_at(chunks->top);
    if (!has_frames(k, (u64)chunk + nbytes))
        return 0;
    write_used(k, chunk, nbytes, PREVIOUS_USED);
    chunks->top = (u64)chunk + nbytes;
    chunks->used_bytes += nbytes;
    return (u64)chunk;
}

static u64 take_chunk(struct kernel *k, u64 nbytes) {
    struct chunks *chunks = &k->chunks;
    struct chunk *found;
    if (nbytes < FIRST_TREE_BYTES) {
        u64 suitable = shift_right(chunks->bins.small_map, nbytes >> 4);
        if (suitable & 3) {
            u64 size = nbytes + (__builtin_ctzl(suitable) << 4);
            return take_small(k, chunks->bins.small[size >> 4], size);
        }
        if (nbytes <= chunks->remainder_bytes)
            return cut_remainder(k, nbytes);
        found = find_small(k, nbytes);
        if (!found)
            found = find_large(k, nbytes);
    } else {
        found = find_large(k, nbytes);
        if (nbytes <= chunks->remainder_bytes && (!found || chunks->remainder_bytes < bytes_of(found)))
            return cut_remainder(k, nbytes);
    }
    if (found)
        return split(k, mate_of(k, found), nbytes);
    return cut_top(k, nbytes);
}

static u64 chunk_alloc(struct kernel *k, i64 nbytes) {
    if (nbytes > MAX_BYTES)
        return 0;
    u64 chunk = take_chunk(k, chunk_bytes_for(nbytes));
    return chunk ? chunk + HEADER_BYTES : chunk;
}

/* ------------------------------------------------------------------ free */
static inline u64 used_head(struct kernel *k, u64 ptr) {
    struct chunks *chunks = &k->chunks;
    if ((ptr & (ALIGNMENT - 1)) || (i64)ptr <= (i64)(chunks->start + FIRST_CHUNK) || (i64)ptr > (i64)chunks->top)
        return 0;
    struct chunk *chunk = chunk_at(ptr - HEADER_BYTES);
    u64 head = chunk->header & HEAD_MASK;
    if (!(head & USED) || chunk->header != sealed(k, (u64)chunk, head))
        return 0;
    return head;
}

static inline void leave(struct kernel *k, struct chunk *chunk, u64 nbytes) {
    struct chunks *chunks = &k->chunks;
    if ((u64)chunk == chunks->remainder) {
        chunks->remainder = 0;
        chunks->remainder_bytes = 0;
    } else {
        bin_remove(k, chunk, nbytes);
    }
}

static inline u64 in_use(struct kernel *k) {
    return k->chunks.used_bytes + ((k->slabs.area.nr_mapped - k->slabs.area.nr_spare) << PAGE_SHIFT);
}

static inline u64 most_kept(struct kernel *k) {
    u64 part = in_use(k) >> 3;
    return SPARE_BYTES >> 2 > part ? SPARE_BYTES >> 2 : part;
}

static inline u64 least_released(struct kernel *k) {
    u64 idle = in_use(k) >> 3 > MOST_IDLE ? in_use(k) >> 3 : MOST_IDLE;
    return k->chunks.release_from < idle ? k->chunks.release_from : idle;
}

static inline u64 most_spare(struct kernel *k) {
    return SPARE_BYTES == 0 ? (u64)MAX_BYTES : most_kept(k) + least_released(k);
}

static COLD void trim(struct kernel *k, u64 keep_bytes) {
    struct chunks *chunks = &k->chunks;
    u64 end = (chunks->top + keep_bytes + PAGE_BYTES - 1) & -PAGE_BYTES;
    if (chunks->top == chunks->start + FIRST_CHUNK && keep_bytes == 0)
        end = chunks->start;
    if (end < chunks->committed_end)
        note_frames(k, end);
}

static void release(struct kernel *k, struct chunk *chunk, u64 head) {
    struct chunks *chunks = &k->chunks;
    struct chunk *start = chunk;
    u64 nbytes = head & BYTES_MASK;
    struct chunk *end = after(chunk, nbytes);
    if (!(head & PREVIOUS_USED)) {
        start = chunk_before(k, chunk);
        leave(k, start, (u64)chunk - (u64)start);
        nbytes = (u64)end - (u64)start;
        chunk->header = 0;
    }
    if ((u64)end == chunks->top) {
        start->header = 0;
        chunks->top = (u64)start;
        if (chunks->committed_end - (u64)start > most_spare(k)) {
            trim(k, most_kept(k) >> 1);
            if (chunks->release_from < (head & BYTES_MASK) + 1)
                chunks->release_from = (head & BYTES_MASK) + 1;
        }
        return;
    }
    u64 head_behind = checked_head(k, end);
    if (!(head_behind & USED)) {
        leave(k, end, head_behind & BYTES_MASK);
        nbytes += head_behind & BYTES_MASK;
        end->header = 0;
    } else {
        note_previous_free(end);
    }
    write_free(k, start, nbytes);
    bin_insert(k, start, nbytes);
}

static i64 chunk_free(struct kernel *k, u64 ptr) {
    u64 head = used_head(k, ptr);
    if (!head)
        return BAD_FREE;
    k->chunks.used_bytes -= head & BYTES_MASK;
    release(k, chunk_at(ptr - HEADER_BYTES), head);
    return OK;
}

/* ------------------------------------------------------------------ another size */
static bool extend(struct kernel *k, struct chunk *chunk, u64 wanted) {
    struct chunks *chunks = &k->chunks;
    u64 head = checked_head(k, chunk), have = head & BYTES_MASK, more;
    struct chunk *end = after(chunk, have);
    if ((u64)end == chunks->top) {
        if (!has_frames(k, (u64)chunk + wanted))
            return false;
        chunks->top = (u64)chunk + wanted;
        more = wanted - have;
    } else {
        u64 head_behind = checked_head(k, end);
        more = head_behind & BYTES_MASK;
        if ((head_behind & USED) || have + more < wanted)
            return false;
        leave(k, end, more);
        end->header = 0;
        note_previous_used(after(end, more));
    }
    write_used(k, chunk, have + more, head & KEPT);
    chunks->used_bytes += more;
    return true;
}

static void cut_off(struct kernel *k, struct chunk *chunk, u64 wanted) {
    u64 head = checked_head(k, chunk), rest = (head & BYTES_MASK) - wanted;
    if (rest < MIN_CHUNK_BYTES)
        return;
    write_used(k, chunk, wanted, head & KEPT);
    k->chunks.used_bytes -= rest;
    release(k, after(chunk, wanted), rest | USED | PREVIOUS_USED);
}

static bool resize(struct kernel *k, u64 ptr, i64 nbytes) {
    if (nbytes > MAX_BYTES)
        return false;
    struct chunk *chunk = chunk_at(ptr - HEADER_BYTES);
    u64 wanted = chunk_bytes_for(nbytes);
    if (wanted > bytes_of(chunk) && !extend(k, chunk, wanted))
        return false;
    cut_off(k, chunk, wanted);
    return true;
}

static struct chunk *cut_lead(struct kernel *k, struct chunk *chunk, u64 lead) {
    u64 head = checked_head(k, chunk);
    struct chunk *rest = after(chunk, lead);
    write_used(k, rest, (head & BYTES_MASK) - lead, PREVIOUS_USED);
    k->chunks.used_bytes -= lead;
    release(k, chunk, lead | USED | (head & PREVIOUS_USED));
    return rest;
}

static u64 chunk_alloc_aligned(struct kernel *k, i64 alignment, i64 nbytes) {
    if (nbytes > MAX_BYTES || alignment > MAX_BYTES)
        return 0;
    u64 wanted = chunk_bytes_for(nbytes);
    u64 start = take_chunk(k, wanted + alignment + MIN_CHUNK_BYTES);
    if (!start)
        return 0;
    u64 lead = ((start + HEADER_BYTES + alignment - 1) & -alignment) - HEADER_BYTES - start;
    if (0 < lead && lead < MIN_CHUNK_BYTES)
        lead += alignment;
    struct chunk *chunk = chunk_at(start);
    if (lead > 0)
        chunk = cut_lead(k, chunk, lead);
    cut_off(k, chunk, wanted);
    u64 head = checked_head(k, chunk);
    write_used(k, chunk, head & BYTES_MASK, (head & KEPT) | ALIGNED);
    return (u64)chunk + HEADER_BYTES;
}
