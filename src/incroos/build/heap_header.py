"""The hosted heap for C: incro_heap.h, and the declarations of the shim. Made from prototypes and docstrings."""

import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

COLUMNS: Final = 100
HEAD: Final = """\
/* The heap of IncroOS in a process: malloc and its kin, under names of their own. Made by `incroos build`. */
#ifndef INCRO_HEAP_H
#define INCRO_HEAP_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
"""
TAIL: Final = """
#ifdef __cplusplus
}
#endif

#endif
"""


def header_of(calls: Mapping[str, Callable[..., Any]]) -> str:
    """The header's text: for each prototype the docstring of the function behind it."""
    return HEAD + ''.join(f'\n{comment(function)}{prototype};\n' for prototype, function in calls.items()) + TAIL


def declarations_of(prototypes: Iterable[str]) -> str:
    """The kernel functions, as the shim calls them."""
    return ''.join(f'extern {prototype};\n' for prototype in prototypes)


def comment(function: Callable[..., Any]) -> str:
    """A function's docstring as a C comment."""
    text = inspect.getdoc(function) or ''
    lines = [
        line for part in text.split('\n\n') for line in textwrap.wrap(' '.join(part.split()), COLUMNS - 3, max_lines=40)
    ]
    return '/* ' + '\n * '.join(lines) + ' */\n'
