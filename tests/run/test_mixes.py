"""The same seeded trace leaves the same memory behind in every place, and traces notice what is wrong."""

from collections.abc import Iterator, Sequence

import pytest

from incroos.guest.calls import CODES
from incroos.inspect.digest import differences, digest, digests
from incroos.kernel.codes import BAD_FREE, DOUBLE_FREE, OK
from incroos.lang import VirtAddr
from incroos.run.harness import Call, Driver
from incroos.run.mix import record, replay
from incroos.run.mix_parts import LostContent, Trace

from ..budget import FULL
from ..kernel.drivers import CHECKED, FULL_BUILDS, MODERN_BUILD, MODERN_BUILDS, PLACES, Build, open_driver

NR_OPERATIONS = {CHECKED: 12_000, MODERN_BUILD: 12_000 if FULL else 4_000}
NR_SHORT = 2_000


BUILDS = {'classic': CHECKED, 'modern': MODERN_BUILD}


@pytest.fixture(scope='module', params=BUILDS)
def build(request: pytest.FixtureRequest) -> Build:
    """Each configuration."""
    return BUILDS[request.param]


@pytest.fixture(scope='module')
def recorded(build: Build) -> tuple[Trace, dict[str, str], str]:
    """A trace of the interpreted kernel, the digests and the digest of its memory at the end."""
    with open_driver('sim', build=build) as driver:
        trace = record(driver, 20, NR_OPERATIONS[build])
        return trace, digests(driver.ram), digest(driver.ram)


@pytest.mark.parametrize('place', PLACES)
def test_a_replayed_trace_has_equal_results_and_equal_memory(
    place: str, build: Build, recorded: tuple[Trace, dict[str, str], str]
) -> None:
    trace, memory, wanted = recorded
    assert len(trace.calls) >= NR_OPERATIONS[build] * 5 // 6
    with open_driver(place, build=build) as driver:
        results = replay(driver, trace.calls)
        calls = zip(trace.calls, trace.results, results, strict=True)
        assert [(str(call), was, now) for call, was, now in calls if was != now] == []
        assert differences(memory, digests(driver.ram)) == []
        assert digest(driver.ram) == wanted


@pytest.mark.parametrize('name', FULL_BUILDS)
def test_a_replayed_trace_is_equal_with_full_hardening(name: str) -> None:
    """Tags, poison, quarantine and random places are the same everywhere, too."""
    with open_driver('sim', build=FULL_BUILDS[name]) as driver:
        trace = record(driver, 22, NR_SHORT)
        memory = digests(driver.ram)
    for place in ('jit', 'qemu'):
        with open_driver(place, build=FULL_BUILDS[name]) as driver:
            assert replay(driver, trace.calls) == trace.results
            assert differences(memory, digests(driver.ram)) == []


@pytest.mark.parametrize('way', ['recursive', 'fixmap'])
def test_a_replayed_trace_is_equal_however_tables_are_reached(way: str) -> None:
    build = MODERN_BUILDS[way]
    with open_driver('sim', build=build) as driver:
        trace = record(driver, 21, NR_SHORT)
        memory = digests(driver.ram)
    for place in ('jit', 'qemu'):
        with open_driver(place, build=build) as driver:
            assert replay(driver, trace.calls) == trace.results
            assert differences(memory, digests(driver.ram)) == []


def test_a_trace_has_all_operations_that_end_and_many_answers(
    build: Build, recorded: tuple[Trace, dict[str, str], str]
) -> None:
    trace, memory, _ = recorded
    names = {code: name for name, code in CODES.items()}
    missing = {'panic', 'spin', 'stop', 'load', 'store', 'nr_total_pool_frames'}
    missing |= {'collect_statistics', 'put_statistics', 'read_memory_map', 'check_space'}
    missing |= {'take_frame', 'address_of', 'is_managed', 'is_page', 'owns'}
    missing |= {'soak_begin', 'soak_run', 'soak_check', 'soak_finish', 'find_damage'}
    missing |= {name for name in CODES if name.startswith('block_soak_')}
    missing |= {'kmalloc_at', 'kfree_at', 'krealloc_at', 'kmemalign_at', 'kzalloc_at', 'kcalloc_at'}
    missing |= {'next_visit', 'snapshot', 'leaked_blocks', 'leaked_bytes', 'put_leaks'}
    missing |= {name for name in CODES if name.startswith('vm_')}  # in tests/kernel/vm
    if build is CHECKED:  # whose heap has no caches
        missing |= {'cache_alloc', 'cache_free', 'cache_destroy', 'cache_shrink', 'cache_keep'}
    assert {names[call.code] for call in trace.calls} == CODES.keys() - missing
    refusals = {result for result in trace.results if -16 <= result < 0}
    assert len(refusals) >= 8
    assert len(memory) > 100


def test_another_seed_is_another_trace() -> None:
    with open_driver('sim') as driver:
        first = record(driver, 1, 300)
    with open_driver('sim') as driver:
        second = record(driver, 2, 300)
    assert first.calls != second.calls


class Wrong(Driver):
    """A driver that passes calls on and changes the answers to one kind of call."""

    def __init__(self, real: Driver, name: str, wanted: int, wrong: int) -> None:
        super().__init__(real.ram)
        self.real, self.code, self.wanted, self.wrong = real, CODES[name], wanted, wrong

    def execute(self, calls: Sequence[Call]) -> list[int]:
        results = self.real.execute(calls)
        is_it = [call.code == self.code and result == self.wanted for call, result in zip(calls, results, strict=True)]
        return [self.wrong if wrong else result for wrong, result in zip(is_it, results, strict=True)]


@pytest.mark.parametrize(
    ('name', 'wanted', 'wrong'),
    [
        ('kfree', OK, BAD_FREE),
        ('kfree', BAD_FREE, OK),
        ('count_other', 0, 1),
        ('protect', OK, -1),
        ('protect_leaf', OK, -1),
        ('unmap_leaf', 0, 1 << 21),
        ('free_table', DOUBLE_FREE, OK),
        ('check_heap', 0, 3),
    ],
)
def test_the_recorder_notices_a_wrong_answer(name: str, wanted: int, wrong: int) -> None:
    with open_driver('sim') as driver, pytest.raises(LostContent, match=name):
        record(Wrong(driver, name, wanted, wrong), 3, 2000)


# ------------------------------------------------------------------ what the digests counts
@pytest.fixture
def sim() -> Iterator[Driver]:
    with open_driver('sim') as driver:
        yield driver


def test_one_byte_of_a_payload_shows(sim: Driver) -> None:
    ptr = sim.call('kmalloc', 100)
    frame = sim.call('get_physical', ptr) & -4096
    before = digests(sim.ram)
    sim.call('fill', ptr + 50, 1, 1)
    assert differences(before, digests(sim.ram)) == [f'frame {frame:#x}']


def test_a_table_and_a_word_of_the_kernels_state_show(sim: Driver) -> None:
    frame = sim.call('alloc_page')
    sim.call('map_page', 0x60_0000_0000, frame, 1)
    before, one = digests(sim.ram), digest(sim.ram)
    sim.call('protect', 0x60_0000_0000, 3)
    changed = differences(before, digests(sim.ram))
    changed.remove('Kernel struct')  # which knows from now on where the table is
    assert [part.split(' for')[1] for part in changed] == [' 0x6000000000'] * len(changed) != []
    assert digest(sim.ram) != one
    before = digests(sim.ram)
    sim.kernel.console.row += 1
    assert differences(before, digests(sim.ram)) == ['Kernel struct']


def test_accessed_and_dirty_bits_and_free_frames_do_not_show(sim: Driver) -> None:
    frame = sim.call('alloc_page')
    spare = sim.call('alloc_page')
    sim.call('free_page', spare)
    sim.call('map_page', 0x60_0000_0000, frame, 3)
    before = digest(sim.ram)
    sim.call('load', 0x60_0000_0000)
    assert digest(sim.ram) == before
    sim.ram.store64(VirtAddr(spare), 1)
    assert digest(sim.ram) == before
