"""The heap: `kmalloc` and its kin over ranges of addresses that get frames as they need them.

front is the interface; the configuration picks the design behind it: first_fit, or size_classes with slab and dlmalloc.
"""

from .front import (
    check,
    committed_bytes,
    free_bytes,
    init,
    kcalloc,
    kfree,
    kmalloc,
    kmalloc_usable_size,
    kmemalign,
    krealloc,
    kzalloc,
    owns,
    shrink,
    used_bytes,
)

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
