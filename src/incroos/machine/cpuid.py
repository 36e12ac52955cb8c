"""What CPUID answers in ring 3: one table, the same in every place, so that programs choose the same code.

The rows are what QEMU's `-cpu Haswell,-avx,-avx2,-fma,-f16c,-hle,-rtm,-pcid,-x2apic,-tsc-deadline,-invpcid` says
(tools/cpuid_table.py makes them, a test compares). Bit OSXSAVE of leaf 1 is not in them: it says what CR4 says.
"""

from typing import Final

from incroos.lang import kernel, word

from .architecture import CR4_OSXSAVE
from .cpu import Cpu

EXTENDED: Final = 0x8000_0000
FEATURES: Final = 1  # the leaf
OSXSAVE: Final = 1 << 27  # in C


@kernel
def user_cpuid(cpu: Cpu, leaf: word, subleaf: word) -> tuple[word, word, word, word]:
    """The registers A, B, C, D. A leaf behind the last one has the last basic leaf's answer, as from Intel."""
    wanted = leaf
    if (leaf > last_leaf(cpu, 0) and leaf < EXTENDED) or leaf > last_leaf(cpu, EXTENDED):
        wanted = last_leaf(cpu, 0)
    for index in range(cpu.user.nr_cpuid_rows):
        row = cpu.user.cpuid[index]
        if row.leaf == wanted and (row.subleaf == subleaf or row.subleaf == ANY):
            has_xsave = wanted == FEATURES and cpu.cr4 & CR4_OSXSAVE != 0
            return row.a, row.b, row.c | OSXSAVE if has_xsave else row.c, row.d
    return 0, 0, 0, 0


@kernel
def last_leaf(cpu: Cpu, first: word) -> word:
    """The last leaf of those that begin with the first."""
    for index in range(cpu.user.nr_cpuid_rows):
        if cpu.user.cpuid[index].leaf == first:
            return cpu.user.cpuid[index].a
    return first


ANY: Final = (1 << 32) - 1  # a row for each subleaf that has none of its own

ROWS: Final = (
    (0, ANY, 0xD, 0x756E6547, 0x6C65746E, 0x49656E69),
    (1, ANY, 0x306C4, 0x800, 0xCED82203 & ~(1 << 27), 0x78BFBFD),
    (7, 0, 0, 0x389, 0, 0),
    (0xD, 0, 7, 0x240, 0x340, 0),
    (0xD, 1, 1, 0, 0, 0),
    (0x80000000, ANY, 0x80000008, 0x756E6547, 0x6C65746E, 0x49656E69),
    (0x80000001, ANY, 0x306C4, 0, 0x21, 0x28100800),
    (0x80000008, ANY, 0x3028, 0, 0, 0),
)
