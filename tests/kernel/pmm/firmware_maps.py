"""What firmware tells of memory, and what the kernel must make of it: typical maps of machines of many kinds.

Each is written down from what such machines are publicly known to tell; none is a dump of one machine. An entry is a
line: where it starts, where it ends (hexadecimal), and its number in E820 and PVH, or its type in UEFI. A region is a
line: where it starts, where it ends, and its kind.
"""

from dataclasses import dataclass
from typing import Final

from incroos.kernel.pmm.memory_kinds import e820_numbers_of_uefi

from .memory_map_model import Entry, Region

E820: Final = 'E820'
PVH: Final = 'PVH'
UEFI: Final = 'UEFI'


@dataclass(frozen=True)
class FirmwareMap:
    """A map; `form` is how the firmware tells it."""

    name: str
    form: str
    told: str
    wanted: str
    nr_ram_frames: int

    def __str__(self) -> str:
        return self.name

    @property
    def pieces(self) -> list[tuple[int, int, int]]:
        """Start, end and number of each entry, as they are told."""
        rows = [line.split() for line in self.told.strip().splitlines()]
        return [(int(start, 16), int(end, 16), int(number, 0)) for start, end, number, *_ in rows]

    @property
    def entries(self) -> list[Entry]:
        """Start, bytes and number of each entry that the kernel gets, by whatever loader."""
        numbers = e820_numbers_of_uefi()
        return [
            (start, end - start, numbers[number] if self.form == UEFI else number) for start, end, number in self.pieces
        ]

    @property
    def regions(self) -> list[Region]:
        """What the kernel must make of it."""
        rows = [line.split(maxsplit=2) for line in self.wanted.strip().splitlines()]
        return [(int(start, 16), int(end, 16), kind) for start, end, kind in rows]

    @property
    def ram_end(self) -> int:
        """RAM lies below it."""
        return max(end for _, end, kind in self.regions if kind == 'RAM')


SMALL_BIOS_PC: Final = FirmwareMap(
    'BIOS PC with 512 MiB',
    E820,
    """
    0         9fc00     1
    9fc00     a0000     2
    f0000     100000    2
    100000    1fff0000  1
    1fff0000  1fff3000  4
    1fff3000  20000000  3
    fec00000  100000000 2
    """,
    """
    0         9f000     RAM
    9f000     a0000     reserved
    f0000     100000    reserved
    100000    1fff0000  RAM
    1fff0000  1fff3000  ACPI NVS
    1fff3000  20000000  ACPI tables
    fec00000  100000000 reserved
    """,
    0x9F + 0x1FEF0,
)

BIOS_PC: Final = FirmwareMap(
    'BIOS PC with 4 GiB and a hole from 3.5 GiB on',
    E820,
    """
    0         9ec00     1
    9ec00     a0000     2
    e4000     100000    2
    100000    dff90000  1
    dff90000  dffa8000  3
    dffa8000  dffd0000  4
    dffd0000  e0000000  2
    e0000000  f0000000  2
    fee00000  fee01000  2
    fff00000  100000000 2
    100000000 120000000 1
    """,
    """
    0         9e000     RAM
    9e000     a0000     reserved
    e4000     100000    reserved
    100000    dff90000  RAM
    dff90000  dffa8000  ACPI tables
    dffa8000  dffd0000  ACPI NVS
    dffd0000  f0000000  reserved
    fee00000  fee01000  reserved
    fff00000  100000000 reserved
    100000000 120000000 RAM
    """,
    0x9E + 0xDFE90 + 0x20000,
)

UEFI_LAPTOP: Final = FirmwareMap(
    'UEFI laptop with 8 GiB',
    UEFI,
    """
    0         1000      3   of the firmware, but free afterwards
    1000      58000     7
    58000     59000     0
    59000     85000     7
    85000     9e000     4
    9e000     a0000     0
    100000    1000000   7
    1000000   1020000   4
    1020000   40000000  7
    40000000  40400000  0   stolen by the graphics
    40400000  71f6e000  7
    71f6e000  72000000  2
    72000000  79a22000  7
    79a22000  79b10000  1
    79b10000  79c01000  7
    79c01000  7a38e000  4
    7a38e000  7a3a2000  3
    7a3a2000  7a48c000  4
    7a48c000  7a491000  3
    7a491000  7a7c0000  4
    7a7c0000  7ab80000  0
    7ab80000  7aba0000  9
    7aba0000  7af36000  10
    7af36000  7b7d0000  6
    7b7d0000  7b88d000  5
    7b88d000  7b88e000  4
    7b88e000  7b900000  7
    7b900000  7f800000  0
    f0000000  f8000000  11
    fe000000  fe011000  11
    fec00000  fec01000  11
    fee00000  fee01000  11
    ff000000  100000000 11
    100000000 27c800000 7
    """,
    """
    0         58000     RAM
    58000     59000     reserved
    59000     9e000     RAM
    9e000     a0000     reserved
    100000    40000000  RAM
    40000000  40400000  reserved
    40400000  7a7c0000  RAM
    7a7c0000  7ab80000  reserved
    7ab80000  7aba0000  ACPI tables
    7aba0000  7af36000  ACPI NVS
    7af36000  7b88d000  UEFI runtime
    7b88d000  7b900000  RAM
    7b900000  7f800000  reserved
    f0000000  f8000000  reserved
    fe000000  fe011000  reserved
    fec00000  fec01000  reserved
    fee00000  fee01000  reserved
    ff000000  100000000 reserved
    100000000 27c800000 RAM
    """,
    0x58 + 0x45 + 0x3FF00 + 0x3A3C0 + 0x73 + 0x17C800,
)

UEFI_DESKTOP: Final = FirmwareMap(
    'UEFI desktop with 64 GiB',
    UEFI,
    """
    0         a0000      7
    a0000     100000     0
    100000    9d00000    7
    9d00000   a000000    0
    a000000   a200000    7
    a200000   a20d000    10
    a20d000   a2000000   7
    a2000000  a2010000   4
    a2010000  ba5c0000   7
    ba5c0000  bb1e0000   4
    bb1e0000  bcd2a000   3
    bcd2a000  bcdc8000   9
    bcdc8000  bd3b4000   10
    bd3b4000  bdfff000   6
    bdfff000  bf000000   4
    bf000000  c0000000   0
    f0000000  f8000000   11
    fd200000  fd300000   11
    fea00000  feb00000   11
    fec00000  fec02000   11
    fed80000  fed90000   11
    ff000000  100000000  11
    100000000 103e300000 7
    103e300000 1040000000 0
    """,
    """
    0         a0000      RAM
    a0000     100000     reserved
    100000    9d00000    RAM
    9d00000   a000000    reserved
    a000000   a200000    RAM
    a200000   a20d000    ACPI NVS
    a20d000   bcd2a000   RAM
    bcd2a000  bcdc8000   ACPI tables
    bcdc8000  bd3b4000   ACPI NVS
    bd3b4000  bdfff000   UEFI runtime
    bdfff000  bf000000   RAM
    bf000000  c0000000   reserved
    f0000000  f8000000   reserved
    fd200000  fd300000   reserved
    fea00000  feb00000   reserved
    fec00000  fec02000   reserved
    fed80000  fed90000   reserved
    ff000000  100000000  reserved
    100000000 103e300000 RAM
    103e300000 1040000000 reserved
    """,
    0xA0 + 0x9C00 + 0x200 + 0xB2B1D + 0x1001 + 0xF3E300,
)

SERVER: Final = FirmwareMap(
    'server with two sockets and a hole of 1 TiB between them',
    E820,
    """
    0           99000       1
    99000       a0000       2
    e0000       100000      2
    100000      6bb2f000    1
    6bb2f000    6c530000    2
    6c530000    6d6a3000    4
    6d6a3000    6d7ff000    3
    6d7ff000    6d800000    1
    6d800000    90000000    2
    fd000000    fe800000    2
    fed20000    fed45000    2
    ff000000    100000000   2
    100000000   4080000000  1
    14000000000 18000000000 1
    """,
    """
    0           99000       RAM
    99000       a0000       reserved
    e0000       100000      reserved
    100000      6bb2f000    RAM
    6bb2f000    6c530000    reserved
    6c530000    6d6a3000    ACPI NVS
    6d6a3000    6d7ff000    ACPI tables
    6d7ff000    6d800000    RAM
    6d800000    90000000    reserved
    fd000000    fe800000    reserved
    fed20000    fed45000    reserved
    ff000000    100000000   reserved
    100000000   4080000000  RAM
    14000000000 18000000000 RAM
    """,
    0x99 + 0x6BA2F + 1 + 0x3F80000 + 0x4000000,
)

PERSISTENT_SERVER: Final = FirmwareMap(
    'server with persistent memory, of an old board and of a new one',
    E820,
    """
    0           9fc00       1
    9fc00       a0000       2
    e0000       100000      2
    100000      7834d000    1
    7834d000    78c00000    2
    78c00000    79a00000    4
    79a00000    79b00000    3
    79b00000    7b000000    1
    80000000    90000000    2
    fe000000    100000000   2
    100000000   1880000000  1
    1880000000  3080000000  7
    3080000000  3880000000  12
    3880000000  4080000000  1
    """,
    """
    0           9f000       RAM
    9f000       a0000       reserved
    e0000       100000      reserved
    100000      7834d000    RAM
    7834d000    78c00000    reserved
    78c00000    79a00000    ACPI NVS
    79a00000    79b00000    ACPI tables
    79b00000    7b000000    RAM
    80000000    90000000    reserved
    fe000000    100000000   reserved
    100000000   1880000000  RAM
    1880000000  3880000000  persistent
    3880000000  4080000000  RAM
    """,
    0x9F + 0x7824D + 0x1500 + 0x1780000 + 0x800000,
)

QEMU_PC: Final = FirmwareMap(
    'QEMU, machine pc, 128 MiB, SeaBIOS',
    E820,
    """
    0          9fc00       1
    9fc00      a0000       2
    f0000      100000      2
    100000     7fe0000     1
    7fe0000    8000000     2
    fffc0000   100000000   2
    fd00000000 10000000000 2
    """,
    """
    0          9f000       RAM
    9f000      a0000       reserved
    f0000      100000      reserved
    100000     7fe0000     RAM
    7fe0000    8000000     reserved
    fffc0000   100000000   reserved
    fd00000000 10000000000 reserved
    """,
    0x9F + 0x7EE0,
)

QEMU_Q35: Final = FirmwareMap(
    'QEMU, machine q35, 4 GiB, SeaBIOS',
    E820,
    """
    0          9fc00       1
    9fc00      a0000       2
    f0000      100000      2
    100000     7ffdf000    1
    7ffdf000   80000000    2
    b0000000   c0000000    2
    fed1c000   fed20000    2
    feffc000   ff000000    2
    fffc0000   100000000   2
    100000000  180000000   1
    fd00000000 10000000000 2
    """,
    """
    0          9f000       RAM
    9f000      a0000       reserved
    f0000      100000      reserved
    100000     7ffdf000    RAM
    7ffdf000   80000000    reserved
    b0000000   c0000000    reserved
    fed1c000   fed20000    reserved
    feffc000   ff000000    reserved
    fffc0000   100000000   reserved
    100000000  180000000   RAM
    fd00000000 10000000000 reserved
    """,
    0x9F + 0x7FEDF + 0x80000,
)

QEMU_OVMF: Final = FirmwareMap(
    'QEMU, machine pc, 128 MiB, OVMF',
    UEFI,
    """
    0         1000      3
    1000      a0000     7
    100000    800000    7
    800000    808000    10
    808000    80b000    7
    80b000    80c000    10
    80c000    810000    7
    810000    900000    10
    900000    1780000   4
    1780000   4c5e000   7
    4c5e000   4c7e000   4
    4c7e000   5b27000   7
    5b27000   5b42000   1
    5b42000   5c00000   7
    5c00000   6200000   4
    6200000   6300000   3
    6300000   67ed000   7
    67ed000   69ed000   6
    69ed000   6aed000   5
    6aed000   6b6d000   0
    6b6d000   6b7f000   9
    6b7f000   6bff000   10
    6bff000   7e00000   4
    7e00000   7e20000   3
    7e20000   7ea4000   4
    7ea4000   7ec4000   3
    7ec4000   7ed8000   7
    7ed8000   7f58000   6
    7f58000   8000000   10
    ffc00000  100000000 6
    """,
    """
    0         a0000     RAM
    100000    800000    RAM
    800000    808000    ACPI NVS
    808000    80b000    RAM
    80b000    80c000    ACPI NVS
    80c000    810000    RAM
    810000    900000    ACPI NVS
    900000    67ed000   RAM
    67ed000   6aed000   UEFI runtime
    6aed000   6b6d000   reserved
    6b6d000   6b7f000   ACPI tables
    6b7f000   6bff000   ACPI NVS
    6bff000   7ed8000   RAM
    7ed8000   7f58000   UEFI runtime
    7f58000   8000000   ACPI NVS
    ffc00000  100000000 UEFI runtime
    """,
    0xA0 + 0x700 + 3 + 4 + 0x5EED + 0x12D9,
)

FIRECRACKER: Final = FirmwareMap(
    'Firecracker, 128 MiB',
    PVH,
    """
    0         9fc00     1
    9fc00     100000    2
    100000    8000000   1
    eec00000  feb00000  2
    """,
    """
    0         9f000     RAM
    9f000     100000    reserved
    100000    8000000   RAM
    eec00000  feb00000  reserved
    """,
    0x9F + 0x7F00,
)

CLOUD_HYPERVISOR: Final = FirmwareMap(
    'Cloud Hypervisor, 16 GiB',
    PVH,
    """
    0         a0000     1
    100000    c0000000  1
    100000000 440000000 1
    e8000000  f8000000  2
    """,
    """
    0         a0000     RAM
    100000    c0000000  RAM
    e8000000  f8000000  reserved
    100000000 440000000 RAM
    """,
    0xA0 + 0xBFF00 + 0x340000,
)

XEN_DOM0: Final = FirmwareMap(
    'Xen, first domain, PVH, 1 GiB of a larger machine',
    PVH,
    """
    0         9d000     1
    9d400     100000    2
    100000    40060000  1
    cd9ce000  ce2cf000  2
    ce2cf000  ce54f000  4
    ce54f000  ce554000  3
    ce554000  ce997000  4
    ce997000  cf000000  2
    fec00000  fec01000  2
    fee00000  fee01000  2
    ff000000  100000000 2
    100000000 42f000000 5   the other domains have it
    """,
    """
    0         9d000     RAM
    9d000     100000    reserved
    100000    40060000  RAM
    cd9ce000  ce2cf000  reserved
    ce2cf000  ce54f000  ACPI NVS
    ce54f000  ce554000  ACPI tables
    ce554000  ce997000  ACPI NVS
    ce997000  cf000000  reserved
    fec00000  fec01000  reserved
    fee00000  fee01000  reserved
    ff000000  100000000 reserved
    100000000 42f000000 unusable
    """,
    0x9D + 0x3FF60,
)

BROKEN_BIOS: Final = FirmwareMap(
    'broken BIOS: out of order, overlapping, odd, with numbers that mean nothing',
    E820,
    """
    100000    30000000  1
    0         a0000     1
    9f400     100000    2   overlaps
    0         a0000     1   again
    2ff00000  30100000  3   overlaps, and goes on where nothing is
    2ff80000  2ff80000  2   empty
    28000001  28000003  4   two bytes
    20000000  20010000  6
    30100000  30200000  0
    2c000000  2c001000  99
    40000000  40000800  1   half a frame
    40000800  40003000  1   and the other half
    40003400  40005000  1   without its first bytes
    fff80000  100000000 2
    f0000000  f4000000  2
    fffffffffff00000 10000000000100000 1   round the end
    """,
    """
    0         9f000     RAM
    9f000     100000    reserved
    100000    20000000  RAM
    20000000  20010000  reserved
    20010000  28000000  RAM
    28000000  28001000  ACPI NVS
    28001000  2c000000  RAM
    2c000000  2c001000  reserved
    2c001000  2ff00000  RAM
    2ff00000  30100000  ACPI tables
    30100000  30200000  reserved
    40000000  40003000  RAM
    40004000  40005000  RAM
    f0000000  f4000000  reserved
    fff80000  100000000 reserved
    """,
    0x9F + 0x1FF00 + 0x7FF0 + 0x3FFF + 0x3EFF + 3 + 1,
)


def fragmented() -> FirmwareMap:
    """80 times a few pages of runtime services amid what is free afterwards, in turn of four types."""
    told = ['0 a0000 7', '100000 60000000 7']
    wanted = ['0 a0000 RAM', '100000 60000000 RAM']
    nr_ram_frames = 0xA0 + 0x5FF00
    at = 0x7000_0000
    for index in range(80):
        nr_frames = 3 + 7 * index % 50
        middle = at + nr_frames * 0x1000
        end = middle + (1 + index % 3) * 0x1000
        told += [f'{at:x} {middle:x} {(3, 4, 7, 2)[index % 4]}', f'{middle:x} {end:x} {5 + index % 2}']
        wanted += [f'{at:x} {middle:x} RAM', f'{middle:x} {end:x} UEFI runtime']
        nr_ram_frames += nr_frames
        at = end
    told += [f'{at:x} 80000000 9', '100000000 180000000 7']
    wanted += [f'{at:x} 80000000 ACPI tables', '100000000 180000000 RAM']
    name = 'UEFI firmware with a map of many pieces'
    return FirmwareMap(name, UEFI, '\n'.join(told), '\n'.join(wanted), nr_ram_frames + 0x80000)


def scattered() -> FirmwareMap:
    """No machine: 200 pieces of RAM below 1 GiB, each of which wants a page table of its own, and the boot pool has
    143 frames."""
    starts = range(0x100_0000, 0x100_0000 + 200 * 0x30_0000, 0x30_0000)
    pieces = [(0, 0xA_0000), (0x10_0000, 0x40_0000), *((start, start + 0x10_0000) for start in starts)]
    told = '\n'.join(f'{start:x} {end:x} 1' for start, end in pieces)
    wanted = '\n'.join(f'{start:x} {end:x} RAM' for start, end in pieces)
    return FirmwareMap('RAM in many pieces', PVH, told, wanted, 0xA0 + 0x300 + 200 * 0x100)


FRAGMENTED: Final = fragmented()
SCATTERED: Final = scattered()

MAPS: Final = (
    *(SMALL_BIOS_PC, BIOS_PC, UEFI_LAPTOP, UEFI_DESKTOP, SERVER, PERSISTENT_SERVER, QEMU_PC, QEMU_Q35, QEMU_OVMF),
    *(FIRECRACKER, CLOUD_HYPERVISOR, XEN_DOM0, BROKEN_BIOS, FRAGMENTED),
)
