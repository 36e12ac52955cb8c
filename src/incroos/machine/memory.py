"""The kernel's loads and stores on simulated memory: the lowerings of the memory primitives.

The fast path is one compare: the page of the access's last byte against the tag in the slot of its first byte. It
decides at once that the page is cached, that the access is allowed, and that it does not cross into the next page.
Everything else is in the functions named slow. No part of a number is stored before all of it can be, so that a fault
leaves no half; a range goes page by page.
"""

from incroos.lang import (
    VirtAddr,
    add_wrap,
    atomic_add64,
    atomic_compare_exchange64,
    atomic_exchange64,
    atomic_load64,
    atomic_store64,
    cold,
    copy,
    fill,
    kernel,
    load8,
    load16,
    load32,
    load64,
    shl_wrap,
    shr_logical,
    store8,
    store16,
    store32,
    store64,
    word,
)

from .access import (
    refill,
    resolve_read,
    resolve_two_reads,
    resolve_two_writes,
    resolve_write,
)
from .architecture import GENERAL_PROTECTION, OFFSET_MASK, PAGE_BYTES, PAGE_MASK, READ, WRITE
from .cpu import Cpu
from .faults import exception
from .tlb import slot_of


@kernel
def left_in_page(va: VirtAddr) -> word:
    """The number of bytes from va to the end of its page."""
    return PAGE_BYTES - (va & OFFSET_MASK)


# ------------------------------------------------------------------ the fast ways
@kernel
def cpu_load8(cpu: Cpu, va: VirtAddr) -> word:
    slot = slot_of(cpu, va)
    if slot.read_page == va & PAGE_MASK:
        return load8(cpu.m, VirtAddr(va + slot.addend))
    return slow_load8(cpu, va)


@kernel
def cpu_load16(cpu: Cpu, va: VirtAddr) -> word:
    slot = slot_of(cpu, va)
    if slot.read_page == add_wrap(va, 1) & PAGE_MASK:
        return load16(cpu.m, VirtAddr(va + slot.addend))
    return slow_load16(cpu, va)


@kernel
def cpu_load32(cpu: Cpu, va: VirtAddr) -> word:
    slot = slot_of(cpu, va)
    if slot.read_page == add_wrap(va, 3) & PAGE_MASK:
        return load32(cpu.m, VirtAddr(va + slot.addend))
    return slow_load32(cpu, va)


@kernel
def cpu_load64(cpu: Cpu, va: VirtAddr) -> word:
    slot = slot_of(cpu, va)
    if slot.read_page == add_wrap(va, 7) & PAGE_MASK:
        return load64(cpu.m, VirtAddr(va + slot.addend))
    return slow_load64(cpu, va)


@kernel
def cpu_store8(cpu: Cpu, va: VirtAddr, value: word) -> None:
    slot = slot_of(cpu, va)
    if slot.write_page == va & PAGE_MASK:
        store8(cpu.m, VirtAddr(va + slot.addend), value)
    else:
        slow_store8(cpu, va, value)


@kernel
def cpu_store16(cpu: Cpu, va: VirtAddr, value: word) -> None:
    slot = slot_of(cpu, va)
    if slot.write_page == add_wrap(va, 1) & PAGE_MASK:
        store16(cpu.m, VirtAddr(va + slot.addend), value)
    else:
        slow_store16(cpu, va, value)


@kernel
def cpu_store32(cpu: Cpu, va: VirtAddr, value: word) -> None:
    slot = slot_of(cpu, va)
    if slot.write_page == add_wrap(va, 3) & PAGE_MASK:
        store32(cpu.m, VirtAddr(va + slot.addend), value)
    else:
        slow_store32(cpu, va, value)


@kernel
def cpu_store64(cpu: Cpu, va: VirtAddr, value: word) -> None:
    slot = slot_of(cpu, va)
    if slot.write_page == add_wrap(va, 7) & PAGE_MASK:
        store64(cpu.m, VirtAddr(va + slot.addend), value)
    else:
        slow_store64(cpu, va, value)


# ------------------------------------------------------------------ the slow ways: first the usual walk, then all else
@cold
@kernel
def slow_load8(cpu: Cpu, va: VirtAddr) -> word:
    refill(cpu, va, 1, READ)
    slot = slot_of(cpu, va)
    if slot.read_page == va & PAGE_MASK:
        return load8(cpu.m, VirtAddr(va + slot.addend))
    return load8(cpu.m, resolve_read(cpu, va))


@cold
@kernel
def slow_store8(cpu: Cpu, va: VirtAddr, value: word) -> None:
    refill(cpu, va, 1, WRITE)
    slot = slot_of(cpu, va)
    if slot.write_page == va & PAGE_MASK:
        store8(cpu.m, VirtAddr(va + slot.addend), value)
    else:
        store8(cpu.m, resolve_write(cpu, va), value)


@cold
@kernel
def slow_load16(cpu: Cpu, va: VirtAddr) -> word:
    refill(cpu, va, 2, READ)
    slot = slot_of(cpu, va)
    if slot.read_page == add_wrap(va, 1) & PAGE_MASK:
        return load16(cpu.m, VirtAddr(va + slot.addend))
    return slowest_load(cpu, va, 2)


@cold
@kernel
def slow_store16(cpu: Cpu, va: VirtAddr, value: word) -> None:
    refill(cpu, va, 2, WRITE)
    slot = slot_of(cpu, va)
    if slot.write_page == add_wrap(va, 1) & PAGE_MASK:
        store16(cpu.m, VirtAddr(va + slot.addend), value)
    else:
        slowest_store(cpu, va, value, 2)


@cold
@kernel
def slow_load32(cpu: Cpu, va: VirtAddr) -> word:
    refill(cpu, va, 4, READ)
    slot = slot_of(cpu, va)
    if slot.read_page == add_wrap(va, 3) & PAGE_MASK:
        return load32(cpu.m, VirtAddr(va + slot.addend))
    return slowest_load(cpu, va, 4)


@cold
@kernel
def slow_store32(cpu: Cpu, va: VirtAddr, value: word) -> None:
    refill(cpu, va, 4, WRITE)
    slot = slot_of(cpu, va)
    if slot.write_page == add_wrap(va, 3) & PAGE_MASK:
        store32(cpu.m, VirtAddr(va + slot.addend), value)
    else:
        slowest_store(cpu, va, value, 4)


@cold
@kernel
def slow_load64(cpu: Cpu, va: VirtAddr) -> word:
    refill(cpu, va, 8, READ)
    slot = slot_of(cpu, va)
    if slot.read_page == add_wrap(va, 7) & PAGE_MASK:
        return load64(cpu.m, VirtAddr(va + slot.addend))
    return slowest_load(cpu, va, 8)


@cold
@kernel
def slow_store64(cpu: Cpu, va: VirtAddr, value: word) -> None:
    refill(cpu, va, 8, WRITE)
    slot = slot_of(cpu, va)
    if slot.write_page == add_wrap(va, 7) & PAGE_MASK:
        store64(cpu.m, VirtAddr(va + slot.addend), value)
    else:
        slowest_store(cpu, va, value, 8)


@cold
@kernel
def slowest_load(cpu: Cpu, va: VirtAddr, nbytes: word) -> word:
    """A number of nbytes, byte by byte: it may lie on two pages."""
    first, second = VirtAddr(0), VirtAddr(0)
    nr_first = min(nbytes, left_in_page(va))
    if nr_first < nbytes:
        first, second = resolve_two_reads(cpu, va)
    else:
        first = resolve_read(cpu, va)
    value = 0
    for index in range(nbytes):
        host = first + index if index < nr_first else second + (index - nr_first)
        value = value | shl_wrap(load8(cpu.m, VirtAddr(host)), 8 * index)
    return value


@cold
@kernel
def slowest_store(cpu: Cpu, va: VirtAddr, value: word, nbytes: word) -> None:
    """Put the low nbytes of value, byte by byte: they may lie on two pages."""
    first, second = VirtAddr(0), VirtAddr(0)
    nr_first = min(nbytes, left_in_page(va))
    if nr_first < nbytes:
        first, second = resolve_two_writes(cpu, va)
    else:
        first = resolve_write(cpu, va)
    for index in range(nbytes):
        host = first + index if index < nr_first else second + (index - nr_first)
        store8(cpu.m, VirtAddr(host), shr_logical(value, 8 * index) & 0xFF)


# ------------------------------------------------------------------ ranges, page by page
@kernel
def cpu_fill(cpu: Cpu, va: VirtAddr, byte: word, nbytes: word) -> None:
    while nbytes > 0:
        part = min(nbytes, left_in_page(va))
        fill(cpu.m, resolve_write(cpu, va), byte, part)
        va = VirtAddr(add_wrap(va, part))
        nbytes -= part


@kernel
def resolve_copy(cpu: Cpu, to: VirtAddr, source: VirtAddr) -> tuple[VirtAddr, VirtAddr]:
    """Where `to` is written and source is read; both hold at once, with no fault in between."""
    while True:
        faults = cpu.nr_faults
        host_source, host_to = resolve_read(cpu, source), resolve_write(cpu, to)
        if cpu.nr_faults == faults:
            return host_to, host_source


@kernel
def cpu_copy(cpu: Cpu, to: VirtAddr, source: VirtAddr, nbytes: word) -> None:
    while nbytes > 0:
        part = min(nbytes, min(left_in_page(to), left_in_page(source)))
        host_to, host_source = resolve_copy(cpu, to, source)
        copy(cpu.m, host_to, host_source, part)
        to, source = VirtAddr(add_wrap(to, part)), VirtAddr(add_wrap(source, part))
        nbytes -= part


# ------------------------------------------------------------------ atomics
@kernel
def resolve_aligned_write(cpu: Cpu, va: VirtAddr) -> VirtAddr:
    """Like resolve_write, for the 8 bytes of an atomic; a misaligned address is a general protection fault here."""
    if va & 7 != 0:
        exception(cpu, GENERAL_PROTECTION, 0)
    return resolve_write(cpu, va)


@kernel
def cpu_atomic_load64(cpu: Cpu, va: VirtAddr) -> word:
    if va & 7 != 0:
        exception(cpu, GENERAL_PROTECTION, 0)
    return atomic_load64(cpu.m, resolve_read(cpu, va))


@kernel
def cpu_atomic_store64(cpu: Cpu, va: VirtAddr, value: word) -> None:
    atomic_store64(cpu.m, resolve_aligned_write(cpu, va), value)


@kernel
def cpu_atomic_exchange64(cpu: Cpu, va: VirtAddr, value: word) -> word:
    return atomic_exchange64(cpu.m, resolve_aligned_write(cpu, va), value)


@kernel
def cpu_atomic_add64(cpu: Cpu, va: VirtAddr, value: word) -> word:
    return atomic_add64(cpu.m, resolve_aligned_write(cpu, va), value)


@kernel
def cpu_atomic_compare_exchange64(cpu: Cpu, va: VirtAddr, expected: word, desired: word) -> word:
    return atomic_compare_exchange64(cpu.m, resolve_aligned_write(cpu, va), expected, desired)
