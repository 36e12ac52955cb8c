"""Configurations: the choices of a build, numbers and designs. A design is a module that fits a Protocol.

    class FrameAllocator(Protocol):                  # what each design has: functions and constants
        HAS_ORDERS: bool

        def take(self, zone: Zone, order: word) -> Pfn: ...

    @dataclass(frozen=True)
    class KernelConfig(Config):
        frames: 'FrameAllocator'                     # chosen with KernelConfig(frames=tree)
        nr_frames: word = 64

A configuration is checked when it is made: ConfigError says what a module lacks. Knows nothing of the choices.
"""

import ast
import dataclasses
import functools
import hashlib
import importlib
import importlib.util
import inspect
import linecache
import os
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, get_args, get_origin

from incroos import broken_text
from incroos.broken_text import OUTSIDE

PACKAGE: Final = Path(__file__).resolve().parents[1]
STARTED: Final = time.time_ns()
LOADED_AT: Final = '_loaded_at'  # in a module: when load_design began to load it


class ConfigError(Exception):
    """A configuration that cannot be built; the message is a sentence that says what to do."""


class Config:
    """Base of frozen dataclasses of words, bools, text and modules: what a build chooses.

    A struct field of such a type takes no bytes: `k.config.nr_frames` is a constant of the build where the kernel is
    compiled, and an attribute of the machine's `config` where it is interpreted. A subclass that has a __post_init__ of
    its own calls this one.
    """

    def __post_init__(self) -> None:
        for name, hint in config_hints(type(self)).items():
            value = getattr(self, name)
            where = f'{type(self).__name__}.{name}'
            if is_protocol(hint):
                check_design(where, value, hint)
            elif isinstance(value, types.ModuleType):
                raise ConfigError(f'{where} is the module {value.__name__}: annotate it with a Protocol')

    def described(self) -> dict[str, Any]:
        """The choices as plain data, modules by name, for JSON; dataclasses.asdict cannot copy a module."""
        values = {name: getattr(self, name) for name in config_hints(type(self))}
        return {name: getattr(value, '__name__', value) for name, value in values.items()}

    def identity(self) -> str:
        """What tells this configuration from others in the key of a cache; of a design it has the files' content."""
        values = {name: getattr(self, name) for name in config_hints(type(self))}
        parts = [
            f'{name}={_content(value) if isinstance(value, types.ModuleType) else repr(value)}'
            for name, value in values.items()
        ]
        return f'{type(self).__name__}({", ".join(parts)})'

    def __copy__(self) -> 'Config':
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> 'Config':
        return self  # it does not change, and modules cannot be copied

    def __reduce__(self) -> tuple[Any, ...]:
        values = {name: getattr(self, name) for name in config_hints(type(self))}
        designs = {name: value for name, value in values.items() if isinstance(value, types.ModuleType)}
        places = {name: (design.__name__, design.__file__) for name, design in designs.items()}
        return _restore, (type(self), {name: values[name] for name in values.keys() - places.keys()}, places)


def _restore(kind: type[Config], values: dict[str, Any], places: dict[str, tuple[str, str]]) -> Config:
    """Unpickle a configuration; load the designs that this process does not have."""
    designs = {
        name: load_design(Path(file)) if module.startswith(OUTSIDE) else importlib.import_module(module)
        for name, (module, file) in places.items()
    }
    return kind(**values, **designs)


def _content(design: types.ModuleType) -> str:
    """The name of a module and a hash of its text; outside of the package also a hash of its neighbours."""
    file = Path(design.__file__ or '')
    files = {file}
    if not file.is_relative_to(PACKAGE):
        prefix = f'{design.__package__}.'
        loaded = [module for name, module in sys.modules.items() if design.__package__ and name.startswith(prefix)]
        files |= {*file.parent.glob('*.py'), *(Path(module.__file__) for module in loaded if module.__file__)}
    digest = hashlib.sha256()
    for each in sorted(files):
        linecache.checkcache(str(each))
        text = ''.join(linecache.getlines(str(each))).encode()
        if not each.is_relative_to(PACKAGE) and each.stat().st_mtime_ns > vars(design).get(LOADED_AT, STARTED):
            digest.update(f'{os.getpid()} {STARTED}'.encode())  # perhaps not what this process has loaded
        digest.update(
            f'{each.relative_to(PACKAGE) if each.is_relative_to(PACKAGE) else each}\0{len(text)}\0'.encode() + text
        )
    return f'{design.__name__} {digest.hexdigest()}'


def load_design(path: Path) -> types.ModuleType:
    """The module in a file outside of the package. It may import its neighbours: `from . import lists`.

    One file is one module, however often it is asked for. Raises ConfigError where it cannot be loaded.
    """
    path = path.resolve()
    if path.suffix != '.py' or not path.stem.isidentifier():
        raise ConfigError(f'{path} is no module: name a file of Python text, with letters, digits and _ in its name')
    folder = OUTSIDE + hashlib.sha256(str(path.parent).encode()).hexdigest()[:8]
    if folder not in sys.modules:
        package = sys.modules[folder] = types.ModuleType(folder)
        package.__path__ = [str(path.parent)]
    importlib.invalidate_caches()  # the file may be younger than the last look into its folder
    before = time.time_ns()
    try:
        design = importlib.import_module(f'{folder}.{path.stem}')
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == f'{folder}.{path.stem}':
            raise ConfigError(f'{path} is not there: name the file of a design') from None
        sentence = broken_text.sentence_about(error, path.parent)
        raise ConfigError(sentence or f'{path} cannot be loaded ({type(error).__name__}: {error}): mend it') from error
    vars(design).setdefault(LOADED_AT, before)
    return design


def is_protocol(hint: Any) -> bool:
    """Whether an annotation is a Protocol, which modules fit."""
    return isinstance(hint, type) and bool(getattr(hint, '_is_protocol', False))


def config_hints(kind: type[Config]) -> dict[str, Any]:
    """The meaning of the annotation of each choice, even if it is imported for type checks alone."""
    hashable: Any = kind  # mypy does not see that a class is
    return _config_hints(hashable)


@functools.lru_cache(maxsize=64)
def _config_hints(kind: Any) -> dict[str, Any]:
    if not hasattr(kind, '__dataclass_fields__'):
        raise ConfigError(f'{kind.__name__} is not a dataclass: write @dataclass(frozen=True) above it')
    owners = {name: owner for owner in reversed(kind.__mro__) for name in inspect.get_annotations(owner)}
    result = {}
    for field in dataclasses.fields(kind):
        owner = owners[field.name]
        result[field.name] = meaning(field.type, owner.__module__, f'{owner.__name__}.{field.name}')
    return result


def meaning(annotation: Any, module: str, where: str) -> Any:
    """The meaning of an annotation in a module, even if it is a string. Raises ConfigError if it has none."""
    if not isinstance(annotation, str):
        return annotation
    namespace = vars(sys.modules[module])
    try:
        file = namespace.get('__file__') or ''
        linecache.checkcache(file)
        imports = _imports_for_types(''.join(linecache.getlines(file, namespace)), namespace.get('__package__') or '')
        names = {node.id for node in ast.walk(ast.parse(annotation, mode='eval')) if isinstance(node, ast.Name)}
        found = {
            name: getattr(importlib.import_module(*imports[name][0]), imports[name][1])
            for name in names & imports.keys() - namespace.keys()
        }
        return eval(annotation, namespace, found)
    except Exception as error:
        sentence = '' if isinstance(error, ImportError) else broken_text.sentence_about(error)  # in what it imports
        raise ConfigError(sentence or f'{where}: the annotation {annotation!r} means nothing here ({error})') from error


@functools.lru_cache(maxsize=64)
def _imports_for_types(text: str, package: str) -> dict[str, tuple[tuple[str, str], str]]:
    """For each name under `if TYPE_CHECKING:` what to import: the arguments of import_module, and the name there."""
    result: dict[str, tuple[tuple[str, str], str]] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.If) and ast.unparse(node.test).rpartition('.')[2] == 'TYPE_CHECKING':
            for line in node.body:
                if isinstance(line, ast.ImportFrom):
                    origin = ('.' * line.level + (line.module or ''), package)
                    result |= {alias.asname or alias.name: (origin, alias.name) for alias in line.names}
    return result


# ---------------------------------------------------------------------- designs and protocols
@functools.lru_cache(maxsize=256)
def members_of(protocol: type) -> dict[str, Any]:
    """The members that a Protocol requires: functions, and constants with their types."""
    result: dict[str, Any] = {}
    for owner in reversed(protocol.__mro__):
        if is_protocol(owner):
            for name, hint in inspect.get_annotations(owner).items():
                result[name] = meaning(hint, owner.__module__, f'{owner.__name__}.{name}')
            result |= {name: value for name, value in vars(owner).items() if isinstance(value, types.FunctionType)}
    return {name: member for name, member in result.items() if not name.startswith('_')}


def check_design(where: str, design: Any, protocol: type) -> None:
    """Refuse anything but a module, and a module that lacks a member of the Protocol."""
    if not isinstance(design, types.ModuleType):
        raise ConfigError(f'{where} is {design!r}: give it a module that is a {protocol.__name__}')
    check_members(design, protocol)


@functools.lru_cache(maxsize=256)  # many configurations have the same designs; what is refused is not kept
def check_members(design: types.ModuleType, protocol: type) -> None:
    """Refuse a module that lacks a member of the Protocol."""
    file = design.__file__ or design.__name__
    for name, wanted in members_of(protocol).items():
        found = getattr(design, name, None)
        if isinstance(wanted, types.FunctionType):
            if not isinstance(found, types.FunctionType):
                raise ConfigError(f'{file} is no {protocol.__name__}: define @kernel {_as_text(name, wanted)}')
            place = f'{found.__code__.co_filename}:{found.__code__.co_firstlineno}'
            if not getattr(found, '__kernel__', False):
                raise ConfigError(f'{place}: {name} is no kernel function: mark it @kernel')
            if _types(found, 0) != _types(wanted, 1):
                raise ConfigError(
                    f'{place}: def {name}{_written(found, 0)} does not fit {protocol.__name__}: '
                    f'write {_as_text(name, wanted)}'
                )
        elif type(found) is not _plain(wanted):
            kind = _name(wanted)
            instead = f'define {name}: Final, a {kind}'
            found_text = f'its {name} is {found!r}' if hasattr(design, name) else f'it has no {name}'
            raise ConfigError(f'{file} is no {protocol.__name__}, {found_text}: {instead}')


def _parameters(function: Callable[..., Any], first: int) -> dict[str, Any]:
    """The parameters from `first` on with the meaning of each; None if one has no annotation."""
    code, where = function.__code__, function.__qualname__
    names = [*code.co_varnames[first : code.co_argcount], 'return']
    given = function.__annotations__
    return {name: meaning(given.get(name, ...), function.__module__, f'{where}, {name}') for name in names}


def _types(function: Callable[..., Any], first: int) -> list[Any]:
    """The types of a function's parameters and result; more than positional parameters fit nothing."""
    code = function.__code__
    if code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS) or code.co_kwonlyargcount:
        return []
    return [type(None) if kind is None else kind for kind in _parameters(function, first).values()]


def _written(function: Callable[..., Any], first: int) -> str:
    """Parameters and result as they are written in Python."""
    kinds = {name: _name(kind) for name, kind in _parameters(function, first).items()}
    result = kinds.pop('return')
    return f'({", ".join(f"{name}: {kind}" for name, kind in kinds.items())}) -> {result}'


def _as_text(name: str, wanted: Callable[..., Any]) -> str:
    """A function of a Protocol as a design writes it."""
    return f'def {name}{_written(wanted, 1)}'


def _name(kind: Any) -> str:
    if get_origin(kind) is tuple:
        return f'tuple[{", ".join(map(_name, get_args(kind)))}]'
    return {int: 'word', ...: '?', type(None): 'None'}.get(kind) or str(getattr(kind, '__name__', kind))


def _plain(kind: Any) -> Any:
    """The type of the values that an annotation means: int of a NewType."""
    while hasattr(kind, '__supertype__'):
        kind = kind.__supertype__
    return kind
