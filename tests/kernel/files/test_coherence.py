"""Reads, writes, sizes, holes and mappings of two files at random, through calls, against bytes in a row."""

import errno
import random
from dataclasses import dataclass, field
from typing import Final

import pytest

from incroos.kernel import files, heap, pmm, vm
from incroos.kernel.codes import OK
from incroos.kernel.state import File, Node, PageNode
from incroos.lang import VirtAddr
from incroos.run.archive import Entry

from ...budget import FULL
from ..abi.programs import FILES, machine

OPEN, CLOSE, MMAP, MUNMAP, PREAD, PWRITE, MADVISE, SENDFILE = 2, 3, 9, 11, 17, 18, 28, 40
FTRUNCATE, FALLOCATE, MEMFD = 77, 285, 319
O_RDWR: Final = 2
SHARED, PRIVATE = 1, 2
PAGE: Final = 4096
NR_PAGES: Final = 70  # of a mapping: more than a node of the tree has
NR_STEPS: Final = 20_000 if FULL else 500
CHECK_EVERY: Final = 50
SEED: Final = 14
DATA: Final = bytes(index * 13 % 251 + 1 for index in range(5 * PAGE + 123))
NAMES: Final = (b'etc/data', b'etc/empty')
KEEP_SIZE, PUNCH = 1, 2


@dataclass
class Content:
    """A file of the model: all that can be seen of it, to the end of its last page."""

    size: int
    data: bytearray = field(default_factory=lambda: bytearray(NR_PAGES * PAGE))

    @property
    def end(self) -> int:
        """Where its last page ends."""
        return -(-self.size // PAGE) * PAGE

    def resize(self, size: int) -> None:
        first = min(self.size, size)
        rest = -(-first // PAGE) * PAGE
        self.data[first:rest] = bytes(rest - first)
        if size < self.size:
            self.data[rest : self.end] = bytes(self.end - rest)
        self.size = size

    def write(self, at: int, data: bytes) -> None:
        if at > self.size:
            self.resize(self.size)  # what a mapping wrote behind the end is gone
        self.data[at : at + len(data)] = data
        self.size = max(self.size, at + len(data))


@dataclass
class Mapping:
    """All pages of a file, with the private copies that were made."""

    content: Content
    start: int
    is_shared: bool
    copies: dict[int, bytearray] = field(default_factory=dict)

    def place(self, at: int) -> tuple[bytearray, int]:
        """Where a byte is that can be touched."""
        copy = self.copies.get(at // PAGE)
        return (self.content.data, at) if copy is None else (copy, at % PAGE)

    def cut(self) -> None:
        """The content was cut: copies behind its end are gone."""
        self.copies = {index: copy for index, copy in self.copies.items() if index * PAGE < self.content.end}


class Random:
    """One run: a machine, its files and their mappings."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.made = machine(entries=[*FILES, Entry(b'etc/data', 0o100644, 7, DATA)])
        self.room = self.made.room(4 * PAGE)
        self.contents = [Content(len(DATA)), Content(0), Content(0)]
        self.contents[0].data[: len(DATA)] = DATA
        self.files = [self.open(name) for name in NAMES]
        self.made.put(self.room, b'name\0')
        self.files.append(self.made.call(MEMFD, self.room, 0))
        self.mappings: list[Mapping] = []

    def open(self, name: bytes) -> int:
        self.made.put(self.room, b'/' + name + b'\0')
        file = self.made.call(OPEN, self.room, O_RDWR, 0)
        assert file >= 0
        return file

    def position(self) -> int:
        """A place in a file, often at an edge."""
        at = self.random.randrange(self.random.choice((3, 8, NR_PAGES))) * PAGE
        return max(at + self.random.choice((0, 0, -1, 1, self.random.randrange(PAGE))), 0)

    def some_bytes(self, at: int) -> bytes:
        nbytes = self.random.choice((1, 8, 100, PAGE - 1, PAGE, 2 * PAGE + 5))
        return self.random.randbytes(max(min(nbytes, NR_PAGES * PAGE - at), 0))

    # -------------------------------------------------------------- steps
    def read(self, which: int) -> None:
        content, at = self.contents[which], self.position()
        wanted = bytes(content.data[at : min(content.size, at + 3 * PAGE)])
        assert self.made.call(PREAD, self.files[which], self.room, 3 * PAGE, at) == len(wanted)
        assert self.made.get(self.room, len(wanted)) == wanted

    def write(self, which: int) -> None:
        at = self.position()
        data = self.some_bytes(at)
        self.made.put(self.room, data)
        assert self.made.call(PWRITE, self.files[which], self.room, len(data), at) == len(data)
        if data:
            self.contents[which].write(at, data)

    def resize(self, which: int) -> None:
        size = self.position()
        assert self.made.call(FTRUNCATE, self.files[which], size) == 0
        self.contents[which].resize(size)
        for mapping in self.mappings:
            mapping.cut()

    def allocate(self, which: int) -> None:
        """Holes, and memory for nothing."""
        content, start = self.contents[which], self.position()
        nbytes = min(self.random.choice((1, 100, PAGE, 3 * PAGE - 7)), NR_PAGES * PAGE - start)
        mode = self.random.choice((0, KEEP_SIZE, KEEP_SIZE | PUNCH))
        if nbytes <= 0:
            return
        assert self.made.call(FALLOCATE, self.files[which], mode, start, nbytes) == 0
        if mode & ~KEEP_SIZE:
            end = min(start + nbytes, content.end)
            content.data[start:end] = bytes(max(end - start, 0))
        if mode & KEEP_SIZE == 0 and start + nbytes > content.size:
            content.resize(start + nbytes)

    def copy(self, which: int) -> None:
        """sendfile from one to another."""
        other = (which + 1) % len(self.files)
        source, at = self.contents[which], self.position()
        nbytes = max(min(source.size - at, 2 * PAGE), 0)
        to = self.open(NAMES[other]) if other < len(NAMES) else -1
        if to < 0:
            return
        self.made.put(self.room, at.to_bytes(8, 'little'))
        assert self.made.call(SENDFILE, to, self.files[which], self.room, 2 * PAGE) == nbytes
        self.made.call(CLOSE, to)
        self.contents[other].write(0, bytes(source.data[at : at + nbytes]))

    def map(self, which: int) -> None:
        if len(self.mappings) == 6:
            gone = self.mappings.pop(self.random.randrange(6))
            assert self.made.call(MUNMAP, gone.start, NR_PAGES * PAGE) == 0
        is_shared = self.random.random() < 0.5
        kind = SHARED if is_shared else PRIVATE
        start = self.made.call(MMAP, 0, NR_PAGES * PAGE, 3, kind, self.files[which], 0)
        assert start > 0
        self.mappings.append(Mapping(self.contents[which], start, is_shared))

    def load(self, mapping: Mapping) -> None:
        at = self.position()
        code, value = vm.load64(self.made.user, VirtAddr(mapping.start + (at & -8)))
        if (at & -8) >= mapping.content.end:
            assert code != OK
        else:
            data, offset = mapping.place(at & -8)
            assert (code, value) == (OK, int.from_bytes(data[offset : offset + 8], 'little', signed=True))

    def store(self, mapping: Mapping) -> None:
        at, value = self.position() & -8, self.random.getrandbits(60)
        code = vm.store64(self.made.user, VirtAddr(mapping.start + at), value)
        if at >= mapping.content.end:
            assert code != OK
            return
        assert code == OK
        index = at // PAGE
        if not mapping.is_shared and index not in mapping.copies:
            mapping.copies[index] = bytearray(mapping.content.data[index * PAGE : (index + 1) * PAGE])
        data, offset = mapping.place(at)
        data[offset : offset + 8] = value.to_bytes(8, 'little')

    def forget(self, mapping: Mapping) -> None:
        index = self.random.randrange(NR_PAGES - 4)
        assert self.made.call(MADVISE, mapping.start + index * PAGE, 4 * PAGE, 4) == 0
        for gone in range(index, index + 4):
            mapping.copies.pop(gone, None)

    def give_up(self, _mapping: Mapping) -> None:
        """Frames are scarce."""
        vm.give_up_pages(self.made.k)

    def step(self) -> None:
        of_files = (self.read, self.write, self.write, self.resize, self.allocate, self.copy, self.map)
        of_mappings = (self.load, self.load, self.store, self.store, self.forget, self.give_up)
        if self.mappings and self.random.random() < 0.6:
            self.random.choice(of_mappings)(self.random.choice(self.mappings))
        else:
            self.random.choice(of_files)(self.random.randrange(len(self.files)))


def test_all_see_the_same() -> None:
    run = Random(SEED)
    made = run.made
    for step in range(NR_STEPS):
        run.step()
        if step % CHECK_EVERY == 0:
            assert vm.check(made.k) == files.check(made.k) == pmm.check(made.k) == OK
    for mapping in run.mappings:
        assert made.call(MUNMAP, mapping.start, NR_PAGES * PAGE) == 0
    for file, content in zip(run.files, run.contents, strict=True):
        assert made.call(FTRUNCATE, file, 0) == made.call(CLOSE, file) == 0
        assert content.size >= 0
    assert made.k.vm.nr_changed == 0
    assert vm.check(made.k) == files.check(made.k) == heap.check(made.k) == OK


# ------------------------------------------------------------------ without memory
@pytest.mark.parametrize('what', ['memfd', 'write', 'allocate', 'punch', 'shared', 'private', 'cut'])
def test_each_allocation_may_fail(what: str) -> None:
    """The call says so, no byte of the file has changed, and what it took is given back in the end."""
    run = Random(SEED)
    made, room, file = run.made, run.room, run.files[0]
    shared = made.call(MMAP, 0, NR_PAGES * PAGE, 3, SHARED, file, 0)
    private = made.call(MMAP, 0, NR_PAGES * PAGE, 3, PRIVATE, file, 0)
    calls = {
        'memfd': lambda: made.call(MEMFD, room, 0),
        'write': lambda: made.call(PWRITE, file, room, 10, 66 * PAGE),
        'allocate': lambda: made.call(FALLOCATE, file, 0, 40 * PAGE, 30 * PAGE),
        'punch': lambda: made.call(FALLOCATE, file, PUNCH | KEEP_SIZE, 5, 3 * PAGE),
        'shared': lambda: vm.store64(made.user, VirtAddr(shared + PAGE), 5),
        'private': lambda: vm.load64(made.user, VirtAddr(private + PAGE))[0],
        'cut': lambda: made.call(FTRUNCATE, file, PAGE + 5),
    }
    made.put(room, b'name\0')
    for nbytes in (File.SIZE, Node.SIZE, PageNode.SIZE):  # no slab has a free block: the next request wants a frame
        nr_free = pmm.nr_free_frames(made.k)
        while pmm.nr_free_frames(made.k) == nr_free:
            last = heap.kmalloc(made.k, nbytes)
        heap.kfree(made.k, last)
        heap.shrink(made.k)
    for refused in range(1, 100):
        made.k.frames.requests, made.k.frames.refuse_at = 0, refused
        result = calls[what]()
        was_refused = made.k.frames.requests >= refused
        made.k.frames.refuse_at = 0
        assert vm.check(made.k) == files.check(made.k) == OK
        if not was_refused:
            assert result >= 0
            assert refused > 1 or what == 'cut'
            return
        assert result < 0
        assert what not in ('memfd', 'write', 'allocate', 'punch') or result in (-errno.ENOSPC, -errno.ENOMEM)
        assert made.call(PREAD, file, room + PAGE, 2 * PAGE, 0) == 2 * PAGE
        assert made.get(room + PAGE, 2 * PAGE) == DATA[: 2 * PAGE]
    raise AssertionError('it asks without end')
