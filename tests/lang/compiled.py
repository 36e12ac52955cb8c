"""Compiled kernel code in this process, called with tables of words; a trap of a checked build is a result like others.

The assembly below calls a function once for each row and notes its result and site. A trap leaves the function by going
back to the stack as it was before the call: no child process, so that a table of thousands of rows takes a millisecond.
"""

import ctypes
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from incroos.build.codegen import compile_host
from incroos.build.memory_code import CodeInMemory
from incroos.lang.frontend import RAW, Target, Unit, compile_unit
from incroos.lang.words import signed

MAX_WORDS: Final = 6  # of a row: what the C calling convention passes in registers
FINISHED: Final = -1  # instead of a site

ASSEMBLY: Final = """
    .text
    .globl call_rows
call_rows:                          # rdi function, rsi rows, rdx number of rows, rcx results
    push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15
    sub $40, %rsp
    mov %rdi, 0(%rsp); mov %rsi, 8(%rsp); mov %rdx, 16(%rsp); mov %rcx, 24(%rsp)
1:  cmpq $0, 16(%rsp)
    je 2f
    mov %rsp, stack_before_call(%rip)
    mov 8(%rsp), %r10
    mov 0(%r10), %rdi; mov 8(%r10), %rsi; mov 16(%r10), %rdx
    mov 24(%r10), %rcx; mov 32(%r10), %r8; mov 40(%r10), %r9
    call *0(%rsp)
    mov $-1, %rdx
call_rows_finish:
    mov 24(%rsp), %r10
    mov %rax, 0(%r10); mov %rdx, 8(%r10)
    addq $48, 8(%rsp); addq $16, 24(%rsp); decq 16(%rsp)
    jmp 1b
2:  add $40, %rsp
    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx
    ret
    .globl trap_row
trap_row:                           # rdi site
    mov stack_before_call(%rip), %rsp
    mov %rdi, %rdx
    xor %eax, %eax
    jmp call_rows_finish
    .data
stack_before_call: .quad 0
"""


@cache
def rows_code() -> CodeInMemory:
    """The assembly, loaded."""
    lines = '\n'.join(f'module asm "{line}"' for line in ASSEMBLY.splitlines())
    return CodeInMemory(compile_host(lines))


@dataclass(frozen=True)
class Trap:
    """The call stopped, at this place: file:line."""

    place: str


class Compiled:
    """A unit, loaded into this process."""

    def __init__(self, unit: Unit, is_quick: bool) -> None:
        self.unit = unit
        driver = rows_code()
        self._code = CodeInMemory(compile_host(unit.ir, is_quick=is_quick), driver.address('trap_row'))
        self._call_rows = driver.function('call_rows', 4)

    def rows(self, name: str, rows: Sequence[Sequence[int]]) -> list[int | Trap]:
        """What the exported function gives for each row of words."""
        words = (ctypes.c_int64 * (MAX_WORDS * len(rows)))()
        for index, row in enumerate(rows):
            assert len(row) <= MAX_WORDS
            words[MAX_WORDS * index : MAX_WORDS * index + len(row)] = list(map(int, row))
        results = (ctypes.c_int64 * (2 * len(rows)))()
        self._call_rows(self._code.address(name), ctypes.addressof(words), len(rows), ctypes.addressof(results))
        return [self._result(*results[index : index + 2]) for index in range(0, len(results), 2)]

    def call(self, name: str, *words: int) -> int | Trap:
        """What the exported function gives for one row."""
        return self.rows(name, [words])[0]

    def _result(self, value: int, site: int) -> int | Trap:
        return value if site == FINISHED else Trap(self.unit.sites[site])


def compiled(
    functions: Iterable[Callable[..., Any]] | Mapping[str, Callable[..., Any]],
    checked: bool = False,
    target: Target = RAW,
    config: object = None,
    *,
    is_quick: bool = False,
) -> Compiled:
    """Kernel functions, compiled for this process and loaded; optimised, also where they are checked, or quickly."""
    roots = functions if isinstance(functions, Mapping) else {function.__name__: function for function in functions}
    return Compiled(compile_unit(roots, target, config, checked), is_quick)


class Memory:
    """Zeroed bytes of this process that compiled code can work on."""

    def __init__(self, nbytes: int) -> None:
        self._bytes = (ctypes.c_uint8 * (nbytes + 64))()
        self.addr = -(-ctypes.addressof(self._bytes) // 64) * 64
        self.nbytes = nbytes

    def content(self) -> bytes:
        """The bytes as they are."""
        return ctypes.string_at(self.addr, self.nbytes)

    def put(self, content: bytes) -> None:
        """Overwrite the first bytes."""
        assert len(content) <= self.nbytes
        ctypes.memmove(self.addr, bytes(content), len(content))

    def clear(self) -> None:
        """Zero again."""
        ctypes.memset(self.addr, 0, self.nbytes)

    def words(self) -> list[int]:
        """The same as signed words."""
        content = self.content()
        return [signed(int.from_bytes(content[at : at + 8], 'little')) for at in range(0, len(content), 8)]
