"""Caches of objects: what they give, take back and refuse, in every place; and against a model."""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, consumes, invariant, multiple, rule

from incroos.build.codegen import compile_host
from incroos.build.memory_code import CodeInMemory
from incroos.hosted.configs import HOSTED
from incroos.inspect.address_space import AddressSpace
from incroos.kernel import heap
from incroos.kernel.codes import BAD_FREE, CACHE_IN_USE, OK
from incroos.kernel.config import FULL, KernelConfig
from incroos.kernel.configs import MODERN, MODERN_CHECKED
from incroos.kernel.heap import caches, lifecycle
from incroos.kernel.heap.block import POISON_FREED, POISON_FRESH
from incroos.kernel.heap.caches_check import CACHE_INVARIANTS
from incroos.kernel.heap.slab import pages as slab_pages
from incroos.kernel.layout import PAGE_BYTES, SLABS
from incroos.kernel.state import Heap, HostedHeap, Kernel, ObjectCache
from incroos.lang import VirtAddr, kernel, word
from incroos.lang.frontend import RAW, compile_unit
from incroos.machine.host import C_FUNCTION, HostMemory
from incroos.run.harness import DirectDriver, Driver

from ..drivers import MODERN_BUILD, PLACES, Build, open_driver

CHECKS = ('check_heap', 'check_vmm', 'check_pmm')
MAX_BYTES = caches.MAX_OBJECT_BYTES


@pytest.fixture(params=PLACES)
def modern(request: pytest.FixtureRequest) -> Iterator[Driver]:
    with open_driver(request.param, build=MODERN_BUILD) as driver:
        yield driver


@pytest.fixture
def direct() -> Iterator[DirectDriver]:
    with open_driver('sim', build=MODERN_BUILD) as driver:
        assert isinstance(driver, DirectDriver)
        yield driver


def assert_in_order(driver: Driver) -> None:
    assert [driver.call(name) for name in CHECKS] == [0, 0, 0]


def view_of(driver: Driver, cache: int) -> ObjectCache:
    """The cache as the host sees it in the guest's memory."""
    return ObjectCache(AddressSpace(driver.ram, driver.kernel.space.root), VirtAddr(cache))


def standing(driver: Driver) -> tuple[int, ...]:
    """What a refusal leaves alone."""
    return (
        *(driver.call(name) for name in ('used_bytes', 'committed_bytes', 'nr_free_frames')),
        driver.kernel.heap.caches.nr_caches,
        driver.kernel.heap.figures.asked_bytes,
        driver.kernel.heap.figures.nr_large_frees,
    )


# ------------------------------------------------------------------ each place
@pytest.mark.parametrize(
    ('nbytes', 'alignment'),
    [(1, 1), (9, 1), (24, 8), (100, 64), (300, 512), (700, PAGE_BYTES), (5000, 16), (MAX_BYTES, 1), (32_000, 4096)],
)
def test_objects_lie_apart_on_their_boundary(direct: DirectDriver, nbytes: int, alignment: int) -> None:
    cache = direct.call('cache_create', nbytes, alignment)
    pointers = [direct.call('cache_alloc', cache) for _ in range(20)]
    assert all(ptr >= SLABS and ptr % alignment == 0 for ptr in pointers)
    assert all(after - before >= nbytes for before, after in zip(sorted(pointers), sorted(pointers)[1:], strict=False))
    for number, ptr in enumerate(pointers):
        direct.call('fill', ptr, number, nbytes)
    assert [direct.call('count_other', ptr, number, nbytes) for number, ptr in enumerate(pointers)] == [0] * 20
    assert_in_order(direct)


def test_the_life_of_a_cache(modern: Driver) -> None:
    cache = modern.call('cache_create', 200, 32, 0, int.from_bytes(b'task', 'little'))
    view = view_of(modern, cache)
    assert bytes(view.name[index] for index in range(24)).rstrip(b'\0') == b'task'
    assert (view.asked_bytes, view.slabs.object_bytes, view.alignment) == (200, 224, 32)
    pointers = [modern.call('cache_alloc', cache) for _ in range(100)]
    assert len(set(pointers)) == 100
    assert modern.call('cache_destroy', cache) == CACHE_IN_USE
    for ptr in pointers:
        assert modern.call('cache_free', cache, ptr) == OK
        assert modern.call('cache_free', cache, ptr) == BAD_FREE
    assert modern.call('cache_free', cache, 0) == OK
    assert (view.slabs.allocs, caches.usage(Kernel(view.m, modern.kernel.addr).heap, view.slabs)[0]) == (100, 0)
    assert_in_order(modern)
    assert modern.call('cache_destroy', cache) == OK
    assert modern.call('cache_destroy', cache) == BAD_FREE
    assert modern.call('used_bytes') == 0
    assert_in_order(modern)


def test_what_is_no_object_of_this_cache(modern: Driver) -> None:
    cache, other = modern.call('cache_create', 64, 16), modern.call('cache_create', 64, 16)
    mine, its = modern.call('cache_alloc', cache), modern.call('cache_alloc', other)
    small, chunk, large = (modern.call('kmalloc', nbytes) for nbytes in (64, 5000, 2 << 20))
    before = standing(modern)
    for ptr in (its, small, chunk, large, mine + 1, mine + 64, mine - 64, cache, other, -1, 8, 1 << 62, SLABS):
        assert modern.call('cache_free', cache, ptr) == BAD_FREE, hex(ptr)
    for ptr in (mine, its, cache, mine + 64):
        assert modern.call('kfree', ptr) == BAD_FREE
        assert modern.call('krealloc', ptr, 10) == 0
        assert modern.call('kmalloc_usable_size', ptr) == 0
    for what in (0, mine, small, chunk, cache + 64, cache + 8, 1 << 40, -1):
        assert modern.call('cache_destroy', what) == BAD_FREE
        assert modern.call('cache_shrink', what) == BAD_FREE
        assert modern.call('cache_keep', what, 1) == BAD_FREE
    assert standing(modern) == before
    assert_in_order(modern)


def test_what_is_no_cache_to_make(modern: Driver) -> None:
    before = standing(modern)
    for nbytes in (0, -1, MAX_BYTES + 1, 1 << 62, -1 << 63):
        assert modern.call('cache_create', nbytes, 16) == 0
    for alignment in (0, -16, 3, 48, 2 * PAGE_BYTES, 1 << 62, -1 << 63):
        assert modern.call('cache_create', 100, alignment) == 0
    assert standing(modern) == before


def test_a_heap_without_slabs_has_no_caches(driver: Driver) -> None:
    assert driver.call('cache_create', 64, 16) == 0
    assert driver.kernel.heap.caches.nr_caches == 0


@pytest.mark.parametrize('nbytes', [40, 3000])
def test_objects_are_constructed_once_and_stay_so(modern: Driver, nbytes: int) -> None:
    template = modern.call('kmalloc', nbytes)
    modern.call('fill', template, 0x5A, nbytes)
    cache = modern.call('cache_create', nbytes, 16, template)
    modern.call('fill', template, 0, nbytes)  # the cache has its own copy
    assert modern.call('kfree', template) == OK
    pointers = [modern.call('cache_alloc', cache) for _ in range(12)]
    assert [modern.call('count_other', ptr, 0x5A, nbytes) for ptr in pointers] == [0] * 12
    modern.call('fill', pointers[3], 0x33, nbytes)  # somebody constructs it anew, in another way
    modern.call('cache_free', cache, pointers[3])
    changed = pointers.pop(3)
    while changed not in pointers:
        pointers.append(modern.call('cache_alloc', cache))
    assert modern.call('count_other', changed, 0x33, nbytes) == 0
    for ptr in pointers:
        modern.call('cache_free', cache, ptr)
    assert modern.call('cache_shrink', cache) > 0
    again = modern.call('cache_alloc', cache)
    assert modern.call('count_other', again, 0x5A, nbytes) == 0
    modern.call('cache_free', cache, again)
    assert modern.call('cache_destroy', cache) == OK
    assert modern.call('used_bytes') == 0
    assert_in_order(modern)


@pytest.mark.parametrize('config', [MODERN_CHECKED, replace(MODERN, hardening=FULL)], ids=['poison', 'full'])
def test_poison_is_for_objects_that_are_not_constructed(config: KernelConfig) -> None:
    with open_driver('sim', build=Build(config, is_checked=False)) as driver:
        template = driver.call('kmalloc', 100)
        driver.call('fill', template, 0x5A, 100)
        plain, constructed = driver.call('cache_create', 100, 8), driver.call('cache_create', 100, 8, template)
        for cache, fresh, freed in ((plain, POISON_FRESH, POISON_FREED), (constructed, 0x5A, 0x5A)):
            ptr = driver.call('cache_alloc', cache)
            assert driver.call('count_other', ptr, fresh, 100) == 0
            assert driver.call('cache_free', cache, ptr) == OK
            assert driver.call('count_other', ptr, freed, 100) == 0


def test_a_cache_keeps_as_many_empty_slabs_as_it_is_told(modern: Driver) -> None:
    cache = modern.call('cache_create', 1024, 1024)
    view = view_of(modern, cache)
    pointers = [modern.call('cache_alloc', cache) for _ in range(160)]
    nr_pages, nr_objects = view.slabs.nr_pages, view.slabs.nr_objects
    committed = modern.call('committed_bytes')
    for ptr in pointers:
        modern.call('cache_free', cache, ptr)
    assert view.slabs.nr_empty == view.slabs.max_empty == 2
    for limit in (1, 0):
        assert modern.call('cache_keep', cache, limit) == OK
        assert view.slabs.nr_empty == limit
    assert modern.call('cache_keep', cache, 5) == OK
    again = [modern.call('cache_alloc', cache) for _ in range(160)]
    assert modern.call('committed_bytes') == committed
    for ptr in again:
        modern.call('cache_free', cache, ptr)
    assert view.slabs.nr_empty == 5
    slab_bytes = nr_pages * PAGE_BYTES
    assert view.slabs.nr_slabs * nr_objects >= 5
    assert modern.call('cache_shrink', cache) == 6 * slab_bytes  # and the current one
    assert view.slabs.nr_slabs == 0
    assert_in_order(modern)


def test_slabs_begin_at_different_colours(direct: DirectDriver) -> None:
    cache = direct.call('cache_create', 600, 8)
    slabs = view_of(direct, cache).slabs
    pointers = [direct.call('cache_alloc', cache) for _ in range(4 * slabs.nr_objects)]
    records = [slab_pages.locate(direct.k.heap, VirtAddr(ptr))[0] for ptr in pointers]
    colours = list({record.addr: record.colour for record in records}.values())
    assert colours[:3] == [0, 64, 128]
    assert_in_order(direct)


def test_a_name_is_cut(direct: DirectDriver) -> None:
    cache = heap.cache_create(direct.k, b'a name that is far too long for it', 8, 8, VirtAddr(0), VirtAddr(0))
    assert bytes(cache.name[index] for index in range(24)) == b'a name that is far too l'
    assert direct.k.heap.caches.own.name[0] == ord('c')


# ------------------------------------------------------------------ constructors in C
SLOT_BYTES = 1 << 30


@kernel
def start_heap(own: HostedHeap, answer_ok: word) -> None:
    """Begin as hosted.pool does, in a slot that is mapped whole."""
    own.host.slot_bytes = SLOT_BYTES
    own.host.map = answer_ok
    own.host.unmap = answer_ok
    own.host.release = answer_ok
    lifecycle.init(own.heap, VirtAddr(0))


@kernel
def make_cache(heap: Heap, object_bytes: word, template: VirtAddr, constructor: VirtAddr) -> VirtAddr:
    return caches.create(heap, b'constructed', object_bytes, 8, template, constructor).addr


@kernel
def take_object(heap: Heap, cache: ObjectCache) -> VirtAddr:
    return caches.alloc(heap, cache)


@kernel
def give_object(heap: Heap, cache: ObjectCache, ptr: VirtAddr) -> word:
    return caches.free(heap, cache, ptr)


def test_a_c_function_constructs_each_object_once() -> None:
    """In a process, where a constructor is the address of a function and objects are its memory."""
    memory = HostMemory(SLOT_BYTES)
    roots: dict[str, Callable[..., Any]] = {
        'init': start_heap,
        'make': make_cache,
        'take': take_object,
        'give': give_object,
    }
    code = CodeInMemory(compile_host(compile_unit(roots, RAW, HOSTED, checked=True).ir, is_quick=True), trap)
    k = memory.base
    called: list[tuple[int, int]] = []

    def construct(ptr: int, nbytes: int, *_: int) -> int:
        called.append((ptr, nbytes))
        ctypes.memset(ptr + 8, 0x77, nbytes - 8)
        return 0

    constructor, answer_ok = C_FUNCTION(construct), C_FUNCTION(lambda *_: OK)
    address = [ctypes.cast(function, ctypes.c_void_p).value or 0 for function in (constructor, answer_ok)]
    code.function('init', 2)(k, address[1])
    template = ctypes.create_string_buffer(b'\x55' * 40, 40)
    cache = code.function('make', 4)(k, 40, ctypes.addressof(template), address[0])
    first = code.function('take', 2)(k, cache)
    assert called == [(first + 40 * number, 40) for number in range(len(called))]
    assert len(called) > 50
    assert ctypes.string_at(first, 40) == b'\x55' * 8 + b'\x77' * 32
    ctypes.memset(first, 0x11, 40)
    assert code.function('give', 3)(k, cache, first) == OK
    assert code.function('take', 2)(k, cache) == first
    assert ctypes.string_at(first, 40) == b'\x11' * 40
    assert len(called) == len(set(called))


def trap_site(site: int) -> None:
    raise AssertionError(f'a check failed at site {site}')


TRAP = ctypes.CFUNCTYPE(None, ctypes.c_int64)(trap_site)
trap = ctypes.cast(TRAP, ctypes.c_void_p).value or 0


def test_a_constructor_is_refused_where_no_c_is(direct: DirectDriver) -> None:
    assert heap.cache_create(direct.k, b'', 100, 8, VirtAddr(0), VirtAddr(0x1000)).addr == 0
    assert direct.k.heap.caches.nr_caches == 0


# ------------------------------------------------------------------ running out
@pytest.mark.parametrize('nbytes', [100, 5000])
def test_each_frame_refused_once(direct: DirectDriver, nbytes: int) -> None:
    """Of a cache with a template, and of its first object."""
    template = direct.call('kzalloc', nbytes)
    calls: list[Callable[[], int]] = [
        lambda: direct.call('cache_create', nbytes, 16, template),
        lambda: direct.call('cache_alloc', direct.kernel.heap.caches.first),
    ]
    for call in calls:
        for refused in range(1, 100):
            before = standing(direct)
            direct.call('refuse_at', refused)
            result = call()
            was_refused = direct.kernel.frames.requests >= refused
            direct.call('refuse_at', 0)
            assert_in_order(direct)
            if not was_refused:
                assert result != 0
                break
            assert result == 0
            assert without_tables(standing(direct)) == without_tables(before)
        else:
            pytest.fail('a request that always asks for more frames')


def without_tables(standing: tuple[int, ...]) -> tuple[int, ...]:
    """Slabs of the cache of caches, and records, may stay where they were made."""
    used, _committed, _frames, *counted = standing
    return used, *counted


def test_running_out_is_no_panic() -> None:
    with open_driver('jit', build=MODERN_BUILD) as driver:
        cache = driver.call('cache_create', MAX_BYTES, 16)
        pointers = []
        while ptr := driver.call('cache_alloc', cache):
            pointers.append(ptr)
        assert driver.call('nr_free_frames') < 16
        assert_in_order(driver)
        for ptr in pointers:
            assert driver.call('cache_free', cache, ptr) == OK
        assert driver.call('cache_destroy', cache) == OK
        assert driver.call('kmalloc', 1 << 20) != 0


# ------------------------------------------------------------------ against a model
class CachesAgainstSets(RuleBasedStateMachine):
    """A cache is a set of objects; an object an interval that keeps its bytes, constructed ones also while free."""

    made: Bundle[int] = Bundle('made')
    taken: Bundle[tuple[int, int]] = Bundle('taken')
    place = 'sim'

    def __init__(self) -> None:
        super().__init__()
        self.closing = ExitStack()
        self.driver = self.closing.enter_context(open_driver(self.place, build=MODERN_BUILD))
        self.live: dict[int, dict[int, int]] = {}
        self.sizes: dict[int, tuple[int, int, bool]] = {}
        self.left: dict[int, dict[int, int]] = {}  # what constructed objects that are free hold

    def call(self, name: str, *words: int) -> int:
        return self.driver.call(name, *words)

    @rule(
        target=made,
        nbytes=st.one_of(st.integers(1, 64), st.integers(1, 2000), st.integers(1, MAX_BYTES)),
        alignment=st.sampled_from([1, 2, 8, 16, 64, 512, 4096]),
        has_template=st.booleans(),
    )
    def create(self, nbytes: int, alignment: int, has_template: bool) -> int:
        template = 0
        if has_template:
            template = self.call('kmalloc', nbytes)
            self.call('fill', template, 1, nbytes)
        cache = self.call('cache_create', nbytes, alignment, template)
        assert cache != 0
        assert self.call('kfree', template) == OK
        assert cache not in self.live
        self.live[cache], self.left[cache], self.sizes[cache] = {}, {}, (nbytes, alignment, has_template)
        return cache

    @rule(target=taken, cache=made, byte=st.integers(2, 255), nr_objects=st.integers(1, 5))
    def alloc(self, cache: int, byte: int, nr_objects: int) -> MultipleResults[tuple[int, int]]:
        return multiple(*(self.take(cache, byte) for _ in range(nr_objects) if cache in self.live))

    def take(self, cache: int, byte: int) -> tuple[int, int]:
        nbytes, alignment, is_constructed = self.sizes[cache]
        ptr = self.call('cache_alloc', cache)
        assert ptr != 0
        assert ptr % alignment == 0
        for objects, (size, _, _) in zip(self.live.values(), self.sizes.values(), strict=True):
            assert all(ptr + nbytes <= other or other + size <= ptr for other in objects)
        if is_constructed:
            assert self.call('count_other', ptr, self.left[cache].pop(ptr, 1), min(nbytes, 64)) == 0
        self.call('fill', ptr, byte, nbytes)
        self.live[cache][ptr] = byte
        return cache, ptr

    @rule(thing=consumes(taken))
    def free(self, thing: tuple[int, int]) -> None:
        cache, ptr = thing
        nbytes, _, is_constructed = self.sizes[cache]
        byte = self.live[cache].pop(ptr)
        assert self.call('count_other', ptr, byte, min(nbytes, 64)) == 0
        assert self.call('count_other', ptr + nbytes - min(nbytes, 64), byte, min(nbytes, 64)) == 0
        nr_slabs = view_of(self.driver, cache).slabs.nr_slabs
        assert self.call('cache_free', cache, ptr) == OK
        if is_constructed:
            self.left[cache][ptr] = byte
        if view_of(self.driver, cache).slabs.nr_slabs < nr_slabs:
            self.forget_lost(cache)
        assert self.call('cache_free', cache, ptr) == BAD_FREE

    def forget_lost(self, cache: int) -> None:
        """What lay in pages that were given back will be constructed anew."""
        mapped = {ptr for ptr in self.left[cache] if self.call('get_physical', ptr) >= 0}
        self.left[cache] = {ptr: byte for ptr, byte in self.left[cache].items() if ptr in mapped}

    @rule(thing=taken, other=made, off=st.integers(-70, 70))
    def free_what_is_none_of_it(self, thing: tuple[int, int], other: int, off: int) -> None:
        cache, ptr = thing
        if other in self.live and ptr + off not in self.live[other]:
            assert self.call('cache_free', other, ptr + off) == BAD_FREE
        assert self.call('kfree', ptr) == BAD_FREE
        assert cache in self.live

    @rule(cache=made)
    def shrink(self, cache: int) -> None:
        if cache in self.live:
            assert self.call('cache_shrink', cache) >= 0
            self.forget_lost(cache)

    @rule(cache=made)
    def destroy(self, cache: int) -> None:
        if cache in self.live:
            wanted = CACHE_IN_USE if self.live[cache] else OK
            assert self.call('cache_destroy', cache) == wanted
            if wanted == OK:
                del self.live[cache], self.left[cache], self.sizes[cache]
        else:
            assert self.call('cache_destroy', cache) == BAD_FREE

    @invariant()
    def the_heap_is_in_order(self) -> None:
        assert self.call('check_heap') == 0
        for cache, objects in self.live.items():
            view = view_of(self.driver, cache)
            assert caches.usage(Kernel(view.m, self.driver.kernel.addr).heap, view.slabs)[0] == len(objects)

    def teardown(self) -> None:
        for cache, objects in self.live.items():
            assert [self.call('cache_free', cache, ptr) for ptr in objects] == [OK] * len(objects)
            assert self.call('cache_destroy', cache) == OK
        assert self.call('used_bytes') == 0
        assert_in_order(self.driver)
        self.closing.close()


class CachesAgainstSetsCompiled(CachesAgainstSets):
    """The same in `jit`."""

    place = 'jit'


class CachesAgainstSetsBooted(CachesAgainstSets):
    """The same in `qemu`."""

    place = 'qemu'


TestInSim = CachesAgainstSets.TestCase
TestInJit = CachesAgainstSetsCompiled.TestCase
TestInQemu = CachesAgainstSetsBooted.TestCase
for case, nr_examples in ((TestInSim, 10), (TestInJit, 30), (TestInQemu, 4)):
    case.settings = settings(max_examples=nr_examples, stateful_step_count=25)


# ------------------------------------------------------------------ the checker
def turn_a_link(k: Kernel, cache: ObjectCache) -> None:
    cache.previous = cache.addr


def forget_a_cache(k: Kernel, cache: ObjectCache) -> None:
    k.heap.caches.nr_caches -= 1


def open_it(k: Kernel, cache: ObjectCache) -> None:
    cache.slabs.nr_open = 1


@pytest.mark.parametrize(('damage', 'number'), [(turn_a_link, 1), (forget_a_cache, 1), (open_it, 3)])
def test_a_broken_invariant_is_named(
    direct: DirectDriver, damage: Callable[[Kernel, ObjectCache], None], number: int
) -> None:
    cache = direct.call('cache_create', 100, 16)
    assert direct.call('cache_alloc', cache) != 0
    assert direct.call('check_heap') == 0
    damage(direct.k, ObjectCache(direct.k.m, VirtAddr(cache)))
    assert direct.call('check_heap') == CACHE_INVARIANTS + number
