"""From the code of an operation to the kernel function behind it: `execute`, a `match` made from the table in calls.py.

Its text is made when this module is imported, because kernel Python knows no table of functions. It is entered in
linecache, as that of a doctest is: a refusal or a traceback shows the line of the case, which names the operation.
"""

import linecache
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Final, NoReturn, get_type_hints

from incroos.guest.calls import CODES, OPERATIONS, Function
from incroos.guest.services import UNKNOWN
from incroos.kernel.state import Kernel
from incroos.lang import Struct, VirtAddr, kernel, word
from incroos.lang.structs import is_word

Execute = Callable[[Kernel, word, word, word, word, word], word]

WORDS: Final = ('a', 'b', 'c', 'd')  # of an operation
FILE: Final = '<incroos.guest.dispatch>'
HEAD: Final = f"""\
@kernel
def execute(k: Kernel, code: word, {', '.join(f'{name}: word' for name in WORDS)}) -> word:
    \"\"\"Do one operation; UNKNOWN when the code is none.\"\"\"
    match code:
"""
LAST: Final = """\
        case _:
            return UNKNOWN
"""
NAMES: Final[dict[str, Any]] = {  # that the text uses, beside those of operations
    each.__name__: each for each in (kernel, Kernel, VirtAddr)
} | {'__name__': __name__, 'word': word, 'UNKNOWN': UNKNOWN}


def parameters_of(function: Function) -> list[tuple[str, Any]]:
    """The parameters behind the Kernel, and what their annotations mean."""
    hints = get_type_hints(function)
    hints.pop('return')
    return list(hints.items())[1:]


def text_of(operations: Mapping[str, Function], codes: Mapping[str, int]) -> tuple[str, dict[str, Any]]:
    """The text of execute, and what its names mean."""
    names = dict(NAMES)
    cases = []
    for name, function in operations.items():
        if name in names:
            raise ValueError(f'{name} cannot be the name of an operation: it means something else here')
        names[name] = function
        parameters = parameters_of(function)
        if len(parameters) > len(WORDS):
            raise TypeError(f'{name} has {len(parameters)} parameters: an operation has {len(WORDS)} words')
        arguments = [
            argument(f'{name}({parameter})', at, kind, names)
            for at, (parameter, kind) in zip(WORDS, parameters, strict=False)
        ]
        lines = result_lines(f'{name}({", ".join(["k", *arguments])})', get_type_hints(function)['return'])
        cases.append(f'        case {codes[name]}:\n' + ''.join(f'            {line}\n' for line in lines))
    return HEAD + ''.join(cases) + LAST, names


def argument(where: str, at: str, kind: Any, names: dict[str, Any]) -> str:
    """One argument, made of a word."""
    if kind is word:
        return at
    if names.setdefault(kind.__name__, kind) is not kind:
        raise TypeError(f'{where}: two types are called {kind.__name__}')
    if is_word(kind):
        return f'{kind.__name__}({at})'
    if isinstance(kind, type) and issubclass(kind, Struct):
        return f'{kind.__name__}(k.m, VirtAddr({at}))'
    raise TypeError(f'{where}: a word cannot stand for {kind.__name__}')


def result_lines(call: str, kind: Any) -> list[str]:
    """A call, and the result as a word."""
    if kind is NoReturn:
        return [call]
    if kind is NoneType:
        return [call, 'return 0']
    return [f'return 1 if {call} else 0'] if kind is bool else [f'return {call}']


def made(operations: Mapping[str, Function], codes: Mapping[str, int], file: str) -> Execute:
    """The function execute, whose text is found under the name of a file that does not exist."""
    text, names = text_of(operations, codes)
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    exec(compile(text, file, 'exec'), names)
    function: Execute = names['execute']
    return function


execute: Final[Execute] = made(OPERATIONS, CODES, FILE)
