"""Kernel functions for code in memory. As a program: loads them twice, and lets one of the two trap."""

import ctypes
import os
import sys
from collections.abc import Callable
from typing import Any, Final

from incroos.build.codegen import compile_host
from incroos.build.memory_code import CodeInMemory
from incroos.lang import kernel, word
from incroos.lang.frontend import RAW, Unit, compile_unit

TEXT: Final = b'text in read-only data, long enough to stay there'
TRAPPED: Final = 3


@kernel
def sum_of_text(start: word) -> word:
    total = start
    for char in b'text in read-only data, long enough to stay there':
        total += char
    return total


@kernel
def double(value: word) -> word:
    return value * 2  # the line of the trap


def unit(checked: bool) -> Unit:
    return compile_unit({'sum': sum_of_text, 'double': double}, target=RAW, checked=checked)


def load(checked: bool, trap: int = 0) -> CodeInMemory:
    return CodeInMemory(compile_host(unit(checked).ir), trap)


def trap_named(name: str) -> Callable[[int], None]:
    def trap(site: int) -> None:
        os.write(1, f'{name} {site}'.encode())
        os._exit(TRAPPED)

    return trap


def main() -> None:
    prototype: Any = ctypes.CFUNCTYPE(None, ctypes.c_int64)
    traps = [prototype(trap_named(name)) for name in ('0', '1')]
    codes = [load(True, ctypes.cast(trap, ctypes.c_void_p).value or 0) for trap in traps]
    codes[int(sys.argv[1])].function('double', 1)(1 << 62)


if __name__ == '__main__':
    main()
