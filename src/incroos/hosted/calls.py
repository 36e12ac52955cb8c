"""What C calls of a heap in a process, and what programs call: the one table of it.

The shim (build/heap_shim.c) reaches the kernel functions by the names in the first column of prototypes, and offers
those of the second, whose comments in incro_heap.h are the docstrings.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from incroos.hosted import figures, pool
from incroos.hosted import malloc as front


class Row(NamedTuple):
    """A kernel function."""

    function: Callable[..., Any]
    shim: str  # its prototype for the shim, where a word is int64_t
    offered: str = ''  # that of the function which the shim makes of it; empty where it makes none


CALLS: Final = (
    Row(
        pool.init,
        'void incro_k_init(struct pool *pool, word base, word slot_bytes, word nr_slots, word nr_wide, word *holders)',
    ),
    Row(pool.get, 'struct heap *incro_k_get(struct pool *pool, word process)'),
    Row(
        pool.exchange,
        'struct heap *incro_k_exchange(struct pool *pool, struct heap *ptr, word alignment, word nbytes, word process)',
    ),
    Row(pool.enter_shared, 'struct heap *incro_k_enter_shared(struct pool *pool, word process)'),
    Row(pool.leave_shared, 'void incro_k_leave_shared(struct heap *own)'),
    Row(
        pool.after_fork_in_child,
        'void incro_k_after_fork_in_child(struct pool *pool, struct heap *own, word parent, word process)',
    ),
    Row(
        front.malloc,
        'void *incro_k_malloc(struct heap *own, word nbytes, word site)',
        'void *incro_malloc(size_t nbytes)',
    ),
    Row(
        front.free,
        'void incro_k_free(struct heap *own, void *ptr, word site)',
        'void incro_free(void *ptr)',
    ),
    Row(
        front.calloc,
        'void *incro_k_calloc(struct heap *own, word nr_items, word item_bytes, word site)',
        'void *incro_calloc(size_t nr_items, size_t item_bytes)',
    ),
    Row(
        front.realloc,
        'void *incro_k_realloc(struct heap *own, void *ptr, word nbytes, word site)',
        'void *incro_realloc(void *ptr, size_t nbytes)',
    ),
    Row(
        front.memalign,
        'void *incro_k_memalign(struct heap *own, word alignment, word nbytes, word site)',
        'void *incro_memalign(size_t alignment, size_t nbytes)',
    ),
    Row(
        front.usable_bytes,
        'word incro_k_usable_bytes(struct heap *own, void *ptr)',
        'size_t incro_malloc_usable_size(void *ptr)',
    ),
    Row(front.trim, 'word incro_k_trim(struct heap *own)', 'size_t incro_malloc_trim(void)'),
    Row(front.give_back, 'word incro_k_give_back(struct pool *p, void *ptr)'),
    Row(front.trim_others, 'word incro_k_trim_others(struct pool *p, word process)'),
    Row(
        figures.count,
        'word incro_k_count(struct pool *p, word number, struct heap *own, struct figures *figures)',
    ),
    Row(front.check, 'word incro_k_check(struct heap *own)', 'int incro_malloc_check(void)'),
    Row(front.leave, 'void incro_k_leave(struct heap *own)'),
)
