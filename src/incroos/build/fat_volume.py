"""A FAT volume with one file in it, as UEFI firmware looks for on a stick: the path is /EFI/BOOT/BOOTX64.EFI.

A volume without a partition table round it, FAT16, with clusters of as few sectors as hold the file: the clusters of
a file follow each other, and each entry of the allocation table names the next. Written once and never changed, so
nothing is ever free in between.

The format: "FAT: General Overview of On-Disk Format", version 1.03, which the UEFI specification names.
Unit: the sector.
"""

import struct
from typing import Final

SECTOR_BYTES: Final = 512
FOLDERS: Final = (b'EFI        ', b'BOOT       ')
FILE: Final = b'BOOTX64 EFI'

NR_RESERVED: Final = 1  # the boot sector
NR_TABLES: Final = 2
NR_ROOT_ENTRIES: Final = 512
ROOT_SECTORS: Final = NR_ROOT_ENTRIES * 32 // SECTOR_BYTES
FIRST_CLUSTER: Final = 2  # the number of the first one; entries 0 and 1 of the table are no clusters
MIN_CLUSTERS: Final = 4096  # below 4,085 it would be a FAT12
MAX_CLUSTERS: Final = 65_524
MAX_PER_CLUSTER: Final = 64  # sectors
END_OF_CHAIN: Final = 0xFFFF
MEDIA: Final = 0xF8
SECTORS_PER_TRACK: Final = 32
NR_HEADS: Final = 64

IS_FOLDER: Final = 0x10
IS_FILE: Final = 0x20
DATE: Final = 1 << 5 | 1  # 1 January 1980: the same program gives the same volume


def volume_with(program: bytes) -> bytes:
    """The volume. Raises ValueError for a program of 2 GiB and more."""
    per_cluster = sectors_per_cluster(len(program))
    cluster_bytes = per_cluster * SECTOR_BYTES
    parts = [*folders(len(program)), program]
    table = [0xFF00 | MEDIA, END_OF_CHAIN]
    data = b''
    for part in parts:
        nr_own = -(-len(part) // cluster_bytes)
        table += [*range(len(table) + 1, len(table) + nr_own), END_OF_CHAIN]
        data += part.ljust(nr_own * cluster_bytes, b'\0')
    nr_clusters = max(MIN_CLUSTERS, len(table) - FIRST_CLUSTER)
    table_sectors = -(-2 * (nr_clusters + FIRST_CLUSTER) // SECTOR_BYTES)
    packed = struct.pack(f'<{len(table)}H', *table).ljust(table_sectors * SECTOR_BYTES, b'\0')
    root = entry(FOLDERS[0], IS_FOLDER, FIRST_CLUSTER, 0).ljust(ROOT_SECTORS * SECTOR_BYTES, b'\0')
    nr_sectors = NR_RESERVED + NR_TABLES * table_sectors + ROOT_SECTORS + nr_clusters * per_cluster
    head = boot_sector(nr_sectors, table_sectors, per_cluster) + NR_TABLES * packed + root
    return (head + data).ljust(nr_sectors * SECTOR_BYTES, b'\0')


def sectors_per_cluster(program_bytes: int) -> int:
    """The fewest with which all fits. Raises ValueError where none do."""
    per_cluster = 1
    while program_bytes > (MAX_CLUSTERS - len(FOLDERS)) * per_cluster * SECTOR_BYTES:
        per_cluster *= 2
    if per_cluster > MAX_PER_CLUSTER:
        raise ValueError(f'a program of {program_bytes:,} bytes is too large for this volume')
    return per_cluster


def folders(program_bytes: int) -> list[bytes]:
    """The contents of the two folders, one cluster each, in front of the program's clusters."""
    own, inner, program = range(FIRST_CLUSTER, FIRST_CLUSTER + 3)
    outer_folder = (entry(FOLDERS[1], IS_FOLDER, inner, 0), own, 0)
    inner_folder = (entry(FILE, IS_FILE, program, program_bytes), inner, own)
    return [
        entry(b'.          ', IS_FOLDER, this, 0) + entry(b'..         ', IS_FOLDER, parent, 0) + content
        for content, this, parent in (outer_folder, inner_folder)
    ]


def entry(name: bytes, attributes: int, cluster: int, nbytes: int) -> bytes:
    """An entry of a folder: eight characters, three behind the point, the file's start and its length."""
    return struct.pack('<11sBxBHHHHHHHI', name, attributes, 0, 0, DATE, DATE, 0, 0, DATE, cluster, nbytes)


def boot_sector(nr_sectors: int, table_sectors: int, per_cluster: int) -> bytes:
    """The boot sector describes the volume. A BIOS cannot start it, and the sector does not claim otherwise."""
    small, large = (nr_sectors, 0) if nr_sectors < 0x1_0000 else (0, nr_sectors)
    parameters = struct.pack(
        *(
            '<HBHBHHBHHHII',
            SECTOR_BYTES,
            per_cluster,
            NR_RESERVED,
            NR_TABLES,
            NR_ROOT_ENTRIES,
            small,
            MEDIA,
            table_sectors,
        ),
        *(SECTORS_PER_TRACK, NR_HEADS, 0, large),
    )
    extended = struct.pack('<BBBI11s8s', 0x80, 0, 0x29, 0x1998_0101, b'NO NAME    ', b'FAT16   ')
    sector = b'\xeb\x3c\x90INCROOS ' + parameters + extended
    return sector.ljust(SECTOR_BYTES - 2, b'\0') + b'\x55\xaa'
