"""The heap: `kmalloc` and `kfree` over a range of addresses that gets frames as it needs them.

One design per file, all with the functions below. First fit is the one there is, and every configuration has it.
"""

from .first_fit import check, free_bytes, init, kfree, kmalloc, used_bytes

__all__ = ['check', 'free_bytes', 'init', 'kfree', 'kmalloc', 'used_bytes']
