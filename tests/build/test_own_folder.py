"""Folders for temporary files: what a killed process left goes, what another one uses stays."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

from incroos.build.own_folder import own_folder

from ..budget import SECONDS

STAYS: Final = """
import sys, time
from pathlib import Path
from incroos.build.own_folder import own_folder
with own_folder(Path(sys.argv[1])) as folder:
    (folder / 'file').touch()
    print(folder, flush=True)
    time.sleep(10_000)
"""


def test_only_what_belongs_to_no_living_process_is_cleared_away(tmp_path: Path) -> None:
    others = [
        subprocess.Popen([sys.executable, '-c', STAYS, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    killed, living = (Path(other.stdout.readline().strip()) for other in others if other.stdout)
    (tmp_path / 'anything').mkdir()
    (tmp_path / '.incroos-own-link').symlink_to(tmp_path / 'anything')
    others[0].kill()
    others[0].communicate(timeout=SECONDS)
    assert (killed / 'file').exists()
    with own_folder(tmp_path) as ours:
        assert not killed.exists()
        assert (living / 'file').exists()
        assert ours.is_dir()
    assert not ours.exists()
    assert (tmp_path / '.incroos-own-link').is_symlink()
    others[1].kill()
    others[1].communicate(timeout=SECONDS)


def test_many_at_once_leave_each_other_alone(tmp_path: Path) -> None:
    """One that is not yet locked may be taken for what is left; then its maker makes another one."""

    def use() -> None:
        for number in range(100):
            with own_folder(tmp_path) as folder:
                (folder / 'file').write_text(str(number))
                used.append((folder / 'file').read_text() == str(number))

    used: list[bool] = []
    users = [threading.Thread(target=use) for _ in range(8)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert used == [True] * 800
    assert os.listdir(tmp_path) == []
