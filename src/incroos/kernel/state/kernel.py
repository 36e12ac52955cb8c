"""The Kernel struct: the parts, and nothing else."""

from incroos.kernel.config import KernelConfig
from incroos.kernel.state.frames import FrameState
from incroos.kernel.state.heap import Heap
from incroos.kernel.state.memory_map import MemoryMap
from incroos.kernel.state.space import PageState, PcidState, VmallocState
from incroos.kernel.state.statistics import Counters, Statistics
from incroos.kernel.state.text import ConsoleState, HookState, ScreenState
from incroos.kernel.state.zones import Frames
from incroos.lang import Struct, kernel


class Kernel(Struct):
    """Everything."""

    config: KernelConfig
    heap: Heap  # first, so that what it starts with a line of the processor's cache does
    console: ConsoleState
    hooks: HookState
    screen: ScreenState
    memory_map: MemoryMap
    frames: FrameState
    pages: PageState
    pcids: PcidState
    vmalloc: VmallocState
    counters: Counters
    statistics: Statistics
    blocks: Frames  # last: what is free may differ where all else is equal (inspect/digest.py)


@kernel
def kernel_of_heap(heap: Heap) -> Kernel:
    """The kernel that a heap is in."""
    return Kernel(heap.m, heap.owner)
