"""Targets: where compiled kernel code runs, and what each of the machine's primitives becomes there."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..primitives import PRIMITIVES

PRIVILEGED: Final = frozenset(
    {
        'in8',
        'out8',
        'in16',
        'out16',
        'in32',
        'out32',
        'in_bytes',
        'out_bytes',
        'save_vector_state',
        'load_vector_state',
        'read_cr0',
        'write_cr0',
        'read_cr2',
        'write_cr2',
        'read_cr3',
        'write_cr3',
        'read_cr4',
        'write_cr4',
        'read_msr',
        'write_msr',
        'invlpg',
        'invpcid',
        'load_idt',
        'load_gdt',
        'disable_interrupts',
        'enable_interrupts',
        'are_interrupts_enabled',
        'halt',
        'wait_for_interrupt',
    }
)


@dataclass(frozen=True)
class Target:
    """A place for compiled code.

    `lowerings` names primitives that are kernel functions here; the others become instructions. A lowering takes the
    primitive's parameters; where `is_simulated`, its first parameter is a view of the simulated processor, whose
    address compiled code hands on as a hidden first argument. Lowerings themselves are compiled for this process's
    own memory. `has_c_library` says that memset and memmove can be called, `folds_indices` that the address of a struct
    in an array may be a part of the loads of its fields (docs/adr/0013-structs-in-arrays-get-a-register.md). `refused`
    names the primitives that this place does not have.
    """

    name: str
    is_simulated: bool = False
    is_bare: bool = False
    has_c_library: bool = False
    folds_indices: bool = False
    lowerings: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name, lowering in self.lowerings.items():
            if name not in PRIMITIVES:
                raise ValueError(f'{name} is not a primitive')
            wanted, found = (len(inspect.signature(function).parameters) for function in (PRIMITIVES[name], lowering))
            if wanted != found:
                raise ValueError(f'the lowering of {name} takes {found} arguments instead of {wanted}')


BARE: Final = Target('bare', is_bare=True, refused=frozenset({'call4'}))
LIBRARY: Final = Target('library', is_bare=True)  # the same in a kernel whose functions it is given to call
RAW: Final = Target('raw', refused=PRIVILEGED)
HOSTED: Final = Target('hosted', has_c_library=True, folds_indices=True, refused=PRIVILEGED)


def simulated(lowerings: Mapping[str, Callable[..., Any]]) -> Target:
    """The target of kernel code on a simulated computer whose primitives are these kernel functions.

    Loads and stores must be among them: fields and elements use them.
    """
    missing = {f'{verb}{bits}' for verb in ('load', 'store') for bits in (8, 16, 32, 64)} - lowerings.keys()
    if missing:
        raise ValueError(f'a simulated target needs lowerings for {", ".join(sorted(missing))}')
    return Target('simulated', is_simulated=True, lowerings=lowerings)


def raw_with(lowerings: Mapping[str, Callable[..., Any]]) -> Target:
    """This process's own memory, with stand-ins for privileged primitives: for benchmarks of kernel code."""
    return Target('raw', lowerings=lowerings, refused=PRIVILEGED - lowerings.keys())
