"""The heap: `kmalloc` and its kin over ranges of addresses that get frames as they need them, and caches of objects.

front is kmalloc; designs picks what the configuration names: first fit, or size_classes with slab/ and chunk/. Between
the two, harden/ finds mistakes where the configuration says so. caches has the caches, lifecycle what is about all of
the heap, report/ what it can tell.
"""

from .caches import cache_alloc, cache_create, cache_destroy, cache_free, cache_keep, cache_shrink
from .designs import committed_bytes, free_bytes, owns
from .front import (
    alignment_of,
    kcalloc,
    kcalloc_at,
    kfree,
    kfree_at,
    kmalloc,
    kmalloc_at,
    kmalloc_usable_size,
    kmemalign,
    kmemalign_at,
    krealloc,
    krealloc_at,
    kzalloc,
    kzalloc_at,
)
from .lifecycle import check, find_damage, init, shrink, used_bytes

__all__ = [
    'alignment_of',
    'cache_alloc',
    'cache_create',
    'cache_destroy',
    'cache_free',
    'cache_keep',
    'cache_shrink',
    'check',
    'committed_bytes',
    'find_damage',
    'free_bytes',
    'init',
    'kcalloc',
    'kcalloc_at',
    'kfree',
    'kfree_at',
    'kmalloc',
    'kmalloc_at',
    'kmalloc_usable_size',
    'kmemalign',
    'kmemalign_at',
    'krealloc',
    'krealloc_at',
    'kzalloc',
    'kzalloc_at',
    'owns',
    'shrink',
    'used_bytes',
]
