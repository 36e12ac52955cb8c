"""Compiled code in this process's memory: loads an object of codegen.compile_host and gives the addresses in it."""

import ctypes
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm

from .codegen import TRAP_SLOT, host_machine


class CodeInMemory:
    """A loaded object. It stays loaded as long as this instance lives: keep it with the addresses.

    `trap` is the address of a function that takes the number of a site and never returns; a checked unit calls it
    where it stops.
    """

    def __init__(self, object_bytes: bytes, trap: int = 0) -> None:
        # One block of memory for all sections, so that they reach each other with 32-bit offsets.
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(''), host_machine(), use_lmm=True)
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(object_bytes))
        self._engine.finalize_object()
        slot = self._engine.get_global_value_address(TRAP_SLOT)
        if slot:
            ctypes.c_uint64.from_address(slot).value = trap

    def address(self, name: str) -> int:
        """Where an exported function begins."""
        address = int(self._engine.get_function_address(name))
        if address == 0:
            raise KeyError(name)
        return address

    def function(self, name: str, nr_words: int) -> Callable[..., int]:
        """An exported function that takes words and returns one, for calls from Python."""
        prototype: Any = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * nr_words)
        return prototype(self.address(name))  # type: ignore[no-any-return]
