"""Random calls that change files, against a model too simple to be wrong: paths in a dict."""

import errno
import random
import struct
from dataclasses import dataclass, field
from typing import Final

import pytest

from incroos.kernel import files, heap, pmm
from incroos.run.archive import Entry

from ...budget import FULL
from ..abi.programs import FILES, Machine, machine

READ, WRITE, OPEN, CLOSE, STAT, PREAD, PWRITE, FTRUNCATE, RENAME = 0, 1, 2, 3, 4, 17, 18, 77, 82
MKDIR, RMDIR, LINK, UNLINK, SYMLINK, GETDENTS64 = 83, 84, 86, 87, 88, 217
O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND = 2, 0o100, 0o200, 0o1000, 0o2000
SEED: Final = 8
NR_STEPS: Final = 4000 if FULL else 250
NAMES: Final = (b'a', b'b', b'c', b'd')
MOST: Final = 9000


@dataclass
class Inode:
    """A file or folder of the model."""

    content: bytearray = field(default_factory=bytearray)
    nodes: 'dict[bytes, Inode] | None' = None
    nr_links: int = 0


class Model:
    """What Linux would have done."""

    def __init__(self) -> None:
        self.root = Inode(nodes={}, nr_links=2)

    def walk(self, path: bytes) -> tuple[Inode, bytes]:
        """The folder and the last name."""
        here = self.root
        parts = path.strip(b'/').split(b'/')
        for part in parts[:-1]:
            if here.nodes is None:
                raise OSError(errno.ENOTDIR, '')
            if part not in here.nodes:
                raise OSError(errno.ENOENT, '')
            here = here.nodes[part]
        if here.nodes is None:
            raise OSError(errno.ENOTDIR, '')
        return here, parts[-1]

    def find(self, path: bytes) -> Inode:
        folder, name = self.walk(path)
        assert folder.nodes is not None
        if name not in folder.nodes:
            raise OSError(errno.ENOENT, '')
        return folder.nodes[name]

    def create(self, path: bytes, flags: int) -> Inode:
        folder, name = self.walk(path)
        assert folder.nodes is not None
        found = folder.nodes.get(name)
        if found is None:
            found = folder.nodes[name] = Inode(nr_links=1)
        elif flags & O_EXCL:
            raise OSError(errno.EEXIST, '')
        elif found.nodes is not None:
            raise OSError(errno.EISDIR, '')
        elif flags & O_TRUNC:
            del found.content[:]
        return found

    def mkdir(self, path: bytes) -> None:
        folder, name = self.walk(path)
        assert folder.nodes is not None
        if name in folder.nodes:
            raise OSError(errno.EEXIST, '')
        folder.nodes[name] = Inode(nodes={}, nr_links=2)
        folder.nr_links += 1

    def rmdir(self, path: bytes) -> None:
        folder, name = self.walk(path)
        found = self.find(path)
        assert folder.nodes is not None
        if found.nodes is None:
            raise OSError(errno.ENOTDIR, '')
        if found.nodes:
            raise OSError(errno.ENOTEMPTY, '')
        del folder.nodes[name]
        folder.nr_links -= 1

    def unlink(self, path: bytes) -> None:
        folder, name = self.walk(path)
        found = self.find(path)
        assert folder.nodes is not None
        if found.nodes is not None:
            raise OSError(errno.EISDIR, '')
        found.nr_links -= 1
        del folder.nodes[name]

    def link(self, source: bytes, path: bytes) -> None:
        found = self.find(source)
        folder, name = self.walk(path)
        assert folder.nodes is not None
        if name in folder.nodes:
            raise OSError(errno.EEXIST, '')
        if found.nodes is not None:
            raise OSError(errno.EPERM, '')
        folder.nodes[name] = found
        found.nr_links += 1

    def is_inside(self, folder: Inode, outer: Inode) -> bool:
        if folder is outer:
            return True
        return any(self.is_inside(folder, each) for each in (outer.nodes or {}).values() if each.nodes is not None)

    def rename(self, source: bytes, path: bytes) -> None:
        old_folder, old_name = self.walk(source)
        found = self.find(source)
        folder, name = self.walk(path)
        assert folder.nodes is not None
        assert old_folder.nodes is not None
        if found.nodes is not None and self.is_inside(folder, found):
            raise OSError(errno.EINVAL, '')
        target = folder.nodes.get(name)
        if target is found:
            return
        if target is not None:
            if (found.nodes is None) != (target.nodes is None):
                raise OSError(errno.EISDIR if found.nodes is None else errno.ENOTDIR, '')
            if target.nodes:
                raise OSError(errno.ENOTEMPTY, '')
            target.nr_links -= 1
            folder.nr_links -= target.nodes is not None
        del old_folder.nodes[old_name]
        old_folder.nr_links -= found.nodes is not None
        folder.nodes[name] = found
        folder.nr_links += found.nodes is not None


class Both:
    """The kernel and the model, and the files that are open in both."""

    def __init__(self) -> None:
        self.made = machine(entries=[])
        self.model = Model()
        self.first, self.second = (self.made.room(8192) for _ in range(2))
        self.room = self.made.room(1 << 16)
        self.opened: dict[int, tuple[Inode, int, int]] = {}  # inode, position, flags
        self.chance = random.Random(SEED)

    def path(self) -> bytes:
        return b'/w/' + b'/'.join(self.chance.choice(NAMES) for _ in range(self.chance.choice((1, 1, 1, 2, 2, 3))))

    def say(self, at: int, path: bytes) -> int:
        self.made.put(at, path + b'\0')
        return at

    def expect(self, result: int, call: object, *arguments: object) -> Inode | None:
        """Have the model do the same: both say the same."""
        refusal, found = 0, None
        try:
            found = call(*arguments)  # type: ignore[operator]
        except OSError as error:
            refusal = error.errno or 0
        assert min(result, 0) == -refusal, (call, arguments, errno.errorcode.get(-result, result))
        return found if isinstance(found, Inode) else None

    def step(self) -> None:
        made, model, path = self.made, self.model, self.path()
        at = self.say(self.first, path)
        match self.chance.randrange(12):
            case 0 | 1 | 2:
                flags = O_RDWR | O_CREAT | self.chance.choice((0, O_EXCL, O_TRUNC, O_APPEND))
                result = made.call(OPEN, at, flags, 0o644)
                found = self.expect(result, model.create, path, flags)
                if found is not None:
                    self.opened[result] = found, 0, flags
            case 3:
                self.expect(made.call(MKDIR, at, 0o755), model.mkdir, path)
            case 4:
                self.expect(made.call(RMDIR, at), model.rmdir, path)
            case 5:
                self.expect(made.call(UNLINK, at), model.unlink, path)
            case 6 | 7:
                other = self.path()
                to = self.say(self.second, other)
                number, call = self.chance.choice(((RENAME, model.rename), (LINK, model.link)))
                self.expect(made.call(number, at, to), call, path, other)
            case 8:
                self.stat(at, path)
            case _:
                self.use_file()

    def stat(self, at: int, path: bytes) -> None:
        found = self.expect(self.made.call(STAT, at, self.room), self.model.find, path)
        if found is not None:
            nr_links, nbytes = self.made.word(self.room + 16), self.made.word(self.room + 48)
            assert nr_links == found.nr_links
            assert nbytes == (4096 if found.nodes is not None else len(found.content))

    def use_file(self) -> None:
        """Write, read, cut or close one of the open files."""
        if not self.opened:
            return
        made, chance = self.made, self.chance
        descriptor = chance.choice(list(self.opened))
        inode, position, flags = self.opened[descriptor]
        content = inode.content
        match chance.randrange(5):
            case 0 | 1:
                given = chance.randbytes(chance.choice((1, 10, 300, 3000)))
                made.put(self.room, given)
                start = len(content) if flags & O_APPEND else position
                if start + len(given) > MOST:
                    return
                assert made.call(WRITE, descriptor, self.room, len(given)) == len(given)
                content.extend(bytes(max(start - len(content), 0)))
                content[start : start + len(given)] = given
                self.opened[descriptor] = inode, start + len(given), flags
            case 2:
                start = chance.randrange(MOST)
                wanted = bytes(content[start : start + 500])
                assert made.call(PREAD, descriptor, self.room, 500, start) == len(wanted)
                assert made.get(self.room, len(wanted)) == wanted
            case 3:
                nbytes = chance.randrange(MOST)
                assert made.call(FTRUNCATE, descriptor, nbytes) == 0
                del content[nbytes:]
                content.extend(bytes(nbytes - len(content)))
            case _:
                assert made.call(CLOSE, descriptor) == 0
                del self.opened[descriptor]

    def listed(self, path: bytes) -> dict[bytes, int]:
        """What getdents64 lists, in small pieces: names and types."""
        descriptor = self.made.call(OPEN, self.say(self.first, path), 0)
        found: dict[bytes, int] = {}
        while nbytes := self.made.call(GETDENTS64, descriptor, self.room, 64):
            assert nbytes > 0
            entries, at = self.made.get(self.room, nbytes), 0
            while at < nbytes:
                length, kind = struct.unpack_from('<HB', entries, at + 16)
                name = entries[at + 19 : at + length].split(b'\0')[0]
                assert name not in found
                found[name] = kind
                at += length
        self.made.call(CLOSE, descriptor)
        return found

    def compare(self, path: bytes = b'/w', folder: Inode | None = None) -> None:
        """All that the model has, and nothing else, is there."""
        folder = folder or self.model.find(path)
        assert folder.nodes is not None
        wanted = {name: 8 if each.nodes is None else 4 for name, each in folder.nodes.items()}
        assert self.listed(path) == {b'.': 4, b'..': 4, **wanted}
        for name, each in folder.nodes.items():
            if each.nodes is not None:
                self.compare(path + b'/' + name, each)
            else:
                descriptor = self.made.call(OPEN, self.say(self.first, path + b'/' + name), 0)
                assert self.made.call(READ, descriptor, self.room, 1 << 15) == len(each.content)
                assert self.made.get(self.room, len(each.content)) == bytes(each.content)
                self.made.call(CLOSE, descriptor)


def test_random_changes_are_those_of_the_model() -> None:
    both = Both()
    before = heap.used_bytes(both.made.k)
    both.expect(both.made.call(MKDIR, both.say(both.first, b'/w'), 0o755), both.model.mkdir, b'/w')
    for index in range(NR_STEPS):
        both.step()
        if len(both.opened) > 6:
            both.made.call(CLOSE, both.opened.popitem()[0])
        if index % 100 == 0:
            assert files.check(both.made.k) == 0
    both.compare()
    assert files.check(both.made.k) == 0
    for descriptor in both.opened:
        assert both.made.call(CLOSE, descriptor) == 0
    assert both.made.k.files.lost == 0
    for descriptor in range(3):
        both.made.call(CLOSE, descriptor)
    files.forget_changes(both.made.k)
    assert both.made.k.files.nr_content_bytes == 0
    assert heap.used_bytes(both.made.k) <= before


# ------------------------------------------------------------------ one by one
@pytest.fixture
def made() -> Machine:
    return machine()


def path(made: Machine, text: bytes) -> int:
    at = made.room(8192)
    made.put(at, text + b'\0')
    return at


def test_a_file_without_a_name_lives_as_long_as_it_is_open(made: Machine) -> None:
    place, room = path(made, b'/etc/new'), made.room()
    file = made.call(OPEN, place, O_RDWR | O_CREAT, 0o666)
    made.put(room, b'hello')
    assert made.call(WRITE, file, room, 5) == 5
    assert made.call(UNLINK, place) == 0
    assert made.call(OPEN, place, 0) == -errno.ENOENT
    assert made.call(PREAD, file, room + 10, 9, 0) == 5
    assert made.get(room + 10, 5) == b'hello'
    assert files.check(made.k) == 0
    assert made.k.files.lost != 0
    assert made.call(CLOSE, file) == 0
    assert made.k.files.lost == 0


def test_a_mapped_file_may_be_written_and_removed(made: Machine) -> None:
    place, room = path(made, b'/etc/motd'), made.room()
    file = made.call(OPEN, place, O_RDWR)
    shown = made.call(9, 0, 4096, 3, 2, file, 0)
    made.put(room, b'Other')
    assert made.call(WRITE, file, room, 5) == 5
    assert made.get(shown, 13) == b'Other, file!\n'
    made.put(shown, b'Own')
    assert made.call(UNLINK, place) == made.call(CLOSE, file) == 0
    assert made.get(shown, 13) == b'Owner, file!\n'
    assert files.check(made.k) == 0
    assert made.k.files.lost != 0
    assert made.call(11, shown, 4096) == 0
    assert made.call(OPEN, path(made, b'/tmp/x'), O_CREAT, 0o600) == file
    assert made.k.files.lost == 0


def test_files_have_their_share_of_the_memory(made: Machine) -> None:
    file, room = made.call(OPEN, path(made, b'/big'), O_RDWR | O_CREAT, 0o666), made.room(1 << 20)
    done, result = 0, 0
    while result >= 0:
        result = made.call(WRITE, file, room, 1 << 20)
        done += max(result, 0)
    assert result == -errno.ENOSPC
    assert (32 << 20) // 8 < done <= (32 << 20) // 2
    assert pmm.nr_free_frames(made.k) > (32 << 20) // 4096 // 16
    assert files.check(made.k) == 0
    assert made.call(FTRUNCATE, file, 0) == 0
    assert made.k.files.nr_content_bytes == 0


@pytest.mark.parametrize('what', ['open', 'mkdir', 'symlink', 'link', 'rename', 'write', 'mknod'])
def test_each_allocation_may_fail(made: Machine, what: str) -> None:
    place, motd, room = path(made, b'/etc/new' + b'w' * 200), path(made, b'/etc/motd'), made.room()
    made.put(room, b'x' * 5000)
    file = made.call(OPEN, path(made, b'/etc/empty'), O_RDWR)
    calls = {
        'open': (OPEN, place, O_RDWR | O_CREAT, 0o666),
        'mkdir': (MKDIR, place, 0o777),
        'symlink': (SYMLINK, motd, place),
        'link': (LINK, motd, place),
        'rename': (RENAME, motd, place),
        'write': (PWRITE, file, room, 5000, 0),
        'mknod': (133, place, 0o010666),
    }
    fill_slabs(made)
    heap.shrink(made.k)
    used, nr_nodes = heap.used_bytes(made.k), made.k.files.nr_nodes
    for refused in range(1, 50):
        made.k.frames.requests, made.k.frames.refuse_at = 0, refused
        result = made.call(*calls[what])
        made.k.frames.refuse_at = 0
        assert files.check(made.k) == 0
        if result >= 0:
            return
        assert result in (-errno.ENOSPC, -errno.ENOMEM)
        assert (heap.used_bytes(made.k), made.k.files.nr_nodes) == (used, nr_nodes)
        heap.shrink(made.k)
    raise AssertionError('it never succeeds')


def fill_slabs(made: Machine) -> None:
    """Use up what the heap has in its slabs, so that the next allocations want frames."""
    for nbytes in range(32, 1024, 32):
        for _ in range(130):
            heap.kmalloc(made.k, nbytes)


def test_the_files_of_the_archive_are_apart() -> None:
    made = machine(entries=[*FILES, Entry(b'other', 0o100644, 1, b'behind')])
    room = made.room()
    file = made.call(OPEN, path(made, b'/etc/motd'), O_RDWR | O_APPEND)
    made.put(room, b'more' * 3000)
    assert made.call(WRITE, file, room, 12_000) == 12_000
    other = made.call(OPEN, path(made, b'/other'), 0)
    assert made.call(READ, other, room, 100) == 6
    assert made.get(room, 6) == b'behind'
