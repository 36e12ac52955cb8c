"""Values and places while a function is compiled."""

from typing import Any, NamedTuple

from ..structs import NumberField
from ..words import Width
from .types import Type


class Value(NamedTuple):
    """The result of an expression: its type, its LLVM value, and the number if the compiler knows it."""

    type: Type
    llvm: Any
    number: int | None = None


class LocalPlace(NamedTuple):
    """A local variable."""

    name: str


class MemoryPlace(NamedTuple):
    """A number in memory: a field or an element."""

    pointer: Any
    width: Width
    kind: Any


Place = LocalPlace | MemoryPlace


def place_of_field(pointer: Any, field: NumberField) -> MemoryPlace:
    """Where a number field of a struct lies."""
    return MemoryPlace(pointer, field.width, field.kind)
