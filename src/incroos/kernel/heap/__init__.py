"""The heap: `kmalloc` and its kin over ranges of addresses that get frames as they need them, and caches of objects.

kmalloc.py has the names for the kernel's own heap, front.py the same for any heap. The configuration names the design
behind them: first fit, size_classes with slab/ and chunk/, or a file outside of the package (designs.py). Between the
two, harden/ finds mistakes where the configuration says so. caches has the caches, lifecycle what is about all of the
heap, report/ what it can tell.
"""

from .kmalloc import (
    cache_alloc,
    cache_create,
    cache_destroy,
    cache_free,
    cache_keep,
    cache_shrink,
    check,
    committed_bytes,
    find_damage,
    free_bytes,
    init,
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
    owns,
    record_bytes,
    shrink,
    used_bytes,
)

__all__ = [
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
    'record_bytes',
    'shrink',
    'used_bytes',
]
