"""What every part of compiling one function shares: the builder, refusals, traps, and memory as the target has it."""

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from llvmlite import ir

from ..words import Width
from . import instructions
from .refusal import Place, Refused
from .signature import Signature, signature_of
from .source import name_of, source_of
from .types import BOOL, I1, I64, Bool, Nothing, Several, Text, TheMachine, Type, View, is_number
from .values import Value

if TYPE_CHECKING:
    from .unit import Unit


def llvm_parameters(kind: Type) -> list[Any]:
    """The LLVM types that a parameter takes: words between functions, pointers for views."""
    return [kind.local] if isinstance(kind, View) else [I64] * kind.words


def llvm_result(kind: Type) -> Any:
    """The LLVM type of a result: one word, or a struct of words."""
    if isinstance(kind, Nothing):
        return ir.VoidType()
    return kind.local if isinstance(kind, Several | Text) else I64


class FunctionBase:
    """One kernel function on its way to one LLVM function.

    `is_raw` says that it works on this process's own memory although the target is simulated: it is a part of the
    simulated computer, not of the kernel.
    """

    def __init__(self, unit: 'Unit', function: Callable[..., Any], is_raw: bool, symbol: str) -> None:
        self.unit, self.function, self.is_raw, self.symbol = unit, function, is_raw, symbol
        self.source = source_of(function)
        self.signature: Signature = signature_of(function)
        self.refuse_contrary_marks()
        self.has_processor = unit.target.is_simulated and not is_raw
        kinds = [I64] * self.has_processor
        for _, kind in self.signature.parameters:
            kinds += llvm_parameters(kind)
        self.llvm = ir.Function(unit.module, ir.FunctionType(llvm_result(self.signature.result), kinds), symbol)
        self.llvm.attributes.add('nounwind')
        self.llvm.attributes.add('noredzone')  # an interrupt would overwrite it
        if getattr(function, '__cold__', False):
            self.llvm.attributes.add('cold')
        if getattr(function, '__cold__', False) or getattr(function, '__apart__', False):
            self.llvm.attributes.add('noinline')
        if getattr(function, '__inlined__', False) and not unit.target.is_simulated:  # where each load is large
            self.llvm.attributes.add('alwaysinline')
        # Address 0 is one like any other, and no loop may become a call of memset, which does not exist.
        for attribute in ('null_pointer_is_valid', '"no-builtins"'):
            set.add(self.llvm.attributes, attribute)  # llvmlite's own add knows neither
        self.b: Any = None
        self.calls: list[tuple[FunctionBase, ast.AST]] = []

    # ---------------------------------------------------------------- refusals
    def refuse_contrary_marks(self) -> None:
        """Refuse a function whose marks put it both inside its callers and outside."""
        for mark in ('cold', 'apart'):
            if getattr(self.function, '__inlined__', False) and getattr(self.function, f'__{mark}__', False):
                self.refuse(name_of(self.source.node), 'contrary-marks', name=self.signature.name, mark=mark)

    def refuse(self, node: ast.AST, name: str, /, **words: object) -> NoReturn:
        """Say that the text at the node is not kernel Python."""
        raise self.refusal(node, name, **words)

    def refusal(self, node: ast.AST, name: str, /, **words: object) -> Refused:
        """Make a refusal for the caller to raise, so that readers and linters see the `raise`."""
        return Refused(name, Place.of(node, self.source.file, self.source.lines), **words)

    # ---------------------------------------------------------------- traps of checked builds
    def trap_if(self, wrong: Any, node: ast.AST) -> None:
        """In a checked build, stop where the condition holds, and say at which site."""
        if not self.unit.checked:
            return
        stop, go_on = self.llvm.append_basic_block('trap'), self.llvm.append_basic_block()
        self.b.cbranch(wrong, stop, go_on)
        self.b.position_at_end(stop)
        site = I64(self.unit.new_site(self.source.file, getattr(node, 'lineno', 0)))
        if self.unit.target.is_bare:
            instructions.asm(self.b, 'ud2', '{rdi}', ir.VoidType(), [site])
        else:
            self.b.call(self.unit.trap_function(), [site])
        self.b.unreachable()
        self.b.position_at_end(go_on)

    # ---------------------------------------------------------------- values and words
    def as_word(self, value: Value) -> Any:
        """The LLVM word of a number."""
        return self.b.zext(value.llvm, I64) if isinstance(value.type, Bool) else value.llvm

    def to_words(self, value: Value) -> list[Any]:
        """The words that represent a value in a call."""
        if isinstance(value.type, TheMachine):
            return []
        if isinstance(value.type, Text):
            return [self.b.extract_value(value.llvm, part) for part in (0, 1)]
        return [self.as_word(value)]

    def from_words(self, kind: Type, words: list[Any]) -> Value:
        """The value that words from a call represent; removes them from the list."""
        if isinstance(kind, TheMachine):
            return Value(kind, I64(0))
        if isinstance(kind, Text):
            text = self.b.insert_value(kind.local(ir.Undefined), words.pop(0), 0)
            return Value(kind, self.b.insert_value(text, words.pop(0), 1))
        if isinstance(kind, Bool):
            return Value(BOOL, self.b.icmp_signed('!=', words.pop(0), I64(0)))
        return Value(kind, words.pop(0))

    # ---------------------------------------------------------------- memory
    def at(self, pointer: Any, offset: Any) -> Any:
        """The pointer plus an offset in bytes."""
        offset = I64(offset) if isinstance(offset, int) else offset
        return self.b.gep(pointer, [offset], source_etype=ir.IntType(8))

    def load(self, pointer: Any, width: Width) -> Any:
        """The number at a pointer, through the machine that the function works on."""
        if self.has_processor:
            return self.simulate(f'load{width.bits}', [self.b.ptrtoint(pointer, I64)])
        return instructions.load_number(self.b, pointer, width.bits)

    def store(self, pointer: Any, width: Width, value: Any, node: ast.AST) -> None:
        """Put a word at a pointer; in a checked build it must fit."""
        self.trap_unless_fits(value, width.bits, node)
        if self.has_processor:
            self.simulate(f'store{width.bits}', [self.b.ptrtoint(pointer, I64), value])
        else:
            instructions.store_number(self.b, pointer, width.bits, value)

    def trap_unless_fits(self, value: Any, bits: int, node: ast.AST) -> None:
        """In a checked build, stop if a word does not fit the given number of bits; every word fits 64."""
        if bits < 64:
            self.trap_if(self.b.icmp_unsigned('>=', value, I64(1 << bits)), node)

    def simulate(self, primitive: str, words: list[Any]) -> Any:
        """Call the kernel function that is this primitive on the simulated computer."""
        lowering = self.unit.function(self.unit.target.lowerings[primitive], is_raw=True)
        first = lowering.signature.parameters[0][1]
        return self.b.call(lowering.llvm, [*self.processor_words(first), *words])

    def processor_words(self, first: Type) -> list[Any]:
        """The first arguments of a lowering: the processor's address if it takes a view of the processor."""
        return [self.b.inttoptr(self.llvm.args[0], first.local)] if isinstance(first, View) else []

    # ---------------------------------------------------------------- small helpers
    def compare(self, sign: str, left: Any, right: Any) -> Any:
        """A signed comparison."""
        return self.b.icmp_signed(sign, left, right)

    def false(self) -> Any:
        """The constant False."""
        return I1(0)

    @staticmethod
    def are_numbers(*values: Value) -> bool:
        """Whether all of them can be operands of arithmetic."""
        return all(is_number(value.type) for value in values)
