"""Prototypes: a C function's name, result and parameters, read from its line in the header.

`void *kmalloc(size_t nbytes)` is name, result and parameters; each parameter is one word, or the address of one. The
header prints the line as it is, and the wrapper (c_library.py) is made for what it says. Which functions there are is
handed in.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

_PROTOTYPE: Final = re.compile(r'^(?P<result>[\w ]+[ *])(?P<name>\w+)\((?P<parameters>[^()]*)\)$')
_PARAMETER: Final = re.compile(r'^[\w ]+[ *](\w+)$')


class Step(Enum):
    """The part of the start that a function performs, if any."""

    NONE = 'a function of the library that was started'
    FIRST = 'takes the struct'
    NEXT = 'between the first and the last'
    LAST = 'after it, all functions can be called'
    ALL = 'first and last in one'


@dataclass(frozen=True)
class Prototype:
    """One function as C sees it."""

    text: str
    name: str
    result: str
    parameters: tuple[str, ...]  # their names

    @property
    def is_pointer(self) -> bool:
        return self.result.endswith('*')


def prototype_of(text: str) -> Prototype:
    """Take a prototype apart."""
    match = _PROTOTYPE.match(text)
    if not match:
        raise ValueError(f'{text!r} is not a prototype')
    listed = [] if match['parameters'] == 'void' else match['parameters'].split(', ')
    names = [_PARAMETER.match(parameter) for parameter in listed]
    if None in names:
        raise ValueError(f'{text!r} has a parameter without a name')
    return Prototype(text, match['name'], match['result'].strip(), tuple(name[1] for name in names if name))


@dataclass(frozen=True)
class CFunction:
    """A function of C, and the kernel function behind it."""

    prototype: Prototype
    function: Callable[..., Any]  # whose docstring is the comment in the header
    with_site: Callable[..., Any] | None = None  # what is called in its place; the call site is its last argument
    step: Step = Step.NONE
