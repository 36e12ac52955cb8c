"""What users call kernels, libraries, heaps and levels of hardening, and what they mean by it.

The only place where a name becomes a configuration: from here on it travels as an object, so that one without a name is
built and booted in the same way. `cli` and `lab` look names up. A configuration imports the designs that it is made of:
whoever lists names, or boots what the cache has, needs none.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from incroos.kernel.config import KernelConfig

# The names on the right are those in kernel/configs.py, and of heaps in a process those in hosted/configs.py.
KERNELS: Final = {'classic': 'CLASSIC', 'modern': 'MODERN', 'modern-la57': 'MODERN_LA57'}
LIBRARIES: Final = {'classic': 'EMBEDDED_CLASSIC', 'modern': 'EMBEDDED_MODERN'}  # for kernels in C
HEAPS: Final = {  # in a process
    'kmalloc': 'HOSTED',
    'first-fit': 'HOSTED_FIRST_FIT',
    'slab': 'HOSTED_SLABS',
    'dlmalloc': 'HOSTED_CHUNKS',
}
DEFAULT_KERNEL: Final = 'classic'
DEFAULT_HEAP: Final = 'kmalloc'

# Those on the right here are in kernel/config.py.
NO_HARDENING: Final = 'off'
CHEAP: Final = 'cheap'
LEVELS: Final = {NO_HARDENING: 'NO_HARDENING', CHEAP: 'CHEAP', 'full': 'FULL'}


@dataclass(frozen=True)
class NamedConfig:
    """A configuration by its name in a module; it is made when somebody asks for it."""

    module: str
    name: str
    level: str  # of hardening

    @cached_property
    def config(self) -> 'KernelConfig':
        """The configuration itself."""
        from incroos.kernel import config as levels

        config: KernelConfig = getattr(import_module(self.module), self.name)
        return replace(config, hardening=getattr(levels, LEVELS[self.level]))

    def identity(self) -> str:
        """What tells it from others in the key of a cache, beside the text of the package."""
        return f'{self.module}.{self.name} {self.level}'


def made(config: 'KernelConfig | NamedConfig') -> 'KernelConfig':
    """The configuration itself."""
    return config.config if isinstance(config, NamedConfig) else config


def named_kernel(name: str = DEFAULT_KERNEL, level: str = CHEAP) -> NamedConfig:
    """The configuration of the kernel that users call so, with this level of hardening; not yet made."""
    return NamedConfig('incroos.kernel.configs', KERNELS[name], level)


CLASSIC: Final = named_kernel()


def kernel_config(name: str = DEFAULT_KERNEL, level: str = CHEAP) -> 'KernelConfig':
    """The same, made."""
    return named_kernel(name, level).config


def library_config(name: str = DEFAULT_KERNEL, level: str = CHEAP) -> 'KernelConfig':
    """That of the library for kernels in C."""
    return NamedConfig('incroos.kernel.configs', LIBRARIES[name], level).config


def heap_config(name: str = DEFAULT_HEAP, level: str = NO_HARDENING) -> 'KernelConfig':
    """That of the heap in a process."""
    return NamedConfig('incroos.hosted.configs', HEAPS[name], level).config
