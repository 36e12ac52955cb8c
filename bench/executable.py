"""The executable in which kernel functions and their twins are timed: made of objects of both, and bench/c/host.c.

The kernel goes through the code generator of the booted kernel (no vector registers, baseline x86-64), the simulated
computer through that of `jit` (this processor); gcc gets the same limits for the twins. No call between Python and
machine code is timed. The executable is linked at a fixed address out of the way: the kernel's own addresses, from
64 KiB up, must be free in the process.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from bench.cases import CASES, Case
from bench.drivers import accesses, start
from incroos.build.codegen import compile_bare, compile_host
from incroos.kernel.configs import CLASSIC
from incroos.kernel.layout import KERNEL_STATE
from incroos.lang.frontend import RAW, compile_unit, raw_with, simulated
from incroos.machine.lowering import LOWERINGS

C: Final = Path(__file__).parent / 'c'
ARENA: Final = 0x4000_0000  # by which the twin's addresses are higher; in bench/c too
PLAN: Final = 0x2200_0000
GCC: Final = ('gcc', '-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror')
KERNEL_LIMITS: Final = (
    '-march=x86-64',
    '-ffreestanding',
    '-mgeneral-regs-only',
    '-mno-red-zone',
    '-mcmodel=small',
    '-fno-pic',
    '-fno-stack-protector',
    '-fcf-protection=none',
)
MACHINE_LIMITS: Final = ('-march=native', '-fno-pic', '-fno-stack-protector', '-fcf-protection=none')
STAND_INS: Final[dict[str, Callable[..., Any]]] = {
    'invlpg': start.no_invlpg,
    'invpcid': start.no_invpcid,
    'cpuid': start.no_cpuid,
    'read_cr3': start.no_read,
    'write_cr3': start.no_write,
    'read_cr4': start.no_read,
    'write_cr4': start.no_write,
    'disable_interrupts': start.no_interrupts,
    'in8': start.no_in8,
    'out8': start.no_out8,
    'halt': start.crash,
}


class CannotBench(Exception):
    """What is missing, in a sentence."""


def ours(function: Callable[..., Any]) -> str:
    """The symbol of a loop of bench/drivers."""
    return f'ours_{function.__name__}'


def exported(functions: Iterable[Callable[..., Any] | None]) -> dict[str, Callable[..., Any]]:
    """The roots of a unit: each function by its symbol."""
    return {ours(function): function for function in functions if function is not None}


def kernel_object() -> bytes:
    """The kernel with the loops that drive it."""
    roots = exported(step for case in CASES if not case.is_simulated for step in case.steps())
    unit = compile_unit(roots, raw_with(STAND_INS), CLASSIC)
    return compile_bare(unit.ir, '', debug=False).object_bytes


def computer_object() -> bytes:
    """What makes the simulated computer of the loops."""
    return compile_host(compile_unit(exported([accesses.computer_setup]), RAW).ir)


def accesses_object() -> bytes:
    """The loops that run on the simulated computer, with its primitives."""
    roots = exported(
        step for case in CASES if case.is_simulated for step in case.steps() if step is not accesses.computer_setup
    )
    return compile_host(compile_unit(roots, simulated(LOWERINGS)).ir)


def side(case: Case, symbol: Callable[[Callable[..., Any]], str], arena: int) -> str:
    """One side of a case, as a struct side of bench/c/host.c."""
    state, argument = (
        (accesses.CPU + arena, accesses.DATA) if case.is_simulated else (KERNEL_STATE + arena, PLAN + arena)
    )
    steps = ', '.join(f'(step *){symbol(step)}' if step else '0' for step in case.steps())
    return f'{{{steps}, {state:#x}, {argument:#x}}}'


def table() -> str:
    """bench/c's cases.h."""
    symbols = {symbol for case in CASES for step in case.steps() if step for symbol in (ours(step), twin(step))}
    lines = [f'i64 {symbol}();' for symbol in sorted(symbols)]
    lines += ['static const struct bench_case cases[] = {']
    lines += [
        f'    {{"{case.name}", {case.n}, {{{side(case, ours, 0)}, {side(case, twin, ARENA)}}}}},' for case in CASES
    ]
    return '\n'.join([*lines, '};', ''])


def twin(function: Callable[..., Any]) -> str:
    """The symbol of a loop's twin."""
    return f'twin_{function.__name__}'


def check_host() -> None:
    """CannotBench where this machine has not what it takes."""
    if sys.platform != 'linux':
        raise CannotBench(
            'the benchmarks against C need Linux on x86-64: they put memory at the addresses of the kernel'
        )
    if shutil.which('gcc') is None:
        raise CannotBench('the benchmarks against C need gcc: install it with the system package manager')


def make(folder: Path) -> Path:
    """Build the executable in a folder; CannotBench where this machine has not what it takes."""
    check_host()
    objects = {'kernel.o': kernel_object(), 'computer.o': computer_object(), 'accesses.o': accesses_object()}
    for name, content in objects.items():
        (folder / name).write_bytes(content)
    (folder / 'cases.h').write_text(table())
    run_gcc(folder, '-c', *KERNEL_LIMITS, str(C / 'kernel_twin.c'), '-o', 'kernel_twin.o')
    run_gcc(folder, '-c', *MACHINE_LIMITS, str(C / 'machine_twin.c'), '-o', 'machine_twin.o')
    run_gcc(folder, '-c', '-I.', '-fno-pic', '-Wno-cast-function-type', str(C / 'host.c'), '-o', 'host.o')
    twins = ('kernel_twin.o', 'machine_twin.o', 'host.o')
    run_gcc(folder, '-no-pie', '-Wl,-Ttext-segment=0x70000000,-z,noexecstack', *objects, *twins, '-o', 'bench')
    return folder / 'bench'


def run_gcc(folder: Path, *arguments: str) -> None:
    """gcc, in the folder; its words are the error's."""
    found = subprocess.run([*GCC, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        raise CannotBench(f'gcc refused: {found.stderr.strip()}')
