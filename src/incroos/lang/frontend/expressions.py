"""Expressions: each becomes a typed value, or a refusal that says what to write instead."""

import ast
import builtins
import operator
import types as python_types
from collections.abc import Callable
from typing import Any, Final, NoReturn

from llvmlite import ir

from ..config import ConfigError, config_hints, is_protocol, members_of
from ..structs import ArrayField, ConfigField, NumberField, Struct, StructField, is_word
from ..words import WORD_MAX, VirtAddr, Width, signed
from . import instructions
from .arithmetic import Arithmetic
from .refusal import ANNOTATIONS, text_of
from .source import constant_kind
from .types import (
    BOOL,
    I1,
    I8,
    I64,
    MACHINE,
    TEXT_TYPE,
    WORD,
    ArrayView,
    Bool,
    Constants,
    Nothing,
    Several,
    Text,
    TheMachine,
    Type,
    View,
    Word,
    comparable,
    how_to_compare,
    how_to_make,
    joined,
)
from .values import MemoryPlace, Value, place_of_field

COMPARISONS: Final[dict[type[ast.AST], str]] = {
    ast.Eq: '==',
    ast.NotEq: '!=',
    ast.Lt: '<',
    ast.LtE: '<=',
    ast.Gt: '>',
    ast.GtE: '>=',
}
COMPARE: Final[dict[type[ast.AST], Callable[[int, int], bool]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
# kind of node: (what it is, what to write instead)
REFUSED: Final[dict[str, tuple[str, str]]] = {
    'List': ('a list', 'use an array field of a struct'),
    'Tuple': ('a tuple', 'write a, b = b, a or return a, b: tuples are not kept'),
    'Dict': ('a dict', 'use an array field of a struct'),
    'Set': ('a set', 'use the bits of a word, or an array field of a struct'),
    'ListComp': ('a list comprehension', 'write a loop over the table instead'),
    'SetComp': ('a set comprehension', 'write a loop'),
    'DictComp': ('a dict comprehension', 'write a loop'),
    'GeneratorExp': ('a generator', 'write a loop'),
    'JoinedStr': ('an f-string', 'put the text and the numbers on the console one after the other'),
    'Lambda': ('a lambda', 'write a @kernel function'),
    'NamedExpr': ('an assignment inside an expression', 'write it as a statement of its own'),
    'Yield': ('yield', 'write a loop in the caller'),
    'YieldFrom': ('yield from', 'write a loop in the caller'),
    'Starred': ('a starred expression', 'name each value'),
}


def what_instead(found: object, name: str) -> dict[str, str]:
    """For something that is not a number: what it is, and how it can be used."""
    if isinstance(found, python_types.ModuleType):
        return {'found': 'a module', 'instead': f'write {name}.NAME'}
    if isinstance(found, type) and issubclass(found, Struct):
        return {'found': 'a struct', 'instead': f'make a view: {name}(m, addr)'}
    if isinstance(found, python_types.FunctionType | python_types.BuiltinFunctionType):
        return {'found': 'a function', 'instead': 'call it'}
    instead = 'define its numbers in the module, or pass it as a parameter'
    return {'found': f'of type {type(found).__name__}', 'instead': instead}


class NotStatic(Exception):
    """The expression is not a name that the compiler can look up."""


class Expressions(Arithmetic):
    """The part of compiling a function that deals with expressions."""

    local_names: set[str]
    variables: dict[str, Value]  # the type of a local, and the slot that holds it
    assigned: frozenset[str] | None  # the locals that surely have a value here; None where nothing runs

    def call(self, node: ast.Call) -> Value:
        """A call; calls.py has it."""
        raise NotImplementedError

    def value(self, node: ast.expr) -> Value:
        """The value of an expression that must have exactly one."""
        value = self.any_value(node)
        self.refuse_nothing(node, value.type)
        if isinstance(value.type, Several):
            self.refuse(node, 'several-values', name=text_of(node.func) if isinstance(node, ast.Call) else 'this')
        return value

    def refuse_nothing(self, node: ast.expr, kind: Type) -> None:
        """Refuse a call without a result where the result is used."""
        if isinstance(kind, Nothing):
            name = text_of(node.func) if isinstance(node, ast.Call) else 'this'
            self.refuse(node, 'no-value' if kind.returns else 'never-returns', name=name)

    def any_value(self, node: ast.expr) -> Value:
        """The value of an expression, which may also have no value or several."""
        emit = getattr(self, f'of_{type(node).__name__}', None)
        if emit is None:
            what, instead = REFUSED.get(type(node).__name__, (type(node).__name__, 'see docs/language.md'))
            self.refuse(node, 'expression', what=what, instead=instead)
        value: Value = emit(node)
        return value

    def condition(self, node: ast.expr) -> Any:
        """The LLVM truth of an expression that must be a bool."""
        value = self.value(node)
        if not isinstance(value.type, Bool):
            text = f'({text_of(node)})' if isinstance(node, ast.IfExp) else text_of(node)
            instead = f'write {text} != 0' if isinstance(value.type, Word) else 'compare words'
            self.refuse(node, 'condition', found=value.type, instead=instead)
        return value.llvm

    # ---------------------------------------------------------------- constants and names
    def of_Constant(self, node: ast.Constant) -> Value:
        return self.known(node.value, node)

    def known(self, found: object, node: ast.expr, kind: Any = int) -> Value:
        """A constant: a bool, a word or text."""
        if isinstance(found, bool):
            return Value(BOOL, I1(int(found)))
        if isinstance(found, int):
            return self.constant(int(found), node)._replace(type=Word(kind))
        if isinstance(found, bytes):
            addr, length = self.unit.text(found)
            return Value(TEXT_TYPE, ir.LiteralStructType([I64, I64])([addr, length]))
        instead = {
            str: "write bytes: b'...'",
            float: 'compute with words: scale by 1000, or shift',
            type(None): 'use a negative code, or 0 for no address',
        }.get(type(found), 'see docs/language.md')
        raise self.refusal(node, 'constant', what=text_of(node), instead=instead)

    def of_Name(self, node: ast.Name) -> Value:
        if node.id not in self.local_names:
            return self.of_static(node)
        if self.assigned is not None and node.id not in self.assigned:
            self.refuse(node, 'maybe-unassigned', name=node.id)
        kind, slot, _ = self.variables[node.id]
        if isinstance(kind, TheMachine):
            return Value(kind, I64(0))
        return Value(kind, self.b.load(slot, typ=kind.local))

    def static(self, node: ast.expr) -> tuple[Any, Any]:
        """The object behind a global name or an attribute of a module, and the namespace where it was found."""
        if isinstance(node, ast.Name) and node.id not in self.local_names:
            namespace = self.function.__globals__
            if node.id in self.function.__code__.co_freevars:
                self.refuse(node, 'closure', name=node.id)
            if node.id in namespace:
                return namespace[node.id], namespace
            if hasattr(builtins, node.id):
                return getattr(builtins, node.id), vars(builtins)
            self.refuse(node, 'unknown-name', name=node.id)
        if isinstance(node, ast.Attribute):
            config = self.path_type(node.value)
            if isinstance(config, Constants):
                found, hint = self.chosen(node, config)
                if not is_protocol(hint):
                    raise NotStatic
                return found, {}
            owner, _ = self.static(node.value)
            self.design_member(node)
            if isinstance(owner, python_types.ModuleType):
                if not hasattr(owner, node.attr):
                    self.refuse(node, 'no-constant', module=owner.__name__, name=node.attr)
                return getattr(owner, node.attr), vars(owner)
            if isinstance(owner, type) and issubclass(owner, Struct):
                if node.attr not in ('SIZE', 'ALIGN'):
                    self.refuse_of_struct(node, owner)
                return getattr(owner, node.attr), {}
        raise NotStatic

    def refuse_of_struct(self, node: ast.Attribute, struct: type[Struct]) -> NoReturn:
        """Refuse a name that a struct class does not have; the fields belong to its views."""
        name = text_of(node.value)
        instead = 'its constants are SIZE and ALIGN'
        if node.attr in struct.FIELDS:
            instead = f'make a view: {name}(m, addr).{node.attr}; or write offset_of({name}, {node.attr!r})'
        self.refuse(node, 'no-attribute', found=f'the struct {name}', name=node.attr, instead=instead)

    def path_type(self, node: ast.expr) -> Type | None:
        """The type of a local, or of what lies inside one, as in zone.config: known without any code."""
        if isinstance(node, ast.Name) and node.id in self.variables:
            if self.assigned is not None and node.id not in self.assigned:
                self.refuse(node, 'maybe-unassigned', name=node.id)
            return self.variables[node.id].type
        if not isinstance(node, ast.Attribute):
            return None
        base = self.path_type(node.value)
        field = base.struct.FIELDS.get(node.attr) if isinstance(base, View) else None
        if isinstance(field, ConfigField):
            return Constants(field.kind)
        return View(field.kind) if isinstance(field, StructField) else None

    def design_member(self, node: ast.Attribute) -> Any:
        """What a Protocol declares for zone.config.frames.NAME: a constant's type, or a function; else None."""
        kind = self.path_type(node.value.value) if isinstance(node.value, ast.Attribute) else None
        if not isinstance(node.value, ast.Attribute) or not isinstance(kind, Constants):
            return None
        protocol = config_hints(kind.kind)[node.value.attr]
        members = members_of(protocol)
        if node.attr not in members:
            self.refuse(node, 'no-member', protocol=protocol.__name__, name=node.attr, members=', '.join(members))
        return members[node.attr]

    def is_choice(self, node: ast.AST) -> bool:
        """Whether the text is a constant of the build: of the configuration, or of a design that it names."""
        if not isinstance(node, ast.Attribute):
            return False
        if isinstance(self.path_type(node.value), Constants):
            return True
        return self.is_static(node) and self.design_member(node) is not None

    def is_fixed(self, node: ast.expr) -> bool:
        """Whether the text is made of constants alone, so that its value needs no code."""
        if isinstance(node, ast.Name | ast.Attribute):
            return self.is_static(node) or self.is_choice(node)
        if isinstance(node, ast.Compare):
            return len(node.ops) == 1 and self.is_fixed(node.left) and self.is_fixed(node.comparators[0])
        if isinstance(node, ast.UnaryOp):
            return isinstance(node.operand, ast.Constant)
        return isinstance(node, ast.Constant)

    def is_static(self, node: ast.expr) -> bool:
        """Whether the text is a global name, or in a module, and not a value that the function computes."""
        try:
            self.static(node)
        except NotStatic:
            return False
        return True

    def of_static(self, node: ast.Name | ast.Attribute) -> Value:
        found, namespace = self.static(node)
        if not isinstance(found, int | bytes):
            name = text_of(node)
            self.refuse(node, 'not-constant', name=name, **what_instead(found, name))
        name = node.id if isinstance(node, ast.Name) else node.attr
        hint = self.design_member(node) if isinstance(node, ast.Attribute) else None
        return self.known(found, node, hint if is_word(hint) else constant_kind(namespace, name))

    # ---------------------------------------------------------------- operators
    def of_BinOp(self, node: ast.BinOp) -> Value:
        left = self.value(node.left)
        return self.binary(node, left, self.value(node.right))

    def of_UnaryOp(self, node: ast.UnaryOp) -> Value:
        if isinstance(node.op, ast.Not):
            return Value(BOOL, self.b.not_(self.condition(node.operand)))
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant) and type(node.operand.value) is int:
            return self.constant(-node.operand.value, node)
        return self.unary(node, self.value(node.operand))

    def of_BoolOp(self, node: ast.BoolOp) -> Value:
        end, seen = self.llvm.append_basic_block(), []
        for operand in node.values:
            result = self.condition(operand)
            seen.append((result, self.b.block))
            if operand is node.values[-1]:
                self.b.branch(end)
                break
            following = self.llvm.append_basic_block()
            ways = (following, end) if isinstance(node.op, ast.And) else (end, following)
            self.b.cbranch(result, *ways)
            self.b.position_at_end(following)
        return Value(BOOL, self.merge(end, I1, seen))

    def merge(self, end: Any, kind: Any, seen: list[tuple[Any, Any]]) -> Any:
        """Continue in the block `end`, with the value from one of the preceding blocks."""
        self.b.position_at_end(end)
        phi = self.b.phi(kind)
        for value, block in seen:
            phi.add_incoming(value, block)
        return phi

    def of_Compare(self, node: ast.Compare) -> Value:
        left, end, seen = self.value(node.left), None, []
        for position, (sign, right_node) in enumerate(zip(node.ops, node.comparators, strict=True)):
            if type(sign) not in COMPARISONS:
                what = {'Is': 'is', 'IsNot': 'is not', 'In': 'in', 'NotIn': 'not in'}[type(sign).__name__]
                self.refuse(node, 'operator', what=what, instead='compare words with == != < <= > >=')
            right = self.value(right_node)
            if not comparable(left.type, right.type):
                instead = how_to_compare(left.type, right.type)
                self.refuse(node, 'compare', left=left.type, right=right.type, instead=instead)
            if len(node.ops) == 1 and left.number is not None and right.number is not None:
                return Value(BOOL, I1(int(COMPARE[type(sign)](left.number, right.number))))
            end = end or self.llvm.append_basic_block()
            result = self.compare(COMPARISONS[type(sign)], self.as_word(left), self.as_word(right))
            seen.append((result, self.b.block))
            if position + 1 < len(node.ops):
                following = self.llvm.append_basic_block()
                self.b.cbranch(result, following, end)
                self.b.position_at_end(following)
            left = right
        self.b.branch(end)
        return Value(BOOL, self.merge(end, I1, seen))

    def of_IfExp(self, node: ast.IfExp) -> Value:
        yes, no, end = (self.llvm.append_basic_block() for _ in range(3))
        self.b.cbranch(self.condition(node.test), yes, no)
        self.b.position_at_end(yes)
        left = self.value(node.body)
        left_end = self.b.block
        self.b.position_at_end(no)
        right = self.value(node.orelse)
        kind = joined(left.type, right.type)
        if kind is None:
            self.refuse(node, 'branches', left=left.type, right=right.type, instead='make them of one type')
        if isinstance(kind, TheMachine):
            self.refuse(node, 'branches', left=kind, right=kind, instead='use the one machine that there is')
        ways = []
        for value, block in ((left, left_end), (right, self.b.block)):
            self.b.position_at_end(block)
            ways.append((value.llvm if value.type == kind else self.as_word(value), block))
            self.b.branch(end)
        return Value(kind, self.merge(end, kind.local, ways))

    # ---------------------------------------------------------------- fields and elements
    def of_Attribute(self, node: ast.Attribute) -> Value:
        try:
            return self.of_static(node)
        except NotStatic:
            config = self.path_type(node.value)
        if isinstance(config, Constants):
            return self.of_config(node, config)
        base = self.value(node.value)
        if isinstance(base.type, Constants):
            return self.of_config(node, base.type)
        if not isinstance(base.type, View | ArrayView):
            instead = 'only views have fields' if not isinstance(base.type, Word) else 'make a view of it first'
            self.refuse(node, 'no-attribute', found=base.type, name=node.attr, instead=instead)
        if node.attr == 'm':
            return Value(MACHINE, I64(0))
        if node.attr == 'addr':
            return Value(Word(VirtAddr), self.b.ptrtoint(base.llvm, I64))
        if isinstance(base.type, ArrayView):
            self.refuse(node, 'no-attribute', found=base.type, name=node.attr, instead='index it, or take its addr')
        return self.of_field(node, base)

    def of_field(self, node: ast.Attribute, base: Value) -> Value:
        """A field of a view: a number is loaded, a struct or an array becomes a view."""
        assert isinstance(base.type, View)
        field = base.type.struct.FIELDS.get(node.attr)
        if field is None:
            fields = ', '.join(base.type.struct.FIELDS) or 'none'
            self.refuse(node, 'no-field', struct=base.type, name=node.attr, fields=fields)
        if isinstance(field, ConfigField):
            return Value(Constants(field.kind), I64(0))
        pointer = self.at(base.llvm, field.offset)
        if isinstance(field, NumberField):
            return self.load_place(place_of_field(pointer, field))
        return Value(View(field.kind) if isinstance(field, StructField) else ArrayView(field), pointer)

    def of_config(self, node: ast.Attribute, kind: Constants) -> Value:
        """A constant of the build."""
        found, hint = self.chosen(node, kind)
        return self.known(found, node, hint if is_word(hint) else int)

    def chosen(self, node: ast.Attribute, kind: Constants) -> tuple[Any, Any]:
        """The value of a choice of the build, and the meaning of its annotation."""
        try:
            hints = config_hints(kind.kind)
        except ConfigError as error:
            self.refuse(node, 'annotation', found=f'an annotation of {kind} ({error})', instead=ANNOTATIONS)
        if node.attr not in hints:
            self.refuse(node, 'no-field', struct=kind, name=node.attr, fields=', '.join(hints))
        config = self.unit.config
        if not isinstance(config, kind.kind):
            found = 'no configuration' if config is None else type(config).__name__
            self.refuse(node, 'no-config', found=found, wanted=kind)
        return getattr(config, node.attr), hints[node.attr]

    def load_place(self, place: MemoryPlace) -> Value:
        return Value(Word(place.kind), self.load(place.pointer, place.width))

    def of_Subscript(self, node: ast.Subscript) -> Value:
        base = self.value(node.value)
        if isinstance(node.slice, ast.Slice):
            self.refuse(node, 'slice')
        if isinstance(base.type, Text):
            return self.of_character(node, base)
        pointer, field = self.element(node, base)
        if isinstance(field.element, Width):
            return self.load_place(MemoryPlace(pointer, field.element, field.kind))
        return Value(View(field.element), pointer)

    def of_character(self, node: ast.Subscript, text: Value) -> Value:
        index = self.index(node, None)
        length = self.b.extract_value(text.llvm, 1)
        self.trap_if(self.b.icmp_unsigned('>=', index, length), node)
        return Value(WORD, self.character(text, index))

    def character(self, text: Value, index: Any) -> Any:
        """One byte of text, read directly: text is a part of the program, not of the machine's memory."""
        addr = self.b.add(self.b.extract_value(text.llvm, 0), index)
        return self.b.zext(self.b.load(self.b.inttoptr(addr, ir.PointerType()), align=1, typ=I8), I64)

    def element(self, node: ast.Subscript, base: Value) -> tuple[Any, ArrayField]:
        """The pointer to an element of an array; a checked build stops at an index outside."""
        if not isinstance(base.type, ArrayView):
            self.refuse(node, 'not-indexable', found=base.type)
        field = base.type.field
        index = self.index(node, field.length, field.most)
        self.trap_if(self.b.icmp_unsigned('>=', index, I64(signed(field.length or field.most))), node)
        pointer = self.at(base.llvm, self.b.mul(index, I64(field.stride)))
        if self.unit.checked and not field.length:  # whose end the declaration does not know
            first, last = (self.b.ptrtoint(end, I64) for end in (base.llvm, self.at(pointer, field.stride - 1)))
            self.trap_if(self.compare('<', self.b.xor(first, last), I64(0)), node)
        is_odd = field.stride & (field.stride - 1) != 0
        if is_odd and not isinstance(index, ir.Constant) and not self.unit.target.folds_indices:
            pointer = instructions.opaque(self.b, pointer)
        return pointer, field

    def index(self, node: ast.Subscript, length: int | None, most: int = WORD_MAX + 1) -> Any:
        """The index as a word; refuses a constant outside the array."""
        if isinstance(node.slice, ast.Slice):
            self.refuse(node, 'slice')
        value = self.value(node.slice)
        if not self.are_numbers(value):
            self.refuse(node.slice, 'operand', what='an index', found=value.type, instead='index with a word')
        if value.number is not None and not 0 <= value.number < (length or most):
            what = 'text' if length is None else f'an array of {length}' if length else 'a flexible array'
            end = f'to {length - 1}' if length else 'up' if value.number < 0 else f'to {most - 1}'
            self.refuse(node, 'index-range', index=value.number, what=what, end=end)
        return self.as_word(value)

    # ---------------------------------------------------------------- calls
    def of_Call(self, node: ast.Call) -> Value:
        return self.call(node)

    def wants(self, node: ast.expr, name: str, value: Value, wanted: Type, fits: bool) -> None:
        """Refuse an argument whose type does not fit its parameter."""
        if not fits:
            instead = how_to_make(value.type, wanted)
            self.refuse(node, 'argument-type', name=name, wanted=wanted, found=value.type, instead=instead)
