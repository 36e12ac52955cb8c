"""The Kernel struct: the parts, and nothing else."""

from typing import Annotated, Final

from incroos.kernel.config import KernelConfig
from incroos.kernel.state.devices import DevicesState
from incroos.kernel.state.frames import FrameState
from incroos.kernel.state.heap import Heap
from incroos.kernel.state.memory_map import MemoryMap
from incroos.kernel.state.processor import Features, Processor
from incroos.kernel.state.space import PcidState, Space, VmallocState
from incroos.kernel.state.statistics import Counters, Statistics
from incroos.kernel.state.task import FilesState, TaskState
from incroos.kernel.state.text import ConsoleState, HookState, ScreenState
from incroos.kernel.state.user_space import VmState
from incroos.kernel.state.zones import Frames
from incroos.lang import Array, Struct, kernel

NR_PROCESSORS: Final = 1


class Kernel(Struct):
    """Everything."""

    config: KernelConfig
    heap: Heap  # first, so that what it starts with a line of the processor's cache does
    console: ConsoleState
    hooks: HookState
    screen: ScreenState
    memory_map: MemoryMap
    frames: FrameState
    processors: Annotated[Array[Processor], NR_PROCESSORS]
    space: Space  # the kernel's own
    pcids: PcidState
    vmalloc: VmallocState
    counters: Counters
    statistics: Statistics
    vm: VmState
    tasks: TaskState
    files: FilesState
    devices: DevicesState
    blocks: Frames  # the last two: they may differ where all else is equal (inspect/digest.py)
    features: Features


@kernel
def kernel_of(space: Space) -> Kernel:
    """The kernel that an address space belongs to."""
    return Kernel(space.m, space.kernel)


@kernel
def kernel_of_heap(heap: Heap) -> Kernel:
    """The kernel that a heap is in."""
    return Kernel(heap.m, heap.owner)
