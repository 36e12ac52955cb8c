"""Puts all kernel Python that is built of a configuration through the front end, and builds nothing."""

from collections.abc import Iterable
from dataclasses import replace

from incroos.kernel.config import FULL, MODERN_SPACE, KernelConfig
from incroos.lang.frontend import BARE, RAW, compile_unit, simulated
from incroos.machine.lowering import LOWERINGS

from .images import BOOT, MAILBOX, RUN, entry_functions
from .library import compile_functions
from .processor_code import ROOTS


def check(kernels: Iterable[KernelConfig], libraries: Iterable[KernelConfig]) -> int:
    """How many functions there are: of kernels on each target, as users and as tests have them, and of libraries.

    Kernels that have user spaces are those that run programs, too. Raises Refused.
    """
    roots = {**entry_functions(BOOT), MAILBOX: entry_functions(MAILBOX)['kmain']}
    programs = entry_functions(RUN)
    programs[RUN] = programs.pop('kmain')
    configs = [config for kernel in kernels for config in (kernel, replace(kernel, fault_injection=1, poison=1))]
    units = [
        compile_unit(
            roots | programs if config.space == MODERN_SPACE else roots, target=target, config=config, checked=True
        )
        for target in (BARE, simulated(LOWERINGS))
        for config in configs
    ]
    units.append(compile_unit(ROOTS, RAW))  # the simulated computer's ring 3
    units += [compile_functions(replace(library, hardening=FULL), checked=True) for library in libraries]
    return sum(unit.ir.count('\ndefine ') for unit in units)
