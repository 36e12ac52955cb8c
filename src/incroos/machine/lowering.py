"""The lowerings: for each primitive of kernel code the function of this package that simulates it.

Its parameters are those of the primitive, with a view of the processor in place of the machine. `call4` is not here:
kernel code has no way out of the computer.
"""

from collections.abc import Callable
from typing import Any, Final

from . import devices, memory, registers, vectors

PREFIX: Final = 'cpu_'


def _lowerings() -> dict[str, Callable[..., Any]]:
    return {
        name.removeprefix(PREFIX): function
        for module in (devices, memory, registers, vectors)
        for name, function in vars(module).items()
        if name.startswith(PREFIX) and function.__module__ == module.__name__
    }


LOWERINGS: Final = _lowerings()
