"""The bits of a page-table entry are written twice, by the kernel and by its witness: both must mean the same."""

import pytest

from incroos.kernel.vmm import entries
from incroos.machine import architecture


@pytest.mark.parametrize(
    ('kernel', 'machine'),
    [
        (entries.PRESENT, architecture.ENTRY_PRESENT),
        (entries.WRITABLE, architecture.ENTRY_WRITABLE),
        (entries.USER, architecture.ENTRY_USER),
        (entries.ACCESSED, architecture.ENTRY_ACCESSED),
        (entries.DIRTY, architecture.ENTRY_DIRTY),
        (entries.HUGE, architecture.ENTRY_LEAF),
        (entries.PAT, architecture.ENTRY_LEAF),
        (entries.GLOBAL, architecture.ENTRY_GLOBAL),
        (entries.NX, architecture.ENTRY_NX),
        (entries.ADDRESS, architecture.ENTRY_FRAME),
    ],
)
def test_kernel_and_machine_agree(kernel: int, machine: int) -> None:
    assert kernel == machine


def test_every_bit_of_a_leaf_is_a_flag_or_address() -> None:
    flags = [entries.PRESENT, entries.WRITABLE, entries.USER, entries.WRITE_THROUGH, entries.CACHE_DISABLE]
    flags += [
        entries.ACCESSED,
        entries.DIRTY,
        entries.PAT,
        entries.GLOBAL,
        entries.FREE_LOW,
        entries.FREE_HIGH,
        entries.NX,
    ]
    together = 0
    for bits in [*flags, entries.ADDRESS]:
        assert together & bits == 0, 'two meanings for one bit'
        together |= bits
    assert together == -1, 'a bit without a meaning'
