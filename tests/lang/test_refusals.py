"""The messages of the front end: all of them, as they should be; and that nothing else comes out of it."""

import ast
import inspect
import math
from pathlib import Path
from typing import Any, Final

import pytest

from incroos.lang.frontend import MESSAGES, RAW, Refused, compile_unit, raw_with
from incroos.lang.frontend.expressions import REFUSED as REFUSED_EXPRESSIONS
from incroos.lang.frontend.statements import REFUSED as REFUSED_STATEMENTS

from .refusals import Sample, samples
from .sample import define

GOLDEN: Final = Path(__file__).parent / 'golden' / 'refusals.txt'
SAMPLES: Final = samples()


@pytest.mark.parametrize('number', range(len(SAMPLES)), ids=[sample.name for sample in SAMPLES])
def test_message(number: int) -> None:
    golden = GOLDEN.read_text().removeprefix('== ').split('\n== ')
    assert len(golden) == len(SAMPLES), 'write the golden file anew: see refusals.py'
    name, _, message = golden[number].partition('\n')
    assert name == SAMPLES[number].name
    assert SAMPLES[number].message() == message.rstrip('\n')


def test_each_message_has_a_sample() -> None:
    assert MESSAGES.keys() == {sample.name for sample in SAMPLES}


@pytest.mark.parametrize(('table', 'key'), [(REFUSED_STATEMENTS, 'statement'), (REFUSED_EXPRESSIONS, 'expression')])
def test_each_refused_kind_of_node_has_a_sample(table: dict[str, Any], key: str) -> None:
    trees = [ast.parse(sample.text) for sample in SAMPLES if sample.name == key]
    assert table.keys() <= {type(node).__name__ for tree in trees for node in ast.walk(tree)}


@pytest.mark.parametrize('sample', SAMPLES, ids=[sample.name for sample in SAMPLES])
def test_the_caret_stands_under_what_is_wrong(sample: Sample) -> None:
    """Where all signs are one column wide, the columns of the caret are those that the message names."""
    head, line, marker, _ = sample.message().split('\n')
    file, number, column, _ = head.split(':', 3)
    text = sample.text.splitlines()[int(number) - 1]
    assert (file, text.strip()) == ('sample.py', line.strip())
    if text.isascii() and '\t' not in text:
        indent = len(text) - len(text.lstrip())
        assert marker.index('^') - 4 + indent == int(column) - 1
        assert marker.strip('^ ') == ''
        assert len(marker) <= len(line)


def test_a_root_without_a_text_is_refused_where_it_is_given() -> None:
    line = inspect.currentframe().f_lineno + 2  # type: ignore[union-attr]
    with pytest.raises(Refused) as caught:
        compile_unit({'f': math.gcd}, RAW)
    assert caught.value.name == 'not-a-kernel-function'
    assert caught.value.place[:2] == (__file__, line)
    assert caught.value.place.text.strip() == "compile_unit({'f': math.gcd}, RAW)"


def test_a_lowering_that_is_not_marked_is_refused_where_it_is_defined() -> None:
    module = define('@kernel\ndef f(m: Machine) -> word:\n    return read_cr2(m)\n')
    lowering = define('def lowering(m: Machine) -> VirtAddr:\n    return VirtAddr(0)\n', file='low.py').lowering
    with pytest.raises(Refused, match=r'low\.py:1:5: lowering is not a kernel function'):
        compile_unit({'f': module.f}, raw_with({'read_cr2': lowering}))


def test_a_number_that_is_too_long_for_cpython_to_write_is_left_out() -> None:
    number = f'0x{"f" * 5000}'
    for name, parameter, result in (('annotation', number, 'x'), ('call-what', 'word', f'f({number})(2)')):
        module = define(f'@kernel\ndef f(x: {parameter}) -> word:\n    return {result}\n')
        with pytest.raises(Refused, match=r'py:\d:\d+: \.\.\. is not') as caught:
            compile_unit({'f': module.f}, RAW)
        assert caught.value.name == name


def test_a_function_whose_text_is_gone_is_an_error_that_says_so() -> None:
    module = define('@kernel\ndef f() -> word:\n    return 1\n')
    for text in ('# another text\n', '@kernel\ndef g() -> word:\n    return 2\n'):
        define(text)
        with pytest.raises(OSError, match=r'sample\.py does not hold the text of f'):
            compile_unit({'f': module.f}, RAW)
