"""The heap: `kmalloc` and its kin over ranges of addresses that get frames as they need them.

front is the interface; designs picks what the configuration names: first_fit, or size_classes with slab and dlmalloc.
"""

from .designs import check, committed_bytes, free_bytes, init, owns, shrink, used_bytes
from .front import kcalloc, kfree, kmalloc, kmalloc_usable_size, kmemalign, krealloc, kzalloc

__all__ = [
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
