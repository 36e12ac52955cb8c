"""The suite itself: what tests/conftest.py does for all tests."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import hypothesis
import pytest

from .budget import SECONDS

CHECKOUT: Final = Path(__file__).resolve().parent.parent
SESSION: Final = f"""
import time
from pathlib import Path
import pytest

@pytest.fixture
def broken():
    raise KeyError('no such key')

def test_wrong():
    assert 1 + 1 == 3, 'one and one'

def test_without_fixture(broken):
    pass

def test_skipped():
    pytest.skip('no such program')

def test_that_waits():
    end = time.monotonic() + {SECONDS}
    while not Path('seen').exists():
        assert time.monotonic() < end
        time.sleep(0.01)
"""


def test_no_random_test_is_judged_by_the_clock() -> None:
    settings = hypothesis.settings()
    assert settings.deadline is None
    assert hypothesis.HealthCheck.too_slow in settings.suppress_health_check


@pytest.mark.parametrize('options', [[], ['-n', '2'], ['-q'], ['-v', '-n', '2']], ids=' '.join)
def test_a_failure_is_told_before_the_last_test_has_ended(tmp_path: Path, options: list[str]) -> None:
    """Without a terminal: what is written to a pipe must not wait in a buffer either."""
    (tmp_path / 'test_session.py').write_text(SESSION)
    (tmp_path / 'pytest.ini').write_text('[pytest]\n')
    command = [sys.executable, '-m', 'pytest', '-p', 'tests.conftest', '-p', 'no:cacheprovider', *options]
    environment = {'PYTHONPATH': str(CHECKOUT), 'PATH': '/usr/bin:/bin', 'COLUMNS': '120'}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdout is not None
        awaited = {
            'FAILED test_session.py::test_wrong: AssertionError: one and one\n',
            "FAILED test_session.py::test_without_fixture (setup): KeyError: 'no such key'\n",
            'FAILED test_session.py::test_skipped: skipped, and no test may be: no such program\n',
        }
        try:
            while awaited:
                line = session.stdout.readline()
                assert line, f'not told: {awaited}'
                awaited.discard(line)
            (tmp_path / 'seen').touch()
            assert '2 failed, 1 passed, 1 error' in session.stdout.read()
            assert session.wait() == 1
        finally:
            session.kill()
