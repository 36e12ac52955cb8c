"""The marks of kernel functions."""

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar('F', bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Mark a kernel function: written in kernel Python, so that the front end compiles it.

    The function is unchanged: CPython calls it directly.
    """
    function.__kernel__ = True  # type: ignore[attr-defined]
    return function


def cold(function: F) -> F:
    """Mark a kernel function that is rarely called: compiled, it stays out of its callers.

    Stands above `@kernel`.
    """
    function.__cold__ = True  # type: ignore[attr-defined]
    return function


def apart(function: F) -> F:
    """Mark a kernel function that is a path of its own: compiled, it stays out of its callers, at full speed.

    So a caller that does not need it saves no registers for it. Stands above `@kernel`.
    """
    function.__apart__ = True  # type: ignore[attr-defined]
    return function


def inlined(function: F) -> F:
    """Mark a kernel function that is compiled into each of its callers, however long it is. Stands above `@kernel`."""
    function.__inlined__ = True  # type: ignore[attr-defined]
    return function
