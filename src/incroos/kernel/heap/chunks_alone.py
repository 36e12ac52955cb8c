"""A heap that serves all requests with chunks by best fit, but for the largest.

The text is that of size_classes.py, which asks these constants.
"""

from typing import Final

from incroos.kernel.config import HEAP_STATE_BYTES
from incroos.kernel.heap.size_classes import alignment_of as alignment_of
from incroos.kernel.heap.size_classes import alloc as alloc
from incroos.kernel.heap.size_classes import alloc_aligned as alloc_aligned
from incroos.kernel.heap.size_classes import bring_large as bring_large
from incroos.kernel.heap.size_classes import check as check
from incroos.kernel.heap.size_classes import committed_bytes as committed_bytes
from incroos.kernel.heap.size_classes import cost_of as cost_of
from incroos.kernel.heap.size_classes import fits_in_place as fits_in_place
from incroos.kernel.heap.size_classes import free as free
from incroos.kernel.heap.size_classes import free_bytes as free_bytes
from incroos.kernel.heap.size_classes import grow_large as grow_large
from incroos.kernel.heap.size_classes import init as init
from incroos.kernel.heap.size_classes import owns as owns
from incroos.kernel.heap.size_classes import shrink as shrink
from incroos.kernel.heap.size_classes import unused_from as unused_from
from incroos.kernel.heap.size_classes import usable_bytes as usable_bytes
from incroos.kernel.heap.size_classes import used_bytes as used_bytes

STATE_BYTES: Final = HEAP_STATE_BYTES
HAS_SLABS: Final = False
HAS_CHUNKS: Final = True
HAS_WHOLE_PAGES: Final = False
HAS_FIRST_FIT: Final = False
HAS_FIGURES: Final = True
NEEDS_MODERN_SPACE: Final = True
