"""Every operator and every function on words over edge values, interpreted against compiled.

Inside the word a plain and a checked build give Python's result; a checked build traps exactly where Python's result
leaves the word, the divisor is zero or a shift count is not one of 0 to 63.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest

from incroos.lang.words import WORD_MAX, WORD_MIN

from .compiled import Memory, Trap, compiled
from .flat import FlatMachine
from .sample import define

POWERS: Final = (2, 3, 7, 8, 15, 16, 31, 32, 33, 47, 62, 63)
EDGES: Final = sorted(
    {
        value
        for value in (
            *range(-3, 4),
            *(10, -10, 63, 64, 65, 100, -64),
            *(sign * (1 << power) + offset for power in POWERS for sign in (1, -1) for offset in (-1, 0, 1)),
        )
        if WORD_MIN <= value <= WORD_MAX
    }
)
NEAR_ENDS: Final = (WORD_MIN, WORD_MIN + 1, WORD_MAX - 1, WORD_MAX, 1 << 32, -1 << 32, 1 << 62, -1 << 62)
CONSTANTS: Final = [value for value in EDGES if abs(value) < 11 or value in NEAR_ENDS]
BINARY: Final = ('+', '-', '*', '//', '%', '&', '|', '^', '<<', '>>', '==', '!=', '<', '<=', '>', '>=')
WRAPPING: Final = ('add_wrap', 'sub_wrap', 'mul_wrap', 'shl_wrap', 'shr_logical', 'unsigned_less', 'min', 'max')
COUNTING: Final = ('count_trailing_zeros', 'count_leading_zeros', 'count_ones')
SHIFTS: Final = ('<<', '>>', 'shl_wrap', 'shr_logical')
OUTSIDE: Final = object()  # what a checked build must trap at


def expected(function: Callable[..., int], row: Sequence[int], shifts: bool) -> object:
    """Python's result, or OUTSIDE."""
    if shifts and not 0 <= row[-1] < 64:
        return OUTSIDE
    try:
        result = int(function(*row))
    except ZeroDivisionError:
        return OUTSIDE
    return result if WORD_MIN <= result <= WORD_MAX else OUTSIDE


def compare(cases: dict[str, tuple[Callable[..., int], list[tuple[int, ...]], bool]]) -> None:
    """Run all rows of all functions in both builds."""
    functions = {name: function for name, (function, _, _) in cases.items()}
    plain, checked = compiled(functions), compiled(functions, checked=True)
    for name, (function, rows, shifts) in cases.items():
        wanted = [expected(function, row, shifts) for row in rows]
        inside = [(row, want) for row, want in zip(rows, wanted, strict=True) if want is not OUTSIDE]
        found: Sequence[object] = plain.rows(name, [row for row, _ in inside])
        assert found == [want for _, want in inside], name
        found = [OUTSIDE if isinstance(value, Trap) else value for value in checked.rows(name, rows)]
        wrong = [case for case in zip(rows, wanted, found, strict=True) if case[1] != case[2]]
        assert not wrong, (name, wrong[:3])


def pairs() -> list[tuple[int, ...]]:
    return list(itertools.product(EDGES, repeat=2))


def binary_text(operator: str) -> str:
    is_call = operator.isidentifier()
    kind = 'bool' if operator in BINARY[10:] or operator == 'unsigned_less' else 'word'
    expression = f'{operator}(a, b)' if is_call else f'a {operator} b'
    return f'@kernel\ndef f(a: word, b: word) -> {kind}:\n    return {expression}\n'


@pytest.mark.parametrize('operator', BINARY + WRAPPING)
def test_binary(operator: str) -> None:
    compare({'f': (define(binary_text(operator)).f, pairs(), operator in SHIFTS)})


@pytest.mark.parametrize('operator', ['+', '-', '*', '//', '%', '&', '|', '^', '<<', '>>'])
def test_augmented_assignment(operator: str) -> None:
    text = f'@kernel\ndef f(a: word, b: word) -> word:\n    a {operator}= b\n    return a\n'
    compare({'f': (define(text).f, pairs(), operator in SHIFTS)})


@pytest.mark.parametrize('expression', ['-a', '~a', *(f'{name}(a)' for name in COUNTING)])
def test_unary(expression: str) -> None:
    module = define(f'@kernel\ndef f(a: word) -> word:\n    return {expression}\n')
    compare({'f': (module.f, [(value,) for value in EDGES], False)})


@pytest.mark.parametrize('operator', ['+', '-', '*', '//', '%', '<<', '>>'])
def test_one_operand_known_to_the_compiler(operator: str) -> None:
    """A divisor that is a power of two, or -1, and other constants take other ways through the front end."""
    cases: dict[str, tuple[Any, list[tuple[int, ...]], bool]] = {}
    texts = []
    for index, value in enumerate(CONSTANTS):
        known_right = not (operator in ('//', '%') and value == 0) and (operator not in SHIFTS or 0 <= value < 64)
        if known_right:
            texts.append(f'@kernel\ndef right{index}(a: word) -> word:\n    return a {operator} ({value})\n')
        texts.append(f'@kernel\ndef left{index}(a: word) -> word:\n    return ({value}) {operator} a\n')
    module = define('\n'.join(texts))
    rows: list[tuple[int, ...]] = [(value,) for value in EDGES]
    for name, function in vars(module).items():
        if name.startswith(('right', 'left')):
            cases[name] = function, rows, operator in SHIFTS and name.startswith('left')
    assert len(cases) > 25
    compare(cases)


def test_constants_are_folded_as_python_computes_them() -> None:
    texts: list[str] = []
    wanted = []
    for operator in BINARY[:10]:
        for left, right in itertools.product((-7, -1, 0, 3, 63, WORD_MAX, WORD_MIN), repeat=2):
            shifts = operator in SHIFTS
            source = f'({left}) {operator} ({right})'
            result = expected(lambda a, b, source=source: eval(source), (left, right), shifts)
            if isinstance(result, int):
                texts.append(f'@kernel\ndef f{len(texts)}() -> word:\n    return {source}\n')
                wanted.append(result)
    module = define('\n'.join(texts))
    unit = compiled([getattr(module, f'f{index}') for index in range(len(texts))])
    assert [unit.call(f'f{index}') for index in range(len(texts))] == wanted


@pytest.mark.parametrize('operator', ['&', '|', '^', '==', '!=', '<', '<=', '>', '>=', '+', '-', '*'])
def test_bools_are_the_words_0_and_1(operator: str) -> None:
    kind = 'word' if operator in '+-*' else 'bool'
    text = f"""
@kernel
def both(a: bool, b: bool) -> {kind}:
    return a {operator} b

@kernel
def mixed(a: bool, b: word) -> word:
    return a {operator} b

@kernel
def mixed_too(a: word, b: bool) -> word:
    return a {operator} b
"""
    module = define(text)
    bits: list[tuple[int, ...]] = [(a, b) for a in (0, 1) for b in (0, 1)]
    words: list[tuple[int, ...]] = [(a, b) for a in (0, 1) for b in EDGES if operator not in '+-*' or abs(b) < 1 << 62]
    compare(
        {
            'both': (module.both, bits, False),
            'mixed': (module.mixed, words, False),
            'mixed_too': (module.mixed_too, [(b, a) for a, b in words], False),
        }
    )


def test_logic_stops_as_early_as_python() -> None:
    """and, or and chained comparisons compute their later operands only where Python does."""
    module = define(
        """
@kernel
def note(m: Machine, log: VirtAddr, value: word) -> word:
    store64(m, log, load64(m, log) * 10 + value)
    return value

@kernel
def chain(m: Machine, log: VirtAddr, a: word, b: word, c: word) -> bool:
    return note(m, log, a) < note(m, log, b) <= note(m, log, c)

@kernel
def logic(m: Machine, log: VirtAddr, a: word, b: word, c: word) -> bool:
    return note(m, log, a) > 1 and (note(m, log, b) > 1 or not note(m, log, c) > 1)

@kernel
def choice(m: Machine, log: VirtAddr, a: word, b: word, c: word) -> word:
    return note(m, log, b) if note(m, log, a) > 1 else note(m, log, c) + note(m, log, a)
"""
    )
    memory = Memory(64)
    unit = compiled([module.chain, module.logic, module.choice])
    for name in ('chain', 'logic', 'choice'):
        for row in itertools.product((1, 2, 3), repeat=3):
            machine = FlatMachine(memory.addr, 64)
            memory.clear()
            wanted = int(getattr(module, name)(machine, memory.addr, *row))
            assert unit.call(name, memory.addr, *row) == wanted
            assert memory.content() == bytes(machine.bytes)
