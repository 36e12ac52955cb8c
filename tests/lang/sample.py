"""Kernel Python from text, for tests: the text is entered where the front end looks for source."""

import linecache
import sys
import types
from typing import Annotated, Any, Final, NewType, NoReturn

import incroos.lang
from incroos.lang.frontend import RAW, Target, Unit, compile_unit

NAMES: Final[dict[str, Any]] = {
    **{name: getattr(incroos.lang, name) for name in incroos.lang.__all__},
    'Annotated': Annotated,
    'Final': Final,
    'NewType': NewType,
    'NoReturn': NoReturn,
}


def define(text: str, file: str = 'sample.py') -> types.ModuleType:
    """Run the text as a module that has imported all of incroos.lang; what it defines."""
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    module = sys.modules['sample'] = types.ModuleType('sample')
    vars(module).update(NAMES, __file__=file)
    exec(compile(text, file, 'exec'), vars(module))
    return module


def compile_text(text: str, target: Target = RAW, config: object = None, checked: bool = False) -> Unit:
    """Compile the function f of the text."""
    return compile_unit({'f': define(text).f}, target, config, checked)
