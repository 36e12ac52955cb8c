"""Random programs, interpreted against compiled: equal results and equal memory, and traps at the same lines.

INCROOS_BUDGET=full runs many more of them.
"""

import ast
import random
import traceback
from functools import partial
from typing import Any, Final

import pytest

from incroos.build.codegen import compile_bare
from incroos.lang import Struct, VirtAddr, copy, fill, kernel, u64, word
from incroos.lang import load8 as raw_load8
from incroos.lang import load16 as raw_load16
from incroos.lang import load32 as raw_load32
from incroos.lang import load64 as raw_load64
from incroos.lang import store8 as raw_store8
from incroos.lang import store16 as raw_store16
from incroos.lang import store32 as raw_store32
from incroos.lang import store64 as raw_store64
from incroos.lang.frontend import BARE, compile_unit, simulated

from ..budget import FULL
from .compiled import Compiled, Memory, Trap, compiled
from .flat import FlatMachine
from .guarded import GUARDS, LeavesTheWord, fill_state, guarded, shrink
from .programs import EDGES, SMALL, Writer
from .sample import define, run

NR_GROUPS: Final = 8
NR_SEEDS: Final = 2000 if FULL else 72  # together
NR_ROWS: Final = 4
NBYTES: Final = 1024
ERRORS: Final = (LeavesTheWord, ZeroDivisionError, IndexError, OverflowError, ValueError)


# ---------------------------------------------------------------- a simulated machine whose memory begins elsewhere
class Cpu(Struct):
    start: u64


@kernel
def cpu_load8(cpu: Cpu, addr: VirtAddr) -> word:
    return raw_load8(cpu.m, VirtAddr(cpu.start + addr))


@kernel
def cpu_load16(cpu: Cpu, addr: VirtAddr) -> word:
    return raw_load16(cpu.m, VirtAddr(cpu.start + addr))


@kernel
def cpu_load32(cpu: Cpu, addr: VirtAddr) -> word:
    return raw_load32(cpu.m, VirtAddr(cpu.start + addr))


@kernel
def cpu_load64(cpu: Cpu, addr: VirtAddr) -> word:
    return raw_load64(cpu.m, VirtAddr(cpu.start + addr))


@kernel
def cpu_store8(cpu: Cpu, addr: VirtAddr, value: word) -> None:
    raw_store8(cpu.m, VirtAddr(cpu.start + addr), value)


@kernel
def cpu_store16(cpu: Cpu, addr: VirtAddr, value: word) -> None:
    raw_store16(cpu.m, VirtAddr(cpu.start + addr), value)


@kernel
def cpu_store32(cpu: Cpu, addr: VirtAddr, value: word) -> None:
    raw_store32(cpu.m, VirtAddr(cpu.start + addr), value)


@kernel
def cpu_store64(cpu: Cpu, addr: VirtAddr, value: word) -> None:
    raw_store64(cpu.m, VirtAddr(cpu.start + addr), value)


@kernel
def cpu_fill(cpu: Cpu, addr: VirtAddr, byte: word, nbytes: word) -> None:
    fill(cpu.m, VirtAddr(cpu.start + addr), byte, nbytes)


@kernel
def cpu_copy(cpu: Cpu, to: VirtAddr, source: VirtAddr, nbytes: word) -> None:
    copy(cpu.m, VirtAddr(cpu.start + to), VirtAddr(cpu.start + source), nbytes)


LOWERINGS: Final = {
    name.removeprefix('cpu_'): function for name, function in globals().items() if name.startswith('cpu_')
}


# ---------------------------------------------------------------- one program
def interpret(module: Any, machine: FlatMachine, row: tuple[int, ...]) -> int | Trap:
    """The result, or the place in the program where it goes wrong."""
    try:
        return int(module.f(module.State(machine, machine.base), *row))
    except ERRORS as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith('program')]
        return Trap(f'{frames[-1].filename}:{frames[-1].lineno}')


def rows_of(seed: int) -> list[tuple[int, ...]]:
    chance = random.Random(seed)
    return [tuple(chance.choice(SMALL if chance.random() < 0.7 else EDGES) for _ in range(3)) for _ in range(NR_ROWS)]


def difference(text: str, seed: int) -> str:
    """What differs between the ways to run the program; nothing, if it is right."""
    file = f'program{seed}.py'
    strict = run(compile(guarded(text), file, 'exec'), GUARDS)
    module = define(text, file=file)
    plain = compiled([module.f])
    checked = compiled([module.f], checked=True)
    elsewhere = compiled([module.f], checked=True, target=simulated(LOWERINGS))
    memory = Memory(NBYTES)
    cpu = Memory(Cpu.SIZE)
    cpu.put(memory.addr.to_bytes(8, 'little'))
    for number, row in enumerate(rows_of(seed)):
        initial = FlatMachine(memory.addr, NBYTES)
        fill_state(module.State(initial, memory.addr), random.Random(f'{seed} {number}'))

        def interpreted(module: Any, initial: bytes = bytes(initial.bytes), row: Any = row) -> Any:
            machine = FlatMachine(memory.addr, NBYTES)
            machine.bytes[:] = initial
            return interpret(module, machine, row), bytes(machine.bytes)

        def machine_code(code: Compiled, *words: int, initial: bytes = bytes(initial.bytes), row: Any = row) -> Any:
            memory.put(initial)
            return code.call('f', *words, *row), memory.content()

        wanted = interpreted(strict)
        found = {
            'checked': machine_code(checked, memory.addr),
            'simulated': machine_code(elsewhere, cpu.addr, 0),
        }
        if not isinstance(wanted[0], Trap):
            found['CPython'] = interpreted(module)
            found['plain'] = machine_code(plain, memory.addr)
        for way, got in found.items():
            if got != wanted:
                where = [at for at in range(NBYTES) if got[1][at] != wanted[1][at]]
                return f'f(s, {row}) gives {wanted[0]}, {way} {got[0]}; memory differs at {where[:10]}'
    return ''


@pytest.mark.parametrize('group', range(NR_GROUPS))
def test_programs_mean_the_same_interpreted_and_compiled(group: int) -> None:
    for seed in range(group, NR_SEEDS, NR_GROUPS):
        text = Writer(seed).program()
        if difference(text, seed):
            shorter = shrink(text, partial(fails, seed))
            pytest.fail(f'seed {seed}: {difference(shorter, seed)}\n{shorter}')


def fails(seed: int, text: str) -> bool:
    """Whether a program still differs; one that is no longer a program does not count."""
    try:
        return bool(difference(text, seed))
    except Exception:
        return False


def test_the_random_programs_are_worth_their_time() -> None:
    """Some finish and some trap; together they use every statement and operator of the language."""
    outcomes = []
    kinds: set[str] = set()
    for seed in range(60):
        text = Writer(seed).program()
        kinds |= {type(node).__name__ for node in ast.walk(ast.parse(text))}
        strict = run(compile(guarded(text), f'program{seed}.py', 'exec'), GUARDS)
        for number, row in enumerate(rows_of(seed)):
            machine = FlatMachine(0, NBYTES)
            fill_state(strict.State(machine, 0), random.Random(f'{seed} {number}'))
            outcomes.append(isinstance(interpret(strict, machine, row), Trap))
    assert 0.1 < sum(outcomes) / len(outcomes) < 0.8
    assert kinds >= {
        'If',
        'While',
        'For',
        'Break',
        'Continue',
        'Return',
        'AugAssign',
        'Assign',
        'Pass',
        'Expr',
        'IfExp',
        'Match',
        'MatchOr',
    }
    assert kinds >= {'If', 'While', 'For', 'Break', 'Continue', 'Return', 'AugAssign', 'Assign', 'Pass', 'Expr'}
    assert kinds >= {'Subscript', 'Attribute', 'BoolOp', 'Compare', 'Call', 'Tuple', 'UnaryOp', 'IfExp'}
    assert kinds >= {'Add', 'Sub', 'Mult', 'FloorDiv', 'Mod', 'BitAnd', 'BitOr', 'BitXor', 'LShift', 'RShift', 'Invert'}


def test_programs_become_objects_for_bare_metal() -> None:
    roots = {f'f{seed}': define(Writer(seed).program(), file=f'program{seed}.py').f for seed in range(6)}
    for checked in (False, True):
        for debug in (False, True):
            code = compile_bare(compile_unit(roots, BARE, checked=checked, debug=debug).ir, '', debug)
            assert code.object_bytes.startswith(b'\x7fELF')


def test_a_failing_program_is_cut_down_to_what_fails() -> None:
    text = Writer(21).program()
    shorter = shrink(text, lambda text: '//' in text)
    assert '//' in shorter
    assert len(shorter.splitlines()) < 10
