"""The cache of build results: what makes a key, and what happens to entries that are damaged or cannot be kept."""

import contextlib
import errno
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

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


@pytest.fixture
def used_elsewhere(tmp_path: Path) -> Fixture:
    """A cache with one entry, which nobody holds."""
    fixture = Fixture(tmp_path / 'cache')
    store_elsewhere(fixture, KEY)
    return fixture


def elsewhere(act: Callable[[], object]) -> None:
    """Do something in another process, which then ends."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            act()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


def store_elsewhere(fixture: Fixture, key: str) -> None:
    """Make an entry, in another process."""
    elsewhere(lambda: fixture.cache.store(key, FILES))


def names_in(folder: Path) -> list[str]:
    """The entries of a cache, in order."""
    return sorted(path.name for path in folder.iterdir())


def refuse_to_lock(handle: int, how: int) -> None:
    """As some network file systems do."""
    raise OSError(errno.ENOLCK, 'No locks available')


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
        patch.setattr(tempfile, 'tempdir', str(tmp_path))
        with pytest.raises(BuildError):
            fixture.cache.store(KEY, FILES)
    assert list(fixture.folder.iterdir()) == []
    assert 'No space left on device' in fixture.said[0]


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
        store_elsewhere(fixture, key)
        os.utime(fixture.folder / key, (number, number))
    elsewhere(lambda: fixture.cache.fetch('b'))
    drop_old_entries(fixture.folder)
    assert names_in(fixture.folder) == ['b', 'c', 'd']
    fixture.cache.store('e', FILES)
    assert names_in(fixture.folder) == ['b', 'd', 'e']


def test_what_was_just_fetched_stays_however_much_others_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where locks do not reach, whoever fetched it may still read it."""
    monkeypatch.setattr(cache, 'NR_ENTRIES_KEPT', 1)
    fixture = Fixture(tmp_path / 'cache')
    store_elsewhere(fixture, KEY)
    entry = fixture.folder / KEY
    os.utime(entry, (1, 1))
    elsewhere(lambda: fixture.cache.fetch(KEY))
    os.utime(fixture.cache.store('b', FILES))
    drop_old_entries(fixture.folder)
    assert {name: (entry / name).read_bytes() for name in FILES} == FILES
    long_ago = time.time() - cache.SECONDS_KEPT - 1
    os.utime(entry, (long_ago, long_ago))
    drop_old_entries(fixture.folder)
    assert names_in(fixture.folder) == ['b']


# What a process does with the entry `key` of the cache `folder`, and that it says and then waits.
FETCHES: Final = 'entry = Cache(print, Path(folder)).fetch(key)'
STORES: Final = 'entry = Cache(print, Path(folder)).store(key, {"file": b"content"})'
FETCHES_TWICE: Final = f'{FETCHES}; {FETCHES}'
HOLDER: Final = """
import os, sys
from pathlib import Path
from incroos.build.cache import Cache
folder, key = sys.argv[1:]
{use}
{then}
print(entry, flush=True)
sys.stdin.read()
"""
GOES_ON: Final = ''
LEAVES_A_CHILD: Final = 'if os.fork(): os._exit(0)'


@contextlib.contextmanager
def holder(fixture: Fixture, use: str, then: str = GOES_ON) -> Iterator[subprocess.Popen[str]]:
    """A process that uses the entry KEY, until its input ends or it is killed."""
    script = HOLDER.format(use=use, then=then)
    command = [sys.executable, '-c', script, str(fixture.folder), KEY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == f'{fixture.folder / KEY}\n'
        try:
            yield process
        finally:
            process.stdin.close()
            process.stdout.read()  # to the end: all that had it open are gone


def drop_all(fixture: Fixture) -> list[str]:
    """Drop what may be dropped, as if all had been fetched long ago; what is left."""
    for entry in fixture.folder.iterdir():
        os.utime(entry, (1, 1))
    drop_old_entries(fixture.folder)
    return names_in(fixture.folder)


@pytest.mark.parametrize('use', [FETCHES, STORES, FETCHES_TWICE], ids=['fetches', 'stores', 'fetches twice'])
@pytest.mark.parametrize('end', ['ends', 'is killed'])
def test_an_entry_that_a_process_holds_stays_whatever_its_age(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: str, end: str
) -> None:
    monkeypatch.setattr(cache, 'NR_ENTRIES_KEPT', 0)
    fixture = Fixture(tmp_path / 'cache')
    if use != STORES:
        store_elsewhere(fixture, KEY)
    with holder(fixture, use) as process:
        store_elsewhere(fixture, 'b')
        assert drop_all(fixture) == [KEY]
        if end == 'is killed':
            process.kill()
            process.wait()
            assert drop_all(fixture) == []
    assert drop_all(fixture) == []


def test_two_processes_hold_an_entry(used_elsewhere: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, 'NR_ENTRIES_KEPT', 0)
    with holder(used_elsewhere, FETCHES):
        with holder(used_elsewhere, FETCHES):
            assert drop_all(used_elsewhere) == [KEY]
        assert drop_all(used_elsewhere) == [KEY]
    assert drop_all(used_elsewhere) == []


def test_a_child_holds_what_its_parent_held(used_elsewhere: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, 'NR_ENTRIES_KEPT', 0)
    with holder(used_elsewhere, FETCHES, LEAVES_A_CHILD) as process:
        process.wait()
        assert drop_all(used_elsewhere) == [KEY]
    assert drop_all(used_elsewhere) == []


def test_an_entry_that_this_process_holds_stays(used_elsewhere: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, 'NR_ENTRIES_KEPT', 0)
    used_elsewhere.cache.fetch(KEY)
    assert drop_all(used_elsewhere) == [KEY]


def test_a_program_that_is_started_holds_nothing(used_elsewhere: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not ours may live on for ever, with what it was given."""
    monkeypatch.setattr(cache, 'NR_ENTRIES_KEPT', 0)
    with holder(
        used_elsewhere, FETCHES, 'if os.fork(): os._exit(0)\nprint(entry, flush=True); os.execlp("cat", "cat")'
    ):
        while drop_all(used_elsewhere):  # until `cat` has begun
            pass


def test_what_was_made_anew_is_held_too(used_elsewhere: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that holds an entry found it damaged later, and has another one in its place."""
    monkeypatch.setattr(cache, 'NR_ENTRIES_KEPT', 0)
    again = f'{FETCHES}; (entry / "facts.json").unlink(); {STORES}'
    with holder(used_elsewhere, again):
        assert drop_all(used_elsewhere) == [KEY]
    assert drop_all(used_elsewhere) == []


def test_what_another_process_stored_is_held_if_this_one_could_not(
    used_elsewhere: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(cache, 'NR_ENTRIES_KEPT', 0)
    with monkeypatch.context() as patch:
        patch.setattr(Path, 'write_bytes', full)
        assert used_elsewhere.cache.store(KEY, FILES) == used_elsewhere.folder / KEY
    assert drop_all(used_elsewhere) == [KEY]


def test_without_locks_time_decides(used: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, 'NR_ENTRIES_KEPT', 0)
    monkeypatch.setattr(fcntl, 'flock', refuse_to_lock)
    used.cache.fetch(KEY)
    drop_old_entries(used.folder)
    assert names_in(used.folder) == [KEY]
    os.utime(used.folder / KEY, (1, 1))
    used.cache.store('b', FILES)
    assert names_in(used.folder) == ['b']


def test_no_entry_is_dropped_that_is_fetched_meanwhile(
    used_elsewhere: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was found to be old; before it is gone, another process wants it."""
    used = used_elsewhere
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
    monkeypatch.setattr(fcntl, 'flock', refuse_to_lock)
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


# ------------------------------------------------------------------ text that changes while a process runs
PRINT_KEY: Final = (
    'import sys; from pathlib import Path; from incroos.build.cache import key_of; '
    'print(key_of([Path(sys.argv[1])], ["x"]))'
)


def key_elsewhere(file: Path) -> str:
    """The key that a process computes which starts now."""
    found = subprocess.run([sys.executable, '-c', PRINT_KEY, str(file)], capture_output=True, text=True, check=True)
    return found.stdout.strip()


def test_what_changed_since_this_process_started_has_a_key_of_its_own(tmp_path: Path) -> None:
    """What this process builds may be of the text before: others, which start later, must not fetch it."""
    file = tmp_path / 'text.py'
    file.write_text('X = 1\n')
    os.utime(file, ns=(cache.STARTED - 10**9, cache.STARTED - 10**9))
    assert key_of([file], ['x']) == key_elsewhere(file)
    file.write_text('X = 2\n')
    assert key_of([file], ['x']) == key_of([file], ['x']) != key_elsewhere(file)
