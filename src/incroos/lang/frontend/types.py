"""The types of kernel Python in the front end: which fits where, and how each is kept in registers.

A view is a pointer to LLVM, so that LLVM can tell accesses to two fields of one struct apart. A bool is one bit inside
a function and a word between functions. A Machine takes no register: there is one machine in a call.
"""

import types
from dataclasses import dataclass
from typing import Any, Final, NoReturn, get_args, get_origin

from llvmlite import ir

from ..config import Config
from ..machine import Machine
from ..structs import ArrayField, Struct, is_word

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
POINTER: Final = ir.PointerType()
TEXT: Final = ir.LiteralStructType([I64, I64])  # address and length


@dataclass(frozen=True)
class Type:
    """Base of the types."""

    def __str__(self) -> str:
        raise NotImplementedError

    @property
    def local(self) -> Any:
        """The LLVM type of a value inside a function."""
        return I64

    @property
    def words(self) -> int:
        """The number of words that it takes as a parameter."""
        return 1


@dataclass(frozen=True)
class Word(Type):
    """A signed word; `kind` is int, or the NewType that says what the word means."""

    kind: Any = int

    def __str__(self) -> str:
        return 'word' if self.kind is int else str(self.kind.__name__)


@dataclass(frozen=True)
class Bool(Type):
    def __str__(self) -> str:
        return 'bool'

    @property
    def local(self) -> Any:
        return I1


@dataclass(frozen=True)
class Text(Type):
    """bytes: text in the image's read-only data. It is read directly, also where memory is simulated."""

    def __str__(self) -> str:
        return 'bytes'

    @property
    def local(self) -> Any:
        return TEXT

    @property
    def words(self) -> int:
        return 2


@dataclass(frozen=True)
class TheMachine(Type):
    def __str__(self) -> str:
        return 'Machine'

    @property
    def words(self) -> int:
        return 0


@dataclass(frozen=True)
class View(Type):
    """A struct view."""

    struct: type[Struct]

    def __str__(self) -> str:
        return self.struct.__name__

    @property
    def local(self) -> Any:
        return POINTER


@dataclass(frozen=True)
class ArrayView(Type):
    """A view of an array field."""

    field: ArrayField

    def __str__(self) -> str:
        kind = self.field.kind
        return f'Array[{"word" if kind is int else kind.__name__}]'

    @property
    def local(self) -> Any:
        return POINTER


@dataclass(frozen=True)
class Constants(Type):
    """The configuration of the build."""

    kind: type[Config]

    def __str__(self) -> str:
        return self.kind.__name__


@dataclass(frozen=True)
class Several(Type):
    """The results of a function with more than one."""

    items: tuple[Type, ...]

    def __str__(self) -> str:
        return f'tuple[{", ".join(map(str, self.items))}]'

    @property
    def local(self) -> Any:
        return ir.LiteralStructType([I64] * len(self.items))


@dataclass(frozen=True)
class Nothing(Type):
    """The result of a function without one; `returns` is false for NoReturn."""

    returns: bool = True

    def __str__(self) -> str:
        return 'None' if self.returns else 'NoReturn'


WORD, BOOL, TEXT_TYPE, MACHINE, NOTHING, NO_RETURN = Word(), Bool(), Text(), TheMachine(), Nothing(), Nothing(False)


def is_number(kind: Type) -> bool:
    """Whether it can be an operand of arithmetic."""
    return isinstance(kind, Word | Bool)


def fits(found: Type, wanted: Type) -> bool:
    """Whether a value of one type fits where another is wanted: a NewType fits its supertype, never the reverse."""
    if found == wanted:
        return True
    if not isinstance(wanted, Word):
        return False
    if isinstance(found, Bool):
        return wanted.kind is int
    kind: Any = found.kind if isinstance(found, Word) else None
    while hasattr(kind, '__supertype__'):
        kind = kind.__supertype__
        if kind is wanted.kind:
            return True
    return False


def comparable(left: Type, right: Type) -> bool:
    """Whether two values can be compared: numbers can, except two NewTypes of which neither derives from the other."""
    if not is_number(left) or not is_number(right):
        return False
    return isinstance(left, Bool) or isinstance(right, Bool) or fits(left, right) or fits(right, left)


def how_to_compare(left: Type, right: Type) -> str:
    """What to write if two values cannot be compared."""
    if isinstance(left, View) and isinstance(right, View):
        return 'compare their addr'
    if isinstance(left, View) or isinstance(right, View):
        return 'compare with its addr'
    if isinstance(left, Text) or isinstance(right, Text):
        return 'compare byte by byte'
    return f'convert one: {left}(...)' if isinstance(left, Word) else 'compare words'


def joined(left: Type, right: Type) -> Type | None:
    """The type of a value that is one of two: the nearest type that both fit; None if there is none."""
    if left == right:
        return left
    if not is_number(left) or not is_number(right):
        return None
    kind: Any = left.kind if isinstance(left, Word) else int
    while not fits(right, Word(kind)):
        kind = kind.__supertype__
    return Word(kind)


def how_to_make(found: Type, wanted: Type) -> str:
    """What to write so that a value of one type fits where another is wanted."""
    if isinstance(wanted, Word) and is_number(found):
        return f'convert it: {wanted}(...)'
    if isinstance(wanted, Bool) and is_number(found):
        return 'compare it: ... != 0'
    if isinstance(wanted, View) and is_number(found):
        return f'make a view: {wanted}(m, VirtAddr(...))'
    if isinstance(wanted, Word) and isinstance(found, View):
        return 'use its addr'
    return f'give {wanted}'


def of_annotation(hint: Any) -> Type | None:
    """The type that an annotation names; None where kernel Python has none."""
    simple = {bool: BOOL, bytes: TEXT_TYPE, Machine: MACHINE}
    if isinstance(hint, type) and hint in simple:
        return simple[hint]
    if isinstance(hint, type) and issubclass(hint, Struct) and hint is not Struct:
        return View(hint)
    return Word(hint) if is_word(hint) else None


def of_result(hint: Any) -> Type | None:
    """The type that a result's annotation names, which may also be None, NoReturn or a tuple."""
    if hint is None or hint is types.NoneType:
        return NOTHING
    if hint is NoReturn:
        return NO_RETURN
    if get_origin(hint) is tuple:
        items = [of_annotation(item) for item in get_args(hint)]
        if items and all(isinstance(item, Word | Bool | View) for item in items):
            return Several(tuple(item for item in items if item is not None))
        return None
    return of_annotation(hint)
