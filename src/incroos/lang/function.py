"""The marks of kernel functions."""

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar('F', bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Mark a kernel function: written in kernel Python, so that the front end compiles it.

    It stays the plain function that it is: CPython calls it with nothing between.
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
    """Mark a kernel function that is a way of its own: compiled, it stays out of its callers, at full speed.

    So a caller that is done without it saves no registers for its sake. Stands above `@kernel`.
    """
    function.__apart__ = True  # type: ignore[attr-defined]
    return function


def inlined(function: F) -> F:
    """Mark a kernel function that is compiled into each of its callers, however long it is. Stands above `@kernel`."""
    function.__inlined__ = True  # type: ignore[attr-defined]
    return function
