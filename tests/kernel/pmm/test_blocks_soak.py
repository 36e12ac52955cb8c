"""A long random use of blocks in compiled code, with little RAM and with a TiB, and what the start of a TiB touches."""

import ctypes
import os
from functools import cache
from typing import Final

import pytest

from incroos.kernel.codes import OK
from incroos.lang import VirtAddr
from incroos.machine.host import HostMemory
from tests.lang.compiled import Compiled, compiled

from .blocks_lab import ALLOCATORS, HIGH, PAGE_BYTES, Lab, Pieces, config_of, in_process
from .blocks_model import Model
from .blocks_soak import Plan, give_all_back, soak

FULL: Final = os.environ.get('INCROOS_BUDGET') == 'full'
NR_STEPS: Final = 3_000_000 if FULL else 100_000
NR_CHECKS: Final = 10
TIB: Final = 1 << 28  # frames
RAM: Final[dict[str, Pieces]] = {
    'twenty MiB': ((0x20, 0x9F), (0x100, 0x1433)),
    'a GiB at 4 GiB': ((0x1, 0x9F), (0x100, 0x2_0000), (HIGH, HIGH + 0x2_0123)),
    'a TiB with a hole': ((0, 0x9F), (0x100, 0xC_0000), (HIGH, 7 << 20), (1 << 26, TIB)),
}


@cache
def soak_code(allocator: str, checked: bool) -> Compiled:
    """The random use, compiled."""
    return compiled([soak, give_all_back], checked=checked, config=config_of(allocator))


def plan_for(lab: Lab, seed: int) -> Plan:
    """A plan in memory of its own, and the bytes of the frames behind it."""
    memory = HostMemory(-(-(Plan.SIZE + lab.nr_frames) // PAGE_BYTES) * PAGE_BYTES)
    plan = Plan(memory, VirtAddr(memory.base))
    plan.random = seed
    plan.nr_frames = lab.nr_frames
    plan.used = VirtAddr(memory.base + Plan.SIZE)
    plan.nr_free = lab.call('nr_total_frames')
    for index, (start, end) in enumerate(lab.pieces):
        plan.starts[index], plan.ends[index] = start, end
    return plan


@pytest.mark.parametrize('checked', [True, False], ids=['checked', 'plain'])
@pytest.mark.parametrize('size', RAM)
@pytest.mark.parametrize('allocator', ALLOCATORS)
def test_a_long_use_in_compiled_code(allocator: str, size: str, checked: bool) -> None:
    lab, code = in_process(RAM[size], allocator), soak_code(allocator, checked)
    plan = plan_for(lab, 20)
    for _ in range(NR_CHECKS):
        assert code.call('soak', lab.frames.addr, plan.addr, NR_STEPS // NR_CHECKS) == 0
        assert lab.call('check') == OK
        assert lab.call('nr_free_frames') == plan.nr_free
    assert plan.nr_refused > 100
    assert plan.nr_exhausted > 100 or size != 'twenty MiB'
    assert code.call('give_all_back', lab.frames.addr, plan.addr) == 0
    lab.call('drain')
    assert lab.call('check') == OK
    assert lab.counts() == (lab.call('nr_total_frames'), 0, 0)
    if lab.nr_frames < TIB:
        assert lab.free_blocks() == Model(lab.pieces).largest_blocks()


# ------------------------------------------------------------------ what the start touches
def resident_pages(memory: HostMemory, start: int, end: int) -> int:
    """How many pages of a part of a mapping exist; start and end are offsets of pages."""
    flags = (ctypes.c_uint8 * ((end - start) // PAGE_BYTES))()
    code = ctypes.CDLL(None, use_errno=True).mincore(
        ctypes.c_void_p(memory.base + start), ctypes.c_size_t(end - start), flags
    )
    assert code == 0, ctypes.get_errno()
    return sum(flag & 1 for flag in flags)


@pytest.mark.parametrize('allocator', ALLOCATORS)
def test_the_start_of_a_tib_touches_little_metadata_and_no_record_but_of_free_blocks(allocator: str) -> None:
    lab = in_process(RAM['a TiB with a hole'], allocator)
    memory = lab.frames.m
    assert isinstance(memory, HostMemory)
    records = lab.frames.database.records - memory.base
    assert memory.nbytes - records == 16 * TIB
    nr_blocks = sum(lab.free_blocks().values())
    assert resident_pages(memory, records, memory.nbytes) <= (nr_blocks if allocator == 'buddy' else 0)
    nr_bytes = PAGE_BYTES * resident_pages(memory, 0, records)
    assert nr_bytes <= TIB // 64 + TIB // 512 + TIB // 1024  # sets of the tree, what is known, the rest
