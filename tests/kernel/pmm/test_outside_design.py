"""A frame allocator in a file outside of the package: in the labs, and in a kernel of each place."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from incroos.kernel.codes import DOUBLE_FREE, NO_FRAME, OK
from incroos.kernel.configs import CLASSIC, MODERN_CHECKED
from incroos.kernel.layout import ALLOCATOR_BYTES, PAGE_BYTES
from incroos.kernel.pmm import classic
from incroos.lang import ConfigError, load_design

from ..drivers import PLACES, Build, open_driver
from .blocks_lab import ALLOCATORS, LABS, SMALL, Lab

PATH: Final = Path(__file__).with_name('outside') / 'next_fit.py'
NEXT_FIT: Final = load_design(PATH)
BUILD: Final = Build(replace(MODERN_CHECKED, frames=NEXT_FIT), is_checked=True)
MIDDLE_FRAMES: Final = range(0x100, 0x333)


@pytest.fixture(params=LABS)
def lab(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setitem(ALLOCATORS, 'next fit', NEXT_FIT)
    return LABS[request.param](SMALL, 'next fit')


def test_it_is_small() -> None:
    lines = PATH.read_text().splitlines()
    assert len([line for line in lines if line and not line.startswith(('import', 'from', '@', '"'))]) <= 60
    assert sum(line.startswith('@kernel') for line in lines) <= 10


def test_each_frame_is_handed_out_once_and_comes_back(lab: Lab) -> None:
    nr_frames = sum(end - start for start, end in SMALL)
    assert lab.counts() == (nr_frames, 0, 0)
    taken = []
    while (pfn := lab.call('alloc_block', 1, 0, 7)) >= 0:
        taken.append(pfn)
    assert pfn == NO_FRAME
    assert sorted(taken) == [pfn for start, end in SMALL for pfn in range(start, end)]
    assert lab.counts() == (0, nr_frames, 0)
    assert lab.call('check') == OK
    assert [lab.call('free_frame', pfn) for pfn in taken] == [OK] * nr_frames
    assert lab.call('free_frame', taken[0]) == DOUBLE_FREE
    lab.call('drain')
    assert lab.counts() == (nr_frames, 0, 0)
    assert lab.call('check') == OK


def test_blocks_ranges_and_runs_of_frames(lab: Lab) -> None:
    before = lab.counts()
    block = lab.call('alloc_block', 1, 5, 7)
    assert block % 32 == 0
    assert block in MIDDLE_FRAMES
    assert lab.call('alloc_range', 0x301, 0x310, 7) == OK
    assert lab.call('reserve_range', 0x310, 0x333, 7) == OK
    run = lab.call('alloc_contiguous', 1, 100, 2, 7)
    assert run % 4 == 0
    assert {*range(run, run + 100)}.isdisjoint([*range(block, block + 32), *range(0x301, 0x333)])
    assert lab.counts() == (before[0] - 32 - 15 - 35 - 100, 32 + 15 + 100, 35)
    assert lab.call('check') == OK
    assert lab.call('free_block', block, 5) == OK
    assert lab.call('free_range', 0x301, 0x310) == OK
    assert lab.call('release_range', 0x310, 0x333) == OK
    assert lab.call('free_range', run, run + 100) == OK
    lab.call('drain')
    assert lab.counts() == before
    assert lab.call('check') == OK


def test_the_default_check_sees_a_wrong_count(lab: Lab) -> None:
    zone = lab.zone(1)
    state = NEXT_FIT.NextFit(zone.m, zone.allocator.addr)
    state.nr_free_frames += 1
    zone.nr_total_frames += 1
    assert lab.call('check') == 100 * 2 + 20 + 1


@pytest.mark.parametrize('place', PLACES)
def test_a_kernel_starts_with_it_and_has_all_of_ram(place: str) -> None:
    with open_driver(place, build=BUILD) as driver:
        assert (driver.call('check_pmm'), driver.call('check_vmm')) == (OK, OK)
        nr_free = driver.call('nr_free_frames')
        frames = [driver.call('alloc_page') for _ in range(300)]
        assert len({frame // PAGE_BYTES for frame in frames}) == 300
        block = driver.call('kmalloc', 3 << 20)
        assert block != 0
        assert driver.call('kfree', block) == OK
        assert [driver.call('free_page', frame) for frame in frames] == [OK] * 300
        assert driver.call('free_page', frames[0]) == DOUBLE_FREE
        assert (driver.call('check_pmm'), driver.call('check_vmm')) == (OK, OK)
        assert 0 <= nr_free - driver.call('nr_free_frames') < 100  # the heap keeps some


# ------------------------------------------------------------------ what is refused
def test_a_state_that_is_too_large_is_refused(tmp_path: Path) -> None:
    file = tmp_path / 'large.py'
    file.write_text(PATH.read_text().replace('NextFit.SIZE', '1 << 20'))
    words = rf'large\.py has 1048576 bytes of state, and a zone has {ALLOCATOR_BYTES}: keep the rest in metadata_'
    with pytest.raises(ConfigError, match=words):
        replace(MODERN_CHECKED, frames=load_design(file))


@pytest.mark.parametrize('name', ['init', 'put', 'take', 'take_at', 'is_free', 'nr_free_frames'])
def test_each_of_the_six_functions_is_asked_for(tmp_path: Path, name: str) -> None:
    file = tmp_path / f'without_{name}.py'
    file.write_text(PATH.read_text().replace(f'def {name}(', f'def not_{name}('))
    with pytest.raises(ConfigError, match=rf'without_{name}\.py is no FrameAllocator: define @kernel def {name}\('):
        replace(MODERN_CHECKED, frames=load_design(file))


def test_the_area_is_large_enough_for_ours() -> None:
    assert all(design.STATE_BYTES <= ALLOCATOR_BYTES for design in ALLOCATORS.values())


def test_a_stock_that_does_not_go_with_the_space_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'classic\.py goes with space 0, not 1: name the stock of that space'):
        replace(MODERN_CHECKED, stock=classic)
    with pytest.raises(ConfigError, match=r'modern\.py goes with space 1, not 0'):
        replace(CLASSIC, stock=MODERN_CHECKED.stock)
