"""Puts all kernel Python that is built of a configuration through the front end, and builds nothing."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from incroos.kernel.config import FULL, MODERN_SPACE, KernelConfig
from incroos.lang.frontend import BARE, RAW, compile_unit, simulated
from incroos.machine.lowering import LOWERINGS

from .images import BOOT, MAILBOX, RUN, entry_functions
from .library import compile_functions
from .processor_code import ROOTS

TARGETS: Final = (BARE, simulated(LOWERINGS))


def check(kernels: Iterable[KernelConfig], libraries: Iterable[KernelConfig]) -> int:
    """How many functions there are: of kernels on each target, as users and as tests have them, and of libraries.

    What runs programs is the same text whatever else a kernel with user spaces chooses: it is looked at once on each
    target. Raises Refused.
    """
    kernels = list(kernels)
    roots = {**entry_functions(BOOT), MAILBOX: entry_functions(MAILBOX)['kmain']}
    configs = [config for kernel in kernels for config in (kernel, replace(kernel, fault_injection=1, poison=1))]
    units = [
        compile_unit(roots, target=target, config=config, checked=True) for target in TARGETS for config in configs
    ]
    for config in [kernel for kernel in kernels if kernel.space == MODERN_SPACE][:1]:
        units += [compile_unit(entry_functions(RUN), target=target, config=config, checked=True) for target in TARGETS]
    units.append(compile_unit(ROOTS, RAW))  # the simulated computer's ring 3
    units += [compile_functions(replace(library, hardening=FULL), checked=True) for library in libraries]
    return sum(unit.nr_functions for unit in units)
