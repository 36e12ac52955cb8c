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

static inline struct chunk *chunk_before(struct kernel *k, struct chunk *chunk) {
    u64 nbytes = *((u64 *)chunk - 1);
    struct chunk *before = chunk_at((u64)chunk - nbytes);
    if (HARDENING != OFF && before->header != sealed(k, (u64)before, nbytes | PREVIOUS_USED))
        panic();
    return before;
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

static inline void require_link(const struct chunk *link, const struct chunk *chunk) {
    if (link != chunk)
        panic();
}

static inline void insert_small(struct kernel *k, struct chunk *chunk, u64 index) {
    struct bins *bins = &k->chunks.bins;
    struct chunk *first = bins->small[index];
    chunk->next = first;
    chunk->previous = NULL;
    if (first)
        first->previous = chunk;
    bins->small[index] = chunk;
    bins->small_map |= 1UL << (index & 63);
}

static inline void remove_small(struct kernel *k, struct chunk *chunk, u64 index) {
    struct bins *bins = &k->chunks.bins;
    if (chunk->next) {
        require_link(chunk->next->previous, chunk);
        chunk->next->previous = chunk->previous;
    }
    if (chunk->previous) {
        require_link(chunk->previous->next, chunk);
        chunk->previous->next = chunk->next;
        return;
    }
    require_link(bins->small[index], chunk);
    bins->small[index] = chunk->next;
    if (!chunk->next)
        bins->small_map &= ~(1UL << (index & 63));
}

static void join_ring(struct chunk *node, struct chunk *chunk) {
    struct chunk *following = node->next;
    chunk->parent = NULL;
    chunk->next = following;
    chunk->previous = node;
    following->previous = chunk;
    node->next = chunk;
}

static void insert_large(struct kernel *k, struct chunk *chunk, u64 nbytes) {
    struct bins *bins = &k->chunks.bins;
    u64 index = tree_index(nbytes);
    chunk->left = NULL;
    chunk->right = NULL;
    chunk->next = chunk;
    chunk->previous = chunk;
    if (!bins->trees[index]) {
        bins->trees[index] = chunk;
        bins->tree_map |= 1UL << index;
        chunk->parent = chunk;
        return;
    }
    u64 key = key_of(nbytes, index);
    struct chunk *node = bins->trees[index];
    while (bytes_of(node) != nbytes) {
        struct chunk *child = (i64)key < 0 ? node->right : node->left;
        if (!child) {
            if ((i64)key < 0)
                node->right = chunk;
            else
                node->left = chunk;
            chunk->parent = node;
            return;
        }
        key <<= 1;
        node = child;
    }
    join_ring(node, chunk);
}

static void leave_ring(struct chunk *chunk) {
    struct chunk *following = chunk->next, *previous = chunk->previous;
    require_link(following->previous, chunk);
    require_link(previous->next, chunk);
    following->previous = previous;
    previous->next = following;
}

static inline struct chunk *child_of(const struct chunk *node) {
    return node->right ? node->right : node->left;
}

static struct chunk *cut_leaf(struct chunk *chunk) {
    struct chunk *node = chunk, *child;
    while ((child = child_of(node))) {
        require_link(child->parent, node);
        node = child;
    }
    if (node->parent->right == node)
        node->parent->right = NULL;
    else
        node->parent->left = NULL;
    return node;
}

static void adopt(struct chunk *node, const struct chunk *chunk) {
    node->left = chunk->left;
    node->right = chunk->right;
    if (node->left)
        node->left->parent = node;
    if (node->right)
        node->right->parent = node;
}

static void replace(struct kernel *k, struct chunk *chunk, struct chunk *heir, u64 index) {
    struct bins *bins = &k->chunks.bins;
    bool is_root = chunk->parent == chunk;
    if (is_root) {
        require_link(bins->trees[index], chunk);
        bins->trees[index] = heir;
        if (!heir)
            bins->tree_map &= ~(1UL << index);
    } else {
        struct chunk *parent = chunk->parent;
        if (parent->right == chunk) {
            parent->right = heir;
        } else {
            require_link(parent->left, chunk);
            parent->left = heir;
        }
    }
    if (heir) {
        heir->parent = is_root ? heir : chunk->parent;
        adopt(heir, chunk);
    }
}

static void remove_large(struct kernel *k, struct chunk *chunk, u64 nbytes) {
    struct chunk *heir = NULL;
    if (chunk->next != chunk) {
        heir = chunk->next;
        leave_ring(chunk);
        if (!chunk->parent)
            return;
    } else if (chunk->right || chunk->left) {
        heir = cut_leaf(chunk);
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

static struct chunk *find_least(struct kernel *k, u64 index) {
    struct chunk *node = k->chunks.bins.trees[index], *best = node;
    u64 best_bytes = 0;
    while (node) {
        u64 nbytes = bytes_of(node);
        if (best_bytes == 0 || nbytes < best_bytes) {
            best = node;
            best_bytes = nbytes;
        }
        node = node->left ? node->left : node->right;
    }
    return best;
}

static struct chunk *find_in_trie(struct kernel *k, u64 index, u64 nbytes) {
    struct chunk *best = NULL, *larger = NULL, *node = k->chunks.bins.trees[index];
    u64 best_bytes = BYTES_MASK, key = key_of(nbytes, index);
    while (node) {
        u64 size = bytes_of(node);
        if (nbytes <= size && size < best_bytes) {
            best = node;
            best_bytes = size;
            if (size == nbytes)
                return best;
        }
        if ((i64)key < 0) {
            node = node->right;
        } else {
            if (node->right)
                larger = node->right;
            node = node->left;
        }
        key <<= 1;
    }
    while (larger) {
        u64 size = bytes_of(larger);
        if (nbytes <= size && size < best_bytes) {
            best = larger;
            best_bytes = size;
        }
        larger = larger->left ? larger->left : larger->right;
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

static inline struct chunk *mate_of(struct chunk *chunk) {
    return bytes_of(chunk) >= FIRST_TREE_BYTES ? chunk->next : chunk;
}
