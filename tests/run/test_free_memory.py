"""What this computer can still give: from files as the system writes them, and limits that hold in this process."""

import resource
from pathlib import Path
from typing import Final

import pytest

from incroos.run.free_memory import free_bytes, within

GIB: Final = 1 << 30
MIB: Final = 1 << 20
NO_LIMIT: Final = 0x7FFF_FFFF_FFFF_F000  # as version 1 says it


def computer(folder: Path, groups: str, **files: str) -> int | None:
    """What is free where 16 GiB are available and these are the control groups; `group/limit` of its files."""
    (folder / 'proc/self').mkdir(parents=True)
    (folder / 'proc/meminfo').write_text(f'MemTotal: 32768000 kB\nMemAvailable:   {16 * GIB >> 10} kB\n')
    (folder / 'proc/self/cgroup').write_text(groups)
    for name, content in files.items():
        path = folder / 'sys' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return free_bytes(folder / 'proc', folder / 'sys')


def test_what_is_available_is_free_but_for_a_sixteenth(tmp_path: Path) -> None:
    assert computer(tmp_path, '0::/\n') == 15 * GIB


def test_a_group_of_version_2_limits_and_so_does_one_above_it(tmp_path: Path) -> None:
    files = {
        'a/b/memory.max': 'max\n',
        'a/b/memory.current': f'{GIB}\n',
        'a/b/memory.stat': 'anon 1\ninactive_file 0\n',
        'a/memory.max': f'{4 * GIB}\n',
        'a/memory.current': f'{3 * GIB}\n',
        'a/memory.stat': f'anon 1\ninactive_file {GIB}\n',
    }
    assert computer(tmp_path, '0::/a/b\n', **files) == 2 * GIB - 2 * GIB // 16


@pytest.mark.parametrize('group', ['/a', '/of/the/host'], ids=['the machine', 'a container'])
def test_a_group_of_version_1_limits(tmp_path: Path, group: str) -> None:
    folder = 'memory/a' if group == '/a' else 'memory'
    files = {
        f'{folder}/memory.limit_in_bytes': f'{GIB}',
        f'{folder}/memory.usage_in_bytes': f'{GIB // 2}',
        f'{folder}/memory.stat': 'total_inactive_file 0\n',
    }
    groups = f'5:devices:/\n4:cpuset,memory:{group}\n0::/\n'
    assert computer(tmp_path, groups, **files) == GIB // 2 - GIB // 32


def test_a_group_without_a_limit_and_one_that_is_full(tmp_path: Path) -> None:
    files = {
        'memory/memory.limit_in_bytes': f'{NO_LIMIT}',
        'memory/memory.usage_in_bytes': f'{GIB}',
        'memory/memory.stat': 'total_inactive_file 0\n',
    }
    assert computer(tmp_path / 'unlimited', '4:memory:/\n', **files) == 15 * GIB
    files['memory/memory.limit_in_bytes'] = f'{GIB - 1}'
    assert computer(tmp_path / 'full', '4:memory:/\n', **files) == 0


def test_where_the_system_says_nothing_nothing_is_limited(tmp_path: Path) -> None:
    assert free_bytes(tmp_path, tmp_path) is None
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with within(None):
        assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_this_computer_has_memory() -> None:
    free = free_bytes()
    assert free is not None
    assert 0 < free < 1 << 50


def test_a_process_gets_no_more_than_it_may_and_afterwards_as_before() -> None:
    with within(256 * MIB):
        assert len(bytes(64 * MIB)) == 64 * MIB
        with pytest.raises(MemoryError):
            bytes(512 * MIB)
        with within(GIB), pytest.raises(MemoryError):  # which gives no more than there was
            bytes(512 * MIB)
    assert len(bytes(512 * MIB)) == 512 * MIB
