"""Fixtures of the guest's tests: the kernel in each place, as the kernel's own tests have it."""

from ..kernel.conftest import driver

__all__ = ['driver']
