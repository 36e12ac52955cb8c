"""Programs are loaded as their headers say, and hostile headers are refused: nothing is left behind."""

import random
import struct
from typing import Final

import pytest

from incroos.kernel import files, heap, pmm, vm, vmm
from incroos.kernel.abi.errno import EINVAL, ENOEXEC, ENOMEM, number_of
from incroos.kernel.codes import BAD_PROGRAM, OK, TOO_MUCH_TEXT
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.task.start import drop_first
from incroos.lang import VirtAddr
from incroos.run.archive import Entry
from incroos.run.handover import Start

from ...budget import FULL
from ..abi.programs import CODE, CONTENT, DATA_BYTES, REGULAR, SEGMENTS, SMALL, Machine, elf, machine, segment

SEED: Final = 12
NR_MUTATIONS: Final = 20_000 if FULL else 250
HEADER_BYTES: Final = 64 + 56 * len(SEGMENTS)
STACK: Final = segment(0x6474_E551, 6, 0, 0, 0, 0)
TEXT: Final = segment(1, 5, 0x1000, 0x40_1000, 100, 100)
FIELDS: Final = {'kind': 16, 'machine': 18, 'entry': 24, 'headers': 32, 'header_bytes': 54, 'nr_headers': 56}
WIDE: Final = ('entry', 'headers')
EXTREMES: Final = (
    0, 1, 0xFFF, 0x1000, 0x7FFF_FFFF_EFFF, 0x7FFF_FFFF_F000, 1 << 47, (1 << 63) - 1, 1 << 63, (1 << 64) - 1,
    (1 << 64) - 0x1000, 0xFFFF_8000_0000_0000,
)  # fmt: skip


def raw(program: bytes) -> Machine:
    """A machine whose program was not started."""
    made = Machine([Entry(b'program', REGULAR, 1, program)], Start((b'program',)))
    assert made.init_files() == OK
    return made


def nothing_is_left(made: Machine) -> bool:
    """Is all as it was before the program?"""
    assert vm.check(made.k) == pmm.check(made.k) == vmm.check(made.k) == heap.check(made.k) == files.check(made.k) == 0
    return made.k.tasks.current == 0 and pmm.nr_free_frames(made.k) == made.free_frames


# ------------------------------------------------------------------ what runs
def test_segments_are_mapped_and_the_rest_of_their_pages_is_zero() -> None:
    made = machine()
    assert made.get(0x40_1000, len(CODE)) == CODE
    assert made.get(0x40_2000, 0x3000) == DATA_BYTES + bytes(0x3000 - len(DATA_BYTES))
    assert made.get(0x40_0000, 4) == b'\x7fELF'
    assert made.regs.rip == 0x40_1000
    assert made.call(12, 0) == 0x40_5000


def test_registers_and_vectors_hold_nothing_of_anybody() -> None:
    made = machine()
    regs = made.regs
    names = [name for name in type(regs).FIELDS if name not in ('rip', 'rsp', 'cs', 'ss', 'rflags')]
    assert [getattr(regs, name) for name in names] == [0] * len(names)
    assert (regs.cs, regs.ss, regs.rflags, regs.rsp % 16) == (0x33, 0x2B, 0x202, 0)
    vectors = [made.sim.computer.cpu.vector_state[index] for index in range(64)]
    assert vectors[0] == 0x37F
    assert vectors[3] == 0x1F80
    assert not any(vectors[1:3] + vectors[4:])


def test_the_stack_says_what_the_abi_says() -> None:
    made = machine(arguments=(b'program', b'', b'two words'))
    words = [made.word(made.regs.rsp + 8 * index) for index in range(7)]
    assert words[0] == 3
    assert [made.text(at) for at in words[1:4]] == [b'program', b'', b'two words']
    assert words[4] == 0
    assert made.text(words[5]) == b'HOME=/'
    assert words[6] == 0
    auxiliary = {}
    at = made.regs.rsp + 56
    while made.word(at):
        auxiliary[made.word(at)] = made.word(at + 8)
        at += 16
    assert auxiliary[3] == 0x40_0040
    assert (auxiliary[4], auxiliary[5], auxiliary[6], auxiliary[9]) == (56, len(SEGMENTS), PAGE_BYTES, 0x40_1000)
    assert made.text(auxiliary[31]) == b'program'
    assert made.text(auxiliary[15]) == b'x86_64'
    assert made.get(auxiliary[25], 16) != bytes(16)
    assert not any(auxiliary[key] for key in (7, 8, 11, 12, 13, 14, 23))
    assert 33 not in auxiliary


def test_a_static_pie_lies_at_its_base() -> None:
    parts = [segment(1, 5, 0x1000, 0x1000, 100, 100), STACK]
    made = machine(elf(parts, entry=0x1010, kind=3, content=CONTENT))
    assert made.regs.rip == 0x5555_5555_4010
    assert made.get(0x5555_5555_4000, 4) == CODE[:4]


def aligned(alignment: int, start: int = 0x1000) -> bytes:
    """A static PIE whose first segment wants an alignment."""
    head = bytearray(segment(1, 5, 0x1000, start, 100, 100))
    head[48:56] = struct.pack('<Q', alignment)
    return elf([bytes(head), STACK], entry=start + 0x10, kind=3, content=CONTENT)


@pytest.mark.parametrize('alignment', [0x1_0000, 0x20_0000, 0x4000_0000])
@pytest.mark.parametrize('start', [0x1000, 0x31_1000])
def test_a_static_pie_is_moved_by_a_multiple_of_its_alignment(alignment: int, start: int) -> None:
    made = machine(aligned(alignment, start))
    assert (made.regs.rip - start - 0x10) % alignment == 0
    assert 0x5555_0000_0000 <= made.regs.rip <= 0x5555_5555_4010


@pytest.mark.parametrize('alignment', [0, 1, 3, 0x1800, 0x18000, (1 << 64) - 1, 1 << 63])
def test_an_alignment_that_is_none_is_a_page(alignment: int) -> None:
    assert machine(aligned(alignment)).regs.rip == 0x5555_5555_4010


@pytest.mark.parametrize('alignment', [1 << 47, 1 << 62])
def test_an_alignment_that_nothing_can_have_is_refused(alignment: int) -> None:
    made = raw(aligned(alignment, 0))
    assert made.create() == BAD_PROGRAM
    assert nothing_is_left(made)


def test_a_segment_of_zeros_may_have_any_offset() -> None:
    zeros = segment(1, 6, 0xFFFF_FFFF_FFFF_0123, 0x50_0000, 0, 0x2000)
    made = machine(elf([TEXT, zeros, STACK], content=CONTENT))
    assert made.get(0x50_0000, 0x2000) == bytes(0x2000)


def test_the_stack_of_a_program_that_says_nothing_is_not_executable() -> None:
    assert rights_of_stack(machine(elf([TEXT], content=CONTENT))) == ['rw-p']


@pytest.mark.parametrize(('flags', 'rights'), [(6, 'rw-p'), (7, 'rwxp')])
def test_the_stack_is_executable_only_if_the_program_says_so(flags: int, rights: str) -> None:
    made = machine(elf([TEXT, segment(0x6474_E551, flags, 0, 0, 0, 0)], content=CONTENT))
    assert rights_of_stack(made) == [rights]


def rights_of_stack(made: Machine) -> list[str]:
    """As maps says."""
    room = made.room()
    made.put(room, b'/proc/self/maps\0')
    text = made.get(room, made.call(0, made.call(2, room, 0), room, 5000)).decode()
    return [line.split()[1] for line in text.splitlines() if '[stack]' in line]


# ------------------------------------------------------------------ what is refused
REFUSED: Final = {
    'empty': b'',
    'a header that is cut off': SMALL[:63],
    'program headers that are cut off': SMALL[: HEADER_BYTES - 1],
    'no segment': elf([STACK], content=CONTENT),
    'an interpreter': elf([segment(3, 4, 0x1000, 0x40_0000, 10, 10), TEXT], content=CONTENT),
    'segments over each other': elf([TEXT, segment(1, 6, 0x1000, 0x40_1800 & -0x1000, 100, 100)], content=CONTENT),
    'behind the end of the file': elf([segment(1, 5, 0x1000, 0x40_1000, 0x10_0000, 0x10_0000)], content=CONTENT),
    'more in the file than in memory': elf([segment(1, 5, 0x1000, 0x40_1000, 100, 99)], content=CONTENT),
    'an offset that does not fit its address': elf([segment(1, 5, 0x1001, 0x40_1000, 100, 100)], content=CONTENT),
    'page 0': elf([segment(1, 5, 0x1000, 0, 100, 100)], content=CONTENT),
    'the last page below the hole': elf([segment(1, 5, 0x1000, 0x7FFF_FFFF_F000, 100, 100)], content=CONTENT),
    'into the hole': elf([segment(1, 5, 0x1000, 0x7FFF_FFFF_E000, 100, 0x3000)], content=CONTENT),
    'where the stack is': elf([segment(1, 5, 0x1000, 0x7FFF_FFFF_D000, 100, 100)], content=CONTENT),
    'kernel addresses': elf([segment(1, 5, 0x1000, 0xFFFF_8000_0000_0000, 100, 100)], content=CONTENT),
    'memory that wraps': elf([segment(1, 5, 0x1000, 0x40_1000, 100, (1 << 64) - 0x40_1000)], content=CONTENT),
    'an entry in the kernel': elf([TEXT], entry=0xFFFF_8000_0000_0000, content=CONTENT),
    'an entry in the hole': elf([TEXT], entry=1 << 47, content=CONTENT),
}


@pytest.mark.parametrize('name', REFUSED)
def test_what_is_no_program_is_refused(name: str) -> None:
    made = raw(REFUSED[name])
    code = made.create()
    assert code < 0
    assert number_of(code) in (ENOEXEC, ENOMEM, EINVAL)
    assert nothing_is_left(made)


@pytest.mark.parametrize(('nbytes', 'is_refused'), [((128 << 10) - 1, False), (128 << 10, True)])
def test_a_text_of_128_kib_is_too_long(nbytes: int, is_refused: bool) -> None:
    made = Machine([Entry(b'program', REGULAR, 1, SMALL)], Start((b'program', b'x' * nbytes)))
    assert made.init_files() == OK
    assert made.create() == (TOO_MUCH_TEXT if is_refused else OK)


def test_too_much_text_is_refused() -> None:
    made = Machine(
        [Entry(b'program', REGULAR, 1, SMALL)], Start((b'program', b'x' * (200 << 10)), limit_stack=256 << 10)
    )
    assert made.init_files() == OK
    assert made.create() == TOO_MUCH_TEXT
    assert nothing_is_left(made)


def test_a_head_that_counts_wrongly_is_refused() -> None:
    for name, value in (('nr_arguments', 0), ('nr_arguments', 2), ('nr_environment', 1 << 40), ('nr_arguments', -1)):
        made = raw(SMALL)
        setattr(made.info, name, value)
        assert made.create() == BAD_PROGRAM
        assert nothing_is_left(made)


def mutate(program: bytes, chance: random.Random) -> bytes:
    """The program with one to four fields of its headers changed: to extremes, or bit by bit."""
    changed = bytearray(program)
    for _ in range(chance.randint(1, 4)):
        if chance.random() < 0.5:
            name = chance.choice(list(FIELDS))
            at, nbytes = FIELDS[name], 8 if name in WIDE else 2
        else:
            at, nbytes = 64 + 56 * chance.randrange(len(SEGMENTS)) + chance.choice((0, 4, 8, 16, 32, 40)), 8
        value = chance.choice(EXTREMES) + chance.randint(-2, 2)
        if chance.random() < 0.3:
            value = int.from_bytes(changed[at : at + nbytes], 'little') ^ 1 << chance.randrange(8 * nbytes)
        changed[at : at + nbytes] = struct.pack('<Q', value % (1 << 64))[:nbytes]
    return bytes(changed)


def test_mutated_headers_load_or_are_refused() -> None:
    chance = random.Random(SEED)
    made = raw(SMALL)
    at = VirtAddr(made.info.addr + made.info.archive + PAGE_BYTES)
    assert made.k.m.load32(at) == 0x464C_457F
    nr_loaded = 0
    for turn in range(NR_MUTATIONS):
        program = mutate(SMALL[:HEADER_BYTES], chance)
        for index, byte in enumerate(program):
            made.k.m.store8(VirtAddr(at + index), byte)
        code = made.create()
        if code == OK:
            nr_loaded += 1
            assert 0 <= made.regs.rip < 0x7FFF_FFFF_F000
            drop_first(made.k, made.task)
        assert made.k.tasks.current == 0
        vm.give_up_pages(made.k)  # the next one is to be read from the archive
        heap.shrink(made.k)
        assert pmm.nr_free_frames(made.k) == made.free_frames, turn
        if turn % 100 == 0:
            assert nothing_is_left(made)
    assert nr_loaded > 20
    assert nothing_is_left(made)
