"""From the number of a call to the function behind it: `dispatch`, a `match` made from the table in calls.py.

Its text is made when this module is imported, because kernel Python knows no table of functions. It is entered in
linecache, as that of a doctest is: a refusal or a traceback shows the line of the case, which names the call.
"""

import linecache
from collections.abc import Callable, Mapping
from typing import Any, Final, get_type_hints

from incroos.kernel.abi.calls import CALLS, Function
from incroos.kernel.abi.unknown import unknown_call
from incroos.kernel.state import Kernel, Registers
from incroos.lang import kernel, word

Dispatch = Callable[[Kernel, Registers, word], word]

ARGUMENTS: Final = ('rdi', 'rsi', 'rdx', 'r10', 'r8', 'r9')  # the registers that have them
FILE: Final = '<incroos.kernel.abi.dispatch>'
HEAD: Final = """\
@kernel
def dispatch(k: Kernel, regs: Registers, number: word) -> word:
    \"\"\"Do a call: what the program finds in RAX.\"\"\"
    match number:
"""
LAST: Final = """\
        case _:
            return unknown_call(k, number)
"""
NAMES: Final[dict[str, Any]] = {each.__name__: each for each in (kernel, Kernel, Registers, unknown_call)} | {
    '__name__': __name__,
    'word': word,
}


def text_of(calls: Mapping[int, Function]) -> tuple[str, dict[str, Any]]:
    """The text of dispatch, and what its names mean. Calls that are one function are one case."""
    names = dict(NAMES)
    cases = []
    for function in dict.fromkeys(calls.values()):
        name = f'{function.__module__.rpartition(".")[2]}_{function.__name__}'
        names[name] = function
        numbers = ' | '.join(str(number) for number, each in calls.items() if each is function)
        nr_words = len(get_type_hints(function)) - 2  # without the Kernel and the result
        words = [f'regs.{register}' for register in ARGUMENTS[:nr_words]]
        cases.append(f'        case {numbers}:\n            return {name}({", ".join(["k", *words])})\n')
    return HEAD + ''.join(cases) + LAST, names


def made(calls: Mapping[int, Function], file: str) -> Dispatch:
    """The function dispatch, whose text is found under the name of a file that does not exist."""
    text, names = text_of(calls)
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    exec(compile(text, file, 'exec'), names)
    function: Dispatch = names['dispatch']
    return function


dispatch: Final[Dispatch] = made(CALLS, FILE)
