"""Statistics: they add up, are the same however they are asked for, and change by what was done."""

import json
import re
from typing import Any

import pytest

from incroos.guest import mailbox
from incroos.inspect.address_space import AddressSpace, NotMapped
from incroos.inspect.ram import RamMachine
from incroos.inspect.statistics import statistics_of, table_of
from incroos.kernel import pmm, statistics
from incroos.kernel.codes import OK
from incroos.kernel.configs import MODERN, MODERN_CHECKED
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.pmm.all import blocks, frame_ranges
from incroos.kernel.state import ObjectCache
from incroos.lang import Pfn, VirtAddr
from incroos.run import places
from incroos.run.boot import Boot
from incroos.run.guest_ram import file_offset
from incroos.run.harness import DirectDriver, Driver, call_of
from incroos.run.outcome import Status
from incroos.run.sim import Sim

from ..cli.command import run
from ..kernel.drivers import MODERN_BUILD, PLACES, open_driver

MIB = 1 << 20
CACHE_BYTES = -(-ObjectCache.SIZE // 64) * 64
GIB = 1 << 30


def figures_after_boot(place: str, memory_bytes: int) -> dict[str, Any]:
    """What a boot leaves."""
    found: list[dict[str, Any]] = []
    wanted = Boot(
        memory_bytes, 60, lambda _: None, config=MODERN, accel='tcg', look=lambda ram: found.append(statistics_of(ram))
    )
    end = places.boot(place, wanted)
    assert end.status == Status.PASSED
    return found[0]


def check_sums(figures: dict[str, Any]) -> None:
    """What adds up to what."""
    frames, reserved, zones = figures['frames'], figures['reserved'], figures['zones'].values()
    assert frames['ram'] == frames['managed'] + sum(reserved.values())
    assert frames['managed'] == sum(zone['total'] for zone in zones)
    assert frames['free'] == sum(zone['free'] for zone in zones)
    fragmentation = figures['fragmentation_per_mille']
    assert fragmentation == sorted(fragmentation)
    assert (fragmentation[0], len(fragmentation)) == (0, 19)
    assert fragmentation[18] == 1000 or figures['largest_free_block_bytes'] == GIB
    for zone in zones:
        in_blocks = sum(nr_blocks << order for order, nr_blocks in enumerate(zone['free_blocks']))
        assert in_blocks <= zone['free'] <= in_blocks + (16 << 9) + 64  # the rest is on hot lists


@pytest.mark.parametrize(('place', 'memory_bytes'), [('sim', 64 * MIB), ('qemu', 64 * MIB), ('qemu', 5 * GIB)])
def test_a_boot_leaves_the_same_figures_everywhere(place: str, memory_bytes: int) -> None:
    figures = figures_after_boot(place, memory_bytes)
    check_sums(figures)
    assert figures == figures_after_boot('jit', memory_bytes)
    assert figures['counters']['allocs'] - figures['counters']['frees'] >= 1


def test_a_terabyte_is_mapped_in_giant_pages_and_costs_a_record_of_16_bytes_a_frame() -> None:
    figures = figures_after_boot('jit', 1 << 40)
    check_sums(figures)
    assert figures['mappings']['1 GiB'] >= 1020
    assert figures['largest_free_block_bytes'] == GIB
    assert 0.0039 < figures['reserved']['metadata'] / figures['frames']['ram'] < 0.0041


def collected(driver: Driver) -> dict[str, Any]:
    """The figures of now."""
    driver.call('collect_statistics')
    return statistics_of(driver.ram)


@pytest.mark.parametrize('place', PLACES)
def test_figures_change_by_what_is_done(place: str) -> None:
    with open_driver(place, build=MODERN_BUILD) as driver:
        assert statistics_of(driver.ram) == {}
        before = collected(driver)
        va = driver.call('vmalloc', 10 * PAGE_BYTES)
        frame = driver.call('alloc_page')
        during = collected(driver)
        check_sums(during)
        assert during['vmalloc'] == {'ranges': 1, 'pages': 10}
        assert during['frames']['pages'] == before['frames']['pages'] + 11
        assert (
            during['page_tables'] == before['page_tables'] + 2
        )  # the one right under the root is there from the start
        assert during['frames']['free'] == before['frames']['free'] - 13
        assert during['mappings']['4 KiB'] == before['mappings']['4 KiB'] + 10
        assert during['counters']['allocs'] == before['counters']['allocs'] + 13
        driver.call('vfree', va)
        driver.call('free_page', frame)
        after = collected(driver)
        assert after['frames'] == before['frames']
        assert after['mappings'] == before['mappings']
        assert after['counters']['frees'] == before['counters']['frees'] + 13


def test_what_is_kept_is_no_page() -> None:
    sim = Sim(16 * MIB, MODERN)
    sim.start(mailbox.start)
    k = sim.kernel
    before = statistics.collect(k).pages
    metadata = k.blocks
    start = next(pfn for pfn in range(0x600, 0xF00) if blocks.is_free(metadata, Pfn(pfn), 3) and pfn % 8 == 0)
    assert frame_ranges.reserve_range(metadata, Pfn(start), Pfn(start + 5), 7) == OK
    found = statistics.collect(k)
    assert (found.kept, found.pages) == (5, before)


def test_the_kernel_prints_the_same_figures() -> None:
    sim = Sim(64 * MIB, MODERN_CHECKED)
    sim.start(mailbox.start)
    assert DirectDriver(sim.kernel, sim.ram).call('put_statistics') == 0
    figures = statistics_of(RamMachine(sim.ram, MODERN_CHECKED))
    told = dict(re.findall(r'(.*): (-?\d+)\n', sim.console().decode()))
    assert int(told['frames of RAM']) == figures['frames']['ram']
    assert int(told['free frames']) == figures['frames']['free']
    assert int(told['page tables']) == figures['page_tables']
    assert int(told['pages of 2 MiB']) == figures['mappings']['2 MiB']
    assert int(told['reserved for metadata']) == figures['reserved']['metadata']
    assert int(told['frames kept']) == figures['frames']['kept']
    reserved = re.search(r'\n  reserved +(\d+) frames', sim.console().decode())
    assert reserved
    assert int(reserved[1]) == figures['not_ram']['reserved'] > 0
    assert int(told['merges']) == figures['counters']['merges']
    zone = figures['zones']['below 4 GiB']
    by_order = ' '.join(map(str, figures['fragmentation_per_mille']))
    assert f'fragmentation by order, per mille: {by_order}\n' in sim.console().decode()
    line = f'zone 1: {zone["free"]} of {zone["total"]} free; by order {" ".join(map(str, zone["free_blocks"]))}\n'
    assert line in sim.console().decode()


def test_fragmentation_says_how_much_is_of_no_use_to_a_request() -> None:
    sim = Sim(16 * MIB, MODERN)
    sim.start(mailbox.start)
    k = sim.kernel
    frames = []
    while (frame := pmm.take_frame(k)) >= 0:
        frames.append(frame)
    for frame in frames:
        if frame % (4 * PAGE_BYTES) < 2 * PAGE_BYTES:  # two in a row of each four
            assert pmm.free_page(k, frame) == OK
    blocks.drain(k.blocks)
    found = statistics.collect(k)
    assert found.largest_free_order == 1
    assert found.fragmentation[0] == 0
    assert found.fragmentation[1] < 5  # at the edges of RAM
    assert [found.fragmentation[order] for order in range(2, 19)] == [1000] * 17


def test_the_host_sees_what_the_kernel_sees_by_address() -> None:
    sim = Sim(64 * MIB, MODERN)
    sim.start(mailbox.start)
    space = AddressSpace(RamMachine(sim.ram, MODERN), sim.kernel.space.root)
    assert space.load64(sim.kernel.frames.addr) == sim.machine.load64(sim.kernel.frames.addr)
    assert space.load8(sim.kernel.addr) == sim.machine.load8(sim.kernel.addr)
    with pytest.raises(NotMapped):
        space.load64(VirtAddr(0x1000))


def test_ram_above_4_gib_follows_the_rest_in_the_file() -> None:
    assert file_offset(64 * MIB, 5) == 5
    assert file_offset(5 * GIB, 3 * GIB - 1) == 3 * GIB - 1
    assert file_offset(5 * GIB, 4 * GIB) == 3 * GIB
    for absent in (3 * GIB, 6 * GIB, -1):
        with pytest.raises(ValueError, match='is not RAM'):
            file_offset(5 * GIB, absent)


def test_the_table_has_a_line_for_each_figure() -> None:
    assert table_of({'a_b': 1234, 'c': {'d': [1, 2]}}) == f'{"a b":<28} 1,234\nc\n  {"d":<26} 1 2\n'


def test_the_command_prints_figures_behind_the_transcript() -> None:
    done = run('boot', '--config', 'modern', '--on', 'jit', '--stats', '--json')
    *_, line, last = done.output.splitlines()
    assert (done.status, line) == (Status.PASSED, 'Memory manager operational!')
    check_sums(json.loads(last))


# ------------------------------------------------------------------ the heap
@pytest.mark.parametrize('place', PLACES)
def test_figures_of_the_heap_are_what_was_done(place: str) -> None:
    """Requests of every kind, of which some come back and some are refused."""
    heap = heap_after_requests(place)
    assert heap['asked_bytes'] == 60_000 + 3 * 100 + 2 * 5000 + (2 << 20) + 300
    assert heap['given_bytes'] == 60_016 + 3 * 112 + 2 * 5008 + (2 << 20) + 320
    assert heap['refused'] == 1
    assert heap['used_bytes'] == 2 * 112 + 5008 + 320 + 2 * 56 + heap['caches']['caches']['in_use'] * CACHE_BYTES
    assert heap['peak_used_bytes'] == 3 * 112 + 2 * 5008 + (2 << 20)
    assert heap['committed_bytes'] < heap['peak_committed_bytes']
    assert heap['large_blocks'] == 1
    assert [(index, count) for index, count in enumerate(heap['large_requests_by_power_of_2']) if count] == [
        (12, 2),
        (15, 1),
        (21, 1),
    ]
    assert [index for index, count in enumerate(heap['used_chunks_by_power_of_2']) if count] == [12]
    assert heap['size_classes']['112 bytes'] == {
        'in_use': 2,
        'objects': 36,
        'requests': 3,
        'full_slabs': 0,
        'partial_slabs': 1,
        'empty_slabs': 0,
    }
    assert list(heap['size_classes']) == ['112 bytes', '320 bytes']
    tasks = heap['caches']['task (2)']  # the newest cache comes first
    assert (tasks['in_use'], tasks['requests'], tasks['object_bytes']) == (2, 3, 50)
    assert tasks['bytes_lost_to_rounding'] == 6 * tasks['objects'] > 0
    assert heap['caches']['task']['in_use'] == heap['caches']['task']['requests'] == 0


def heap_after_requests(place: str) -> dict[str, Any]:
    with open_driver(place, build=MODERN_BUILD) as driver:
        assert driver.call('kfree', driver.call('kmalloc', 60_000)) == 0
        driver.call('shrink')
        small = [driver.call('kmalloc', 100) for _ in range(3)]
        chunks = [driver.call('kmalloc', 5000) for _ in range(2)]
        pages = driver.call('kmalloc', 2 << 20)
        assert driver.call('kmalloc', 1 << 36) == 0
        assert driver.call('kmalloc', 0) == driver.call('kmalloc', -5) == 0
        assert driver.execute([call_of('kfree', ptr) for ptr in (small[0], chunks[1], pages)]) == [0, 0, 0]
        driver.call('shrink')
        driver.call('kmalloc', 300)
        task = int.from_bytes(b'task', 'little')
        cache = driver.call('cache_create', 50, 8, 0, task)
        driver.call('cache_create', 10, 8, 0, task)
        objects = [driver.call('cache_alloc', cache) for _ in range(3)]
        assert driver.call('cache_free', cache, objects[0]) == 0
        assert driver.call('check_heap') == 0
        heap: dict[str, Any] = collected(driver)['heap']
        return heap


def test_the_command_has_a_section_about_the_heap() -> None:
    done = run('boot', '--config', 'modern', '--on', 'jit', '--stats')
    assert '\nheap\n  used bytes                 0\n' in done.output
    assert '\n  size classes\n    112 bytes\n' in done.output
