/* The heap: first fit over a queue of free chunks, sealed headers, boundary tags, a top. */
#pragma once
#include "pages.h"

#define USED 1UL
#define PREVIOUS_USED 2UL
#define BYTES_MASK 0xFFFFFFF0UL
#define HEAD_MASK 0xFFFFFFFFUL
#define HEAP_SEED 0x5EED1E550B57AC1EUL
#define MIN_CHUNK_BYTES 32L
#define HEADER_BYTES 8
#define FIRST_CHUNK (HEAP + 8)

static void heap_init(struct kernel *k) {
    struct heap *heap = &k->heap;
    k->secret = HEAP_SEED * 6364136223846793005UL + 1442695040888963407UL;
    heap->top = FIRST_CHUNK;
    heap->committed_end = HEAP;
    heap->end = HEAP + HEAP_INITIAL_BYTES;
    heap->used_bytes = 0;
    heap->queue = (struct chunk){BYTES_MASK, &heap->queue, &heap->queue};
}

static inline u64 sealed(struct kernel *k, u64 chunk, u64 head) {
    return ((chunk ^ k->secret) << 32) + head * 0x9E3779B900000001UL;
}

static inline void seal(struct kernel *k, struct chunk *chunk, u64 head) {
    chunk->header = sealed(k, (u64)chunk, head);
}

static inline u64 checked_head(struct kernel *k, struct chunk *chunk) {
    u64 head = chunk->header & HEAD_MASK;
    if (chunk->header != sealed(k, (u64)chunk, head))
        panic();
    return head;
}

static inline struct chunk *chunk_at(void *start, i64 offset) {
    return (struct chunk *)((char *)start + offset);
}

static inline void write_free(struct kernel *k, struct chunk *chunk, u64 nbytes) {
    seal(k, chunk, nbytes | PREVIOUS_USED);
    *((u64 *)chunk_at(chunk, nbytes) - 1) = nbytes;
}

static inline bool can_be_free(struct kernel *k, u64 addr) {
    return (addr & 15) == 8 && HEAP < addr && addr <= k->heap.top - 2 * MIN_CHUNK_BYTES;
}

static inline struct chunk *on_list(struct kernel *k, struct chunk *link) {
    if (link != &k->heap.queue && !can_be_free(k, (u64)link))
        panic();
    return link;
}

static inline struct chunk *following(struct kernel *k, struct chunk *chunk) {
    struct chunk *behind = on_list(k, chunk->next);
    if (behind->previous != chunk)
        panic();
    return behind;
}

static inline void list_remove(struct kernel *k, struct chunk *chunk) {
    struct chunk *behind = following(k, chunk), *previous = on_list(k, chunk->previous);
    if (previous->next != chunk)
        panic();
    behind->previous = previous;
    previous->next = behind;
}

static inline void list_append(struct chunk *queue, struct chunk *chunk) {
    struct chunk *last = queue->previous;
    chunk->next = queue;
    chunk->previous = last;
    last->next = chunk;
    queue->previous = chunk;
}

static i64 commit_page(struct kernel *k, u64 va) {
    i64 frame = alloc_page(k);
    if (frame < 0)
        return frame;
    i64 code = map_page(k, va, frame, PRESENT | WRITABLE | NX);
    if (code != OK)
        free_page(k, frame);
    return code;
}

static __attribute__((noinline)) i64 commit(struct kernel *k, u64 until) {
    struct heap *heap = &k->heap;
    u64 begin = heap->committed_end, end = (until + PAGE_BYTES - 1) & -PAGE_BYTES;
    if (end - HEAP > HEAP_MAX_BYTES)
        return NO_ADDRESSES;
    for (u64 va = begin; va < end; va += PAGE_BYTES) {
        i64 code = commit_page(k, va);
        if (code != OK) {
            while (va > begin) {
                va -= PAGE_BYTES;
                free_page(k, unmap_page(k, va));
            }
            return code;
        }
    }
    heap->committed_end = end;
    if (heap->end < end)
        heap->end = end;
    return OK;
}

static u64 take(struct kernel *k, struct chunk *chunk, u64 nbytes) {
    u64 before = checked_head(k, chunk) & BYTES_MASK;
    u64 rest = before - nbytes;
    struct chunk *behind = chunk_at(chunk, before);
    seal(k, behind, checked_head(k, behind) | PREVIOUS_USED);
    if (rest < MIN_CHUNK_BYTES) {
        list_remove(k, chunk);
        seal(k, chunk, before | USED | PREVIOUS_USED);
        k->heap.used_bytes += before;
        return (u64)chunk;
    }
    write_free(k, chunk, rest);
    struct chunk *used = chunk_at(chunk, rest);
    seal(k, used, nbytes | USED);
    k->heap.used_bytes += nbytes;
    return (u64)used;
}

static u64 carve(struct kernel *k, u64 nbytes) {
    struct heap *heap = &k->heap;
    u64 chunk = heap->top, end = chunk + nbytes;
    if (end > heap->committed_end && commit(k, end) != OK)
        return 0;
    seal(k, (struct chunk *)chunk, nbytes | USED | PREVIOUS_USED);
    heap->top = end;
    heap->used_bytes += nbytes;
    return chunk;
}

static u64 kmalloc(struct kernel *k, i64 nbytes) {
    if (nbytes <= 0 || nbytes > HEAP_MAX_BYTES)
        return 0;
    i64 chunk_bytes = (nbytes + HEADER_BYTES + 15) & -16;
    if (chunk_bytes < MIN_CHUNK_BYTES)
        chunk_bytes = MIN_CHUNK_BYTES;
    struct chunk *free = following(k, &k->heap.queue);
    while ((i64)(free->header & BYTES_MASK) < chunk_bytes)
        free = following(k, free);
    u64 chunk;
    if (free != &k->heap.queue) {
        chunk = take(k, free, chunk_bytes);
    } else {
        chunk = carve(k, chunk_bytes);
        if (chunk == 0)
            return 0;
    }
    return chunk + HEADER_BYTES;
}

static bool is_free_before(struct kernel *k, struct chunk *chunk, u64 nbytes) {
    if ((nbytes & 15) || (i64)nbytes < MIN_CHUNK_BYTES || (i64)nbytes >= (i64)((u64)chunk - HEAP))
        return false;
    struct chunk *before = chunk_at(chunk, -nbytes);
    return before->header == sealed(k, (u64)before, nbytes | PREVIOUS_USED);
}

static struct chunk *chunk_before(struct kernel *k, struct chunk *chunk) {
    u64 nbytes = *((u64 *)chunk - 1);
    if (!is_free_before(k, chunk, nbytes))
        panic();
    return chunk_at(chunk, -nbytes);
}

static void join_top(struct kernel *k, struct chunk *chunk, u64 head) {
    struct chunk *start = chunk;
    if (!(head & PREVIOUS_USED)) {
        start = chunk_before(k, chunk);
        list_remove(k, start);
        start->header = 0;
    }
    chunk->header = 0;
    k->heap.top = (u64)start;
}

static u64 absorb_next(struct kernel *k, struct chunk *behind) {
    u64 head = checked_head(k, behind);
    if (head & USED) {
        seal(k, behind, head & ~PREVIOUS_USED);
        return 0;
    }
    list_remove(k, behind);
    behind->header = 0;
    return head & BYTES_MASK;
}

static void join_neighbours(struct kernel *k, struct chunk *chunk, u64 head, u64 bytes_behind) {
    u64 nbytes = (head & BYTES_MASK) + bytes_behind;
    if (!(head & PREVIOUS_USED)) {
        struct chunk *before = chunk_before(k, chunk);
        chunk->header = 0;
        write_free(k, before, (u64)chunk - (u64)before + nbytes);
    } else {
        write_free(k, chunk, nbytes);
        list_append(&k->heap.queue, chunk);
    }
}

static i64 kfree(struct kernel *k, u64 ptr) {
    if (ptr == 0)
        return OK;
    struct heap *heap = &k->heap;
    if ((ptr & 15) || ptr <= FIRST_CHUNK || ptr > heap->top)
        return BAD_FREE;
    struct chunk *chunk = (struct chunk *)(ptr - HEADER_BYTES);
    u64 head = chunk->header & HEAD_MASK;
    if (!(head & USED) || chunk->header != sealed(k, (u64)chunk, head))
        return BAD_FREE;
    heap->used_bytes -= head & BYTES_MASK;
    struct chunk *end = chunk_at(chunk, head & BYTES_MASK);
    if ((u64)end == heap->top)
        join_top(k, chunk, head);
    else
        join_neighbours(k, chunk, head, absorb_next(k, end));
    return OK;
}
