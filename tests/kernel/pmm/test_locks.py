"""Each struct of frames names the lock that it is under, for the day when there is a second processor."""

import re

import pytest

from incroos.kernel import sync
from incroos.kernel.state import frame_database, frames, zones
from incroos.lang import Struct

STRUCTS = [
    struct
    for module in (frame_database, frames, zones)
    for struct in vars(module).values()
    if isinstance(struct, type) and issubclass(struct, Struct) and struct.__module__ == module.__name__
]


@pytest.mark.parametrize('struct', STRUCTS, ids=lambda struct: struct.__name__)
def test_a_struct_names_a_lock_that_there_is(struct: type[Struct]) -> None:
    known = re.findall(r'^    Lock: (\w+) ', sync.__doc__ or '', re.MULTILINE)
    named = re.findall(r'Lock: (\w+)', struct.__doc__ or '')
    assert len(named) == 1
    assert named[0] in known
