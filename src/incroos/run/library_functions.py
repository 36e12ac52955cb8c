"""What the C library offers: the rows of guest/calls.py that have a prototype, as build/ wants them."""

from typing import Final

from incroos.build.c_prototypes import CFunction, Step, prototype_of
from incroos.guest.calls import Row, c_rows
from incroos.kernel.config import KernelConfig

STEPS: Final = {
    'pmm_init': Step.FIRST,
    'vmm_init': Step.NEXT,
    'heap_init': Step.LAST,
    'incro_mm_init': Step.ALL,
}


def functions_of(config: KernelConfig) -> dict[str, list[CFunction]]:
    """The functions that a configuration has, by the headings under which the header lists them."""
    return {heading: [c_function(row) for row in rows] for heading, rows in c_rows(config).items()}


def all_functions(config: KernelConfig) -> list[CFunction]:
    """The same in a row."""
    return [function for functions in functions_of(config).values() for function in functions]


def c_function(row: Row) -> CFunction:
    """One of them."""
    prototype = prototype_of(row.prototype)
    return CFunction(prototype, row.function, row.with_site, STEPS.get(prototype.name, Step.NONE))
