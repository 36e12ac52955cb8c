"""The messages of the front end: all of them, as they should be; and that nothing else comes out of it."""

import ast
from pathlib import Path
from typing import Any, Final

import pytest

from incroos.lang.frontend import MESSAGES, RAW, Refused, compile_unit
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


def not_functions() -> dict[str, Any]:
    module = define(
        """
import functools

unmarked = lambda x: x
a_lambda = kernel(lambda x: x)

@kernel
async def a_coroutine(x: word) -> word:
    return x

@functools.lru_cache
@kernel
def wrapped(x: word) -> word:
    return x

class Class:
    pass
"""
    )
    return {name: getattr(module, name) for name in ('unmarked', 'a_lambda', 'a_coroutine', 'wrapped', 'Class')}


@pytest.mark.parametrize('name', not_functions())
def test_what_is_no_kernel_function_can_neither_be_compiled_nor_called(name: str) -> None:
    found = not_functions()[name]
    with pytest.raises(TypeError, match='is not a kernel function'):
        compile_unit({'f': found}, RAW)
    caller = define(f'@kernel\ndef f(x: word) -> word:\n    return {name}(x)\n', {name: found})
    with pytest.raises(Refused, match=f'{name} is not a kernel function'):
        compile_unit({'f': caller.f}, RAW)


def test_a_function_whose_text_is_gone_is_an_error_that_says_so() -> None:
    module = define('@kernel\ndef f() -> word:\n    return 1\n')
    for text in ('# another text\n', '@kernel\ndef g() -> word:\n    return 2\n'):
        define(text)
        with pytest.raises(OSError, match=r'sample\.py does not hold the text of f'):
            compile_unit({'f': module.f}, RAW)
