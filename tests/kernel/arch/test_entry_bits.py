"""The bits of a page-table entry are written twice, by the kernel and by its witness: both must mean the same."""

import pytest

from incroos.kernel.arch import pte
from incroos.machine import architecture


@pytest.mark.parametrize(
    ('kernel', 'machine'),
    [
        (pte.PRESENT, architecture.ENTRY_PRESENT),
        (pte.WRITABLE, architecture.ENTRY_WRITABLE),
        (pte.USER, architecture.ENTRY_USER),
        (pte.ACCESSED, architecture.ENTRY_ACCESSED),
        (pte.DIRTY, architecture.ENTRY_DIRTY),
        (pte.HUGE, architecture.ENTRY_LEAF),
        (pte.PAT, architecture.ENTRY_LEAF),
        (pte.GLOBAL, architecture.ENTRY_GLOBAL),
        (pte.NX, architecture.ENTRY_NX),
        (pte.ADDRESS, architecture.ENTRY_FRAME),
    ],
)
def test_kernel_and_machine_agree(kernel: int, machine: int) -> None:
    assert kernel == machine


def test_every_bit_of_a_leaf_is_a_flag_or_address() -> None:
    flags = [pte.PRESENT, pte.WRITABLE, pte.USER, pte.WRITE_THROUGH, pte.CACHE_DISABLE]
    flags += [
        pte.ACCESSED,
        pte.DIRTY,
        pte.PAT,
        pte.GLOBAL,
        pte.FREE_LOW,
        pte.FREE_HIGH,
        pte.NX,
    ]
    together = 0
    for bits in [*flags, pte.ADDRESS]:
        assert together & bits == 0, 'two meanings for one bit'
        together |= bits
    assert together == -1, 'a bit without a meaning'
