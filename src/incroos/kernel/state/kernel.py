"""The Kernel struct: the parts, and nothing else."""

from typing import Annotated, Final

from incroos.kernel.config import KernelConfig
from incroos.kernel.state.chunks import ChunkState, HeapState
from incroos.kernel.state.frames import FrameState
from incroos.kernel.state.heap import HardeningState, HeapFigures, QuarantineState
from incroos.kernel.state.host import Host
from incroos.kernel.state.memory_map import MemoryMap
from incroos.kernel.state.processor import Processor
from incroos.kernel.state.slabs import CachesState, SlabState
from incroos.kernel.state.space import PcidState, Space, VmallocState
from incroos.kernel.state.statistics import Counters, Statistics
from incroos.kernel.state.text import ConsoleState, HookState, ScreenState
from incroos.kernel.state.zones import Frames
from incroos.lang import Array, Struct, kernel

NR_PROCESSORS: Final = 1


class Kernel(Struct):
    """Everything."""

    config: KernelConfig
    console: ConsoleState
    hooks: HookState
    screen: ScreenState
    memory_map: MemoryMap
    frames: FrameState
    processors: Annotated[Array[Processor], NR_PROCESSORS]
    space: Space  # the kernel's own
    pcids: PcidState
    heap: HeapState
    chunks: ChunkState
    slabs: SlabState
    hardening: HardeningState
    quarantine: QuarantineState
    caches: CachesState
    vmalloc: VmallocState
    host: Host
    counters: Counters
    figures: HeapFigures
    statistics: Statistics
    blocks: Frames  # last: what is free may differ where all else is equal (inspect/digest.py)


@kernel
def kernel_of(space: Space) -> Kernel:
    """The kernel that an address space belongs to."""
    return Kernel(space.m, space.kernel)
