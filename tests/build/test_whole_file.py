"""Files that are written whole: several of them together, and whose name an error gives."""

import os
from pathlib import Path

import pytest

from incroos.build.whole_file import write_all_whole


def test_of_files_that_belong_together_none_is_replaced_before_all_are_written(tmp_path: Path) -> None:
    (tmp_path / 'one').write_text('old')
    with pytest.raises(FileNotFoundError) as caught:
        write_all_whole({tmp_path / 'one': b'new', tmp_path / 'none' / 'two': b'new'})
    assert caught.value.filename == f'{tmp_path}/none/two'
    assert os.listdir(tmp_path) == ['one']
    assert (tmp_path / 'one').read_text() == 'old'


def test_a_name_as_long_as_the_system_allows(tmp_path: Path) -> None:
    """The file that becomes it has a name of its own length."""
    write_all_whole({tmp_path / ('n' * 255): b'new'})
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b'new']
