"""Finds the source text of a kernel function and the meaning of the constants of its module.

Each file is read and parsed once. Text comes through linecache, so that functions made at run time can be compiled
too when their maker enters the text there.
"""

import ast
import functools
import inspect
import linecache
import sys
import types
from collections.abc import Callable
from typing import Any, NamedTuple

from ..structs import is_word


class Source(NamedTuple):
    """The text of one function, inside that of its file."""

    file: str
    lines: list[str]
    node: ast.FunctionDef


class _File(NamedTuple):
    lines: list[str]
    tree: ast.Module
    functions: dict[int, ast.FunctionDef]  # by the line that CPython notes: that of the first decorator


def is_kernel_function(found: object) -> bool:
    """Whether it was marked @kernel and is a function with a text that can be compiled."""
    if not isinstance(found, types.FunctionType) or not getattr(found, '__kernel__', False):
        return False
    return found.__name__ != '<lambda>' and not inspect.iscoroutinefunction(found)


@functools.lru_cache(maxsize=4096)
def source_of(function: Callable[..., Any]) -> Source:
    """The source of a plain Python function."""
    code = function.__code__
    linecache.checkcache(code.co_filename)
    text = ''.join(linecache.getlines(code.co_filename, function.__globals__))
    parsed = _parse(code.co_filename, text)
    node = parsed.functions.get(code.co_firstlineno)
    if node is None or node.name != code.co_name:
        raise OSError(
            f'{code.co_filename} does not hold the text of {function.__qualname__}: was it changed meanwhile?'
        )
    return Source(code.co_filename, parsed.lines, node)


@functools.lru_cache(maxsize=256)
def _parse(file: str, text: str) -> _File:
    tree = ast.parse(text, file)
    functions = {
        min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]): node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }
    return _File(text.split('\n'), tree, functions)


def constant_kind(namespace: dict[str, Any], name: str) -> Any:
    """What a constant of a module means: the NewType that its definition names, or int.

    CPython knows only the value; the definition `X: Final = VirtAddr(0x1000)` says the rest, in this module or in the
    one that it was imported from.
    """
    for _ in range(8):  # a name may be imported from a module that imported it
        file = namespace.get('__file__') or ''
        module = _definitions(file, ''.join(linecache.getlines(file, namespace))) if file else {}
        found = module.get(name)
        if isinstance(found, ast.Name):  # another name for a constant
            name = found.id
        elif isinstance(found, _Import):
            origin = _absolute(str(namespace.get('__package__') or ''), found.level, found.module)
            if origin not in sys.modules:
                return int
            namespace, name = vars(sys.modules[origin]), found.name
        else:
            return _kind_of(found, namespace)
    return int


def _absolute(package: str, level: int, module: str) -> str:
    if level == 0:
        return module
    parts = package.split('.')[: len(package.split('.')) - level + 1]
    return '.'.join([*parts, module] if module else parts)


class _Import(NamedTuple):
    level: int
    module: str
    name: str


class _Annotation(NamedTuple):
    node: ast.expr


@functools.lru_cache(maxsize=256)
def _definitions(file: str, text: str) -> dict[str, Any]:
    """Of each name that a module defines: where it is imported from, what names its type, or whose other name it is."""
    found: dict[str, Any] = {}
    for node in _parse(file, text).tree.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                found[alias.asname or alias.name] = _Import(node.level, node.module or '', alias.name)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = _called(node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            bare = ast.unparse(node.annotation).rpartition('.')[2] == 'Final'
            found[node.target.id] = _called(node.value) if bare else _Annotation(node.annotation)
    return found


def _called(node: ast.expr | None) -> Any:
    """What names the type of a value: the VirtAddr of VirtAddr(...), or the constant that it is."""
    if isinstance(node, ast.Call):
        return _Annotation(node.func)
    return node if isinstance(node, ast.Name) else None


def _kind_of(annotation: _Annotation | None, namespace: dict[str, Any]) -> Any:
    """The NewType that `VirtAddr` or `Final[VirtAddr]` names; else int."""
    node = annotation.node if annotation else None
    if isinstance(node, ast.Subscript):
        node = node.slice
    found: Any = None
    if isinstance(node, ast.Name):
        found = namespace.get(node.id)
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        found = getattr(namespace.get(node.value.id), node.attr, None)
    return found if is_word(found) else int
