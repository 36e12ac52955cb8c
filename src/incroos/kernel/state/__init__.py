"""The Kernel struct and its parts: all state of the kernel, a file for each owner.

Nothing here may be taken for zero: the `init` of each part writes every field of its struct. Nothing that differs
between places (times, the address of the start information) is kept, so that the same operations leave the same bytes
everywhere. The invariants of each struct are numbered in the file that owns it.
"""

from incroos.kernel.state.chunks import (
    NR_SMALL_BINS,
    NR_TREE_BINS,
    BinState,
    Chunk,
    ChunkState,
    FirstFitState,
    SizedChunk,
)
from incroos.kernel.state.frame_database import (
    MAX_ORDER,
    NR_ORDERS,
    FrameDatabase,
    FrameRecord,
    KnownBytes,
    ListRecord,
    Records,
)
from incroos.kernel.state.frames import BITMAP_WORDS, SUMMARY_WORDS, FrameBitmap, FrameState, TableRecord
from incroos.kernel.state.heap import NR_SIZES, HardeningState, Heap, HeapFigures, QuarantineState, Tag, design_state
from incroos.kernel.state.host import HOST_TEXT_BYTES, NR_KEPT_LISTS, Host, HostedHeap, host_of
from incroos.kernel.state.kernel import NR_PROCESSORS, Kernel, kernel_of, kernel_of_heap
from incroos.kernel.state.memory_map import MAX_REGIONS, NR_KINDS, MemoryMap, Region
from incroos.kernel.state.processor import Processor
from incroos.kernel.state.slabs import (
    NR_CLASS_STEPS,
    NR_CLASSES,
    NR_NAME_BYTES,
    NR_ROUNDS,
    NR_RUN_LENGTHS,
    NR_SLAB_WORDS,
    Cache,
    CachesState,
    ObjectCache,
    Round,
    SlabArea,
    SlabRecord,
    SlabState,
)
from incroos.kernel.state.space import NR_KNOWN, KnownTable, PcidState, Space, VmallocState
from incroos.kernel.state.statistics import Counters, Statistics, ZoneStatistics
from incroos.kernel.state.text import HOOK_TEXT_BYTES, ConsoleState, Hooks, HookState, PanicReport, ScreenState
from incroos.kernel.state.zones import NR_SLOTS, NR_ZONES, Frames, HotList, Zone

__all__ = [
    'BITMAP_WORDS',
    'HOOK_TEXT_BYTES',
    'HOST_TEXT_BYTES',
    'MAX_ORDER',
    'MAX_REGIONS',
    'NR_CLASSES',
    'NR_CLASS_STEPS',
    'NR_KEPT_LISTS',
    'NR_KINDS',
    'NR_KNOWN',
    'NR_NAME_BYTES',
    'NR_ORDERS',
    'NR_PROCESSORS',
    'NR_ROUNDS',
    'NR_RUN_LENGTHS',
    'NR_SIZES',
    'NR_SLAB_WORDS',
    'NR_SLOTS',
    'NR_SMALL_BINS',
    'NR_TREE_BINS',
    'NR_ZONES',
    'SUMMARY_WORDS',
    'BinState',
    'Cache',
    'CachesState',
    'Chunk',
    'ChunkState',
    'ConsoleState',
    'Counters',
    'FirstFitState',
    'FrameBitmap',
    'FrameDatabase',
    'FrameRecord',
    'FrameState',
    'Frames',
    'HardeningState',
    'Heap',
    'HeapFigures',
    'HookState',
    'Hooks',
    'Host',
    'HostedHeap',
    'HotList',
    'Kernel',
    'KnownBytes',
    'KnownTable',
    'ListRecord',
    'MemoryMap',
    'ObjectCache',
    'PanicReport',
    'PcidState',
    'Processor',
    'QuarantineState',
    'Records',
    'Region',
    'Round',
    'ScreenState',
    'SizedChunk',
    'SlabArea',
    'SlabRecord',
    'SlabState',
    'Space',
    'Statistics',
    'TableRecord',
    'Tag',
    'VmallocState',
    'Zone',
    'ZoneStatistics',
    'design_state',
    'host_of',
    'kernel_of',
    'kernel_of_heap',
]
