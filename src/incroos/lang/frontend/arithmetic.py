"""Arithmetic on words with Python's meaning: floor division, no overflow, no shift beyond the word."""

import ast
import operator
from collections.abc import Callable
from typing import Any, Final

from .. import words
from .builder import FunctionBase
from .types import BOOL, I1, I64, WORD, ArrayView, Bool, View
from .values import Value

NAMES: Final[dict[type[ast.AST], str]] = {
    ast.Add: '+',
    ast.Sub: '-',
    ast.Mult: '*',
    ast.FloorDiv: '//',
    ast.Mod: '%',
    ast.BitAnd: '&',
    ast.BitOr: '|',
    ast.BitXor: '^',
    ast.LShift: '<<',
    ast.RShift: '>>',
    ast.USub: 'unary -',
    ast.Invert: '~',
    ast.UAdd: 'unary +',
    ast.Div: '/',
    ast.Pow: '**',
    ast.MatMult: '@',
}
FOLD: Final[dict[str, Callable[[int, int], int]]] = {
    '+': operator.add,
    '-': operator.sub,
    '*': operator.mul,
    '//': operator.floordiv,
    '%': operator.mod,
    '&': operator.and_,
    '|': operator.or_,
    '^': operator.xor,
    '<<': operator.lshift,
    '>>': operator.rshift,
}
BITWISE: Final = {'&': 'and_', '|': 'or_', '^': 'xor'}
INSTEAD: Final = {
    '/': 'write // : it rounds down, as in Python',
    '**': 'write a shift for a power of two, or a product',
    '@': 'write a loop of products',
    'unary +': 'take the sign away',
}


class Arithmetic(FunctionBase):
    """The part of compiling a function that deals with operators."""

    def constant(self, number: int, node: ast.AST) -> Value:
        """A word that the compiler knows."""
        if not words.WORD_MIN <= number <= words.WORD_MAX:
            same = f'write the negative word with the same bits: {words.signed(number)}'
            instead = same if 0 < number < 1 << words.WORD_BITS else 'keep to 64 bits, or use two words'
            value = number if number.bit_length() < 100 else f'a number of {number.bit_length()} bits'
            self.refuse(node, 'too-large', value=value, instead=instead)
        return Value(WORD, I64(number), number)

    def operator_name(self, node: ast.AST, kind: ast.AST) -> str:
        """How the operator is written; refuses one that kernel Python does not have."""
        name = NAMES[type(kind)]
        if name in INSTEAD:
            self.refuse(node, 'operator', what=name, instead=INSTEAD[name])
        return name

    def binary(self, node: Any, left: Value, right: Value) -> Value:
        """left OP right, for a BinOp or an AugAssign."""
        name = self.operator_name(node, node.op)
        if isinstance(left.type, Bool) and isinstance(right.type, Bool) and name in BITWISE:
            return Value(BOOL, getattr(self.b, BITWISE[name])(left.llvm, right.llvm))
        for value in (left, right):
            if not self.are_numbers(value):
                instead = 'compute with its addr' if isinstance(value.type, View | ArrayView) else 'compute with words'
                self.refuse(node, 'operand', what=name, found=value.type, instead=instead)
        if name in ('//', '%') and right.number == 0:
            self.refuse(node, 'divide-by-zero')
        if name in ('<<', '>>') and right.number is not None and not 0 <= right.number < words.WORD_BITS:
            self.refuse(node, 'shift-count', count=right.number)
        if left.number is not None and right.number is not None:
            return self.constant(FOLD[name](left.number, right.number), node)
        return Value(WORD, self.emit(name, node, self.as_word(left), self.as_word(right), right.number))

    def emit(self, name: str, node: ast.AST, left: Any, right: Any, number: int | None) -> Any:
        """Emit an operator on two words; the right one may be a known constant."""
        if name in BITWISE:
            return getattr(self.b, BITWISE[name])(left, right)
        if name in ('+', '-', '*'):
            return self.no_overflow({'+': 'add', '-': 'sub', '*': 'mul'}[name], node, left, right)
        if name in ('<<', '>>'):
            return self.shift(name, node, left, right, number)
        return self.divide(name, node, left, right, number)

    def no_overflow(self, name: str, node: ast.AST, left: Any, right: Any) -> Any:
        """Sum, difference or product; a checked build stops if it does not fit a word."""
        if not self.unit.checked:
            return getattr(self.b, name)(left, right)
        both = getattr(self.b, f's{name}_with_overflow')(left, right)
        self.trap_if(self.b.extract_value(both, 1), node)
        return self.b.extract_value(both, 0)

    def shift(self, name: str, node: ast.AST, left: Any, count: Any, number: int | None) -> Any:
        """A shift; a checked build stops at a count outside 0 to 63, and if bits are lost to the left."""
        if number is None:
            self.trap_if(self.b.icmp_unsigned('>=', count, I64(words.WORD_BITS)), node)
        if name == '>>':
            return self.b.ashr(left, count)
        result = self.b.shl(left, count)
        if self.unit.checked:
            self.trap_if(self.compare('!=', self.b.ashr(result, count), left), node)
        return result

    def divide(self, name: str, node: ast.AST, left: Any, right: Any, number: int | None) -> Any:
        """Python's // and %, which round down, while the processor's division rounds to zero."""
        if number is not None and number > 0 and number & (number - 1) == 0:
            power = number.bit_length() - 1
            return self.b.ashr(left, I64(power)) if name == '//' else self.b.and_(left, I64(number - 1))
        if number is None:
            self.trap_if(self.compare('==', right, I64(0)), node)
        if number is None or number == -1:
            is_minus_one = self.compare('==', right, I64(-1))
            if name == '//':
                lowest = self.compare('==', left, I64(words.WORD_MIN))
                self.trap_if(self.b.and_(is_minus_one, lowest), node)
            else:  # the processor stops at the lowest word % -1, which is 0
                right = self.b.select(is_minus_one, I64(1), right)
        remainder = self.b.srem(left, right)
        differs = self.compare('<', self.b.xor(remainder, right), I64(0))
        adjusts = self.b.and_(differs, self.compare('!=', remainder, I64(0)))
        if name == '%':
            return self.b.select(adjusts, self.b.add(remainder, right), remainder)
        return self.b.sub(self.b.sdiv(left, right), self.b.zext(adjusts, I64))

    def unary(self, node: ast.UnaryOp, operand: Value) -> Value:
        """-x or ~x."""
        name = self.operator_name(node, node.op)
        if not self.are_numbers(operand):
            self.refuse(node, 'operand', what=name, found=operand.type, instead='compute with words')
        if operand.number is not None:
            return self.constant(-operand.number if name == 'unary -' else ~operand.number, node)
        value = self.as_word(operand)
        if name == '~':
            return Value(WORD, self.b.not_(value))
        return Value(WORD, self.no_overflow('sub', node, I64(0), value))

    # ---------------------------------------------------------------- the operations of words.py
    def word_function(self, function: Any, node: ast.AST, arguments: list[Any]) -> Value:
        """A call of one of the functions on words that Python's operators do not give."""
        kind = BOOL if function is words.unsigned_less else WORD
        return Value(kind, WORD_FUNCTIONS[function](self, node, *arguments))

    def shift_within(self, name: str, node: ast.AST, value: Any, count: Any) -> Any:
        """A shift that drops bits; a checked build stops at a count outside 0 to 63."""
        self.trap_if(self.b.icmp_unsigned('>=', count, I64(words.WORD_BITS)), node)
        return getattr(self.b, name)(value, count)


WORD_FUNCTIONS: Final[dict[Any, Callable[..., Any]]] = {
    words.add_wrap: lambda f, node, a, b: f.b.add(a, b),
    words.sub_wrap: lambda f, node, a, b: f.b.sub(a, b),
    words.mul_wrap: lambda f, node, a, b: f.b.mul(a, b),
    words.shl_wrap: lambda f, node, a, n: f.shift_within('shl', node, a, n),
    words.shr_logical: lambda f, node, a, n: f.shift_within('lshr', node, a, n),
    words.count_trailing_zeros: lambda f, node, a: f.b.cttz(a, I1(0)),
    words.count_leading_zeros: lambda f, node, a: f.b.ctlz(a, I1(0)),
    words.count_ones: lambda f, node, a: f.b.ctpop(a),
    words.unsigned_less: lambda f, node, a, b: f.b.icmp_unsigned('<', a, b),
}
