/* Chunks and bins: sealed headers, lists of one size, tries by the bits of the size. */
#pragma once
#include "objects.h"

#define ALIGNMENT 16UL
#define HEADER_BYTES 8UL
#define MIN_CHUNK_BYTES 32UL
#define FIRST_CHUNK 8UL
#define USED 1UL
#define PREVIOUS_USED 2UL
#define ALIGNED 4UL
#define HEAD_MASK ((1UL << 40) - 1)
#define BYTES_MASK (HEAD_MASK & -ALIGNMENT)
#define SEAL 0x9E37790000000001UL

#define FIRST_TREE_SHIFT 10
#define FIRST_TREE_BYTES (1UL << FIRST_TREE_SHIFT)
#define LAST_TREE (NR_TREE_BINS - 1)
#define KEY_BITS 40

/* ------------------------------------------------------------------ chunks */
static inline u64 sealed(struct kernel *k, u64 chunk, u64 head) {
    if (HARDENING == OFF)
        return head;
    return (head & ~PREVIOUS_USED) * SEAL + (((chunk ^ k->hardening.secret) << 40) + (head & PREVIOUS_USED));
}

static inline struct chunk *chunk_at(u64 addr) {
    return (struct chunk *)addr;
}

static inline struct chunk *after(struct chunk *chunk, u64 nbytes) {
    return chunk_at((u64)chunk + nbytes);
}

static inline u64 chunk_bytes_for(u64 nbytes) {
    u64 wanted = (nbytes + HEADER_BYTES + ALIGNMENT - 1) & -ALIGNMENT;
    return wanted < MIN_CHUNK_BYTES ? MIN_CHUNK_BYTES : wanted;
}

static inline u64 bytes_of(const struct chunk *chunk) {
    return chunk->header & BYTES_MASK;
}

static inline u64 checked_head(struct kernel *k, struct chunk *chunk) {
    u64 head = chunk->header & HEAD_MASK;
    if (HARDENING != OFF && chunk->header != sealed(k, (u64)chunk, head))
        panic();
    return head;
}

static inline void write_used(struct kernel *k, struct chunk *chunk, u64 nbytes, u64 flags) {
    chunk->header = sealed(k, (u64)chunk, nbytes | USED | flags);
}

static inline void write_free(struct kernel *k, struct chunk *chunk, u64 nbytes) {
    chunk->header = sealed(k, (u64)chunk, nbytes | PREVIOUS_USED);
    *((u64 *)after(chunk, nbytes) - 1) = nbytes;
}

static inline void note_previous_used(struct chunk *chunk) {
    chunk->header |= PREVIOUS_USED;
}

static inline void note_previous_free(struct chunk *chunk) {
    chunk->header &= ~PREVIOUS_USED;
}

static inline bool is_free_before(struct kernel *k, struct chunk *chunk, u64 nbytes) {
    if ((nbytes & (ALIGNMENT - 1)) || (i64)nbytes < (i64)MIN_CHUNK_BYTES ||
        (i64)nbytes > (i64)((u64)chunk - k->chunks.start - FIRST_CHUNK))
        return false;
    struct chunk *before = chunk_at((u64)chunk - nbytes);
    return before->header == sealed(k, (u64)before, nbytes | PREVIOUS_USED);
}

static inline struct chunk *chunk_before(struct kernel *k, struct chunk *chunk) {
    u64 nbytes = *((u64 *)chunk - 1);
    if (HARDENING != OFF && !is_free_before(k, chunk, nbytes))
        panic();
    return chunk_at((u64)chunk - nbytes);
}

/* ------------------------------------------------------------------ links */
#define MAX_DEPTH 64

static inline struct chunk *masked(struct kernel *k, const struct chunk *chunk, struct chunk *link) {
    return HARDENING == OFF ? link : chunk_at((u64)link ^ k->hardening.secret ^ (u64)chunk);
}

static inline struct chunk *linked(struct kernel *k, struct chunk *link) {
    if (HARDENING != OFF && (u64)link - k->chunks.start >= k->chunks.reach_bytes)
        panic();
    return link;
}

static inline void require_end(u64 depth) {
    if (HARDENING != OFF && depth > MAX_DEPTH)
        panic();
}

static inline void require_link(struct kernel *k, const struct chunk *chunk, struct chunk *stored,
                                const struct chunk *wanted) {
    if (HARDENING != OFF && masked(k, chunk, stored) != wanted)
        panic();
}

/* ------------------------------------------------------------------ bins */
static void bins_init(struct bins *bins) {
    *bins = (struct bins){0};
}

static inline u64 tree_index(u64 nbytes) {
    u64 shift = 63 - __builtin_clzl(nbytes);
    u64 index = (shift - FIRST_TREE_SHIFT) * 2 + (nbytes >> (shift - 1) & 1);
    return index < LAST_TREE ? index : LAST_TREE;
}

static inline u64 key_of(u64 nbytes, u64 index) {
    return index == LAST_TREE ? nbytes << (64 - KEY_BITS) : nbytes << ((65 - FIRST_TREE_SHIFT - (index >> 1)) & 63);
}

static inline void insert_small(struct kernel *k, struct chunk *chunk, u64 index) {
    struct bins *bins = &k->chunks.bins;
    struct chunk *first = bins->small[index];
    chunk->next = masked(k, chunk, first);
    chunk->previous = masked(k, chunk, NULL);
    if (first)
        first->previous = masked(k, first, chunk);
    bins->small[index] = chunk;
    bins->small_map |= 1UL << (index & 63);
}

static inline void remove_small(struct kernel *k, struct chunk *chunk, u64 index) {
    struct bins *bins = &k->chunks.bins;
    struct chunk *next = masked(k, chunk, chunk->next), *previous = masked(k, chunk, chunk->previous);
    if (next) {
        struct chunk *following = linked(k, next);
        require_link(k, following, following->previous, chunk);
        following->previous = masked(k, following, previous);
    }
    if (previous) {
        struct chunk *before = linked(k, previous);
        require_link(k, before, before->next, chunk);
        before->next = masked(k, before, next);
        return;
    }
    if (HARDENING != OFF && bins->small[index] != chunk)
        panic();
    bins->small[index] = next;
    if (!next)
        bins->small_map &= ~(1UL << (index & 63));
}

static inline void remove_first(struct kernel *k, struct chunk *chunk, u64 index) {
    struct bins *bins = &k->chunks.bins;
    struct chunk *next = masked(k, chunk, chunk->next);
    bins->small[index] = next;
    if (!next) {
        bins->small_map &= ~(1UL << (index & 63));
        return;
    }
    struct chunk *following = linked(k, next);
    require_link(k, following, following->previous, chunk);
    following->previous = masked(k, following, NULL);
}

static void join_ring(struct kernel *k, struct chunk *node, struct chunk *chunk) {
    struct chunk *following = linked(k, masked(k, node, node->next));
    require_link(k, following, following->previous, node);
    chunk->parent = masked(k, chunk, NULL);
    chunk->next = masked(k, chunk, following);
    chunk->previous = masked(k, chunk, node);
    following->previous = masked(k, following, chunk);
    node->next = masked(k, node, chunk);
}

static void insert_large(struct kernel *k, struct chunk *chunk, u64 nbytes) {
    struct bins *bins = &k->chunks.bins;
    u64 index = tree_index(nbytes), depth = 0;
    struct chunk *none = masked(k, chunk, NULL), *itself = masked(k, chunk, chunk);
    chunk->left = none;
    chunk->right = none;
    chunk->next = itself;
    chunk->previous = itself;
    if (!bins->trees[index]) {
        bins->trees[index] = chunk;
        bins->tree_map |= 1UL << index;
        chunk->parent = itself;
        return;
    }
    u64 key = key_of(nbytes, index);
    struct chunk *node = bins->trees[index], *parent = node;
    while (bytes_of(node) != nbytes) {
        struct chunk *child = masked(k, node, (i64)key < 0 ? node->right : node->left);
        if (!child) {
            require_link(k, node, node->parent, parent);
            if ((i64)key < 0)
                node->right = masked(k, node, chunk);
            else
                node->left = masked(k, node, chunk);
            chunk->parent = masked(k, chunk, node);
            return;
        }
        key <<= 1;
        parent = node;
        node = linked(k, child);
        require_end(++depth);
    }
    require_link(k, node, node->parent, parent);
    join_ring(k, node, chunk);
}

static void leave_ring(struct kernel *k, struct chunk *chunk, struct chunk *following) {
    struct chunk *previous = linked(k, masked(k, chunk, chunk->previous));
    require_link(k, following, following->previous, chunk);
    require_link(k, previous, previous->next, chunk);
    following->previous = masked(k, following, previous);
    previous->next = masked(k, previous, following);
}

static inline void replace_child(struct kernel *k, struct chunk *parent, struct chunk *chunk, struct chunk *heir) {
    if (masked(k, parent, parent->right) == chunk) {
        parent->right = masked(k, parent, heir);
    } else {
        require_link(k, parent, parent->left, chunk);
        parent->left = masked(k, parent, heir);
    }
}

static inline struct chunk *child_of(struct kernel *k, const struct chunk *node) {
    struct chunk *right = masked(k, node, node->right);
    return right ? right : masked(k, node, node->left);
}

static struct chunk *cut_leaf(struct kernel *k, struct chunk *chunk) {
    struct chunk *parent = chunk, *link = child_of(k, chunk);
    if (!link)
        return NULL;
    struct chunk *leaf = linked(k, link);
    u64 depth = 0;
    while ((link = child_of(k, leaf))) {
        parent = leaf;
        leaf = linked(k, link);
        require_end(++depth);
    }
    require_link(k, leaf, leaf->parent, parent);
    replace_child(k, parent, leaf, NULL);
    return leaf;
}

static inline void adopt_child(struct kernel *k, struct chunk *node, struct chunk *chunk, struct chunk *child) {
    require_link(k, child, child->parent, chunk);
    child->parent = masked(k, child, node);
}

static void adopt(struct kernel *k, struct chunk *node, struct chunk *chunk) {
    struct chunk *left = masked(k, chunk, chunk->left), *right = masked(k, chunk, chunk->right);
    node->left = masked(k, node, left);
    node->right = masked(k, node, right);
    if (left)
        adopt_child(k, node, chunk, linked(k, left));
    if (right)
        adopt_child(k, node, chunk, linked(k, right));
}

static void replace(struct kernel *k, struct chunk *chunk, struct chunk *heir, u64 index) {
    struct bins *bins = &k->chunks.bins;
    struct chunk *parent = masked(k, chunk, chunk->parent);
    bool is_root = parent == chunk;
    if (is_root) {
        if (HARDENING != OFF && bins->trees[index] != chunk)
            panic();
        bins->trees[index] = heir;
        if (!heir)
            bins->tree_map &= ~(1UL << index);
    } else {
        replace_child(k, linked(k, parent), chunk, heir);
    }
    if (heir) {
        heir->parent = masked(k, heir, is_root ? heir : parent);
        adopt(k, heir, chunk);
    }
}

static void remove_large(struct kernel *k, struct chunk *chunk, u64 nbytes) {
    struct chunk *heir = masked(k, chunk, chunk->next);
    if (heir != chunk) {
        leave_ring(k, chunk, linked(k, heir));
        if (!masked(k, chunk, chunk->parent))
            return;
    } else {
        heir = cut_leaf(k, chunk);
    }
    replace(k, chunk, heir, tree_index(nbytes));
}

static inline void bin_insert(struct kernel *k, struct chunk *chunk, u64 nbytes) {
    if (nbytes < FIRST_TREE_BYTES)
        insert_small(k, chunk, nbytes >> 4);
    else
        insert_large(k, chunk, nbytes);
}

static inline void bin_remove(struct kernel *k, struct chunk *chunk, u64 nbytes) {
    if (nbytes < FIRST_TREE_BYTES)
        remove_small(k, chunk, nbytes >> 4);
    else
        remove_large(k, chunk, nbytes);
}

/* ------------------------------------------------------------------ the best fit */
static inline struct chunk *find_small(struct kernel *k, u64 nbytes) {
    struct bins *bins = &k->chunks.bins;
    u64 suitable = shift_right(bins->small_map, nbytes >> 4);
    return suitable ? bins->small[(nbytes >> 4) + __builtin_ctzl(suitable)] : NULL;
}

static inline struct chunk *left_or_right(struct kernel *k, const struct chunk *node) {
    struct chunk *left = masked(k, node, node->left);
    return left ? left : masked(k, node, node->right);
}

static struct chunk *find_least(struct kernel *k, u64 index) {
    struct chunk *node = k->chunks.bins.trees[index], *best = node, *link;
    u64 best_bytes = bytes_of(node), depth = 0;
    while ((link = left_or_right(k, node))) {
        node = linked(k, link);
        u64 nbytes = bytes_of(node);
        if (nbytes < best_bytes) {
            best = node;
            best_bytes = nbytes;
        }
        require_end(++depth);
    }
    return best;
}

static struct chunk *find_in_trie(struct kernel *k, u64 index, u64 nbytes) {
    struct chunk *best = NULL, *larger = NULL, *link = k->chunks.bins.trees[index];
    u64 best_bytes = BYTES_MASK, key = key_of(nbytes, index), depth = 0;
    while (link) {
        struct chunk *node = linked(k, link);
        u64 size = bytes_of(node);
        if (nbytes <= size && size < best_bytes) {
            best = link;
            best_bytes = size;
            if (size == nbytes)
                return best;
        }
        struct chunk *right = masked(k, node, node->right);
        if ((i64)key < 0) {
            link = right;
        } else {
            if (right)
                larger = right;
            link = masked(k, node, node->left);
        }
        key <<= 1;
        require_end(++depth);
    }
    while (larger) {
        struct chunk *node = linked(k, larger);
        u64 size = bytes_of(node);
        if (nbytes <= size && size < best_bytes) {
            best = larger;
            best_bytes = size;
        }
        larger = left_or_right(k, node);
        require_end(++depth);
    }
    return best;
}

static struct chunk *find_large(struct kernel *k, u64 nbytes) {
    u64 first = 0;
    if (nbytes >= FIRST_TREE_BYTES) {
        first = tree_index(nbytes);
        struct chunk *best = find_in_trie(k, first, nbytes);
        if (best)
            return best;
        if (++first == NR_TREE_BINS)
            return best;
    }
    u64 suitable = k->chunks.bins.tree_map >> first;
    return suitable ? find_least(k, first + __builtin_ctzl(suitable)) : NULL;
}

static inline struct chunk *mate_of(struct kernel *k, struct chunk *chunk) {
    return bytes_of(chunk) >= FIRST_TREE_BYTES ? linked(k, masked(k, chunk, chunk->next)) : chunk;
}
