"""User spaces against a dict of pages, with Hypothesis to choose: ranges, rights, contents, breaks, faults, the TLB."""

from dataclasses import replace
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from incroos.kernel import heap, pmm, vm, vmm
from incroos.kernel.codes import BAD_POINTER, OK
from incroos.kernel.cpu import this_cpu
from incroos.kernel.state import EXECUTE, GROWS_DOWN, IS_LOCKED, LOCKS_LATE, READ, WRITE
from incroos.kernel.vm.remapping import KEEPS_RANGE, MAY_MOVE, TO_PLACE
from incroos.lang import PhysAddr, VirtAddr
from incroos.machine.tlb import slot_of

from ...budget import FULL
from .space_model import END, LOWEST, MIB, PAGE, WRITE_ERROR, Machine, Model, Page

LOW: Final = 0x40_0000
STACK_END: Final = END
ADVICE: Final = (4, 4, 8, 24, *range(4), *range(10, 22))
FILE: Final = bytes(range(256)) * 40  # two and a half pages

starts = st.builds(
    lambda base, index: base + index * PAGE,
    st.sampled_from([LOW, LOW, LOW, LOW + (2 << 20) - 4 * PAGE, END - 4 * MIB]),
    st.integers(0, 11),
)
odd_starts = st.sampled_from([0, PAGE, LOWEST - PAGE, LOWEST, LOW + 1, -PAGE, END - PAGE, END, END + PAGE, 1 << 62])
lengths = st.builds(lambda pages, rest: pages * PAGE - rest, st.integers(1, 9), st.sampled_from([0, 0, 1, 4095]))
odd_lengths = st.sampled_from([0, -1, -PAGE, END, END + 1, 1 << 62, (1 << 63) - 1, -1 << 63])
any_start = st.one_of(starts, starts, starts, odd_starts)
any_length = st.one_of(lengths, lengths, lengths, odd_lengths)
rights = st.sampled_from([READ | WRITE, READ | WRITE, READ, 0, WRITE, EXECUTE, READ | EXECUTE, READ | WRITE | EXECUTE])


class Spaces(RuleBasedStateMachine):
    """One space, loaded or not."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine(6 * MIB)
        self.k = self.machine.k
        self.content = self.machine.new_content(FILE)
        self.nr_free = pmm.nr_free_frames(self.k)
        self.user = self.machine.new_space()
        self.model = Model(self.machine.contents)
        self.resident: set[int] = set()

    @initialize()
    def begin(self) -> None:
        self.user.brk_start = self.user.brk = VirtAddr(LOW)
        self.model.brk_start = self.model.brk = LOW

    def page(self, rights: int, is_file: bool, offset: int) -> Page:
        return Page(rights, 0, self.content.addr if is_file else 0, offset * PAGE)

    @rule(
        hint=st.one_of(st.just(0), any_start),
        nbytes=any_length,
        rights=rights,
        is_file=st.booleans(),
        offset=st.sampled_from([0, 0, 1, 3]),
    )
    def map_anywhere(self, hint: int, nbytes: int, rights: int, is_file: bool, offset: int) -> None:
        page = self.page(rights, is_file, offset)
        wanted = self.model.map_anywhere(hint, nbytes, page) if nbytes < MIB else None
        if wanted is None:
            return
        found = vm.map_anywhere(self.user, hint, nbytes, rights, 0, VirtAddr(page.content), page.offset)
        assert found == wanted

    @rule(
        start=any_start,
        nbytes=any_length,
        rights=rights,
        is_file=st.booleans(),
        offset=st.sampled_from([0, 0, 1, 3]),
        is_free=st.booleans(),
    )
    def map_at(self, start: int, nbytes: int, rights: int, is_file: bool, offset: int, is_free: bool) -> None:
        page = self.page(rights, is_file, offset)
        call = vm.map_at_free if is_free else vm.map_at
        found = call(self.user, start, nbytes, rights, 0, VirtAddr(page.content), page.offset)
        assert found == self.model.map_at(start, nbytes, page, is_free)

    @rule(start=starts, nr_pages=st.integers(1, 3))
    def map_stack(self, start: int, nr_pages: int) -> None:
        found = vm.map_at_free(self.user, start, nr_pages * PAGE, READ | WRITE, GROWS_DOWN, VirtAddr(0), 0)
        assert found == self.model.map_at(start, nr_pages * PAGE, Page(READ | WRITE, GROWS_DOWN), True)

    @rule(start=any_start, nbytes=any_length)
    def unmap(self, start: int, nbytes: int) -> None:
        assert vm.unmap(self.user, start, nbytes) == self.model.unmap(start, nbytes)

    @rule(start=any_start, nbytes=any_length, rights=rights)
    def protect(self, start: int, nbytes: int, rights: int) -> None:
        if nbytes > MIB and start >= LOWEST and start % PAGE == 0:
            return  # nothing has so many pages
        assert vm.protect(self.user, start, nbytes, rights) == self.model.protect(start, nbytes, rights)

    @rule(start=starts, nr_pages=st.integers(1, 14), advice=st.sampled_from(ADVICE))
    def advise(self, start: int, nr_pages: int, advice: int) -> None:
        end = min(start + nr_pages * PAGE, END)
        found = vm.advise(self.user, VirtAddr(start), VirtAddr(end), advice)
        assert found == self.model.advise(start, end, advice)

    @rule(start=starts, nr_pages=st.integers(1, 9), flags=st.sampled_from([IS_LOCKED, IS_LOCKED | LOCKS_LATE, 0, 0]))
    def lock(self, start: int, nr_pages: int, flags: int) -> None:
        end = min(start + nr_pages * PAGE, END)
        found = vm.lock(self.user, VirtAddr(start), VirtAddr(end), flags)
        assert found == self.model.lock(start, end, flags)

    @rule(
        start=starts,
        nr_pages=st.sampled_from([0, 1, 1, 2, 3, 4, 9]),
        nr_wanted=st.integers(1, 9),
        flags=st.sampled_from([0, MAY_MOVE, TO_PLACE | MAY_MOVE, TO_PLACE | MAY_MOVE, KEEPS_RANGE | MAY_MOVE]),
        place=any_start,
    )
    def remap(self, start: int, nr_pages: int, nr_wanted: int, flags: int, place: int) -> None:
        if flags & KEEPS_RANGE:
            nr_wanted = max(nr_pages, 1)
        nbytes, wanted = nr_pages * PAGE, nr_wanted * PAGE
        found = vm.remap(self.user, VirtAddr(start), nbytes, wanted, flags, place)
        assert found == self.model.remap(start, nbytes, wanted, flags, place)

    @rule(start=starts, nr_pages=st.integers(1, 9))
    def populate(self, start: int, nr_pages: int) -> None:
        vm.populate(self.user, VirtAddr(start), VirtAddr(min(start + nr_pages * PAGE, END)))

    @rule(wanted=st.one_of(any_start, st.integers(LOW - PAGE, LOW + 20 * PAGE)))
    def set_break(self, wanted: int) -> None:
        if wanted > LOW + MIB:
            return
        assert vm.set_break(self.user, wanted) == self.model.set_break(wanted)

    @rule(space=st.sampled_from([-1, 40 * PAGE, 20 * PAGE + 5]), data=st.sampled_from([-1, 10 * PAGE, 30 * PAGE - 1]))
    def set_limits(self, space: int, data: int) -> None:
        self.user.limit_address_space = self.model.limits['address_space'] = space
        self.user.limit_data = self.model.limits['data'] = data

    # -------------------------------------------------------------- pages
    @rule(start=any_start, rest=st.integers(0, PAGE - 1), error=st.sampled_from([0, 1, 2, 3, 2, 16, 17, 6, 20]))
    def fault(self, start: int, rest: int, error: int) -> None:
        assert vm.fault(self.user, VirtAddr(start + rest), error) == self.model.fault(start + rest, error)

    @rule(start=any_start, pages_below=st.integers(1, 300))
    def fault_below(self, start: int, pages_below: int) -> None:
        va = start - pages_below * PAGE
        assert vm.fault(self.user, VirtAddr(va), WRITE_ERROR) == self.model.fault(va, WRITE_ERROR)

    @rule(start=any_start, value=st.integers(-1 << 63, (1 << 63) - 1))
    def store(self, start: int, value: int) -> None:
        start &= -PAGE
        code = self.model.fault(start, WRITE_ERROR)
        assert vm.store64(self.user, start, value) == (OK if code == OK else BAD_POINTER)
        if code == OK:
            self.model.pages[start] = replace(self.model.pages[start], value=value)

    @rule(start=any_start)
    def load(self, start: int) -> None:
        start &= -PAGE
        code = self.model.fault(start, 0)
        wanted = (OK, self.model.pages[start].value) if code == OK else (BAD_POINTER, 0)
        assert vm.load64(self.user, start) == wanted

    # -------------------------------------------------------------- loaded or not
    @rule()
    def use(self) -> None:
        vm.use(self.k, self.user)

    @rule()
    def use_no_more(self) -> None:
        vmm.switch_to(this_cpu(self.k), self.k.space)

    # -------------------------------------------------------------- what holds
    @invariant()
    def is_as_the_model_says(self) -> None:
        assert vm.check(self.k) == OK
        assert self.machine.ranges(self.user) == self.model.ranges()
        assert self.user.brk == self.model.brk
        assert self.user.nr_data_pages == self.model.nr_data_pages()
        is_loaded = this_cpu(self.k).space == self.user.space.addr
        for va, entry in self.machine.leaves(self.user).items():
            frame = PhysAddr(entry & ((1 << 52) - PAGE))
            value = self.k.m.load64(VirtAddr(pmm.address_of(self.k, frame)))
            assert value == self.model.pages[va].value
            if is_loaded:
                assert self.k.m.load64(VirtAddr(va)) == value  # and the TLB has it from now on
        if is_loaded:
            self.tlb_has_what_is_there()

    def tlb_has_what_is_there(self) -> None:
        """No translation of a page that is gone, none with a right that is gone."""
        cpu = self.machine.sim.computer.cpu
        leaves = self.machine.leaves(self.user)
        for base in (LOW, LOW + (2 << 20) - 4 * PAGE, END - 4 * MIB):
            for va in range(base, base + 24 * PAGE, PAGE):
                slot = slot_of(cpu, VirtAddr(va))
                if slot.read_page == va:
                    assert va in leaves
                    assert slot.addend + va - cpu.host_ram == leaves[va] & ((1 << 52) - PAGE)
                    assert slot.write_page != va or leaves[va] & vmm.WRITABLE

    def teardown(self) -> None:
        vmm.switch_to(this_cpu(self.k), self.k.space)
        assert vm.destroy(self.user) == OK
        assert self.content.nr_users == 0
        vm.free_content_pages(self.k, self.content, 0)
        heap.shrink(self.k)
        assert pmm.nr_free_frames(self.k) == self.nr_free
        self.machine.check()


Spaces.TestCase.settings = settings(
    max_examples=200 if FULL else 10, stateful_step_count=60 if FULL else 30, deadline=None
)
TestSpaces = Spaces.TestCase


def test_a_locked_range_that_stays_without_its_pages_is_merged() -> None:
    """mremap with MREMAP_DONTUNMAP of a part takes the lock of the whole range, which is then like its neighbours."""
    machine = Machine(6 * MIB)
    user = machine.new_space()
    assert vm.map_at(user, LOW, 9 * PAGE, READ | WRITE, 0, VirtAddr(0), 0) == LOW
    assert vm.lock(user, VirtAddr(LOW + 3 * PAGE), VirtAddr(LOW + 6 * PAGE), IS_LOCKED) == OK
    place = LOW + 100 * PAGE
    moved = vm.remap(user, VirtAddr(LOW + 4 * PAGE), PAGE, PAGE, KEEPS_RANGE | TO_PLACE | MAY_MOVE, place)
    assert moved == place
    assert [(start, end) for start, end, *_rest in machine.ranges(user)] == [
        (LOW, LOW + 9 * PAGE),
        (place, place + PAGE),
    ]
    assert vm.check(machine.k) == OK
