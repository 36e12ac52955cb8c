"""docs/linux-calls.md lists the calls of the kernel's table, each once and by its name."""

import re
from typing import Final

from incroos.kernel.abi.calls import CALLS
from incroos.run.system_calls import SYSTEM_CALLS

from .documents import ROOT

LISTED: Final = re.compile(r'`(\w+)` (\d+)')


def test_the_page_lists_the_table() -> None:
    rows = [line.split('|')[1] for line in (ROOT / 'docs/linux-calls.md').read_text().splitlines() if '| `' in line]
    listed = [(int(number), name) for row in rows for name, number in LISTED.findall(row)]
    assert sorted(number for number, _name in listed) == sorted(CALLS)
    assert [(number, name) for number, name in listed if SYSTEM_CALLS[number].name != name] == []
