"""The table of what can be called, and the dispatch that is made from it."""

import traceback
from typing import Any, cast

import pytest

from incroos.build.c_prototypes import prototype_of
from incroos.guest import dispatch
from incroos.guest.calls import CALLS, CODES, OPERATIONS
from incroos.guest.dispatch import made, text_of
from incroos.guest.services import UNKNOWN
from incroos.kernel.configs import CLASSIC
from incroos.kernel.state import Kernel
from incroos.lang import PhysAddr, Struct, VirtAddr, kernel, u64, word
from incroos.lang.frontend import BARE, Refused, compile_unit

KERNEL: Any = Kernel(cast(Any, None), VirtAddr(0))  # whose memory nobody reads


class Pair(Struct):
    low: u64
    high: u64


@kernel
def seen(k: Kernel, pair: Pair, va: VirtAddr, pa: PhysAddr, number: word) -> word:
    return pair.addr * 1000 + va * 100 + pa * 10 + number


@kernel
def is_odd(k: Kernel, number: word) -> bool:
    return number % 2 != 0


@kernel
def do_nothing(k: Kernel) -> None:
    pass


def unmarked(k: Kernel) -> word:
    return 0


def fails(k: Kernel) -> word:
    raise ArithmeticError('seen')


def executed(operations: dict[str, Any], name: str, *words: int) -> int:
    codes = {each: 7 * number for number, each in enumerate(operations, 1)}
    a, b, c, d = (*words, *[0] * (4 - len(words)))
    return made(operations, codes, f'<{name}>')(KERNEL, codes.get(name, 1), a, b, c, d)


def test_words_become_what_a_function_takes() -> None:
    operations = {'is_odd': is_odd, 'seen': seen, 'do_nothing': do_nothing}
    assert executed(operations, 'seen', 1, 2, 3, 4) == 1234
    assert executed(operations, 'is_odd', 5) == 1
    assert executed(operations, 'is_odd', 6) == 0
    assert executed(operations, 'do_nothing') == 0
    assert executed(operations, 'other') == UNKNOWN


def test_a_function_that_words_cannot_call_is_refused_by_its_name() -> None:
    def five(k: Kernel, a: word, b: word, c: word, d: word, e: word) -> word:
        return 0

    def text(k: Kernel, said: bytes) -> word:
        return 0

    with pytest.raises(TypeError, match='five has 5 parameters: an operation has 4 words'):
        text_of({'five': five}, {'five': 1})
    with pytest.raises(TypeError, match=r'text\(said\): a word cannot stand for bytes'):
        text_of({'text': text}, {'text': 1})
    with pytest.raises(ValueError, match='kernel cannot be the name of an operation'):
        text_of({'kernel': is_odd}, {'kernel': 1})


def test_a_refusal_shows_the_line_that_names_the_operation() -> None:
    execute = made({'is_odd': is_odd, 'wrong': unmarked}, {'is_odd': 1, 'wrong': 2}, '<a table>')
    with pytest.raises(Refused) as caught:
        compile_unit({'execute': execute}, target=BARE, config=CLASSIC)
    assert str(caught.value).startswith('<a table>:8:20: ')
    assert '    return wrong(k)\n' in str(caught.value)


def test_a_traceback_shows_it_too() -> None:
    with pytest.raises(ArithmeticError) as caught:
        executed({'fails': fails}, 'fails')
    assert '    return fails(k)\n' in ''.join(traceback.format_exception(caught.value))


def test_the_jump_table_has_all_operations() -> None:
    """And nothing else: each case in the text of execute names its row."""
    text, names = text_of(OPERATIONS, CODES)
    assert text.count('        case ') == len(OPERATIONS) + 1
    for name, function in OPERATIONS.items():
        assert names[name] is function
        assert f'        case {CODES[name]}:\n            ' in text
    assert sorted(CODES.values()) == list(range(1, len(CODES) + 1))
    ir = compile_unit({'execute': dispatch.execute}, target=BARE, config=CLASSIC).ir
    (switch,) = [part for part in ir.split('define ') if '"execute"(' in part.partition('\n')[0]]
    assert switch.count(' switch ') == 1


def test_no_row_is_there_twice() -> None:
    rows = [row for listed in CALLS.values() for row in listed]
    prototypes = [prototype_of(row.prototype).name for row in rows if row.prototype]
    assert len(set(prototypes)) == len(prototypes)
    assert all(row.name or row.prototype for row in rows)
    called = [function for row in rows for function in (row.function, row.with_site) if function]
    assert len(set(called)) == len(called)
