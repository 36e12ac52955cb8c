"""Steps of programs of memory operations: their numbers, how they are packed for interpreter.c, how they read.

A program is a list of steps. FORK, THREAD, CHILD and END are brackets: FORK, what the parent does while the child
waits, CHILD, what the child does while the parent waits, END; THREAD, what another thread does, END. What is not closed
ends with the program, and brackets that close nothing do nothing, so that any part of a program is a program.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

PAGE: Final = 4096
ARENA: Final = 0x10_0000_0000  # interpreter.c says the same, and has the order of NAMES
ARENA_PAGES: Final = 1024
HEAP: Final = 0x20_0000_0000  # stands for where brk began
NR_OPERANDS: Final = 6
STEP: Final = struct.Struct('<Hxxxxxx6q')
HEADER: Final = struct.Struct('<QQ')

# The names of the operations and of their operands
NAMES: Final = {
    'mmap': 'at nbytes rights flags slot offset',
    'munmap': 'at nbytes',
    'mprotect': 'at nbytes rights',
    'mremap': 'at nbytes wanted flags to back',
    'madvise': 'at nbytes advice',
    'mlock': 'at nbytes flags',
    'munlock': 'at nbytes',
    'mlockall': 'flags',
    'munlockall': '',
    'mincore': 'at nbytes',
    'msync': 'at nbytes flags',
    'brk': 'nbytes',
    'load': 'at nbytes',
    'store': 'at nbytes seed',
    'call': 'at put',
    'repair': 'at how value',
    'die': 'at write',
    'open': 'slot name flags',
    'memfd': 'slot flags',
    'close': 'slot',
    'read': 'slot nbytes',
    'write': 'slot nbytes seed',
    'pread': 'slot at nbytes offset',
    'pwrite': 'slot at nbytes offset',
    'seek': 'slot offset whence',
    'truncate': 'slot nbytes',
    'allocate': 'slot mode offset nbytes',
    'size': 'slot',
    'unlink': 'name',
    'fork': '',
    'child': '',
    'end': '',
    'thread': '',
    'race': 'at nr_pages',
    'maps': '',
    'locked': '',
}
CODES: Final = {name: code for code, name in enumerate(NAMES, 1)}
MAP_FLAGS: Final = {
    0x10: 'FIXED',
    0x20: 'ANONYMOUS',
    0x40: '32BIT',
    0x100: 'GROWSDOWN',
    0x2000: 'LOCKED',
    0x4000: 'NORESERVE',
    0x8000: 'POPULATE',
    0x20000: 'STACK',
    0x80000: 'SYNC',
    0x10_0000: 'FIXED_NOREPLACE',
}
KINDS: Final = {1: 'SHARED', 2: 'PRIVATE', 3: 'SHARED_VALIDATE'}
MOVES: Final = {1: 'MAYMOVE', 2: 'FIXED', 4: 'DONTUNMAP'}
ADVICE: Final = {
    0: 'NORMAL',
    1: 'RANDOM',
    2: 'SEQUENTIAL',
    3: 'WILLNEED',
    4: 'DONTNEED',
    8: 'FREE',
    9: 'REMOVE',
    10: 'DONTFORK',
    11: 'DOFORK',
    14: 'HUGEPAGE',
    15: 'NOHUGEPAGE',
    16: 'DONTDUMP',
    17: 'DODUMP',
    18: 'WIPEONFORK',
    19: 'KEEPONFORK',
    22: 'POPULATE_READ',
    23: 'POPULATE_WRITE',
}


@dataclass(frozen=True)
class Step:
    """An operation with its operands; those that it does not have are 0."""

    name: str
    operands: tuple[int, ...] = ()

    def packed(self) -> bytes:
        """As interpreter.c reads it."""
        signed = [(value + (1 << 63)) % (1 << 64) - (1 << 63) for value in self.operands]
        return STEP.pack(CODES[self.name], *signed, *[0] * (NR_OPERANDS - len(signed)))

    def __str__(self) -> str:
        texts = map(operand_text, [self.name] * NR_OPERANDS, NAMES[self.name].split(), self.operands)
        return ' '.join([self.name, *texts])


def operand_text(step: str, name: str, value: int) -> str:
    """An operand as one reads it."""
    if name in ('at', 'to'):
        return address_text(value)
    if name == 'rights' and 0 <= value < 8:
        return ''.join(letter if value & bit else '-' for letter, bit in (('r', 1), ('w', 2), ('x', 4)))
    if step == 'madvise' and name == 'advice':
        return ADVICE.get(value, str(value))
    if step == 'mmap' and name == 'flags':
        return flags_text(value & ~0xF, MAP_FLAGS, [KINDS.get(value & 0xF, f'kind {value & 0xF}')])
    if step == 'mremap' and name == 'flags':
        return flags_text(value, MOVES, [])
    return f'{name}={value if abs(value) < 10 else hex(value)}'


def address_text(value: int) -> str:
    """Relative to the arena or to the heap."""
    if ARENA - (1 << 24) <= value < ARENA + (1 << 26):
        return f'a{value - ARENA:+#x}'
    return f'h+{value - HEAP:#x}' if 0 <= value - HEAP < 1 << 24 else f'{value % (1 << 64):#x}'


def flags_text(value: int, names: dict[int, str], found: list[str]) -> str:
    """Names joined by a bar; bits without a name as a number."""
    known = [name for bit, name in names.items() if value & bit]
    rest = value & ~sum(names)
    return '|'.join([*found, *known, *([hex(rest)] if rest else [])]) or '0'


def packed(programs: Iterable[tuple[int, Sequence[Step]]]) -> bytes:
    """Numbered programs as interpreter.c reads them."""
    parts = []
    for number, steps in programs:
        parts.append(HEADER.pack(number, len(steps)))
        parts.extend(step.packed() for step in steps)
    return b''.join(parts)


def listing(steps: Sequence[Step]) -> str:
    """For people: a line a step, with its number, what is in brackets further in."""
    lines, depth = [], 0
    for number, step in enumerate(steps):
        depth -= step.name in ('child', 'end') and depth > 0
        lines.append(f'{number:4} {"    " * depth}{step}')
        depth += step.name in ('fork', 'child', 'thread')
    return '\n'.join(lines)
