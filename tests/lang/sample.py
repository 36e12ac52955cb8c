"""Kernel Python from text, for tests: the text is entered where the front end looks for source."""

import linecache
import sys
import types
from collections.abc import Mapping
from typing import Annotated, Any, Final, NewType, NoReturn

import incroos.lang

NAMES: Final[dict[str, Any]] = {
    **{name: getattr(incroos.lang, name) for name in incroos.lang.__all__},
    'Annotated': Annotated,
    'Final': Final,
    'NewType': NewType,
    'NoReturn': NoReturn,
}


def define(
    text: str, names: Mapping[str, object] = types.MappingProxyType({}), file: str = 'sample.py'
) -> types.ModuleType:
    """Run the text as a module that has imported all of incroos.lang, and has these names; what it defines."""
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    return run(compile(text, file, 'exec'), names)


def run(code: types.CodeType, names: Mapping[str, object]) -> types.ModuleType:
    """The module that a text makes."""
    module = sys.modules['sample'] = types.ModuleType('sample')
    vars(module).update(NAMES, **names, __file__=code.co_filename)
    exec(code, vars(module))
    return module
