"""pdb at a function of the interpreted kernel.

Functions are called by room and name, `vm.fault`, or with the module between them, `abi.entry.on_syscall`. What is
typed comes from standard input, what pdb says goes to standard error: standard output is the program's.
"""

import difflib
import importlib
import pdb  # noqa: T100  # it is the product here, nothing that was left behind
import pkgutil
import sys
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any, Final, Self

import incroos.kernel
from incroos.kernel.state import Kernel

from ..inspect.entries import page_of_tasks
from .outcome import Unusable

ROOMS: Final = f'{incroos.kernel.__name__}.'
NR_NEAR: Final = 5
LIKENESS: Final = 0.4
NO_SPACE: Final = 'no task has an address space yet'


class NoSuchFunction(Exception):
    """The kernel has no function of that name; the message lists near ones."""


class DebuggerLeft(BaseException):
    """Whoever debugs has had enough. Nothing on the way may take it for its own failure."""


def kernel_functions() -> dict[str, list[Callable[..., Any]]]:
    """The kernel's functions by their names; a short one may mean more than one function."""
    found: dict[str, list[Callable[..., Any]]] = {}
    for info in pkgutil.walk_packages(incroos.kernel.__path__, ROOMS):
        module = importlib.import_module(info.name)
        for function in functions_of(module):
            path = module.__name__.removeprefix(ROOMS)
            names = {f'{path}.{function.__name__}', f'{path.partition(".")[0]}.{function.__name__}'}
            for name in names:
                found.setdefault(name, []).append(function)
    return found


def functions_of(module: ModuleType) -> list[Callable[..., Any]]:
    """The kernel functions whose text is in the module."""
    return [
        value
        for value in vars(module).values()
        if getattr(value, '__kernel__', False) and value.__module__ == module.__name__
    ]


def find_function(name: str) -> Callable[..., Any]:
    """The kernel's function of that name. Raises NoSuchFunction."""
    functions = kernel_functions()
    found = functions.get(name, [])
    if len(found) == 1:
        return found[0]
    room, _, rest = name.partition('.')
    offered = vars(sys.modules.get(ROOMS + room) or ModuleType(room)).get(rest)
    if offered in found:  # of several, the one that the room shows
        return found[found.index(offered)]
    near = [full_name(function) for function in found]
    near = near or difflib.get_close_matches(name, functions, NR_NEAR, LIKENESS)
    what = 'means more than one function' if found else 'is no function of the kernel'
    advice = f'near it are {", ".join(near)}' if near and not found else f'write {" or ".join(near)}'
    raise NoSuchFunction(f'{name} {what}: {advice if near else "write one as vm.fault"}')


def full_name(function: Callable[..., Any]) -> str:
    """Room, module and name."""
    return f'{function.__module__.removeprefix(ROOMS)}.{function.__name__}'


def kernel_of_frame(start: FrameType | None) -> Kernel | None:
    """The kernel in whose function a frame is: the innermost k on the way to it."""
    frame = start
    while frame is not None:
        if isinstance(kernel := frame.f_locals.get('k'), Kernel):
            return kernel
        frame = frame.f_back
    return None


class Debugger(pdb.Pdb):
    """Stops at each call of a function. Entered round the code in which it may be called."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(stdin=sys.stdin, stdout=sys.stderr)
        code = function.__code__
        problem = self.set_break(code.co_filename, code.co_firstlineno, funcname=code.co_name)
        if problem:
            raise Unusable(f'pdb cannot stop at {full_name(function)} ({problem})')

    def __enter__(self) -> Self:
        self.reset()
        self.botframe = sys._getframe()
        self.set_continue()
        sys.settrace(self.trace_dispatch)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def do_page(self, arg: str) -> None:
        """page address: what the page tables of each task say about the page there. The address is an expression."""
        kernel = kernel_of_frame(self.curframe)
        if kernel is None:
            self.error('no function on the way here has the kernel as k')
            return
        try:
            address = self._getval(arg)  # which says what is wrong, and raises
        except Exception:
            return
        if not isinstance(address, int):
            self.error('page takes an address: page 0x700000')
            return
        for line in list(page_of_tasks(kernel, address)) or [NO_SPACE]:
            self.message(line)

    def do_quit(self, arg: str) -> bool:
        """q(uit) | exit: end the program."""
        raise DebuggerLeft

    do_q = do_exit = do_EOF = do_quit  # noqa: N815  # names of pdb's
