"""What users call kernels, libraries, heaps and levels of hardening, and what they mean by it.

The only place where a name becomes a configuration: from here on it travels as an object, so that one without a name is
built and booted in the same way. `cli` and `lab` look names up. Imports configurations only then: to list the names,
nobody needs them.
"""

from dataclasses import replace
from types import ModuleType
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


def kernel_config(name: str = DEFAULT_KERNEL, level: str = CHEAP) -> 'KernelConfig':
    """The configuration of the kernel that users call so, with this level of hardening."""
    from incroos.kernel import configs

    return config_in(configs, KERNELS[name], level)


def library_config(name: str = DEFAULT_KERNEL, level: str = CHEAP) -> 'KernelConfig':
    """That of the library for kernels in C."""
    from incroos.kernel import configs

    return config_in(configs, LIBRARIES[name], level)


def heap_config(name: str = DEFAULT_HEAP, level: str = NO_HARDENING) -> 'KernelConfig':
    """That of the heap in a process."""
    from incroos.hosted import configs

    return config_in(configs, HEAPS[name], level)


def config_in(configs: ModuleType, name: str, level: str) -> 'KernelConfig':
    """The configuration of a name in a module, with this level of hardening."""
    from incroos.kernel import config as levels

    config: KernelConfig = getattr(configs, name)
    return replace(config, hardening=getattr(levels, LEVELS[level]))
