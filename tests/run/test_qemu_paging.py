"""The page tables as QEMU sees them: the kernel's, through the monitor; random ones, through a handler in a guest."""

import time
from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple

import pytest

from incroos.inspect.digest import walk_tables
from incroos.inspect.ram import RamMachine
from incroos.kernel.arch.pte import DIRTY, is_leaf, is_present, page_bytes, page_of
from incroos.kernel.layout import HEAP, PAGE_BYTES
from incroos.kernel.vmm import GLOBAL, NX, PRESENT, USER, WRITABLE
from incroos.lang import VirtAddr
from incroos.machine import architecture as arch
from incroos.run.harness import MailboxDriver
from incroos.run.qemu_guest import Guest

from ..budget import SECONDS
from ..build.small_kernels import SmallKernel, write_small
from ..kernel.drivers import make_guest
from ..machine import paging_cases
from ..machine.lab import DATA, ROOT, TABLES, Bench, P, W
from .paging_kernel import REQUEST, Request, note_page_fault, serve_accesses

FLAG_LETTERS: Final = {'X': NX, 'G': GLOBAL, 'U': USER, 'W': WRITABLE}


# ------------------------------------------------------------------ the kernel's tables, in the monitor's words
@pytest.fixture(scope='module')
def guest_with_mappings() -> Iterator[Guest]:
    """A guest that has committed heap and mapped pages of all kinds, stopped."""
    with make_guest('qemu') as guest:
        assert isinstance(guest, Guest)
        driver = MailboxDriver(guest.ram, guest.is_running)
        driver.wait_until_ready()
        frame = driver.call('alloc_page')
        for index, flags in enumerate([PRESENT, PRESENT | WRITABLE, PRESENT | USER, PRESENT | NX | GLOBAL]):
            assert driver.call('map_page', 0x40_0000_0000 + index * PAGE_BYTES, frame, flags) == 0
            assert driver.call('map_page', -0x8000_0000_0000 + (index << 39), frame, flags) == 0
        assert driver.call('map_leaf', 0x50_0000_0000, 0x20_0000, PRESENT | WRITABLE | NX, 2) == 0
        assert driver.call('map_leaf', 0x60_0000_0000, 0, PRESENT | USER, 3) == 0
        start, nbytes = 0x70_4000_0000 - PAGE_BYTES, (1 << 30) + (2 << 21) + 2 * PAGE_BYTES
        assert driver.call('map_range', start, (1 << 30) - PAGE_BYTES, nbytes, PRESENT | WRITABLE | GLOBAL) == 0
        assert driver.call('protect_range', start + (1 << 30) + PAGE_BYTES, 2 << 21, PRESENT | USER) == 0
        assert driver.call('protect_range', start + (1 << 30) + (1 << 21), 3 * PAGE_BYTES, PRESENT | NX) == 0
        assert driver.call('unmap_range', start + (1 << 29), 2 * PAGE_BYTES) == 0
        ptr = driver.call('kmalloc', 100_000)
        driver.call('fill', ptr, 7, 100_000)
        guest.ask('stop')
        yield guest


def kernels_leaves(guest: Guest) -> dict[int, tuple[int, int, int]]:
    """Of each page in the tables, by its address as an unsigned number: frame, entry, bytes."""
    leaves: dict[int, tuple[int, int, int]] = {}
    for _, level, start, entries in walk_tables(RamMachine(guest.ram)):
        for index, entry in enumerate(entries):
            if is_present(entry) and is_leaf(entry, level):
                va = start + index * page_bytes(level)
                va |= -(va >> 47 & 1) << 48 & (1 << 64) - 1
                leaves[va] = page_of(entry, level), entry, page_bytes(level)
    return leaves


def test_the_monitor_reads_the_same_pages(guest_with_mappings: Guest) -> None:
    """`info tlb`: each page once, with its frame, rights, size and dirty bit, and no other."""
    leaves = kernels_leaves(guest_with_mappings)
    assert {nbytes for _, _, nbytes in leaves.values()} == {1 << 12, 1 << 21, 1 << 30}
    assert sum(HEAP <= va < HEAP + (1 << 20) for va in leaves) >= 100_000 // PAGE_BYTES
    seen = {}
    for line in guest_with_mappings.ask('info tlb').splitlines():
        page, memory, letters = line.split()
        seen[int(page.rstrip(':'), 16)] = int(memory, 16), letters
    assert seen.keys() == leaves.keys()
    for va, (pa, letters) in seen.items():
        frame, entry, nbytes = leaves[va]
        assert pa == frame
        assert ('P' in letters) == (nbytes > PAGE_BYTES)
        assert ('D' in letters) == (entry & DIRTY != 0)
        assert {letter for letter in FLAG_LETTERS if letter in letters} == {
            letter for letter, bit in FLAG_LETTERS.items() if entry & bit != 0
        }


def test_the_monitor_sees_the_same_ranges(guest_with_mappings: Guest) -> None:
    """`info mem`: the rights of each range, after all levels were joined; every page lies in exactly one."""
    ranges = []
    for line in guest_with_mappings.ask('info mem').splitlines():
        span, _, rights = line.split()
        start, end = (int(part, 16) for part in span.split('-'))
        ranges.append((start, end, rights))
    leaves = kernels_leaves(guest_with_mappings)
    assert sum(end - start for start, end, _ in ranges) == sum(nbytes for _, _, nbytes in leaves.values())
    for va, (_, entry, nbytes) in leaves.items():
        [(start, end, rights)] = [found for found in ranges if found[0] <= va < found[1]]
        assert va + nbytes <= end
        assert rights == ('u' if entry & USER else '-') + 'r' + ('w' if entry & WRITABLE else '-')


# ------------------------------------------------------------------ error codes: the simulated MMU against QEMU's
NR_ROUNDS: Final = 25
NR_PLACES: Final = 30
RAM_BYTES: Final = 16 << 20
RESCUE_TABLES: Final = 0xA0_0000
RESCUE_ROOT: Final = RESCUE_TABLES - 4096
QEMU_PA_BITS: Final = 40  # of QEMU's emulated processor
LEVELS: Final = (4, 5)
GUEST_ROOT: Final = {4: ROOT, 5: 0x6000}  # the boot code's, where the tables under test are put
LOW: Final = {4: 0x2000 | P | W, 5: 0x1000 | P | W}  # the boot code's entry for the lowest addresses


class Asking(NamedTuple):
    """A guest whose kernel makes the accesses that the host asks for, and its number of levels."""

    guest: Guest
    levels: int


@pytest.fixture(scope='module', params=LEVELS)
def asking(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    kernel = SmallKernel(serve_accesses, page_fault=note_page_fault, levels=request.param)
    with Guest(write_small(tmp_path_factory.mktemp('paging'), kernel), RAM_BYTES) as guest:
        end = time.monotonic() + SECONDS
        while b'ready\n' not in guest.console():
            assert time.monotonic() < end
            time.sleep(0.01)
        yield Asking(guest, request.param)


def rescue_tables(places: list[paging_cases.Place], levels: int) -> tuple[bytes, bytes]:
    """A root table, and the tables behind it, in which every place can be read and written."""
    rescue = Bench('interpreted', RAM_BYTES, levels=levels)
    rescue.next_table = RESCUE_TABLES
    for place in places:
        rescue.map(place.va & -4096, DATA, P | W)
    return bytes(rescue.ram[ROOT : ROOT + 4096]), bytes(rescue.ram[RESCUE_TABLES : rescue.next_table])


def ask_the_guest(asking: Asking, accesses: list[tuple[int, bool]]) -> list[tuple[int, int, int]]:
    """Of each access: how often it faulted, where, and with which error code."""
    guest = asking.guest
    machine = RamMachine(guest.ram)
    request = Request(machine, REQUEST)
    request.root, request.rescue, request.nr_accesses = GUEST_ROOT[asking.levels], RESCUE_ROOT, len(accesses)
    for index, (va, is_write) in enumerate(accesses):
        access = request.accesses[index]
        access.va, access.is_write, access.value = VirtAddr(va), int(is_write), 0
        access.nr_faults, access.fault_va, access.error = 0, VirtAddr(0), 0
    turn = request.turn + 1
    machine.atomic_store64(REQUEST, turn)
    end = time.monotonic() + SECONDS
    while request.done != turn:
        assert time.monotonic() < end, guest.console()
        time.sleep(0.001)
    found = [request.accesses[index] for index in range(len(accesses))]
    return [(access.nr_faults, access.fault_va, by_the_manual(access.error)) for access in found]


def by_the_manual(error: int) -> int:
    """An error code of QEMU's emulation as a processor gives it.

    Waiver: for a reserved bit the emulation leaves out the bit that says that the entry was present. Reserved bits are
    looked at in present entries only, so a processor always sets both (Intel SDM volume 3, "Page-Fault Exceptions").
    """
    return error | arch.ERROR_PRESENT if error & arch.ERROR_RESERVED else error


def ask_the_simulator(bench: Bench, accesses: list[tuple[int, bool]]) -> list[tuple[int, int, int]]:
    """The same of the simulated computer."""
    found = []
    bench.on_fault = lambda va, error: bench.call('write_cr3', RESCUE_ROOT)
    for va, is_write in accesses:
        bench.call('write_cr3', ROOT)
        bench.faults.clear()
        if is_write:
            bench.store(va, 0)
        else:
            bench.load(va)
        found.append((len(bench.faults), *(bench.faults[-1] if bench.faults else (0, 0))))
    return found


def lay_places(seed: int, levels: int) -> tuple[Bench, list[paging_cases.Place]]:
    """A bench with random tables, and the canonical ones of the places for which they are."""
    bench = Bench('compiled', RAM_BYTES, QEMU_PA_BITS, levels)
    places = paging_cases.lay_tables(bench, Random(seed), NR_PLACES)
    return bench, [place for place in places if paging_cases.is_canonical(place.va, levels)]


@pytest.mark.parametrize('seed', range(NR_ROUNDS))
def test_the_same_faults_as_qemu(asking: Asking, seed: int) -> None:
    """Random tables, reads and writes: the same accesses fault, at the same address, with the same error code."""
    bench, places = lay_places(seed, asking.levels)
    assert bench.next_table < 0x9_F000  # RAM, below the kernel
    low, guest_root, ram = LOW[asking.levels], GUEST_ROOT[asking.levels], asking.guest.ram
    bench.put(ROOT, low)
    root, tables = rescue_tables(places, asking.levels)
    root = low.to_bytes(8, 'little') + root[8:]
    for memory in (bench.ram, ram):
        memory[RESCUE_ROOT : RESCUE_ROOT + 4096] = root
        memory[RESCUE_TABLES : RESCUE_TABLES + len(tables)] = tables
    ram[TABLES : bench.next_table] = bytes(bench.ram[TABLES : bench.next_table])
    ram[guest_root + 8 : guest_root + 4096] = bytes(bench.ram[ROOT + 8 : ROOT + 4096])
    accesses = [(place.va, is_write) for place in places for is_write in (False, True)]
    assert ask_the_guest(asking, accesses) == ask_the_simulator(bench, accesses)


@pytest.mark.parametrize('levels', LEVELS)
def test_the_rounds_meet_every_error_code(levels: int) -> None:
    """So that the comparison compares something: no fault, and reads and writes of each kind."""
    codes = set()
    for seed in range(NR_ROUNDS):
        bench, places = lay_places(seed, levels)
        root, tables = rescue_tables(places, levels)
        bench.ram[RESCUE_ROOT : RESCUE_ROOT + 4096] = root
        bench.ram[RESCUE_TABLES : RESCUE_TABLES + len(tables)] = tables
        found = ask_the_simulator(bench, [(place.va, is_write) for place in places for is_write in (False, True)])
        codes |= {error for nr_faults, _, error in found if nr_faults} | {
            -1 for nr_faults, *_ in found if not nr_faults
        }
    present, write, reserved = arch.ERROR_PRESENT, arch.ERROR_WRITE, arch.ERROR_RESERVED
    assert codes == {-1, 0, write, present | write, present | reserved, present | write | reserved}
