"""Fixtures of the command's tests."""

import fcntl
import sys
from pathlib import Path

import pytest

from . import starter
from .command import PLACES


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    """Each place where a kernel can run."""
    return str(request.param)


@pytest.fixture(scope='session')
def cases(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> list[str]:
    """What starts the command with the kernel of cases.py; built once for all workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == 'master' else base.parent) / 'cases'
    folder.mkdir(exist_ok=True)
    with (folder / 'lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / starter.SITES).exists():
            starter.build(folder)
    return [sys.executable, '-m', starter.__name__, str(folder)]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for programs that come before all others of their name."""
    folder = tmp_path / 'programs'
    folder.mkdir()
    monkeypatch.setenv('PATH', f'{folder}:/usr/sbin:/usr/bin:/sbin:/bin')
    return folder
