"""Texts that are not kernel Python, at least one for each message of the front end.

The messages as they should be are in golden/refusals.txt. To write that file anew, and then read what changed:

    .venv/bin/python -m tests.lang.refusals > tests/lang/golden/refusals.txt
"""

import enum
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, NamedTuple, NewType, NoReturn, Protocol

import pytest

from incroos.lang import U8, Array, Config, Order, PhysAddr, Struct, VirtAddr, kernel, u64, word
from incroos.lang.frontend import BARE, RAW, Refused, Target, compile_unit

from .sample import define

Name = NewType('Name', str)


class Inner(Struct):
    first: u64


class Frames(Protocol):
    FIRST: word

    def take(self, order: word) -> word: ...


FRAMES: Final[Any] = define('FIRST = 3\n@kernel\ndef take(order: word) -> word:\n    return order\n')


@dataclass(frozen=True)
class Choice(Config):
    nr_frames: word
    label: str = 'classic'
    frames: Frames = FRAMES


class Block(Struct):
    size: u64
    next: VirtAddr
    frame: PhysAddr
    order: Annotated[Order, U8]
    inner: Inner
    config: Choice
    items: Annotated[Array[u64], 4]
    parts: Annotated[Array[Inner], 2]
    rest: Annotated[Array[u64], 0]


class Colour(enum.IntEnum):
    RED = 1


@kernel
def give_two() -> tuple[word, word]:
    return 1, 2


@kernel
def give_nothing() -> None:
    pass


@kernel
def stop(x: word) -> NoReturn:
    while True:
        pass


@kernel
def take(first: word, second: PhysAddr) -> word:
    return first + second


def not_marked(x: word) -> word:
    return x


WORLD: Final = {
    'Block': Block,
    'Colour': Colour,
    'HUGE': 1 << 64,
    'NAME': 'a string',
    'Name': Name,
    'TABLE': [1, 2],
    'give_nothing': give_nothing,
    'give_two': give_two,
    'lang': define('BASE = VirtAddr(5)\n', file='names.py'),
    'math': math,
    'not_marked': not_marked,
    'stop': stop,
    'take': take,
}


class Sample(NamedTuple):
    """A text whose function f is refused, with this message."""

    name: str
    text: str
    target: Target = RAW
    config: object = Choice(nr_frames=4)

    def message(self) -> str:
        """What the front end says."""
        with pytest.raises(Refused) as caught:
            compile_unit({'f': define(self.text, WORLD).f}, self.target, self.config)
        assert caught.value.name == self.name, caught.value
        return str(caught.value)


def function(name: str, text: str) -> Sample:
    """A sample that is a whole function."""
    return Sample(name, f'@kernel\n{text}\n')


def body(name: str, *lines: str) -> Sample:
    """A sample that is the body of a function with a parameter of each kind."""
    parameters = 'm: Machine, block: Block, x: word, pa: PhysAddr, va: VirtAddr, is_on: bool, text: bytes'
    return function(name, '\n    '.join([f'def f({parameters}) -> word:', *lines]))


def enclosed(name: str, *lines: str) -> Sample:
    """A sample that is the body of a function inside a function; its n is not the module's."""
    inner = '\n        '.join(['    @kernel\n    def f() -> word:', *lines])
    return Sample(name, f'n = 1\n\ndef outer():\n    n = 2\n{inner}\n    return f\n\nf = outer()\n')


NO_FUNCTIONS: Final = {
    'unmarked': 'def unmarked(x: word) -> word:\n    return x',
    'a_lambda': 'a_lambda = kernel(lambda x: x)',
    'coroutine': '@kernel\nasync def coroutine(x: word) -> word:\n    return x',
    'generator': '@kernel\nasync def generator(x: word):\n    yield x',
    'cached': 'import functools\n@functools.cache\n@kernel\ndef cached(x: word) -> word:\n    return x',
    'wrapper': 'import functools\n@kernel\ndef g(x: word) -> word:\n    return x\n\n'
    '@functools.wraps(g)\ndef wrapper(*words):\n    return g(*words)',
    'partial': 'import functools\n@kernel\ndef g(x: word) -> word:\n    return x\npartial = functools.partial(g, 1)',
    'Class': 'class Class:\n    pass',
    'method': 'class Class:\n    @kernel\n    def method(self, x: word) -> word:\n        return x\n'
    'method = Class().method',
    'in_a_class': '_Class__y = 3\nclass Class:\n    @kernel\n    def f(x: word) -> word:\n        return __y\n'
    'in_a_class = Class.f',
    'gcd': 'from math import gcd',
}


def not_functions() -> Iterator[Sample]:
    """What is no kernel function, as a root and in a call."""
    for name, text in NO_FUNCTIONS.items():
        if name != 'gcd':  # which has no text: the place is that of the caller
            yield Sample('not-a-kernel-function', f'{text}\nf = {name}\n')
        yield Sample('not-a-kernel-function', f'{text}\n@kernel\ndef f(x: word) -> word:\n    return {name}(x)\n')


def functions() -> Iterator[Sample]:
    """Functions, parameters and results."""
    yield Sample(
        'recursion',
        """@kernel
def even(n: word) -> bool:
    return True if n == 0 else odd(n - 1)

@kernel
def odd(n: word) -> bool:
    return False if n == 0 else even(n - 1)

@kernel
def f(n: word) -> bool:
    return even(n)
""",
    )
    yield function('recursion', 'def f(n: word) -> word:\n    return f(n - 1)')
    yield body('not-a-kernel-function', 'return not_marked(x)')
    yield body('not-a-kernel-function', 'print(x)', 'return 0')
    yield body('not-a-kernel-function', 'return int(is_on)')
    yield body('not-a-kernel-function', 'return 1 if bool(x) else 0')
    yield body('not-a-kernel-function', 'return math.gcd(x, 4)')
    yield body('not-a-kernel-function', 'return TABLE(1)')
    yield body('not-a-kernel-function', 'return x + Name(5)')
    yield from not_functions()
    yield Sample('decorator', '@not_marked\n@kernel\ndef f(x: word) -> word:\n    return x\n')
    for marks in ('@inlined\n@cold', '@apart\n@inlined', '@inlined\n@apart\n@cold'):
        yield Sample('contrary-marks', f'{marks}\n@kernel\ndef f(x: word) -> word:\n    return x\n')
    yield function('parameter-kind', 'def f(x: word, /, y: word) -> word:\n    return x')
    yield function('parameter-kind', 'def f(*, x: word) -> word:\n    return x')
    yield function('parameter-kind', 'def f(x: word, *rest: word) -> word:\n    return x')
    yield function('parameter-kind', 'def f(x: word, **rest: word) -> word:\n    return x')
    yield function('default-value', 'def f(x: word = 5) -> word:\n    return x')
    yield function('no-annotation', 'def f(x) -> word:\n    return x')
    yield function('annotation', 'def f(x: list[int]) -> word:\n    return 0')
    yield function('annotation', "def f(x: 'Missing') -> word:\n    return 0")
    yield function('annotation', "def f(x: '1 +') -> word:\n    return 0")
    yield function('annotation', 'def f(x: Name) -> word:\n    return 0')
    yield function('annotation', 'def f(x: u8) -> word:\n    return x')
    yield function('annotation', 'def f(x: Struct) -> word:\n    return 0')
    yield function('annotation', 'def f(x: None) -> word:\n    return 0')
    yield Sample(
        'annotation',
        'from dataclasses import dataclass\n\n@dataclass(frozen=True)\n'
        "class Wrong(Config):\n    nr_frames: 'Missing'\n\nclass Top(Struct):\n    config: Wrong\n\n"
        '@kernel\ndef f(k: Top) -> word:\n    return k.config.nr_frames\n',
    )
    yield function('annotation', 'def f() -> float:\n    return 0')
    yield function('annotation', 'def f() -> tuple[word, ...]:\n    return 1, 2')
    yield function('annotation', 'def f() -> tuple[word, bytes]:\n    return 1, b"a"')
    yield function('no-result-annotation', 'def f(x: word):\n    return x')
    yield function('too-deep', 'def f(x: word) -> word:\n    return x' + ' + x' * 2000)
    yield body('falls-off', 'if is_on:', '    return 1')
    yield function('returns-after-all', 'def f(x: word) -> NoReturn:\n    x = 5')
    yield function('returns-after-all', 'def f(x: word) -> NoReturn:\n    return')
    yield function('result-type', 'def f(x: word) -> PhysAddr:\n    return x')
    yield function('result-type', 'def f(x: word) -> bool:\n    return x & 1')
    yield function('result-type', 'def f(x: word) -> None:\n    return x')
    yield function('result-type', 'def f(x: Block) -> word:\n    return x')
    yield function('result-type', 'def f(m: Machine, x: VirtAddr) -> Block:\n    return x')
    yield function('result-type', 'def f(x: word) -> tuple[word, word]:\n    return x')
    yield function('result-type', 'def f(x: word) -> tuple[word, word]:\n    return x, x, x')
    yield function('result-type', 'def f(x: word) -> tuple[word, PhysAddr]:\n    return x, x')
    yield body('result-missing', 'return')
    yield body('result-missing', 'return None')


def statements() -> Iterator[Sample]:
    """Statements that kernel Python does not have, and wrong uses of those that it has."""
    for lines in (
        ['try:', '    x = 1', 'finally:', '    x = 2'],
        ['try:', '    x = 1', 'except* OSError:', '    x = 2'],
        ['raise ValueError(x)'],
        ['with block:', '    x = 1'],
        ['assert x > 0'],
        ['del x'],
        ['global TABLE'],
        ['import os'],
        ['from os import path'],
        ['def inner() -> word:', '    return 1'],
        ['async def inner() -> word:', '    return 1'],
        ['class Inner:', '    pass'],
        ['count: word = 1'],
    ):
        yield body('statement', *lines, 'return x')
    yield enclosed('statement', 'nonlocal n', 'return n')
    yield from matches()
    yield body('never-runs', 'return x', 'x = 5')
    yield body('never-runs', 'while True:', '    x += 1', 'return x')
    yield body('never-runs', 'for i in range(x):', '    break', '    x += i', 'return x')
    yield body('several-targets', 'a = b = x', 'return a')
    yield body('target', '[a, b] = give_two()', 'return a')
    yield body('target', 'a, *b = give_two()', 'return a')
    yield body('target', 'a, (b, c) = give_two()', 'return a')
    yield body('target', 'text[0] = 65', 'return 0')
    yield body('target', 'block.addr = va', 'return 0')
    yield body('target', 'math.pi = 3', 'return 0')
    yield body('target', 'Block.SIZE = 3', 'return 0')
    yield body('assign-part', 'block.inner = block.parts[0]', 'return 0')
    yield body('assign-part', 'block.items = block.items', 'return 0')
    yield body('assign-part', 'block.parts[0] = block.inner', 'return 0')
    yield body('assign-part', 'block.config.nr_frames = 3', 'return 0')
    yield body('changes-type', 'pa = x', 'return 0')
    yield body('changes-type', 'pa += 4096', 'return 0')
    yield body('changes-type', 'is_on = 1', 'return 0')
    yield body('changes-type', 'x = block', 'return 0')
    yield body('changes-type', 'block = va', 'return 0')
    yield body('changes-type', 'm = x', 'return 0')
    yield body('changes-type', 'for pa in range(4):', '    pass', 'return 0')
    yield body('field-type', 'block.frame = x', 'return 0')
    yield body('field-type', 'block.frame = va', 'return 0')
    yield body('field-type', 'block.order += 1', 'return 0')
    yield body('too-wide', 'block.order = Order(256)', 'return 0')
    yield body('too-wide', 'block.order = Order(-1)', 'return 0')
    yield body('too-wide-number', 'store8(m, va, 256)', 'return 0')
    yield body('too-wide-number', 'fill(m, va, 0, -1)', 'return 0')
    yield body('unpack', 'a, b, c = give_two()', 'return a')
    yield body('unpack', 'a, b = x, x, x', 'return a')
    yield body('unpack-what', 'a, b = x', 'return a')
    yield body('for-over', 'for item in block.items:', '    x += item', 'return x')
    yield body('for-over', 'for item in (1, 2):', '    x += item', 'return x')
    yield body('for-target', 'for a, b in text:', '    x += a', 'return x')
    yield body('for-target', 'for block.size in range(4):', '    x += 1', 'return x')
    yield body('loop-else', 'for i in range(x):', '    pass', 'else:', '    x = 1', 'return x')
    yield body('loop-else', 'while x > 0:', '    x -= 1', 'else:', '    x = 1', 'return x')
    yield body('range-step', 'for i in range(0, 10, 0):', '    pass', 'return x')
    yield body('range-step', 'for i in range(0, 10, x):', '    pass', 'return x')
    yield body('range-arguments', 'for i in range():', '    pass', 'return x')
    yield body('range-arguments', 'for i in range(1, 2, 3, 4):', '    pass', 'return x')
    yield body('result-unused', 'x + 1', 'return x')
    yield body('result-unused', '...', 'return x')
    yield body('condition', 'if x & 1:', '    return 1', 'return 0')
    yield body('condition', 'while (x if is_on else 0):', '    x -= 1', 'return 0')
    yield body('condition', 'return 1 if not block else 0')
    yield body('condition', 'return 1 if is_on and pa else 0')


def matches() -> Iterator[Sample]:
    """Cases that no switch has."""
    for pattern in (
        'True',
        '[1, 2]',
        '{1: 2}',
        'Block()',
        'x',
        '1 as y',
        '1 | _',
        '1 | [2]',
        'b"text"',
        '1.5',
        '1 + 2j',
        'math.pi',
        'block.size',
        '_ if is_on',
        '1 if x > 2',
    ):
        refused = 'constant' if pattern == '1.5' else 'not-constant' if pattern == 'math.pi' else 'pattern'
        yield body(refused, 'match x:', f'    case {pattern}:', '        return 1', 'return 0')
    yield body(
        'case-twice', 'match x:', '    case 1 | 2:', '        return 1', '    case 2:', '        return 2', 'return 0'
    )
    yield body('case-twice', 'match x:', '    case -1 | -1:', '        return 1', 'return 0')
    yield body('too-large', 'match x:', '    case 0x8000000000000000:', '        return 1', 'return 0')
    yield body('unknown-name', 'match x:', '    case missing.NAME:', '        return 1', 'return 0')
    yield body('operand', 'match is_on:', '    case 1:', '        return 1', 'return 0')
    yield body('operand', 'match text:', '    case 1:', '        return 1', 'return 0')
    yield body('compare', 'match pa:', '    case lang.BASE:', '        return 1', 'return 0')
    yield body('falls-off', 'match x:', '    case 1:', '        return 1')
    yield body(
        'never-runs', 'match x:', '    case 1:', '        return 1', '    case _:', '        return 2', 'return x'
    )
    yield body('maybe-unassigned', 'match x:', '    case 1:', '        y = 1', 'return y')


def expressions() -> Iterator[Sample]:
    """Expressions."""
    for text in (
        '[x]',
        '{x: 1}',
        '{x}',
        '[i for i in range(4)]',
        '{i for i in range(4)}',
        '{i: i for i in range(4)}',
        '(i for i in range(4))',
        'f"{x}"',
        'lambda: x',
        '(y := x)',
        '(x, x)',
        'yield x',
        'yield from text',
    ):
        yield body('expression', f'y = {text}', 'return 0')
    yield body('expression', 'return take(*text, pa)')
    yield body('constant', 'return 1.5')
    yield body('constant', 'return 2j')
    yield body('constant', "y = 'text'", 'return 0')
    yield body('constant', 'y = None', 'return 0')
    yield body('constant', 'y = ...', 'return 0')
    yield Sample('constant', '@kernel\ndef f(k: Block) -> word:\n    return k.config.label\n')
    yield body('too-large', 'return x & 0xFFFF_FFFF_FFFF_FFFF')
    yield body('too-large', 'return 1 << 63')
    yield body('too-large', 'return -9223372036854775809')
    yield body('too-large', 'return HUGE')
    yield body('too-large', f'return 0x{"f" * 30}')
    yield body('operator', 'return x / 2')
    yield body('operator', 'return x ** 2')
    yield body('operator', 'return x @ 2')
    yield body('operator', 'return +x')
    yield body('operator', 'x /= 2', 'return x')
    yield body('operator', 'return 1 if x is x else 0')
    yield body('operator', 'return 1 if x is not x else 0')
    yield body('operator', 'return 1 if x in text else 0')
    yield body('operator', 'return 1 if x not in text else 0')
    yield body('operand', 'return block + 1')
    yield body('operand', 'return x + block.items')
    yield body('operand', 'return -text')
    yield body('operand', 'return block.items[text]')
    yield body('operand', 'block.next = block', 'return 0')
    yield body('operand', 'for i in range(block):', '    pass', 'return 0')
    yield body('compare', 'return 1 if block == block else 0')
    yield body('compare', 'return 1 if pa == va else 0')
    yield body('compare', 'return 1 if text == b"yes" else 0')
    yield body('compare', 'return 1 if 0 <= x < block else 0')
    yield body('divide-by-zero', 'return x // 0')
    yield body('divide-by-zero', 'return 5 % 0')
    yield body('shift-count', 'return x << 64')
    yield body('shift-count', 'return x >> -1')
    yield body('branches', 'y = block if is_on else x', 'return 0')
    yield body('branches', 'y = m if is_on else m', 'return 0')
    yield body('unknown-name', 'return missing')
    yield body('unknown-name', 'return missing(x)')
    yield body('not-constant', 'return NAME')
    yield body('not-constant', 'return math')
    yield body('not-constant', 'return math.pi')
    yield body('not-constant', 'return Block')
    yield body('not-constant', 'return take')
    yield body('not-constant', 'return Colour.RED')
    yield body('not-constant', 'return TABLE[0]')
    yield body('maybe-unassigned', 'if is_on:', '    y = 1', 'return y')
    yield body('maybe-unassigned', 'for i in range(x):', '    pass', 'return i')
    yield body('maybe-unassigned', 'y += 1', 'return y')
    yield body('maybe-unassigned', 'while is_on:', '    y = 1', '    break', 'return y')
    yield enclosed('closure', 'return n')
    yield body('no-field', 'return block.length')
    yield body('no-field', 'block.length = 1', 'return 0')
    yield body('no-field', "return offset_of(Block, 'length')")
    yield body('no-field', "return offset_of(Block, 'config')")
    yield body('no-field', "return address_of(block, 'length')")
    yield body('no-field', "return address_of(block.inner, 'size')")
    yield body('no-field', "return address_of(block, 'config')")
    yield body('field-name', 'return address_of(block, size)')
    yield body('field-name', 'return offset_of(Block, frame)')
    yield body('no-field', 'return block.config.nr_pages')
    yield body('no-attribute', 'return va.size')
    yield body('no-attribute', 'return block.items.length')
    yield body('no-attribute', 'return m.config')
    yield body('no-attribute', 'return Block.SIZ')
    yield body('no-attribute', 'return Block.size')
    yield body('no-constant', 'return math.missing')
    yield body('no-config', 'return block.config.nr_frames')._replace(config=None)
    yield body('no-member', 'return block.config.frames.put(1)')
    yield body('no-member', 'return block.config.frames.LAST')
    yield body('not-constant', 'return block.config.frames')
    yield body('assign-part', 'block.config.frames = 1', 'return 0')
    yield body('assign-part', 'block.config.frames.FIRST = 1', 'return 0')
    yield body('not-indexable', 'return x[1]')
    yield body('not-indexable', 'return block[1]')
    yield body('slice', 'return block.items[1:2]')
    yield body('slice', 'return text[:2]')
    yield body('index-range', 'return block.items[4]')
    yield body('index-range', 'return block.items[-1]')
    yield body('index-range', 'return block.rest[-1]')
    yield body('index-range', 'return block.rest[1 << 61]')
    yield body('index-range', 'return text[-1]')


def calls() -> Iterator[Sample]:
    """Calls."""
    yield body('call-what', 'return m.load64(va)')
    yield body('call-what', 'return block.inner(1)')
    yield body('call-what', 'return take(1, pa)(2)')
    yield body('call-what', 'return block.parts[x].config.frames.take(1)')
    yield body('call-what', 'return block.config.nr_frames(1)')
    yield body('call-what', 'take = take(1, pa)', 'return take')
    yield body('keyword', 'return take(1, second=pa)')
    yield body('argument-count', 'return take(1)')
    yield body('argument-count', 'return min(1, 2, 3)')
    yield body('argument-count', 'return load64(m)')
    yield body('argument-count', 'return Block(va).size')
    yield body('argument-count', 'return PhysAddr()')
    yield body('argument-type', 'return take(1, x)')
    yield body('argument-type', 'return take(1, va)')
    yield body('argument-type', 'return take(block, pa)')
    yield body('argument-type', 'return load64(m, x)')
    yield body('argument-type', 'return load64(va, va)')
    yield body('argument-type', 'return Block(m, x).size')
    yield body('argument-type', 'return PhysAddr(block)')
    yield body('argument-type', 'return len(block.items)')
    yield body('argument-type', 'return len(block.rest)')
    yield body('argument-type', 'return max(x, text)')
    yield body('argument-type', "return offset_of(x, 'size')")
    yield body('argument-type', "return address_of(x, 'size')")
    yield body('argument-type', "return address_of(block.items, 'size')")
    yield body('argument-count', 'return address_of(block)')
    yield body('field-name', 'return offset_of(Block, 8)')
    yield body('no-value', 'return 1 + give_nothing()')
    yield body('no-value', 'y = give_nothing()', 'return 0')
    yield function('no-value', 'def f() -> None:\n    return give_nothing()')
    yield function('never-returns', 'def f(x: word) -> NoReturn:\n    return stop(x)')
    yield function('never-returns', 'def f(x: word) -> None:\n    return stop(x)')
    yield function('never-returns', 'def f(x: word) -> tuple[word, word]:\n    return stop(x)')
    yield body('never-returns', 'return stop(x)')
    yield body('never-returns', 'return stop(x) if is_on else 1')
    yield body('never-returns', 'y = stop(x)', 'return y')
    yield body('never-returns', 'a, b = stop(x)', 'return a')
    yield body('several-values', 'y = give_two()', 'return 0')
    yield body('several-values', 'return 1 + give_two()')
    yield body('no-lowering', 'return in8(m, 0x60)')
    yield Sample('no-lowering', '@kernel\ndef f(m: Machine) -> word:\n    return call4(m, 0, 1, 2, 3, 4)\n', BARE)


def places() -> Iterator[Sample]:
    """Carets under texts with tabs, with signs of other width than one byte, and over several lines."""
    yield function('unknown-name', 'def f(x: word) -> word:\n\ty =\tx +\tmissing\n\treturn y')
    yield function('unknown-name', 'def f(größe: word) -> word:\n    return größe * missing')
    yield function('unknown-name', 'def f(漢字: word) -> word:\n    return 漢字 * missing + 漢字')
    yield function('argument-count', 'def f(x: word) -> word:\n    return take(  # why\n        x,\n    )')
    yield function('unknown-name', 'def f(x: word) -> word:\n    return (\n        x\n        + missing\n    )')


def samples() -> list[Sample]:
    return [*functions(), *statements(), *expressions(), *calls(), *places()]


def golden() -> str:
    """The golden file: each sample's key and message."""
    return '\n'.join(f'== {sample.name}\n{sample.message()}\n' for sample in samples())


if __name__ == '__main__':
    print(golden(), end='')
