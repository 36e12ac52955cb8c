"""Families of spaces against dicts of pages, with Hypothesis to choose: forks, writes on all sides, rights, ends."""

from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from incroos.kernel import heap, pmm, vm, vmm
from incroos.kernel.codes import BAD_POINTER, OK
from incroos.kernel.cpu import this_cpu
from incroos.kernel.state import EXECUTE, IS_LOCKED, IS_SHARED, READ, WRITE, UserSpace
from incroos.kernel.vm import pages
from incroos.kernel.vm.remapping import KEEPS_RANGE, MAY_MOVE, TO_PLACE
from incroos.lang import PhysAddr, VirtAddr
from incroos.machine.tlb import slot_of

from ...budget import FULL
from .space_model import MIB, PAGE, WRITE_ERROR, Machine, Model, Page

LOW: Final = 0x40_0000
EDGE: Final = LOW + 2 * MIB - 4 * PAGE  # before the end of a table
FILE: Final = bytes(range(256)) * 40  # two and a half pages
MOST: Final = 5

starts = st.builds(lambda base, index: base + index * PAGE, st.sampled_from([LOW, LOW, EDGE]), st.integers(0, 9))
lengths = st.integers(1, 8).map(lambda nr_pages: nr_pages * PAGE)
rights = st.sampled_from([READ | WRITE, READ | WRITE, READ | WRITE, READ, 0, READ | EXECUTE])
who = st.integers(0, MOST - 1)
values = st.integers(-1 << 63, (1 << 63) - 1)


class Families(RuleBasedStateMachine):
    """Some spaces, most of one family, one of them loaded or none."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine(8 * MIB)
        self.k = self.machine.k
        self.content = self.machine.new_content(FILE)
        assert vm.destroy(self.machine.new_space()) == OK
        heap.shrink(self.k)
        self.nr_free = pmm.nr_free_frames(self.k)
        self.spaces: list[tuple[UserSpace, Model]] = []
        self.memories: dict[int, dict[int, int]] = {}
        self.sizes: dict[int, int] = {}
        self.begin()

    @rule()
    @precondition(lambda self: len(self.spaces) < MOST)
    def begin(self) -> None:
        model = Model(self.machine.contents)
        model.memories, model.sizes = self.memories, self.sizes
        self.spaces.append((self.machine.new_space(), model))

    def pick(self, index: int) -> tuple[UserSpace, Model]:
        return self.spaces[index % len(self.spaces)]

    # -------------------------------------------------------------- spaces
    @rule(index=who, nr=st.integers(1, 2))
    def fork(self, index: int, nr: int) -> None:
        user, model = self.pick(index)
        for _ in range(min(nr, MOST - len(self.spaces))):
            child = UserSpace(self.k.m, vm.fork(self.k, user))
            assert child.addr != 0
            assert child.family == user.family
            self.spaces.append((child, model.fork()))

    @rule(index=who)
    @precondition(lambda self: len(self.spaces) > 1)
    def end(self, index: int) -> None:
        user, _model = self.spaces.pop(index % len(self.spaces))
        if this_cpu(self.k).space == user.space.addr:
            self.use_no_more()
        assert vm.destroy(user) == OK

    @rule(index=who)
    def use(self, index: int) -> None:
        vm.use(self.k, self.pick(index)[0])

    @rule()
    def use_no_more(self) -> None:
        vmm.switch_to(this_cpu(self.k), self.k.space)

    # -------------------------------------------------------------- ranges
    @rule(index=who, start=starts, nbytes=lengths, rights=rights, is_file=st.booleans())
    def map(self, index: int, start: int, nbytes: int, rights: int, is_file: bool) -> None:
        user, model = self.pick(index)
        content = self.content.addr if is_file else 0
        assert vm.map_at(user, start, nbytes, rights, 0, VirtAddr(content), 0) == start
        assert model.map_at(start, nbytes, Page(rights, 0, content)) == start

    @rule(index=who, start=starts, nbytes=lengths, rights=rights)
    def map_shared(self, index: int, start: int, nbytes: int, rights: int) -> None:
        user, model = self.pick(index)
        memory = vm.create_shared(self.k, nbytes)
        assert memory != 0
        self.memories[memory], self.sizes[memory] = {}, nbytes
        assert vm.map_at(user, start, nbytes, rights, IS_SHARED, memory, 0) == start
        assert model.map_at(start, nbytes, Page(rights, IS_SHARED, memory)) == start

    @rule(index=who, start=starts, nbytes=lengths)
    def unmap(self, index: int, start: int, nbytes: int) -> None:
        user, model = self.pick(index)
        assert vm.unmap(user, start, nbytes) == model.unmap(start, nbytes)

    @rule(index=who, start=starts, nbytes=lengths, rights=rights)
    def protect(self, index: int, start: int, nbytes: int, rights: int) -> None:
        user, model = self.pick(index)
        assert vm.protect(user, start, nbytes, rights) == model.protect(start, nbytes, rights)

    @rule(index=who, start=starts, nbytes=lengths, advice=st.sampled_from([10, 10, 11, 18, 18, 19, 4, 24]))
    def advise(self, index: int, start: int, nbytes: int, advice: int) -> None:
        user, model = self.pick(index)
        end = start + nbytes
        assert vm.advise(user, VirtAddr(start), VirtAddr(end), advice) == model.advise(start, end, advice)

    @rule(index=who, start=starts, nbytes=lengths, flags=st.sampled_from([IS_LOCKED, 0]))
    def lock(self, index: int, start: int, nbytes: int, flags: int) -> None:
        user, model = self.pick(index)
        assert vm.lock(user, VirtAddr(start), VirtAddr(start + nbytes), flags) == model.lock(
            start, start + nbytes, flags
        )

    @rule(
        index=who,
        start=starts,
        nbytes=st.one_of(st.just(0), lengths, lengths),
        wanted=lengths,
        flags=st.sampled_from([TO_PLACE, TO_PLACE, KEEPS_RANGE, 0]),
        place=starts,
    )
    def remap(self, index: int, start: int, nbytes: int, wanted: int, flags: int, place: int) -> None:
        user, model = self.pick(index)
        as_long = max(nbytes, PAGE) if flags & KEEPS_RANGE else wanted
        found = vm.remap(user, VirtAddr(start), nbytes, as_long, flags | MAY_MOVE, place)
        assert found == model.remap(start, nbytes, as_long, flags | MAY_MOVE, place)

    # -------------------------------------------------------------- pages
    @rule(index=who, start=starts, error=st.sampled_from([0, WRITE_ERROR, WRITE_ERROR | 1, 16]))
    def fault(self, index: int, start: int, error: int) -> None:
        user, model = self.pick(index)
        assert vm.fault(user, VirtAddr(start), error) == model.fault(start, error)

    @rule(index=who, start=starts, value=values)
    def store(self, index: int, start: int, value: int) -> None:
        user, model = self.pick(index)
        code = model.fault(start, WRITE_ERROR)
        assert vm.store64(user, start, value) == (OK if code == OK else BAD_POINTER)
        if code == OK:
            model.set_value(start, value)

    @rule(start=starts, value=values)
    def store_in_all(self, start: int, value: int) -> None:
        for index in range(len(self.spaces)):
            self.store(index, start, (value + index) % (1 << 62))

    @rule(index=who, start=starts)
    def load(self, index: int, start: int) -> None:
        user, model = self.pick(index)
        code = model.fault(start, 0)
        assert vm.load64(user, start) == ((OK, model.value(start)) if code == OK else (BAD_POINTER, 0))

    @rule(index=who, start=starts, nbytes=lengths)
    def forget(self, index: int, start: int, nbytes: int) -> None:
        """As MADV_DONTNEED: private pages begin anew, shared ones do not."""
        user, model = self.pick(index)
        pages.clear(user, VirtAddr(start), VirtAddr(start + nbytes))
        for va in range(start, start + nbytes, PAGE):
            page = model.pages.get(va)
            if page is not None and not page.flags & IS_SHARED:
                data = FILE[page.offset : page.offset + 8] if page.content else b''
                model.set_value(va, int.from_bytes(data, 'little', signed=True))

    # -------------------------------------------------------------- what holds
    @invariant()
    def is_as_the_models_say(self) -> None:
        assert vm.check(self.k) == OK
        for user, model in self.spaces:
            assert self.machine.ranges(user) == model.ranges()
            assert user.nr_data_pages == model.nr_data_pages()
            leaves = self.machine.leaves(user)
            is_loaded = this_cpu(self.k).space == user.space.addr
            for va, entry in leaves.items():
                frame = PhysAddr(entry & ((1 << 52) - PAGE))
                value = self.k.m.load64(VirtAddr(pmm.address_of(self.k, frame)))
                assert value == model.value(va)
                if is_loaded:
                    assert self.k.m.load64(VirtAddr(va)) == value  # and the TLB has it from now on
                if is_loaded and entry & vmm.WRITABLE:
                    self.k.m.store64(VirtAddr(va), value)
            if is_loaded:
                self.tlb_has_what_is_there(leaves)

    def tlb_has_what_is_there(self, leaves: dict[int, int]) -> None:
        """No translation of a page that is gone or another's, none with a right that is gone."""
        cpu = self.machine.sim.computer.cpu
        for va in (base + index * PAGE for base in (LOW, EDGE) for index in range(18)):
            slot = slot_of(cpu, VirtAddr(va))
            if slot.read_page == va:
                assert slot.addend + va - cpu.host_ram == leaves[va] & ((1 << 52) - PAGE)
                assert slot.write_page != va or leaves[va] & vmm.WRITABLE

    def teardown(self) -> None:
        self.use_no_more()
        for user, _model in self.spaces:
            assert vm.destroy(user) == OK
        vm.give_up_pages(self.k)
        heap.shrink(self.k)
        assert self.content.nr_users == self.k.vm.nr_contents == 0
        assert pmm.nr_free_frames(self.k) == self.nr_free
        self.machine.check()


Families.TestCase.settings = settings(
    max_examples=150 if FULL else 8, stateful_step_count=60 if FULL else 30, deadline=None
)
TestFamilies = Families.TestCase
