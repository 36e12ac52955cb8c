"""mypy and the front end see the same types: what one of them refuses, the other refuses too."""

import re
import sys
from pathlib import Path
from typing import Final

import pytest
from mypy import api

from incroos.lang.frontend import RAW, Refused, compile_unit

from .sample import define

HEAD: Final = """
from typing import Annotated, Final, NewType, NoReturn
from incroos.lang import *

Table = NewType('Table', PhysAddr)
BASE: Final = PhysAddr(0x1000)

class Inner(Struct):
    value: u64

class Block(Struct):
    size: u64
    frame: PhysAddr
    table: Table
    order: Annotated[Order, U8]
    inner: Inner
    items: Annotated[Array[u64], 4]
    frames: Annotated[Array[PhysAddr], 4]

@kernel
def take_word(x: word) -> word:
    return x

@kernel
def take_pa(x: PhysAddr) -> PhysAddr:
    return x

@kernel
def take_bool(x: bool) -> bool:
    return x

@kernel
def two() -> tuple[PhysAddr, word]:
    return BASE, 1

"""
PARAMETERS: Final = (
    'm: Machine, block: Block, x: word, pa: PhysAddr, va: VirtAddr, table: Table, is_on: bool, text: bytes'
)
ACCEPTED: Final = (
    'x = pa',
    'x = is_on',
    'pa = PhysAddr(x)',
    'pa = table',
    'table = Table(pa)',
    'pa = BASE',
    'x = pa + 1',
    'x = pa + va',
    'x = take_word(pa)',
    'x = take_word(is_on)',
    'pa = take_pa(table)',
    'pa = take_pa(PhysAddr(va))',
    'block.size = pa',
    'block.frame = pa',
    'block.frame = table',
    'block.order = Order(x)',
    'block.items[0] = pa',
    'block.frames[0] = PhysAddr(x)',
    'pa = block.frames[1]',
    'x = block.order',
    'pa, x = two()',
    'x = pa if is_on else va',
    'pa = pa if is_on else table',
    'is_on = pa == BASE',
    'is_on = pa == x',
    'is_on = pa == table',
    'is_on = x == is_on',
    'is_on = pa < BASE',
    'pa = min(pa, BASE)',
    'pa = max(table, pa)',
    'inner = block.inner',
    'other = Block(m, va).inner',
    'x = load64(m, va)',
    'va = address_of(block, "size")',
    'x = address_of(block.inner, "value") + 1',
    'is_on = not is_on and x > 1',
    'x += pa',
    'is_on &= x > 2',
    'x = len(text) + text[0]',
)
REFUSED: Final = (
    'pa = x',
    'pa = va',
    'pa = pa + 1',
    'pa += 1',
    'table = pa',
    'table = Table(x)',
    'is_on = x',
    'is_on = 1',
    'x = text',
    'x = block',
    'block = block.inner',
    'pa = take_pa(x)',
    'pa = take_pa(va)',
    'is_on = take_bool(x)',
    'x = take_word(block)',
    'x = take_word(text)',
    'block.frame = x',
    'block.frame = va',
    'block.table = pa',
    'block.order = x',
    'block.order += 1',
    'block.frames[0] = x',
    'block.size = block',
    'block.inner = block',
    'va = block.frames[1]',
    'x, pa = two()',
    'pa = two()',
    'a, b, c = two()',
    'is_on = pa == va',
    'pa = pa if is_on else x',
    'pa = min(pa, va)',
    'x = load64(m, pa)',
    'x = load64(m, x)',
    'x = load64(block, va)',
    'other = Block(va, m)',
    'other = Block(m, pa)',
    'x = take_word()',
    'x = take_word(x, x)',
    'x = block.missing',
    'pa = address_of(block, "size")',
    'va = address_of(x, "size")',
    'va = address_of(block.items, "size")',
    'block.missing = 1',
    'x = missing',
    'x = x + block',
    'x = x + text',
    'x = -block',
    'x = x[0]',
    'm = x',
)
STATEMENTS: Final = (*ACCEPTED, *REFUSED)


def function(number: int, name: str) -> str:
    return f'@kernel\ndef {name}({PARAMETERS}) -> None:\n    {STATEMENTS[number]}\n'


@pytest.fixture(scope='module')
def refused_by_mypy(tmp_path_factory: pytest.TempPathFactory) -> set[int]:
    """The numbers of the statements that mypy refuses."""
    folder = tmp_path_factory.mktemp('types')
    texts = [function(number, f'f{number}') for number in range(len(STATEMENTS))]
    file = folder / 'samples.py'
    file.write_text(HEAD + '\n'.join(texts))
    project = Path(__file__).parents[2] / 'pyproject.toml'
    limit = sys.getrecursionlimit()  # which mypy raises, and a test of what is nested too deep needs
    output, errors, _ = api.run(['--config-file', str(project), '--cache-dir', str(folder / 'cache'), str(file)])
    sys.setrecursionlimit(limit)
    assert errors == ''
    lines = {int(line) for line in re.findall(r'samples\.py:(\d+): error:', output)}
    first = HEAD.count('\n') + 3
    numbers = {number for number in range(len(STATEMENTS)) if first + 4 * number in lines}
    assert len(numbers) == len(lines), output
    return numbers


@pytest.mark.parametrize('number', range(len(STATEMENTS)), ids=STATEMENTS)
def test_both_agree(refused_by_mypy: set[int], number: int) -> None:
    is_refused = number >= len(ACCEPTED)
    assert (number in refused_by_mypy) == is_refused
    module = define(HEAD + function(number, 'f'))
    if is_refused:
        with pytest.raises(Refused):
            compile_unit({'f': module.f}, RAW)
    else:
        compile_unit({'f': module.f}, RAW)
