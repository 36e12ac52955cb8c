"""A kernel in this process's memory: everything at the addresses that it has on a machine, but for the boot tables.

Their place, below 64 KiB, is one where Linux lets no process have memory; the root is in the image's place instead.
"""

from typing import Final

from incroos.kernel import heap, pmm
from incroos.kernel.arch.pvh import MAGIC, StartInfo, StartInfoEntry
from incroos.kernel.io import console
from incroos.kernel.layout import IMAGE_START, MAILBOX, PAGE_BYTES, PAGE_SHIFT, ZONE_END
from incroos.kernel.pmm.memory_map import HAS_MEMORY_MAP
from incroos.kernel.state import Kernel
from incroos.kernel.vmm.spaces import begin
from incroos.kernel.vmm.tables import plant
from incroos.lang import Machine, PhysAddr, VirtAddr, fill, kernel, store8, word

VIDEO: Final = 0xA_0000
LOW_END: Final = 0x10_0000
ROOT: Final = IMAGE_START
ROOT_LEVEL: Final = 4
NEVER_EMPTY: Final = 1  # counted as an entry of the root
E820_RAM: Final = 1
NO_MEMORY: Final = 8  # an address that no process has


@kernel
def start(k: Kernel) -> None:
    """What kmain does, but for the boot tables: frames, pages and heap with nothing handed out."""
    start_info = write_start_info(k.m)
    console.init(k, start_info)
    pmm.init(k, start_info)
    fill(k.m, VirtAddr(ROOT), 0, PAGE_BYTES)
    begin(k)
    plant(k.space, PhysAddr(ROOT), 0)
    record = k.frames.records[ROOT >> PAGE_SHIFT]
    record.level = ROOT_LEVEL
    record.nr_entries = NEVER_EMPTY
    pmm.open_zone(k)
    heap.init(k)


@kernel
def write_start_info(m: Machine) -> PhysAddr:
    """A PC's memory map, where the mailbox will be."""
    info = StartInfo(m, VirtAddr(MAILBOX))
    fill(m, info.addr, 0, StartInfo.SIZE)
    info.magic = MAGIC
    info.version = HAS_MEMORY_MAP
    info.memory_map = PhysAddr(MAILBOX + StartInfo.SIZE)
    info.nr_entries = 2
    add_ram(m, info, 0, 0, VIDEO)
    add_ram(m, info, 1, LOW_END, ZONE_END)
    return PhysAddr(info.addr)


@kernel
def add_ram(m: Machine, info: StartInfo, index: word, start_address: word, end: word) -> None:
    """Call [start_address, end) RAM."""
    entry = StartInfoEntry(m, VirtAddr(info.memory_map + index * StartInfoEntry.SIZE))
    entry.start = start_address
    entry.nbytes = end - start_address
    entry.number = E820_RAM


# ------------------------------------------------------------------ for the primitives that a process may not execute
@kernel
def no_invlpg(m: Machine, va: VirtAddr) -> None:
    """A process has no TLB of its own to flush."""


@kernel
def no_invpcid(m: Machine, kind: word, tag: word, va: VirtAddr) -> None:
    """Nor one with tags."""


@kernel
def no_cpuid(m: Machine, leaf: word, subleaf: word) -> tuple[word, word, word, word]:
    """Its processor has no features: the code behind them is never reached."""
    return 0, 0, 0, 0


@kernel
def no_read(m: Machine) -> word:
    """Nor control registers: they read as 0."""
    return 0


@kernel
def no_write(m: Machine, value: word) -> None:
    """Nor does writing one flush anything."""


@kernel
def no_interrupts(m: Machine) -> None:
    """Nor interrupts to disable."""


@kernel
def no_in8(m: Machine, port: word) -> word:
    """Nor ports: reading one gives ones."""
    return 0xFF


@kernel
def no_out8(m: Machine, port: word, value: word) -> None:
    """Nor does writing one do anything: the console is not used."""


@kernel
def crash(m: Machine) -> None:
    """The kernel halts only after a panic: let the process die of it."""
    store8(m, VirtAddr(NO_MEMORY), 0)
