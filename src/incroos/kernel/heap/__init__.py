"""The heap: `kmalloc` and its kin over ranges of addresses that get frames as they need them, and caches of objects.

front is kmalloc; designs picks what the configuration names: first_fit, or size_classes with slab and dlmalloc. caches
has the caches.
"""

from .caches import cache_alloc, cache_create, cache_destroy, cache_free, cache_keep, cache_shrink
from .designs import committed_bytes, free_bytes, owns, used_bytes
from .front import alignment_of, kcalloc, kfree, kmalloc, kmalloc_usable_size, kmemalign, krealloc, kzalloc
from .whole import check, init, shrink

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
    'free_bytes',
    'init',
    'kcalloc',
    'kfree',
    'kmalloc',
    'kmalloc_usable_size',
    'kmemalign',
    'krealloc',
    'kzalloc',
    'owns',
    'shrink',
    'used_bytes',
]
