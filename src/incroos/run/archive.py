"""The archive of files that a program gets: cpio in the format "newc", whose contents begin at page multiples.

    entry   110 characters of header, the name with zero bytes behind it, the content; each part padded to 4 bytes
    end     an entry with the name TRAILER!!!

The zero bytes behind a regular file's name are as many as bring its content to the start of a page, so that the kernel
can map it where it lies. Offsets count from the archive's first byte. Format: cpio(5), "New ASCII Format".
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from stat import S_ISREG
from typing import Final

from incroos.kernel.layout import PAGE_BYTES

MAGIC: Final = b'070701'
HEADER_BYTES: Final = 110
ALIGNMENT: Final = 4
TRAILER: Final = b'TRAILER!!!'
MOST: Final = (1 << 32) - 1  # that a field of the header can tell


@dataclass(frozen=True)
class Entry:
    """A file, folder or symlink; the content of a symlink is where it leads."""

    name: bytes  # relative to the root, without a slash in front
    mode: int  # st_mode
    seconds: int  # st_mtime
    content: bytes = b''


def archive_of(entries: Iterable[Entry]) -> bytes:
    """The archive, with the entries in their order; inode numbers count from 1."""
    parts: list[bytes] = []  # joined once: they may be large
    nbytes = 0
    numbered = enumerate(entries, 1)
    for number, entry in itertools.chain(numbered, [(0, Entry(TRAILER, 0, 0))]):
        head = head_of(entry, number, nbytes)
        parts += head, entry.content, bytes(-len(entry.content) % ALIGNMENT)
        nbytes += len(head) + rounded_up(len(entry.content), ALIGNMENT)
    return b''.join(parts)


def head_of(entry: Entry, number: int, start: int) -> bytes:
    """What stands before the content of an entry that begins at `start`."""
    name = entry.name + b'\0'
    alignment = PAGE_BYTES if entry.content and S_ISREG(entry.mode) else ALIGNMENT
    end_of_name = rounded_up(start + HEADER_BYTES + len(name), alignment)
    if alignment == PAGE_BYTES:
        name = name.ljust(end_of_name - start - HEADER_BYTES, b'\0')
    seconds = min(max(entry.seconds, 0), MOST)
    # inode, mode, uid, gid, nlink, mtime, bytes, device of the file and of the node (two numbers each), name, checksum
    fields = (number, entry.mode, 0, 0, 1, seconds, len(entry.content), 0, 0, 0, 0, len(name), 0)
    head = MAGIC + b''.join(b'%08X' % field for field in fields) + name
    return head.ljust(end_of_name - start, b'\0')


def entries_of(archive: bytes) -> Iterator[tuple[Entry, int]]:
    """The entries of such an archive, each with the offset of its content. Raises ValueError if it is none."""
    at = 0
    while True:
        head = archive[at : at + HEADER_BYTES]
        if len(head) < HEADER_BYTES or not head.startswith(MAGIC):
            raise ValueError(f'no entry of an archive at byte {at}')
        fields = [int(head[index : index + 8], 16) for index in range(len(MAGIC), HEADER_BYTES, 8)]
        mode, seconds, nbytes, name_bytes = fields[1], fields[5], fields[6], fields[11]
        name = archive[at + HEADER_BYTES : at + HEADER_BYTES + name_bytes].rstrip(b'\0')
        if name == TRAILER:
            return
        content = rounded_up(at + HEADER_BYTES + name_bytes, ALIGNMENT)
        yield Entry(name, mode, seconds, archive[content : content + nbytes]), content
        at = rounded_up(content + nbytes, ALIGNMENT)


def rounded_up(number: int, unit: int) -> int:
    """The next multiple."""
    return -(-number // unit) * unit
