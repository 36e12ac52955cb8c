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
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from ..structs import is_word
from .refusal import Place


class Source(NamedTuple):
    """The text of one function, inside that of its file."""

    file: str
    lines: list[str]
    node: ast.FunctionDef


class _File(NamedTuple):
    lines: list[str]
    tree: ast.Module
    functions: dict[int, ast.FunctionDef]  # by the line that CPython notes: that of the first decorator


BEFORE_NAME: Final = {ast.FunctionDef: 'def ', ast.AsyncFunctionDef: 'async def ', ast.ClassDef: 'class '}
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def is_kernel_function(found: object) -> bool:
    """Whether it was marked @kernel and is a function with a text that can be compiled."""
    return not why_not_kernel(found)


def why_not_kernel(found: object) -> str:
    """What to write instead of something that is not a kernel function; empty for a kernel function."""
    if hasattr(found, '__wrapped__'):  # functools.wraps also copies the mark
        return 'take the decorator away that wraps it'
    if isinstance(found, types.MethodType):
        return 'write a function of the module: methods are not compiled'
    if isinstance(found, functools.partial):
        return 'call its function with all arguments'
    if not isinstance(found, types.FunctionType):
        return 'write a @kernel function, or use what incroos.lang offers'
    if inspect.iscoroutinefunction(found) or inspect.isasyncgenfunction(found):
        return 'write a plain function: def, not async def'
    if found.__qualname__.rpartition('.')[0].rpartition('.')[2] not in ('', '<locals>'):
        return 'write a function of the module: methods are not compiled'
    if found.__code__.co_name == '<lambda>':
        return 'write it with def, and mark it @kernel'
    return '' if getattr(found, '__kernel__', False) else 'mark it @kernel, or use what incroos.lang offers'


def place_of(found: Any) -> Place:
    """Where something is defined; if it has no source, the place that passed it to the front end."""
    while hasattr(found, '__wrapped__') or isinstance(found, types.MethodType | functools.partial):
        found = getattr(found, '__wrapped__', None) or getattr(found, '__func__', None) or found.func
    code = getattr(found, '__code__', None)
    if code is None and not isinstance(found, type):
        return _place_of_caller()
    file = code.co_filename if code else getattr(sys.modules.get(found.__module__), '__file__', None)
    if file is None:
        return _place_of_caller()
    parsed = _parse(file, ''.join(linecache.getlines(file)))
    for node in ast.walk(parsed.tree):
        if (
            isinstance(node, Definition)
            and node.name == found.__name__
            and (not code or _first_line(node) == code.co_firstlineno)
        ):
            return Place.of(name_of(node), file, parsed.lines)
        if isinstance(node, ast.Lambda) and code and node.lineno == code.co_firstlineno:
            return Place.of(node, file, parsed.lines)
    return Place.of(ast.Pass(lineno=code.co_firstlineno if code else 1), file, parsed.lines)


def _place_of_caller() -> Place:
    """The place of the call into the front end."""
    frame = sys._getframe()
    while frame.f_back and str(frame.f_globals.get('__name__')).startswith(__package__):
        frame = frame.f_back
    file, where = frame.f_code.co_filename, inspect.getframeinfo(frame).positions
    assert where is not None
    node = ast.Pass(lineno=where.lineno or frame.f_lineno, col_offset=where.col_offset or 0)
    node.end_lineno, node.end_col_offset = where.end_lineno, where.end_col_offset
    return Place.of(node, file, ''.join(linecache.getlines(file)).split('\n'))


def name_of(node: Definition) -> ast.Name:
    """The name in a definition, to point at."""
    name = ast.Name(node.name, lineno=node.lineno, end_lineno=node.lineno)
    name.col_offset = node.col_offset + len(BEFORE_NAME[type(node)])
    name.end_col_offset = name.col_offset + len(node.name.encode())
    return name


def _first_line(node: Definition) -> int:
    """The first line as CPython records it: that of the first decorator."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


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


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """All statements of a file, at whatever depth; the expressions in them, most of a tree, are left out."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for field in ('body', 'orelse', 'finalbody', 'handlers', 'cases'):
            inner = getattr(node, field, None)
            if isinstance(inner, list):  # a conditional expression has such fields, too
                waiting.extend(inner)


@functools.lru_cache(maxsize=256)
def _parse(file: str, text: str) -> _File:
    tree = ast.parse(text, file)
    functions = {_first_line(node): node for node in _statements(tree) if isinstance(node, ast.FunctionDef)}
    return _File(text.split('\n'), tree, functions)


def constant_kind(namespace: dict[str, Any], name: str) -> Any:
    """The type of a constant of a module: the NewType that its definition names, or int.

    CPython knows only the value; the definition `X: Final = VirtAddr(0x1000)` says the rest, in this module or in the
    one that it was imported from.
    """
    for _ in range(8):  # a name may be imported from a module that imported it
        file = namespace.get('__file__') or ''
        module = _definitions(file, ''.join(linecache.getlines(file, namespace))) if file else {}
        found = module.get(name, module.get('*'))
        if isinstance(found, ast.Name):  # another name for a constant
            name = found.id
        elif isinstance(found, _Import):
            origin = _absolute(str(namespace.get('__package__') or ''), found.level, found.module)
            if origin not in sys.modules:
                return int
            namespace, name = vars(sys.modules[origin]), name if found.name == '*' else found.name
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
    """For each name that a module defines: where it is imported from, what names its type, or whose alias it is."""
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
    """The name that gives a value its type: the VirtAddr of VirtAddr(...), or the constant it is copied from."""
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
