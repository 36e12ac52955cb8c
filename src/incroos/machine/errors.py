"""What the strict machine raises: each error names the kernel's line that did it."""

import linecache
import sys
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final

_PACKAGE: Final = Path(__file__).parent.parent
_NOT_KERNEL: Final = (f'{Path(__file__).parent}/', f'{_PACKAGE / "lang"}/')


def _is_kernel(frame: FrameType) -> bool:
    return not frame.f_code.co_filename.startswith(_NOT_KERNEL)


def _describe(filename: str, line: int) -> str:
    path = Path(filename)
    shown = path.relative_to(_PACKAGE) if path.is_relative_to(_PACKAGE) else path
    return f'{shown}:{line}: {linecache.getline(filename, line).strip()}'


def line_in_progress() -> str:
    """The innermost line being executed that belongs neither to the machine nor to the language."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not _is_kernel(frame):
        frame = frame.f_back
    return _describe(frame.f_code.co_filename, frame.f_lineno) if frame else '(no kernel code)'


def line_of(error: BaseException) -> str:
    """The innermost line on the way of an exception that belongs neither to the machine nor to the language."""
    found = ''
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if _is_kernel(trace.tb_frame):
            found = _describe(trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    return found


class SimulationError(Exception):
    """The kernel broke a rule; `what` says which, `line` where."""

    def __init__(self, what: str) -> None:
        self.what, self.line = what, line_in_progress()
        super().__init__(f'{what}\n  {self.line}')


class UnwrittenLoad(SimulationError):
    """A load of bytes that were never written."""


class OutsideRam(SimulationError):
    """An access to a physical address where this computer has no memory."""


class DoesNotFit(SimulationError):
    """A number that does not fit the memory or register that it is stored to."""


class NullPointer(SimulationError):
    """An access to the first page, where nothing of a kernel lies: through a null pointer, or a field behind one."""


class StaleTranslation(SimulationError):
    """A translation that the page tables no longer contain, and that was not flushed."""


class Misuse(SimulationError):
    """A primitive whose precondition does not hold."""


class MachineStopped(BaseException):
    """The computer stopped. Not an Exception, so that no `except Exception` on the way catches it."""
