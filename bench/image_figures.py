"""Counts instructions in a built image, of any commit; functions are found by their names."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import capstone
from capstone import x86
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection


@dataclass(frozen=True)
class Instruction:
    """What matters of it here: its name, and where it jumps to, if that stands in it."""

    mnemonic: str
    target: int | None


def functions_of(elf: bytes) -> dict[int, tuple[str, bytes]]:
    """Name and code of each function, by its address."""
    file = ELFFile(io.BytesIO(elf))
    found = {}
    table = file.get_section_by_name('.symtab')
    assert isinstance(table, SymbolTableSection)
    for symbol in table.iter_symbols():
        if symbol['st_info']['type'] == 'STT_FUNC' and isinstance(symbol['st_shndx'], int):
            section = file.get_section(symbol['st_shndx'])
            offset = symbol['st_value'] - section['sh_addr']
            found[symbol['st_value']] = (symbol.name, section.data()[offset : offset + symbol['st_size']])
    return found


def instructions_at(code: bytes, address: int) -> Iterator[Instruction]:
    """A function's instructions."""
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    for each in decoder.disasm(code, address):
        is_direct = each.group(x86.X86_GRP_JUMP) and each.operands[0].type == x86.X86_OP_IMM
        yield Instruction(each.mnemonic, each.operands[0].imm if is_direct else None)


def nr_instructions(elf: bytes, name: str) -> int | None:
    """How long a function is, by its name without its module; None where the image has not one of that name.

    A function that never returns and jumps into another is only a name for it: then the other one counts as well. What
    it jumps to besides is a path of its own, and slow.
    """
    functions = functions_of(elf)
    starts = [at for at, (symbol, _) in functions.items() if symbol.rpartition('.')[2] == name]
    if len(starts) != 1:
        return None
    count, at, seen = 0, starts[0], set[int]()
    while at not in seen:
        seen.add(at)
        found = list(instructions_at(functions[at][1], at))
        count += len(found)
        onward = [each.target for each in found if each.mnemonic == 'jmp' and each.target in functions]
        if len(onward) == 1 and onward[0] is not None and not any(each.mnemonic == 'ret' for each in found):
            at = onward[0]
    return count
