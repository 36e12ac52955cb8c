"""The cache of build results: what makes a key, and what happens to entries that are damaged or cannot be kept."""

import errno
import fcntl
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from incroos.build import cache
from incroos.build.cache import PACKAGE, Cache, cache_folder, drop_old_entries, key_of
from incroos.build.errors import BuildError

FILES = {'kernel.elf': b'\x7fELF and so on', 'facts.json': b'{}'}
KEY = 'a' * 32


class Fixture:
    """A cache and what it said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.cache = Cache(self.said.append, folder)


@pytest.fixture
def used(tmp_path: Path) -> Fixture:
    """A cache with one entry."""
    fixture = Fixture(tmp_path / 'cache')
    fixture.cache.store(KEY, FILES)
    return fixture


def test_what_was_stored_is_fetched(used: Fixture) -> None:
    entry = used.cache.fetch(KEY)
    assert entry == used.folder / KEY
    assert {name: (entry / name).read_bytes() for name in FILES} == FILES
    assert used.cache.fetch('b' * 32) is None
    assert used.said == []
    assert [path.name for path in used.folder.iterdir()] == [KEY]


@pytest.mark.parametrize('file', [*FILES, cache.CHECKSUMS])
@pytest.mark.parametrize('damage', ['cut', 'emptied', 'changed', 'removed', 'made a folder'])
def test_damage_is_noticed_said_and_mended(used: Fixture, file: str, damage: str) -> None:
    path = used.folder / KEY / file
    content = path.read_bytes()
    path.unlink()
    if damage == 'cut':
        path.write_bytes(content[:-1])
    elif damage == 'emptied':
        path.write_bytes(b'')
    elif damage == 'changed':
        path.write_bytes(bytes([content[0] ^ 0x80]) + content[1:])
    elif damage == 'made a folder':
        path.mkdir()
    assert used.cache.fetch(KEY) is None
    assert used.said == [f'the cached build in {used.folder / KEY} is damaged: building it anew']
    used.cache.store(KEY, FILES)
    entry = used.cache.fetch(KEY)
    assert entry is not None
    assert (entry / 'kernel.elf').read_bytes() == FILES['kernel.elf']
    assert len(used.said) == 1


def test_an_added_file_is_damage_too(used: Fixture) -> None:
    (used.folder / KEY / 'stray').touch()
    assert used.cache.fetch(KEY) is None


def test_unwritable_folder_is_said_once_and_the_build_goes_on(tmp_path: Path) -> None:
    """A file where the folder should be: permissions would not stop root."""
    blocked = tmp_path / 'file'
    blocked.touch()
    fixture = Fixture(blocked / 'cache')
    assert fixture.cache.fetch(KEY) is None
    entry = fixture.cache.store(KEY, FILES)
    assert (entry / 'kernel.elf').read_bytes() == FILES['kernel.elf']
    assert len(fixture.said) == 1
    assert fixture.said[0].startswith(f'the cache folder {blocked}/cache cannot be written (Not a directory)')


def test_no_folder_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / 'file'
    blocked.touch()
    monkeypatch.setattr(tempfile, 'tempdir', str(blocked))
    with pytest.raises(BuildError, match='no folder for temporary files can be written'):
        Fixture(blocked / 'cache').cache.store(KEY, FILES)


def test_a_failure_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(28, 'No space left on device')

    fixture = Fixture(tmp_path / 'cache')
    with monkeypatch.context() as patch:
        patch.setattr(os, 'rename', full)
        patch.setattr(tempfile, 'mkdtemp', lambda prefix, **where: _folder(where.get('dir', tmp_path), prefix))
        with pytest.raises(BuildError):
            fixture.cache.store(KEY, FILES)
    assert list(fixture.folder.iterdir()) == []
    assert 'No space left on device' in fixture.said[0]


def _folder(parent: Path, prefix: str) -> str:
    path = parent / f'{prefix}x'
    path.mkdir()
    return str(path)


def test_many_writers_of_one_entry(tmp_path: Path) -> None:
    fixture = Fixture(tmp_path / 'cache')
    writers = [threading.Thread(target=fixture.cache.store, args=(KEY, FILES)) for _ in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert fixture.cache.fetch(KEY) is not None
    assert fixture.said == []
    assert [path.name for path in fixture.folder.iterdir()] == [KEY]


def test_entries_that_were_not_used_for_longest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, 'NR_ENTRIES_KEPT', 3)
    fixture = Fixture(tmp_path / 'cache')
    for number, key in enumerate('abcd'):
        entry = fixture.cache.store(key, FILES)
        os.utime(entry, (number, number))
    fixture.cache.fetch('b')
    drop_old_entries(fixture.folder)
    assert sorted(path.name for path in fixture.folder.iterdir()) == ['b', 'c', 'd']
    fixture.cache.store('e', FILES)
    assert sorted(path.name for path in fixture.folder.iterdir()) == ['b', 'd', 'e']


def test_what_was_just_fetched_stays_however_much_others_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever fetched it reads it only now."""
    monkeypatch.setattr(cache, 'NR_ENTRIES_KEPT', 1)
    fixture = Fixture(tmp_path / 'cache')
    os.utime(fixture.cache.store(KEY, FILES), (1, 1))
    entry = fixture.cache.fetch(KEY)
    assert entry is not None
    os.utime(fixture.cache.store('b', FILES))
    drop_old_entries(fixture.folder)
    assert {name: (entry / name).read_bytes() for name in FILES} == FILES
    long_ago = time.time() - cache.SECONDS_IN_USE - 1
    os.utime(entry, (long_ago, long_ago))
    drop_old_entries(fixture.folder)
    assert [path.name for path in fixture.folder.iterdir()] == ['b']


def test_no_entry_is_dropped_that_is_fetched_meanwhile(used: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was found to be old; before it is gone, another process wants it."""
    monkeypatch.setattr(cache, 'NR_ENTRIES_KEPT', 0)
    os.utime(used.folder / KEY, (1, 1))
    fetched: list[Path | None] = []
    other = threading.Thread(target=lambda: fetched.append(used.cache.fetch(KEY)))
    monkeypatch.setattr(shutil, 'rmtree', meanwhile(other))
    drop_old_entries(used.folder)
    other.join()
    assert fetched == [None]
    assert used.said == []


def test_no_entry_is_replaced_that_was_stored_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There was none; before the new one is in its place, another process has stored and reads it."""
    fixture = Fixture(tmp_path / 'cache')
    stored: list[Path] = []
    other = threading.Thread(target=lambda: stored.append(fixture.cache.store(KEY, FILES)))
    rmtree = meanwhile(other)

    def look_and_remove(path: Path, ignore_errors: bool) -> None:
        rmtree(path, ignore_errors)
        assert all(entry.exists() for entry in stored)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, 'rmtree', look_and_remove)
        mine = fixture.cache.store(KEY, FILES)
    other.join()
    assert stored == [mine]
    assert {name: (mine / name).read_bytes() for name in FILES} == FILES


def meanwhile(other: threading.Thread) -> Callable[[Path, bool], None]:
    """An rmtree that lets another thread go first, the first time, unless that has to wait for something."""
    rmtree = shutil.rmtree

    def remove(path: Path, ignore_errors: bool) -> None:
        if other.ident is None:
            other.start()
            other.join(0.5)
        rmtree(path, ignore_errors=ignore_errors)

    return remove


def test_a_folder_that_cannot_be_locked_is_a_cache_nevertheless(used: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on some network file systems."""

    def refuse(handle: int, how: int) -> None:
        raise OSError(errno.ENOLCK, 'No locks available')

    monkeypatch.setattr(fcntl, 'flock', refuse)
    assert used.cache.store('b', FILES) == used.folder / 'b'
    assert used.cache.fetch('b') == used.folder / 'b'
    assert used.said == []


def test_an_entry_counts_as_used_before_it_is_looked_at(used: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise another process could drop it after the look."""
    os.utime(used.folder / KEY, (1, 1))
    monkeypatch.setattr(cache, 'is_whole', lambda entry: entry.stat().st_mtime > 1)
    assert used.cache.fetch(KEY) is not None


def test_folder_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('HOME', '/home/someone')
    monkeypatch.setenv('XDG_CACHE_HOME', '/somewhere')
    assert cache_folder() == Path('/somewhere/incroos')
    for not_absolute in ('', 'relative'):
        monkeypatch.setenv('XDG_CACHE_HOME', not_absolute)
        assert cache_folder() == Path('/home/someone/.cache/incroos')


def test_key_depends_on_the_text_and_on_every_value(tmp_path: Path) -> None:
    source = tmp_path / 'source'
    source.mkdir()
    (source / 'one.py').write_text('x = 1\n')
    keys = [key_of([source], ['kmain', 'plain'])]
    assert key_of([source], ['kmain', 'plain']) == keys[0]
    (source / 'notes.txt').write_text('not Python')
    assert key_of([source], ['kmain', 'plain']) == keys[0]
    keys += [
        key_of([source], values) for values in (['kmain'], ['kmainplain'], ['plain', 'kmain'], ['kmain', 'checked'])
    ]
    (source / 'one.py').write_text('x = 2\n')
    keys.append(key_of([source], ['kmain', 'plain']))
    (source / 'two.py').write_text('')
    keys.append(key_of([source], ['kmain', 'plain']))
    (source / 'two.py').rename(source / 'three.py')
    keys.append(key_of([source], ['kmain', 'plain']))
    assert len(set(keys)) == len(keys)


def test_sources_of_the_package_are_found_without_importing_it() -> None:
    assert (PACKAGE / 'lang' / '__init__.py').exists()
    assert PACKAGE.name == 'incroos'
