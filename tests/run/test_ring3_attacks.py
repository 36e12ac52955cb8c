"""Attacks on the kernel from ring 3: each ends in a signal or is refused, and the kernel is as it was.

An exception from what Linux and the hardware do is a waiver with its reason: it is named here, and shown to be one.
"""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from signal import SIGBUS, SIGILL, SIGSEGV, SIGTRAP
from typing import Final

import pytest

from incroos.inspect.digest import metadata_of, used_blocks
from incroos.inspect.ram import RamMachine
from incroos.kernel.layout import BOOT_MAP_END, KERNEL_STATE, MODERN_STACK_END, PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import Kernel
from incroos.kernel.state.registers import Registers
from incroos.lang import VirtAddr
from incroos.run.program import ALL_FEATURES

from ..budget import FULL
from .ring3 import ATTACKS, Case, built, in_place, make_root, on_host
from .ring3_cases import ROOT

PLACES: Final = ('jit', 'sim', 'qemu')
GOES_ON: Final = 0
BY_SIGNAL: Final = {
    SIGILL: {'stac', 'clac', 'monitor', 'mwait', 'rsm', 'ud0', 'vmcall', 'vmmcall'},
    SIGTRAP: {'trap_flag', 'trap_flag_and_call', 'trap_flag_behind_ss', 'icebp'},
    SIGBUS: {'aligned_check', 'stack_non_canonical'},
    GOES_ON: {
        *('own_ds', 'prefetch_kernel', 'flags_and_call', 'selectors', 'stack_in_kernel_and_call'),
        *('far_to_own', 'iret_to_own', 'rdtsc'),
    },
}  # of hardware under Linux; all others: SIGSEGV
MAY_DIFFER: Final = {  # from one host to the next
    *('sysenter', 'vmcall', 'vmmcall'),  # the maker of the processor, and a hypervisor
    *('rdfsbase', 'wrfsbase', 'wrgsbase'),  # allowed since Linux 5.9
    *('sgdt', 'sidt', 'sldt', 'str', 'smsw'),  # without UMIP they answer; with it Linux answers for some
    *('invpcid', 'rdpmc', 'icebp', 'aligned_check', 'gs_base'),
}
# What is different here in all places: FSGSBASE is off, and CR0.AM is not set.
OURS: Final[Mapping[str, int]] = {
    'rdfsbase': SIGILL,
    'wrfsbase': SIGILL,
    'wrgsbase': SIGILL,
    'aligned_check': GOES_ON,
}
# Waiver: Unicorn 2.1.4 has no UMIP (hardware: #GP), no GDT while ring 3 runs, so that each load of a selector is #GP
# (hardware: its own are legal), and knows sysret, invpcid and rdpmc not at all (hardware: #GP). Its non-canonical
# addresses of the stack are #GP (hardware: #SS).
IN_UNICORN: Final[Mapping[str, int]] = {
    **dict.fromkeys(('sgdt', 'sidt', 'sldt', 'str', 'smsw'), GOES_ON),
    **dict.fromkeys(('own_ds', 'far_to_own', 'iret_to_own', 'trap_flag_behind_ss', 'stack_non_canonical'), SIGSEGV),
    **dict.fromkeys(('sysret', 'invpcid', 'rdpmc'), SIGILL),
}
# Waiver: QEMU 7.2 reads the stack of a far return with the rights of ring 0, which SMAP refuses (hardware: its own are
# legal); has neither invpcid (hardware: #GP) nor icebp (hardware: #DB), takes sysenter and sysexit for instructions of
# Intel alone (there: #GP), and a non-canonical address of the stack is #GP (hardware: #SS).
IN_QEMU: Final[Mapping[str, int]] = {
    **dict.fromkeys(('far_to_own', 'iret_to_own', 'stack_non_canonical'), SIGSEGV),
    **dict.fromkeys(('invpcid', 'icebp', 'sysenter', 'sysexit'), SIGILL),
}
WAIVERS: Final = {'jit': IN_UNICORN, 'sim': IN_UNICORN, 'qemu': IN_QEMU}


def signal_on_linux(name: str) -> int:
    """What is expected where nothing is waived."""
    return next((number for number, names in BY_SIGNAL.items() if name in names), SIGSEGV)


def expected(place: str, name: str) -> int:
    """In a place of ours."""
    return WAIVERS[place].get(name, OURS.get(name, signal_on_linux(name)))


def attack_names() -> list[str]:
    """As the program lists them."""
    text = (ATTACKS / 'attack.c').read_text().partition('static const struct attack attacks[] = {')[2]
    return [part.split(')')[0] for part in text.split('ENTRY(')[1:]]


NAMES: Final = attack_names()
INTERRUPTS: Final = range(256) if FULL else (0, 1, 2, 3, 4, 8, 13, 14, 0x20, 0x80, 0xFF)
SIM_NAMES: Final = NAMES if FULL else NAMES[::6]
QEMU_NAMES: Final = NAMES if FULL else NAMES[::2]
IN_PLACES: Final = [
    *(('jit', name) for name in NAMES),
    *(('sim', name) for name in SIM_NAMES),
    *(('qemu', name) for name in QEMU_NAMES),
]


@pytest.fixture(scope='module')
def attack() -> Path:
    return built(ATTACKS / 'attack.c', 'musl', '-Wno-array-bounds')


def options(place: str) -> dict[str, str]:
    """QEMU's processor has all that it can."""
    return {'processor': ALL_FEATURES} if place == 'qemu' else {}


@pytest.mark.parametrize('name', NAMES)
def test_linux_says_what_is_expected(tmp_path: Path, attack: Path, name: str) -> None:
    make_root(tmp_path / 'root', attack, {})
    seen = on_host(attack, Case(name, 'attack', (name,)), tmp_path / 'root')
    assert seen.signal == signal_on_linux(name) or name in MAY_DIFFER, seen
    assert seen.stdout == (b'' if seen.signal else b'refused, and goes on\n'), seen


@pytest.mark.parametrize(('place', 'name'), IN_PLACES)
def test_an_attack_does_nothing(tmp_path: Path, attack: Path, place: str, name: str) -> None:
    make_root(tmp_path / 'root', attack, {})
    seen, ran = in_place(place, attack, Case(name, 'attack', (name,)), tmp_path / 'root', **options(place))
    assert seen.signal == expected(place, name), (seen, ran.sentence)
    assert seen.stdout == (b'' if seen.signal else b'refused, and goes on\n')


CALLS: Final = {'flags_and_call', 'gs_base', 'last_page', 'stack_in_kernel_and_call', 'trap_flag_and_call'}
LAST_OF_STACK: Final = (MODERN_STACK_END - PAGE_BYTES) >> PAGE_SHIFT  # at its end are the registers
ENDED, WENT_ON = 'ud0', 'x'  # what harms nobody: an instruction that is none, and nothing at all


def kernel_memory(ram: RamMachine) -> dict[int, bytes]:
    """Each frame that is not free: the kernel's, now that the program has ended. The registers say where it was."""
    k = Kernel(ram, VirtAddr(KERNEL_STATE))
    pfns = set(range(BOOT_MAP_END >> PAGE_SHIFT))
    for first, order_and_state, _ in used_blocks(metadata_of(ram, k)):
        pfns |= set(range(first, first + (1 << (order_and_state & 0xFF))))
    memory = {pfn: ram.read(pfn << PAGE_SHIFT, PAGE_BYTES) for pfn in pfns}
    memory[LAST_OF_STACK] = memory[LAST_OF_STACK][: -Registers.SIZE]
    return memory


@pytest.fixture(scope='module')
def left_by(tmp_path_factory: pytest.TempPathFactory, attack: Path) -> Callable[[str], dict[int, bytes]]:
    root = tmp_path_factory.mktemp('root')
    make_root(root, attack, {})

    @cache
    def run(name: str) -> dict[int, bytes]:
        memory: dict[int, bytes] = {}
        in_place('jit', attack, Case(name, 'attack', (name,)), root, look=lambda ram: memory.update(kernel_memory(ram)))
        return memory

    return run


@pytest.mark.parametrize('name', [name for name in NAMES if name not in CALLS])  # the kernel counts calls
def test_an_attack_leaves_the_memory_of_the_kernel_as_it_is(
    left_by: Callable[[str], dict[int, bytes]], name: str
) -> None:
    """Byte for byte what the same program leaves that harms nobody; names of one length, since the kernel knows it."""
    ours = left_by(name)
    theirs = left_by((WENT_ON if expected('jit', name) == GOES_ON else ENDED).ljust(len(name), '.'))
    assert KERNEL_STATE >> PAGE_SHIFT in ours
    assert [hex(pfn << PAGE_SHIFT) for pfn in ours.keys() | theirs.keys() if ours.get(pfn) != theirs.get(pfn)] == []


@pytest.mark.parametrize('vector', INTERRUPTS)
@pytest.mark.parametrize('place', PLACES if FULL else ('jit', 'qemu'))
def test_an_interrupt_by_an_instruction_is_refused(tmp_path: Path, attack: Path, place: str, vector: int) -> None:
    """But for the breakpoint, which is a trap; int 0x80 would be a call of 32-bit programs, which are not there."""
    make_root(tmp_path / 'root', attack, {})
    case = Case(f'int-{vector}', 'attack', ('int', str(vector)))
    seen, ran = in_place(place, attack, case, tmp_path / 'root', **options(place))
    assert seen.signal == (SIGTRAP if vector == 3 else SIGSEGV), ran.sentence


@pytest.mark.parametrize('place', PLACES if FULL else ('jit', 'qemu'))
def test_each_call_with_each_bad_pointer_comes_back(tmp_path: Path, place: str) -> None:
    program = built(ATTACKS / 'bad_calls.c', 'musl')
    make_root(tmp_path / 'root', program, ROOT)
    seen, ran = in_place(place, program, Case('bad-calls', 'bad_calls'), tmp_path / 'root')
    assert (seen.status, seen.signal) == (0, 0), (seen.stdout[-300:], seen.stderr[-300:], ran.sentence)
    assert seen.stderr.endswith(b' numbers are unknown\n')


@pytest.mark.parametrize('seed', range(300 if FULL else 12))
def test_random_calls_leave_the_kernel_as_it_was(tmp_path: Path, seed: int) -> None:
    """Whatever becomes of the program."""
    program = built(ATTACKS / 'random_calls.c', 'musl')
    make_root(tmp_path / 'root', program, ROOT)
    case = Case('random-calls', 'random_calls', (str(seed), '5000'))
    seen, _ran = in_place('jit', program, case, tmp_path / 'root')
    assert b'some refused: 1' in seen.stderr or seen.signal


NOTHING: Final = ('-nostdlib', '-fno-stack-protector')
REGISTERS: Final = slice(0, 120)
STACK_POINTER: Final = slice(120, 128)
FLAGS: Final = slice(128, 136)
MXCSR_MASK: Final = slice(144 + 28, 144 + 32)  # what the processor has


def without(dump: bytes, *parts: slice) -> bytes:
    """Some bytes zeroed."""
    left = bytearray(dump)
    for part in parts:
        left[part] = bytes(part.stop - part.start)
    return bytes(left)


@pytest.mark.parametrize('place', PLACES)
def test_registers_of_a_new_program_hold_nothing(tmp_path: Path, place: str) -> None:
    program = built(ATTACKS / 'first.c', 'glibc', *NOTHING)
    make_root(tmp_path / 'root', program, {})
    case = Case('first', 'first')
    host = on_host(program, case, tmp_path / 'root')
    seen, _ran = in_place(place, program, case, tmp_path / 'root')
    assert len(seen.stdout) == 656
    assert seen.stdout[REGISTERS] == bytes(120)
    assert seen.stdout[FLAGS] == (0x202).to_bytes(8, 'little')
    assert without(seen.stdout, STACK_POINTER, MXCSR_MASK) == without(host.stdout, STACK_POINTER, MXCSR_MASK)


@pytest.mark.parametrize('place', PLACES)
def test_memory_of_a_new_program_holds_nothing(tmp_path: Path, place: str) -> None:
    """Also in a kernel that fills frames that are free."""
    program = built(ATTACKS / 'fresh.c', 'glibc', *NOTHING)
    make_root(tmp_path / 'root', program, {})
    case = Case('fresh', 'fresh')
    assert on_host(program, case, tmp_path / 'root').status == 0
    seen, _ran = in_place(place, program, case, tmp_path / 'root')
    assert (seen.status, seen.signal) == (0, 0)


def test_an_attack_goes_by_its_name() -> None:
    """No name of a table is misspelt, and none is waived for nothing."""
    named = {name for names in BY_SIGNAL.values() for name in names} | MAY_DIFFER | set(OURS)
    for waived in WAIVERS.values():
        named |= set(waived)
        assert not [name for name in waived if waived[name] == OURS.get(name, signal_on_linux(name))]
    assert named | CALLS | {ENDED} <= set(NAMES)
    assert WENT_ON not in NAMES
    assert len(set(NAMES)) == len(NAMES)
