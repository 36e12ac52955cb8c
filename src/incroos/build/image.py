"""Builds a bootable image from a compiled unit: object, stack check, link, and facts for tools."""

import io
from dataclasses import dataclass

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from .boot_pvh import (
    EXCEPTION_FRAME_BYTES,
    FAULT_STACK_BYTES,
    PAGE_FAULT_FRAME_BYTES,
    TRAP_FRAME_BYTES,
    BootLayout,
    assembly,
)
from .boot_ring3 import REGISTERS_BYTES
from .codegen import HIGH_CODE, LOW_CODE, compile_bare
from .errors import BuildError
from .link import link
from .stack import StackAnalysis, analyse

ENTRY, ON_PAGE_FAULT, ON_EXCEPTION = ROOTS = ('kmain', 'on_page_fault', 'on_exception')
*_, ON_KERNEL_TRAP = RING3_ROOTS = (ENTRY, 'on_syscall', 'on_trap', 'on_kernel_trap')  # of a kernel that runs programs

# Worst cases in bytes: of each root alone, by its name; of the kernel's stack, `stack`; of the double fault's own stack
# and those of its kind, `fault_stack`.
StackFigures = dict[str, int]


@dataclass(frozen=True)
class ImageFacts:
    """What tools need to know about an image and cannot read from it."""

    symbols: dict[str, int]
    sites: list[str]  # of a checked build: the place `file:line` of each trap, by its number
    stack: StackFigures
    nr_functions: int


@dataclass(frozen=True)
class Image:
    """An ELF file and its facts."""

    elf: bytes
    facts: ImageFacts


def build_image(ir_text: str, sites: list[str], layout: BootLayout, debug: bool, is_quick: bool = False) -> Image:
    """Build the unit whose exported functions are ROOTS, or RING3_ROOTS. Raises BuildError if that is impossible.

    A unit with sites is a checked one, and always built quickly.
    """
    model = HIGH_CODE if layout.window else LOW_CODE
    code = compile_bare(ir_text, assembly(layout), debug, model, is_quick=is_quick or bool(sites))
    frames = analyse(code.assembly)
    stack = check_stack(frames, layout)
    elf = link(code.object_bytes, layout)
    return Image(elf, ImageFacts(symbols_of(elf), sites, stack, len(frames.frames)))


def check_stack(frames: StackAnalysis, layout: BootLayout) -> StackFigures:
    """The worst cases. Raises BuildError if they do not fit."""
    worst = {root: frames.worst_bytes(root) for root in (RING3_ROOTS if layout.has_ring3 else ROOTS)}
    (stack, deepest), (fault_stack, last) = (stacks_of_ring3 if layout.has_ring3 else stacks_alone)(worst)
    for needed, available, root in ((stack, layout.stack_bytes, deepest), (fault_stack, FAULT_STACK_BYTES, last)):
        if needed > available:
            chain = ' calls '.join(frames.deepest_chain(root))
            raise BuildError(
                f'the kernel needs {needed:,} bytes of stack and has {available:,}: make the frames in this chain'
                f' smaller: {chain}'
            )
    return {**worst, 'stack': stack, 'fault_stack': fault_stack}


def stacks_alone(worst: dict[str, int]) -> tuple[tuple[int, str], tuple[int, str]]:
    """What the kernel's stack takes, and the double fault's, each with the root that takes the most.

    A page fault may happen at the deepest point of kmain, and an exception in its handler.
    """
    exception = EXCEPTION_FRAME_BYTES + worst[ON_EXCEPTION]
    page_fault = PAGE_FAULT_FRAME_BYTES + worst[ON_PAGE_FAULT]
    return (worst[ENTRY] + page_fault + exception, ENTRY), (exception, ON_EXCEPTION)


def stacks_of_ring3(worst: dict[str, int]) -> tuple[tuple[int, str], tuple[int, str]]:
    """The same of a kernel that runs programs.

    The program's Registers are at the end of the stack whatever runs: kmain begins under them, and when on_syscall or
    on_trap begins, what began before it has come back. Each of the three may be interrupted once, where it is idle; the
    handler is the one of faults, and is not interrupted. Then there may be a fault in ring 0, at the deepest point of
    either. That one ends the machine; while it tells about itself, another one may come, which tells less. A stack of a
    vector's own has these two.
    """
    deepest = max(RING3_ROOTS[:-1], key=lambda root: worst[root])
    fault = TRAP_FRAME_BYTES + worst[ON_KERNEL_TRAP]
    return (REGISTERS_BYTES + worst[deepest] + 3 * fault, deepest), (2 * fault, ON_KERNEL_TRAP)


def symbols_of(elf: bytes) -> dict[str, int]:
    """The addresses of all named places in an image."""
    try:
        table = ELFFile(io.BytesIO(elf)).get_section_by_name('.symtab')
    except ELFError:
        table = None
    if not isinstance(table, SymbolTableSection):
        raise BuildError('the linker made no ELF image with symbols: install a working linker')
    return {symbol.name: symbol['st_value'] for symbol in table.iter_symbols() if symbol.name}
