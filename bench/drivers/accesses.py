"""Loops over loads and stores of the simulated computer, and page tables for them."""

from typing import Final

from incroos.lang import Machine, PhysAddr, VirtAddr, add_wrap, kernel, load64, store64, word
from incroos.machine import walk
from incroos.machine.architecture import (
    ENTRY_ACCESSED,
    ENTRY_DIRTY,
    ENTRY_PRESENT,
    ENTRY_WRITABLE,
    LEVEL_BITS,
    PAGE_BYTES,
    PAGE_SHIFT,
)
from incroos.machine.cpu import ALL_FEATURES, TLB_SLOTS, Cpu, power_on

PA_BITS: Final = 46
RAM_BYTES: Final = 0x100_0000
RAM: Final = 0x2000_0000  # where the RAM lies in the process
CPU: Final = 0x2200_0000
ABSENT: Final = 0x2300_0000  # two pages for what is no RAM
ROOT: Final = 0x10_0000
NR_TABLES: Final = 3 + 8
DATA: Final = 0x20_0000  # also the virtual address of the first data page
FAR: Final = 1 << 44  # DATA + FAR shares no upper entry with DATA, but all slots that could remember one
WINDOW: Final = 128  # accesses in a row of the hits, each on a line of its own and nearly each on its own page
STRIDE: Final = PAGE_BYTES + 64
TLB_SPAN: Final = TLB_SLOTS * PAGE_BYTES  # two pages so far apart want the same slot
CONFLICTS: Final = 8
FLAGS: Final = ENTRY_PRESENT | ENTRY_WRITABLE | ENTRY_ACCESSED | ENTRY_DIRTY


# ------------------------------------------------------------------ compiled for the process: the computer is made
@kernel
def computer_setup(m: Machine, cpu_address: VirtAddr, first: VirtAddr, n: word) -> word:
    """Power on, and map the RAM from DATA on at its own address and at FAR."""
    cpu = Cpu(m, cpu_address)
    power_on(cpu, PA_BITS, ALL_FEATURES)
    walk.set_masks(cpu)
    cpu.ram_low_end = PhysAddr(RAM_BYTES)
    cpu.ram_high_end = PhysAddr(1 << 32)
    cpu.host_ram = VirtAddr(RAM)
    cpu.host_absent = VirtAddr(ABSENT)
    cpu.host_drain = VirtAddr(ABSENT + PAGE_BYTES)
    cpu.cr3 = ROOT
    fill_tables(m)
    return cpu.frame_mask


@kernel
def fill_tables(m: Machine) -> None:
    """One table of each upper level, entered by FAR too, and one leaf table for each 2 MiB."""
    link(m, 0, 0, 1)
    link(m, 0, FAR >> (PAGE_SHIFT + 3 * LEVEL_BITS), 1)
    link(m, 1, 0, 2)
    for index in range(NR_TABLES - 3):
        link(m, 2, index, 3 + index)
        for entry in range(512):
            put_entry(m, 3 + index, entry, (index * 512 + entry) * PAGE_BYTES)


@kernel
def link(m: Machine, table: word, index: word, below: word) -> None:
    """Let an entry of one table, by its number, lead to another."""
    put_entry(m, table, index, ROOT + below * PAGE_BYTES)


@kernel
def put_entry(m: Machine, table: word, index: word, pa: word) -> None:
    """Write an entry."""
    store64(m, VirtAddr(RAM + ROOT + table * PAGE_BYTES + index * 8), pa | FLAGS)


# ------------------------------------------------------------------ compiled for the simulated computer
@kernel
def loads_hit(m: Machine, first: VirtAddr, n: word) -> word:
    """n loads that do not wait for each other, from pages that are remembered."""
    total = 0
    for index in range(n):
        total = add_wrap(total, load64(m, VirtAddr(first + (index & (WINDOW - 1)) * STRIDE)))
    return total


@kernel
def stores_hit(m: Machine, first: VirtAddr, n: word) -> word:
    """n stores to pages that are remembered."""
    for index in range(n):
        store64(m, VirtAddr(first + (index & (WINDOW - 1)) * STRIDE), index)
    return n


@kernel
def chain_setup(m: Machine, first: VirtAddr, n: word) -> word:
    """Each line holds the address of the next, the last one that of the first."""
    for index in range(WINDOW):
        at = VirtAddr(first + index * STRIDE)
        store64(m, at, first + ((index + 1) & (WINDOW - 1)) * STRIDE)
    return n


@kernel
def loads_chained(m: Machine, first: VirtAddr, n: word) -> word:
    """n loads from pages that are remembered, each from the address that the one before gave."""
    at = first
    for _index in range(n):
        at = VirtAddr(load64(m, at))
    return at


@kernel
def loads_walk(m: Machine, first: VirtAddr, n: word) -> word:
    """n loads from pages that want the same slot: each walks, from the table that the upper entries remember."""
    total = 0
    for index in range(n):
        total = add_wrap(total, load64(m, VirtAddr(first + (index & (CONFLICTS - 1)) * TLB_SPAN)))
    return total


@kernel
def loads_walk_all(m: Machine, first: VirtAddr, n: word) -> word:
    """n loads from two pages that want the same slots on all levels: each walks from the root."""
    total = 0
    for index in range(n):
        total = add_wrap(total, load64(m, VirtAddr(first + (index & 1) * FAR)))
    return total
