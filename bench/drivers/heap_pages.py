"""Pages of a heap that is measured: memory is there when it is touched, at the addresses of the configuration."""

from typing import Final

from incroos.kernel.codes import OK
from incroos.kernel.heap.page_defaults import CAN_MOVE as CAN_MOVE
from incroos.kernel.heap.page_defaults import HAS_HOLES as HAS_HOLES
from incroos.kernel.heap.page_defaults import HAS_LARGE_RANGES as HAS_LARGE_RANGES
from incroos.kernel.heap.page_defaults import HAS_ZEROS as HAS_ZEROS
from incroos.kernel.heap.page_defaults import PIECE_BYTES as PIECE_BYTES
from incroos.kernel.heap.page_defaults import are_as as are_as
from incroos.kernel.heap.page_defaults import empty as empty
from incroos.kernel.heap.page_defaults import give_large as give_large
from incroos.kernel.heap.page_defaults import large_bytes as large_bytes
from incroos.kernel.heap.page_defaults import map_ahead as map_ahead
from incroos.kernel.heap.page_defaults import move as move
from incroos.kernel.heap.page_defaults import range_of as range_of
from incroos.kernel.heap.page_defaults import renew as renew
from incroos.kernel.heap.page_defaults import take_large as take_large
from incroos.kernel.state import Heap
from incroos.lang import VirtAddr, kernel, word

HAS_FRAMES: Final = False
HAS_FIXED_RANGES: Final = True


@kernel
def map_fresh(heap: Heap, start: VirtAddr, end: VirtAddr, limit: VirtAddr) -> word:
    """Nothing to do."""
    return OK


@kernel
def unmap_and_free(heap: Heap, start: VirtAddr, end: VirtAddr) -> word:
    """Nothing to do."""
    return OK
