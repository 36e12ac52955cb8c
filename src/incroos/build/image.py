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
    BootLayout,
    assembly,
)
from .codegen import HIGH_CODE, LOW_CODE, compile_bare
from .errors import BuildError
from .link import link
from .stack import StackAnalysis, analyse

ENTRY, ON_PAGE_FAULT, ON_EXCEPTION = ROOTS = ('kmain', 'on_page_fault', 'on_exception')


@dataclass(frozen=True)
class StackFigures:
    """Worst cases in bytes: of each root alone, of the kernel's stack, and of the double fault's own stack."""

    kmain: int
    on_page_fault: int
    on_exception: int
    stack: int
    fault_stack: int


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


def build_image(ir_text: str, sites: list[str], layout: BootLayout, debug: bool) -> Image:
    """Build the unit whose exported functions are ROOTS. Raises BuildError if that is impossible."""
    code = compile_bare(ir_text, assembly(layout), debug, HIGH_CODE if layout.window else LOW_CODE)
    frames = analyse(code.assembly)
    stack = check_stack(frames, layout)
    elf = link(code.object_bytes, layout)
    return Image(elf, ImageFacts(symbols_of(elf), sites, stack, len(frames.frames)))


def check_stack(frames: StackAnalysis, layout: BootLayout) -> StackFigures:
    """The worst cases. Raises BuildError if they do not fit.

    A page fault may happen at the deepest point of kmain, and an exception in its handler.
    """
    kmain, on_page_fault, on_exception = map(frames.worst_bytes, ROOTS)
    exception = EXCEPTION_FRAME_BYTES + on_exception
    page_fault = PAGE_FAULT_FRAME_BYTES + on_page_fault
    figures = StackFigures(kmain, on_page_fault, on_exception, kmain + page_fault + exception, exception)
    for needed, available, root in (
        (figures.stack, layout.stack_bytes, ENTRY),
        (figures.fault_stack, FAULT_STACK_BYTES, ON_EXCEPTION),
    ):
        if needed > available:
            chain = ' calls '.join(frames.deepest_chain(root))
            raise BuildError(
                f'the kernel needs {needed:,} bytes of stack and has {available:,}: make the frames in this chain'
                f' smaller: {chain}'
            )
    return figures


def symbols_of(elf: bytes) -> dict[str, int]:
    """The addresses of all named places in an image."""
    try:
        table = ELFFile(io.BytesIO(elf)).get_section_by_name('.symtab')
    except ELFError:
        table = None
    if not isinstance(table, SymbolTableSection):
        raise BuildError('the linker made no ELF image with symbols: install a working linker')
    return {symbol.name: symbol['st_value'] for symbol in table.iter_symbols() if symbol.name}
