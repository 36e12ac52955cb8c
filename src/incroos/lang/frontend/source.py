"""Finds the source text of a kernel function and the meaning of the constants of its module.

Each file is read and parsed once. Text comes through linecache, so that functions made at run time can be compiled
too when their maker enters the text there.
"""

import ast
import functools
import linecache
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, get_args, get_origin

from ..structs import number_kind


class Source(NamedTuple):
    """The text of one function, inside that of its file."""

    file: str
    lines: list[str]
    node: ast.FunctionDef


class _File(NamedTuple):
    lines: list[str]
    tree: ast.Module
    functions: dict[int, ast.FunctionDef]  # by the line that CPython notes: that of the first decorator


def source_of(function: Callable[..., Any]) -> Source:
    """The source of a plain Python function."""
    code = function.__code__
    linecache.checkcache(code.co_filename)
    text = ''.join(linecache.getlines(code.co_filename, function.__globals__))
    parsed = _parse(code.co_filename, text)
    return Source(code.co_filename, parsed.lines, parsed.functions[code.co_firstlineno])


@functools.lru_cache(maxsize=256)
def _parse(file: str, text: str) -> _File:
    tree = ast.parse(text, file)
    functions = {
        min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]): node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }
    return _File(text.splitlines(keepends=True), tree, functions)


def constant_kind(namespace: dict[str, Any], name: str) -> Any:
    """What a constant of a module means: the NewType that its definition names, or int.

    CPython knows only the value; the definition `X: Final = VirtAddr(0x1000)` says the rest, in this module or in the
    one that it was imported from.
    """
    for _ in range(8):  # a name may be imported from a module that imported it
        file = namespace.get('__file__') or ''
        module = _definitions(file, ''.join(linecache.getlines(file, namespace))) if file else {}
        found = module.get(name)
        if not isinstance(found, tuple):
            return _kind_of(found, namespace) if found is not None else int
        package = str(namespace.get('__package__') or '')
        origin = _absolute(package, *found[:2])
        if origin not in sys.modules:
            return int
        namespace, name = vars(sys.modules[origin]), found[2]
    return int


def _absolute(package: str, level: int, module: str) -> str:
    if level == 0:
        return module
    parts = package.split('.')[: len(package.split('.')) - level + 1]
    return '.'.join([*parts, module] if module else parts)


@functools.lru_cache(maxsize=256)
def _definitions(file: str, text: str) -> dict[str, Any]:
    """Of each name that a module defines: (level, module, name) of an import, or the node that may name its type."""
    found: dict[str, Any] = {}
    for node in _parse(file, text).tree.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                found[alias.asname or alias.name] = node.level, node.module or '', alias.name
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            bare = isinstance(node.annotation, ast.Name) and node.annotation.id == 'Final'
            found[node.target.id] = node.value if bare else node.annotation
    return found


def _kind_of(node: ast.expr, namespace: dict[str, Any]) -> Any:
    """The NewType that a call `VirtAddr(...)`, or an annotation `VirtAddr` or `Final[VirtAddr]`, names; else int."""
    if isinstance(node, ast.Call):
        node = node.func
    try:
        hint = eval(compile(ast.Expression(node), '<annotation>', 'eval'), namespace)
    except Exception:
        return int
    if get_origin(hint) is not None and get_args(hint):
        hint = get_args(hint)[0]
    if not isinstance(hint, type) and not hasattr(hint, '__supertype__'):
        return int
    number = number_kind(hint)
    return number[1] if number else int
