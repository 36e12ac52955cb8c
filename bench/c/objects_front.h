/* kmalloc and kin: slabs for small requests and chunks for others, or chunks for all. */
#pragma once
#include "objects_chunks.h"
#include "objects_slabs.h"

#define SMALL_BYTES 1024
#define KMALLOC_MAX_BYTES (1L << 38)

static u64 class_bytes(u64 number) {
    if (number < 16)
        return (number + 1) * 16;
    if (number < 24)
        return 256 + (number - 15) * 32;
    if (number < 32)
        return 512 + (number - 23) * 64;
    if (number < 40)
        return 1024 + (number - 31) * 128;
    return 2048 + (number - 39) * 256;
}

static void heap_init(struct kernel *k) {
    k->hardening.secret = HEAP_SEED * 6364136223846793005UL + 1442695040888963407UL;
    dlmalloc_init(k, HEAP, RANGE_BYTES);
    area_init(k, SLAB_RECORDS, SLABS, RANGE_BYTES);
    u64 last = 0;
    for (u64 number = 0; number < NR_CLASSES; number++) {
        u64 nbytes = class_bytes(number);
        cache_init(&k->slabs.caches[number], nbytes, ALIGNMENT);
        for (u64 index = last + 1; index <= nbytes / ALIGNMENT; index++)
            k->slabs.class_of[index] = number;
        last = nbytes / ALIGNMENT;
    }
    k->slabs.class_of[0] = 0;
}

static inline struct cache *cache_for(struct kernel *k, i64 nbytes) {
    return &k->slabs.caches[k->slabs.class_of[(nbytes + ALIGNMENT - 1) >> 4]];
}

static inline bool is_of_chunks(u64 ptr) {
    return ptr - HEAP < RANGE_BYTES;
}

static u64 kmalloc(struct kernel *k, i64 nbytes) {
#if DESIGN == KMALLOC
    if ((u64)nbytes - 1 < SMALL_BYTES)
        return slab_take(k, cache_for(k, nbytes));
#endif
    return nbytes <= 0 ? 0 : chunk_alloc(k, nbytes);
}

static i64 kfree(struct kernel *k, u64 ptr) {
#if DESIGN == KMALLOC
    if (slabs_have(k, ptr))
        return slab_put(k, ptr);
#endif
    if (ptr == 0)
        return OK;
    return is_of_chunks(ptr) ? chunk_free(k, ptr) : BAD_FREE;
}

static u64 usable_bytes(struct kernel *k, u64 ptr) {
#if DESIGN == KMALLOC
    if (slabs_have(k, ptr))
        return slab_usable_bytes(k, ptr);
#endif
    u64 nbytes = is_of_chunks(ptr) ? used_head(k, ptr) & BYTES_MASK : 0;
    return nbytes ? nbytes - HEADER_BYTES : 0;
}

static inline bool is_aligned(struct kernel *k, u64 ptr) {
#if DESIGN == KMALLOC
    if (slabs_have(k, ptr))
        return false;
#endif
    (void)k;
    return chunk_at(ptr - HEADER_BYTES)->header & ALIGNED;
}

static bool fits_in_place(struct kernel *k, u64 ptr, u64 have, i64 nbytes) {
#if DESIGN == KMALLOC
    if (slabs_have(k, ptr))
        return nbytes <= SMALL_BYTES && cache_for(k, nbytes)->object_bytes == have;
    if (nbytes <= SMALL_BYTES && !is_aligned(k, ptr))
        return false;
#endif
    (void)have;
    return resize(k, ptr, nbytes);
}

static u64 kmemalign(struct kernel *k, i64 alignment, i64 nbytes) {
    if (alignment <= 0 || (alignment & (alignment - 1)))
        return 0;
    if (alignment <= (i64)ALIGNMENT)
        return kmalloc(k, nbytes);
    return nbytes <= 0 ? 0 : chunk_alloc_aligned(k, alignment, nbytes);
}

static u64 krealloc(struct kernel *k, u64 ptr, i64 nbytes) {
    if (ptr == 0)
        return kmalloc(k, nbytes);
    if (nbytes == 0) {
        kfree(k, ptr);
        return 0;
    }
    u64 have = usable_bytes(k, ptr);
    if (have == 0 || nbytes < 0)
        return 0;
    if (fits_in_place(k, ptr, have, nbytes))
        return ptr;
    u64 new = kmemalign(k, is_aligned(k, ptr) ? ptr & -ptr : 1, nbytes);
    if (new != 0) {
        copy(new, ptr, have < (u64)nbytes ? have : (u64)nbytes);
        kfree(k, ptr);
    }
    return new;
}
