"""Calls: of kernel functions, of primitives, of the functions on words, and of the few built-ins."""

import ast
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType
from typing import Any, Final, NoReturn

from llvmlite import ir

from ..primitives import PRIMITIVES
from ..structs import ConfigField, Struct, address_of, is_word, offset_of
from ..words import VirtAddr
from . import instructions
from .arithmetic import WORD_FUNCTIONS
from .expressions import Expressions, NotStatic
from .refusal import text_of
from .signature import Signature, signature_of
from .source import is_kernel_function, why_not_kernel
from .target import PRIVILEGED
from .types import (
    I64,
    MACHINE,
    NO_RETURN,
    POINTER,
    WORD,
    ArrayView,
    Nothing,
    Several,
    Text,
    Type,
    View,
    Word,
    fits,
    is_number,
    joined,
)
from .values import Value

# primitive: how many bits each of its words (the machine is none) may have, where that is less than a word
NARROW: Final = {
    'store8': (64, 8),
    'store16': (64, 16),
    'store32': (64, 32),
    'fill': (64, 8, 63),
    'copy': (64, 64, 63),
    **{f'in{bits}': (16,) for bits in (8, 16, 32)},
    **{f'out{bits}': (16, bits) for bits in (8, 16, 32)},
    'cpuid': (32, 32),
}


def how_to_call(function: ast.expr) -> str:
    """What to write instead of a call of something that is neither a name nor in a module."""
    if isinstance(function, ast.Attribute) and function.attr in PRIMITIVES:
        return f'write {function.attr}({text_of(function.value)}, ...)'
    if isinstance(function, ast.Name):
        return f'{function.id} is a local here: give the local another name'
    if isinstance(function, ast.Attribute) and 'config' in {getattr(part, 'attr', '') for part in ast.walk(function)}:
        return 'if it is a function of a design, give the view a name first: zone = ...'
    return 'call a function by its name: name(...) or module.name(...)'


class Calls(Expressions):
    """The part of compiling a function that deals with calls."""

    def call(self, node: ast.Call) -> Value:
        try:
            callee, _ = self.static(node.func)
        except NotStatic:
            self.refuse(node.func, 'call-what', name=text_of(node.func), instead=how_to_call(node.func))
        if node.keywords:
            self.refuse(node.keywords[0], 'keyword')
        if is_word(callee) and callee is not int:
            return self.convert(node, callee)
        if isinstance(callee, type) and issubclass(callee, Struct):
            return self.view(node, callee)
        if not isinstance(callee, FunctionType | BuiltinFunctionType):
            self.refuse_call(node, callee)
        if callee in (len, min, max, offset_of, address_of):
            return self.builtin(node, callee)
        if callee in WORD_FUNCTIONS:
            words = self.arguments(node, signature_of(callee))
            return self.word_function(callee, node, words)
        if callee in PRIMITIVES.values():
            return self.primitive(node, callee)
        if not is_kernel_function(callee):
            self.refuse_call(node, callee)
        return self.kernel_function(node, callee)

    def refuse_call(self, node: ast.Call, callee: object) -> NoReturn:
        """Refuse a call of something that is not a kernel function."""
        known = {int: 'take the call away: it is a word already', bool: 'compare it: ... != 0'}
        instead = known.get(callee) if isinstance(callee, type) else None
        instead = instead or why_not_kernel(callee)
        self.refuse(node.func, 'not-a-kernel-function', name=text_of(node.func), instead=instead)

    def count(self, node: ast.Call, name: str, wanted: int, parameters: str) -> None:
        """Refuse a number of arguments that differs from the number of parameters."""
        if len(node.args) != wanted:
            self.refuse(node, 'argument-count', name=name, wanted=wanted, found=len(node.args), parameters=parameters)

    def convert(self, node: ast.Call, kind: Any) -> Value:
        """PhysAddr(x): the same word under another name."""
        self.count(node, kind.__name__, 1, 'one word')
        value, wanted = self.value(node.args[0]), Word(kind.__supertype__)
        self.wants(node.args[0], kind.__name__, value, wanted, fits(value.type, wanted))
        return Value(Word(kind), self.as_word(value), value.number)

    def view(self, node: ast.Call, struct: type[Struct]) -> Value:
        """Block(m, addr): look at memory as a struct."""
        self.count(node, struct.__name__, 2, '(m: Machine, addr: VirtAddr)')
        for argument, wanted in zip(node.args, (MACHINE, Word(VirtAddr)), strict=True):
            value = self.value(argument)
            self.wants(argument, struct.__name__, value, wanted, fits(value.type, wanted))
        return Value(View(struct), self.b.inttoptr(value.llvm, POINTER))

    def builtin(self, node: ast.Call, callee: Callable[..., Any]) -> Value:
        """len of text, min and max of two words, offset_of and address_of a field."""
        if callee is offset_of:
            return self.field_offset(node)
        if callee is address_of:
            return self.field_address(node)
        name = callee.__name__
        self.count(node, name, 1 if callee is len else 2, 'text' if callee is len else 'two words')
        values = [self.value(argument) for argument in node.args]
        if callee is len:
            is_text = isinstance(values[0].type, Text)
            if isinstance(values[0].type, ArrayView):
                self.refuse_length(node.args[0], values[0].type)
            self.wants(node.args[0], name, values[0], Text(), is_text)
            return Value(WORD, self.b.extract_value(values[0].llvm, 1))
        for argument, value in zip(node.args, values, strict=True):
            self.wants(argument, name, value, WORD, is_number(value.type))
        left, right = (self.as_word(value) for value in values)
        is_left = self.compare('<=' if callee is min else '>=', left, right)
        kind = joined(values[0].type, values[1].type)
        return Value(kind if isinstance(kind, Word) else WORD, self.b.select(is_left, left, right))

    def refuse_length(self, node: ast.expr, array: ArrayView) -> NoReturn:
        """Refuse len of an array: the declaration has its length, and a flexible array has none."""
        length = array.field.length
        instead = (
            f'write {length}, or the constant that its declaration names' if length else 'keep its length in a field'
        )
        self.refuse(node, 'argument-type', name='len', wanted=Text(), found=array, instead=instead)

    def field_offset(self, node: ast.Call) -> Value:
        """offset_of(Block, 'size'): a constant."""
        self.count(node, 'offset_of', 2, "a Struct and a field's name")
        try:
            struct, _ = self.static(node.args[0])
        except NotStatic:
            struct = None
        if not isinstance(struct, type) or not issubclass(struct, Struct):
            name = text_of(node.args[0])
            self.refuse(
                node.args[0],
                'argument-type',
                name='offset_of',
                wanted='a Struct',
                found=name,
                instead="write offset_of(Block, 'size')",
            )
        return self.constant(offset_of(struct, self.field_name(node.args[1], struct)), node)

    def field_address(self, node: ast.Call) -> Value:
        """address_of(block, 'size'): the address of a field of this view."""
        self.count(node, 'address_of', 2, "a view and a field's name")
        view = self.value(node.args[0])
        if not isinstance(view.type, View):
            instead = 'take its addr' if isinstance(view.type, ArrayView) else "write address_of(block, 'size')"
            words = {'name': 'address_of', 'wanted': 'a view', 'found': view.type, 'instead': instead}
            self.refuse(node.args[0], 'argument-type', **words)
        struct = view.type.struct
        pointer = self.at(view.llvm, offset_of(struct, self.field_name(node.args[1], struct)))
        return Value(Word(VirtAddr), self.b.ptrtoint(pointer, I64))

    def field_name(self, node: ast.expr, struct: type[Struct]) -> str:
        """The name of a field that has bytes, written as a string."""
        fields = [name for name, field in struct.FIELDS.items() if not isinstance(field, ConfigField)]
        name = node.value if isinstance(node, ast.Constant) else None
        if not isinstance(name, str):
            self.refuse(node, 'field-name', name=text_of(node))
        if name not in fields:
            self.refuse(node, 'no-field', struct=struct.__name__, name=name, fields=', '.join(fields))
        return name

    def arguments(self, node: ast.Call, signature: Signature) -> list[Any]:
        """The words of all arguments, each of its parameter's type."""
        self.count(node, signature.name, len(signature.parameters), signature.wanted)
        result: list[Any] = []
        for argument, (name, wanted) in zip(node.args, signature.parameters, strict=True):
            value = self.value(argument)
            self.wants(argument, name, value, wanted, fits(value.type, wanted))
            result += [value.llvm] if isinstance(value.type, View) else self.to_words(value)
        return result

    def kernel_function(self, node: ast.Call, callee: Callable[..., Any]) -> Value:
        function = self.unit.function(callee, self.is_raw)
        self.calls.append((function, node))
        words = self.arguments(node, function.signature)
        first = [self.llvm.args[0]] if self.has_processor else []
        return self.result(function.signature.result, self.b.call(function.llvm, first + words))

    def result(self, kind: Type, found: Any) -> Value:
        """The value that a call returned."""
        if kind == NO_RETURN:
            self.b.unreachable()
            self.assigned = None
        if isinstance(kind, Nothing | Several | Text):
            return Value(kind, found)
        if isinstance(kind, View):
            return Value(kind, self.b.inttoptr(found, kind.local))
        return self.from_words(kind, [found])

    # ---------------------------------------------------------------- primitives
    def primitive(self, node: ast.Call, callee: Callable[..., Any]) -> Value:
        name, signature = callee.__name__, signature_of(callee)
        target = self.unit.target
        inside = self.is_raw and target.is_simulated
        if inside or not target.is_simulated:
            refused = PRIVILEGED if inside else target.refused
            if name in refused:
                self.refuse(node, 'no-lowering', target='raw' if inside else target.name, name=name)
        words = self.arguments(node, signature)
        self.check_narrow(name, node, words)
        if not inside and (target.is_simulated or name in target.lowerings):
            if name not in target.lowerings:
                self.refuse(node, 'no-lowering', target=target.name, name=name)
            return self.lowered(name, node, words)
        emit = instructions.C_CALLS.get(name) if target.has_c_library else None
        found = (emit or instructions.INSTRUCTIONS[name])(self.b, words)
        return self.result(signature.result, found)

    def check_narrow(self, name: str, node: ast.Call, words: list[Any]) -> None:
        """Check the preconditions on a primitive's numbers: constants at once, others in a checked build."""
        for word, bits, source in zip(words, NARROW.get(name, ()), node.args[1:], strict=False):
            number = word.constant if isinstance(word, ir.Constant) else 0
            if bits < 64 and not 0 <= number < 1 << bits:
                self.refuse(source, 'too-wide-number', name=name, bits=bits, value=number, most=(1 << bits) - 1)
            self.trap_unless_fits(word, bits, node)
        if name == 'copy':  # forward: what it writes must not be what it has yet to read
            distance = self.b.sub(words[0], words[1])
            behind = self.b.icmp_unsigned('<', self.b.sub(distance, I64(1)), self.b.sub(words[2], I64(1)))
            self.trap_if(self.b.and_(behind, self.compare('>', words[2], I64(0))), node)

    def lowered(self, name: str, node: ast.Call, words: list[Any]) -> Value:
        """A primitive that is a kernel function on this target."""
        function = self.unit.function(self.unit.target.lowerings[name], is_raw=True)
        self.calls.append((function, node))
        first = self.processor_words(function.signature.parameters[0][1])
        return self.result(function.signature.result, self.b.call(function.llvm, first + words))
