"""A unit of compilation: all functions that some roots reach, as one LLVM module; and the check of the call graph."""

import ast
import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from .builder import FunctionBase
from .debuginfo import DebugInfo, NoDebugInfo
from .function import FunctionBuilder
from .refusal import Refused
from .source import place_of, why_not_kernel
from .target import Target
from .types import I8, I64


class Unit:
    """The functions reachable from the roots. `roots` gives each its name outside; the others are internal."""

    def __init__(
        self, roots: Mapping[str, Callable[..., Any]], target: Target, config: Any, checked: bool, debug: bool
    ) -> None:
        self.target, self.config, self.checked = target, config, checked
        self.module = ir.Module('kernel')
        self.debug = DebugInfo(self.module) if debug else NoDebugInfo()
        self.sites: list[str] = []
        self._functions: dict[tuple[Callable[..., Any], bool], FunctionBuilder] = {}
        self._waiting: list[FunctionBuilder] = []
        self._texts: dict[bytes, Any] = {}
        self._symbols: set[str] = set(roots)
        self._trap: Any = None
        for name, root in roots.items():
            refuse_unmarked(name, root)
            self._make(root, is_raw=False, symbol=name)
        while self._waiting:
            self._waiting.pop().build()
        refuse_recursion(list(self._functions.values()))

    @property
    def ir(self) -> str:
        """The module as LLVM IR text, without a target triple."""
        with without_collector():
            return str(self.module)

    @property
    def nr_functions(self) -> int:
        """How many functions the roots reach, themselves included."""
        return len(self._functions)

    def function(self, function: Callable[..., Any], is_raw: bool) -> FunctionBuilder:
        """The LLVM declaration of a kernel function; its body is compiled later."""
        is_raw = is_raw and self.target.is_simulated
        found = self._functions.get((function, is_raw))
        if found is None:
            refuse_unmarked(getattr(function, '__name__', repr(function)), function)
            symbol = f'{function.__module__}.{function.__qualname__}'.removeprefix('incroos.')
            while symbol in self._symbols:
                symbol += "'"
            self._symbols.add(symbol)
            found = self._make(function, is_raw, symbol)
            found.llvm.linkage = 'internal'
        return found

    def _make(self, function: Callable[..., Any], is_raw: bool, symbol: str) -> FunctionBuilder:
        builder = self._functions[function, is_raw] = FunctionBuilder(self, function, is_raw, symbol)
        self._waiting.append(builder)
        return builder

    def text(self, text: bytes) -> tuple[Any, Any]:
        """Address and length of text in read-only data; equal texts share one copy."""
        if text not in self._texts:
            kind = ir.ArrayType(I8, len(text))
            data = ir.GlobalVariable(self.module, kind, f'text.{len(self._texts)}')
            data.linkage, data.global_constant, data.initializer = 'internal', True, kind(bytearray(text))
            self._texts[text] = data
        return self._texts[text].ptrtoint(I64), I64(len(text))

    def new_site(self, file: str, line: int) -> int:
        """The number of a place where a checked build can stop."""
        place = f'{file}:{line}'
        if not self.sites or self.sites[-1] != place:
            self.sites.append(place)
        return len(self.sites) - 1

    def trap_function(self) -> Any:
        """The function that a checked build calls when it stops, in this process."""
        if self._trap is None:
            self._trap = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [I64]), 'incroos_trap')
            self._trap.attributes.add('noreturn')
            self._trap.attributes.add('cold')
        return self._trap


def compile_unit(
    roots: Mapping[str, Callable[..., Any]],
    target: Target,
    config: Any = None,
    checked: bool = False,
    debug: bool = False,
) -> Unit:
    """Compile kernel functions, by the names under which they are called from outside, to LLVM IR.

    A `checked` unit stops at overflow, shifts beyond the word, indices outside arrays and numbers that do not fit
    their field. Raises Refused for what is not kernel Python.
    """
    with without_collector():
        return Unit(roots, target, config, checked, debug)


@contextmanager
def without_collector() -> Iterator[None]:
    """No collection of garbage: all that is made meanwhile stays, and each look at it again doubles the time."""
    has_collector = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if has_collector:
            gc.enable()


def refuse_unmarked(name: str, function: object) -> None:
    """Refuse a function that is not a kernel function, at its definition."""
    instead = why_not_kernel(function)
    if instead:
        raise Refused('not-a-kernel-function', place_of(function), name=name, instead=instead)


def refuse_recursion(functions: list[FunctionBuilder]) -> None:
    """Refuse a cycle of calls, at the call that closes it."""
    done: set[FunctionBase] = set()
    for root in functions:
        path: list[FunctionBase] = []
        stack: list[tuple[FunctionBase, int]] = [(root, 0)]
        while stack:
            function, position = stack.pop()
            if position == 0:
                if function in done:
                    continue
                path.append(function)
            if position < len(function.calls):
                stack.append((function, position + 1))
                callee, node = function.calls[position]
                if callee in path:
                    refuse_cycle(function, node, [*path[path.index(callee) :], callee])
                if callee not in done:
                    stack.append((callee, 0))
            else:
                done.add(path.pop())


def refuse_cycle(function: FunctionBase, node: ast.AST, cycle: list[FunctionBase]) -> None:
    """Name the functions that call each other in a circle."""
    function.refuse(node, 'recursion', cycle=' calls '.join(member.signature.name for member in cycle))
