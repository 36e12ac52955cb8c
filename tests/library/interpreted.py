"""The library in `sim`, started as by a kernel that has the boot state, with or without a direct map of its own."""

from typing import Final

from incroos.kernel.arch.pvh import StartInfoEntry
from incroos.kernel.codes import OK
from incroos.kernel.config import KernelConfig
from incroos.kernel.embed import library
from incroos.kernel.layout import BOOT_TABLES, BOOT_TABLES_END, IMAGE_START, KERNEL_STATE_END
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr
from incroos.run.sim import Sim
from incroos.run.simulated import START_INFO, TYPE_RESERVED, memory_map

MEMORY: Final = 64 << 20
START: Final = START_INFO + 0x1000
REGIONS: Final = START + 0x100
HOOK: Final = 0x1234  # what stands for the panic hook
IMAGE: Final = range(IMAGE_START, KERNEL_STATE_END)
OWN: Final = ((BOOT_TABLES, BOOT_TABLES_END, TYPE_RESERVED), (IMAGE.start, IMAGE.stop, TYPE_RESERVED))


class Panicked(Exception):
    """The panic hook was called."""


def started(config: KernelConfig, memory_bytes: int = MEMORY, has_direct_map: bool = False) -> Kernel:
    """The Kernel struct of the library after its start. Calls of the panic hook raise Panicked."""
    sim = Sim(memory_bytes, config)
    for index in range(257 if has_direct_map else 256, 512):
        sim.machine.poke(BOOT_TABLES + 8 * index, bytes(8))
    sim.machine.call4 = call_hook  # type: ignore[method-assign]
    regions = (*memory_map(sim.computer), *OWN)
    for index, (first, end, kind) in enumerate(regions):
        entry = StartInfoEntry(sim.machine, VirtAddr(REGIONS + index * StartInfoEntry.SIZE))
        entry.start, entry.nbytes, entry.number, entry.reserved = first, end - first, kind, 0
    sim.machine.poke(START, bytes(library.Start.SIZE))
    start = library.Start(sim.machine, VirtAddr(START))
    start.regions, start.nr_regions = VirtAddr(REGIONS), len(regions)
    start.hooks.panic = VirtAddr(HOOK)
    assert library.incro_mm_init(sim.kernel, start) == OK
    return sim.kernel


def call_hook(code: int, a: int, b: int, c: int, d: int) -> int:
    """Stands for all hooks."""
    raise Panicked(code, a, b, c, d)
