"""What CPUID answers in ring 3: one table, the same in every place, so that programs choose the same code.

The rows are what QEMU says of a Haswell with pages of 1 GiB and without AVX: run/program.py names the model,
tests/run/test_ring3_cpuid.py asks it. Bit OSXSAVE of leaf 1 is not in them: it says what CR4 says.
"""

from typing import Final

from incroos.lang import kernel, word

from .architecture import CR4_OSXSAVE
from .cpu import Cpu

HYPERVISOR: Final = 0x4000_0000
EXTENDED: Final = 0x8000_0000
FEATURES: Final = 1  # the leaf
OSXSAVE: Final = 1 << 27  # in C
TOPOLOGY: Final = 0xB  # the leaf that also names the subleaf, in C
LEVEL_MASK: Final = 0xFF


@kernel
def user_cpuid(cpu: Cpu, leaf: word, subleaf: word) -> tuple[word, word, word, word]:
    """The registers A, B, C, D. A leaf behind the last one has the last basic leaf's answer, as from Intel."""
    last = last_leaf(cpu, 0)
    is_behind = last < leaf < HYPERVISOR or last_leaf(cpu, HYPERVISOR) < leaf < EXTENDED
    wanted = last if is_behind or leaf > last_leaf(cpu, EXTENDED) else leaf
    for index in range(cpu.user.nr_cpuid_rows):
        row = cpu.user.cpuid[index]
        if row.leaf == wanted and (row.subleaf == subleaf or row.subleaf == ANY):
            has_xsave = wanted == FEATURES and cpu.cr4 & CR4_OSXSAVE != 0
            return row.a, row.b, row.c | OSXSAVE if has_xsave else row.c, row.d
    return 0, 0, subleaf & LEVEL_MASK if wanted == TOPOLOGY else 0, 0


@kernel
def last_leaf(cpu: Cpu, first: word) -> word:
    """The last leaf of those that begin with the first."""
    for index in range(cpu.user.nr_cpuid_rows):
        if cpu.user.cpuid[index].leaf == first:
            return cpu.user.cpuid[index].a
    return first


ANY: Final = (1 << 32) - 1  # the same for each subleaf

# Leaf, subleaf, A, B, C, D; what has no row is zeros, but for TOPOLOGY.
ROWS: Final = (
    (0x0, ANY, 0xD, 0x756E6547, 0x6C65746E, 0x49656E69),
    (0x1, ANY, 0x306C4, 0x800, 0xC6D82203, 0x78BFBFD),
    (0x2, ANY, 1, 0, 0x4D, 0x2C307D),
    (0x3, ANY, 0, 0, 0, 0),
    (0x4, 0, 0x121, 0x1C0003F, 0x3F, 1),
    (0x4, 1, 0x122, 0x1C0003F, 0x3F, 1),
    (0x4, 2, 0x143, 0x3C0003F, 0xFFF, 1),
    (0x4, 3, 0x163, 0x3C0003F, 0x3FFF, 6),
    (0x5, ANY, 0, 0, 3, 0),
    (0x6, ANY, 4, 0, 0, 0),
    (0x7, 0, 0, 0x389, 0, 0),
    (0x8, ANY, 0, 0, 0, 0),
    (0x9, ANY, 0, 0, 0, 0),
    (0xA, ANY, 0, 0, 0, 0),
    (0xB, 0, 0, 1, 0x100, 0),
    (0xB, 1, 0, 1, 0x201, 0),
    (0xC, ANY, 0, 0, 0, 0),
    (0xD, 0, 3, 0x240, 0x240, 0),
    (0xD, 1, 1, 0x240, 0, 0),
    (0x40000000, ANY, 0x40000001, 0x54474354, 0x43544743, 0x47435447),
    (0x40000001, ANY, 0, 0, 0, 0),
    (0x80000000, ANY, 0x80000008, 0x756E6547, 0x6C65746E, 0x49656E69),
    (0x80000001, ANY, 0x306C4, 0, 0x21, 0x2C100800),
    (0x80000002, ANY, 0x65746E49, 0x6F43206C, 0x50206572, 0x65636F72),
    (0x80000003, ANY, 0x726F7373, 0x61482820, 0x6C657773, 0x296C),
    (0x80000004, ANY, 0, 0, 0, 0),
    (0x80000005, ANY, 0x1FF01FF, 0x1FF01FF, 0x40020140, 0x40020140),
    (0x80000006, ANY, 0, 0x42004200, 0x2008140, 0x808140),
    (0x80000007, ANY, 0, 0, 0, 0),
    (0x80000008, ANY, 0x3028, 0, 0, 0),
)
