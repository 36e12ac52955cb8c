"""A design of a heap in a file outside of the package: it runs in all places, also below the tags of hardening."""

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from incroos.inspect.digest import digest
from incroos.inspect.statistics import statistics_of
from incroos.kernel.codes import BAD_FREE, OK
from incroos.kernel.config import HEAP_STATE_BYTES, KernelConfig
from incroos.kernel.configs import CLASSIC_CHECKED, CLASSIC_FULL_CHECKED, MODERN_CHECKED
from incroos.kernel.state import Heap
from incroos.lang import ConfigError, load_design, offset_of
from incroos.run.harness import Driver

from ...budget import FULL
from ..drivers import MEMORY, PLACES, Build, open_driver

FILE: Final = Path(__file__).parent / 'outside/powers.py'
OUTSIDE: Final = load_design(FILE)
CONFIGS: Final = {
    'classic': replace(CLASSIC_CHECKED, objects=OUTSIDE),
    'full': replace(CLASSIC_FULL_CHECKED, objects=OUTSIDE),
    'modern': replace(MODERN_CHECKED, objects=OUTSIDE),
}


def opened(place: str, config: KernelConfig) -> AbstractContextManager[Driver]:
    return open_driver(place, MEMORY, Build(config, is_checked=True))


def use(driver: Driver) -> str:
    """The same random calls in each place, against a dict of blocks; what memory looks like then."""
    random = Random(7)
    live: dict[int, tuple[int, int]] = {}
    for step in range(150):
        if len(live) < 40 and random.random() < 0.6:
            nbytes, byte = random.choice([1, 16, 100, 5000, random.randrange(1, 20_000)]), random.randrange(256)
            ptr = driver.call('kmalloc', nbytes)
            assert ptr != 0
            assert ptr % 16 == 0
            assert all(ptr + nbytes <= other or other + size <= ptr for other, (size, _) in live.items())
            assert driver.call('kmalloc_usable_size', ptr) >= nbytes
        elif live:
            ptr = random.choice(list(live))
            nbytes, byte = live.pop(ptr)
            assert driver.call('count_other', ptr, byte, nbytes) == 0
            if random.random() < 0.5:
                assert driver.call('kfree', ptr) == OK
                continue
            kept, nbytes = nbytes, random.randrange(1, 20_000)
            ptr = driver.call('krealloc', ptr, nbytes)
            assert driver.call('count_other', ptr, byte, min(kept, nbytes)) == 0
        driver.call('fill', ptr, byte, nbytes)
        live[ptr] = nbytes, byte
        assert step % 15 != 0 or driver.call('check_heap') == 0
    for ptr in live:
        assert driver.call('kfree', ptr) == OK
    assert driver.call('kmalloc', -1) == 0
    assert driver.call('kmalloc', 1 << 50) == 0
    assert driver.call('cache_create', 64, 8) == 0
    assert driver.call('used_bytes') == 0
    assert [driver.call(name) for name in ('check_heap', 'check_vmm', 'check_pmm')] == [0, 0, 0]
    return digest(driver.ram)


@pytest.mark.parametrize('name', CONFIGS)
def test_a_design_of_a_file_of_ones_own_runs_alike_in_all_places(name: str) -> None:
    found = {}
    for place in PLACES if FULL or name != 'full' else PLACES[:2]:
        with opened(place, CONFIGS[name]) as driver:
            found[place] = use(driver)
    assert len(set(found.values())) == 1, found


@pytest.mark.parametrize('place', ['sim', 'jit', 'qemu'])
def test_what_it_does_not_define_itself_it_cannot_do(place: str) -> None:
    with opened(place, CONFIGS['classic']) as driver:
        ptr = driver.call('kmalloc', 100)
        assert driver.call('kmemalign', 64, 100) == 0
        assert driver.call('kfree', ptr + 8) == BAD_FREE
        assert driver.call('kfree', ptr) == OK
        assert driver.call('kfree', ptr) == BAD_FREE
        assert driver.call('shrink') == 0


@pytest.mark.parametrize('place', ['sim', 'jit', 'qemu'])
def test_statistics_say_of_it_what_is_counted_for_all_designs(place: str) -> None:
    with opened(place, CONFIGS['modern']) as driver:
        assert driver.call('kmalloc', 100) != 0
        assert driver.call('kmalloc', 1 << 36) == 0
        assert driver.call('collect_statistics') == 1
        assert statistics_of(driver.ram)['heap'] == {'used_bytes': 128, 'asked_bytes': 100, 'refused': 1}


def test_the_fields_of_designs_have_the_bytes_that_a_design_from_outside_may_have() -> None:
    assert Heap.SIZE - offset_of(Heap, 'first_fit') >= HEAP_STATE_BYTES


def design_of(folder: Path, *changes: tuple[str, str]) -> Any:
    text = FILE.read_text()
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / 'powers.py').write_text(text)
    return load_design(folder / 'powers.py')


def test_a_design_that_wants_more_state_than_there_is_is_refused(tmp_path: Path) -> None:
    wrong = design_of(tmp_path, ('Array[VirtAddr], NR_ORDERS', 'Array[VirtAddr], 3000'))
    with pytest.raises(
        ConfigError, match=rf'powers\.py has 24024 bytes of state, at most {HEAP_STATE_BYTES} can be had'
    ):
        replace(CLASSIC_CHECKED, objects=wrong)


def test_a_design_that_lacks_a_function_is_refused(tmp_path: Path) -> None:
    wrong = design_of(tmp_path, ('def used_bytes', 'def used_by_all'))
    with pytest.raises(ConfigError, match=r'is no HeapDesign: define @kernel def used_bytes\(heap: Heap\) -> word'):
        replace(CLASSIC_CHECKED, objects=wrong)
