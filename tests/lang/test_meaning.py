"""What the constructs of the language mean: each text gives the same interpreted, compiled, and with checks."""

import ctypes
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from incroos.build.codegen import compile_bare
from incroos.build.stack import analyse
from incroos.lang import VirtAddr, words
from incroos.lang.frontend import BARE, RAW, Refused, compile_unit, raw_with, simulated
from incroos.lang.words import WORD_MAX, WORD_MIN

from .compiled import Memory, Trap, compiled
from .flat import FlatMachine
from .sample import define
from .test_programs import LOWERINGS

NBYTES: Final = 512
HEAD: Final = """
class Inner(Struct):
    value: u64
    tag: u8

class State(Struct):
    count: u64
    small: u8
    frame: PhysAddr
    inner: Inner
    items: Annotated[Array[u64], 4]
    parts: Annotated[Array[Inner], 3]
    bytes: Annotated[Array[u8], 8]
    rest: Annotated[Array[u64], 0]

@kernel
def log(s: State, value: word) -> word:
    s.count = s.count * 10 + value
    return value

"""


def same(text: str, rows: Sequence[Sequence[int]] = ((),), names: dict[str, Any] | None = None) -> None:
    """f(s: State, ...) gives the same results and leaves the same memory in all builds."""
    module = define(HEAD + text, {'words': words, **(names or {})})
    memory = Memory(NBYTES)
    builds = [compiled([module.f], checked=checked) for checked in (False, True)]
    for row in rows:
        machine = FlatMachine(memory.addr, NBYTES)
        wanted = int(module.f(module.State(machine, memory.addr), *row) or 0)
        for build in builds:
            memory.clear()
            found = build.call('f', memory.addr, *row)
            assert memory.content() == bytes(machine.bytes), row
            assert module.f.__annotations__['return'] is None or found == wanted, row


SAMPLES: Final = {
    'targets are computed after values, and one after the other': """
@kernel
def f(s: State, a: word) -> None:
    s.items[log(s, 1)], s.items[log(s, 2)] = log(s, 3), log(s, 4)
    s.items[0], s.items[s.items[0]] = log(s, a), log(s, 7)
""",
    'the place of an augmented assignment is computed once, its old value before the new': """
@kernel
def f(s: State, a: word) -> None:
    s.items[log(s, a)] += log(s, 2)
    s.parts[log(s, a & 1)].value -= log(s, 4)
    s.count ^= log(s, a)
""",
    'swaps': """
@kernel
def f(s: State, a: word) -> word:
    b = 7
    a, b = b, a
    s.items[0], s.items[1] = a, b
    s.items[0], s.items[1] = s.items[1], s.items[0]
    return a * 10 + b
""",
    'results in tuples': """
@kernel
def two(s: State, a: word) -> tuple[word, bool]:
    return a + 1, a > 1

@kernel
def again(s: State, a: word) -> tuple[word, bool]:
    return two(s, a)

@kernel
def views(s: State) -> tuple[Inner, PhysAddr, word]:
    return s.parts[2], PhysAddr(9), 4

@kernel
def f(s: State, a: word) -> word:
    b, is_large = again(s, a)
    part, frame, n = views(s)
    part.value, s.frame = b, frame
    s.items[0], s.items[1] = two(s, n)
    return b if is_large else -b
""",
    'views are passed, returned and chosen': """
@kernel
def pick(s: State, a: word) -> Inner:
    return s.inner if a == 0 else s.parts[a & 1]

@kernel
def f(s: State, a: word) -> word:
    part = pick(s, a)
    part.value = 5
    other = s.inner if a == 1 else part
    other.tag = 3
    part = Inner(part.m, VirtAddr(part.addr + Inner.SIZE))
    part.value += 1
    items = s.items
    items[a & 3] = 8
    return items.addr - s.addr + offset_of(State, 'bytes')
""",
    'addresses of fields': """
@kernel
def f(s: State, a: word) -> word:
    part = s.parts[a & 1]
    store64(s.m, address_of(part, 'value'), 77)
    store8(s.m, address_of(s, 'small'), 5)
    at = address_of(s.inner, 'tag')
    at = VirtAddr(at + 0)
    store8(s.m, at, a & 1)
    s.items[0] = address_of(s, 'items') - s.addr
    s.items[1] = address_of(s.parts[log(s, 1)], 'tag') - address_of(s, 'parts')
    s.items[2] = load64(s.m, address_of(s, 'count')) + 3
    return address_of(s, 'rest') - s.addr + address_of(s, 'inner') - s.inner.addr
""",
    'a match with a return in each case': """
@kernel
def name(a: word) -> word:
    match a:
        case 0 | 1:
            return 10
        case -1:
            return 11
        case 2:
            return 12
        case 3:
            return 13
        case 4 | 5 | 6:
            return 14
        case 0x7FFF_FFFF_FFFF_FFFF | -0x8000_0000_0000_0000:
            return 15
        case words.WORD_BITS:
            return 16
        case _:
            return -a & 7

@kernel
def f(s: State, a: word) -> word:
    for i in range(-3, 8):
        s.items[i & 3] = add_wrap(s.items[i & 3] * 20, name(i))
    return name(a) + name(64) * 100 + name(-1 << 63) * 10000 + name(9223372036854775807)
""",
    'a match inside a loop, and cases that go on': """
@kernel
def f(s: State, a: word) -> word:
    total = 0
    for i in range(-1, 9):
        match log(s, i & 3) + i:
            case 0:
                continue
            case 1 | 3:
                total += 100
            case 5:
                pass
            case -7:
                total = 9
            case 9:
                if a > 1:
                    break
                total -= 1
            case _:
                match a:
                    case 1:
                        total += 1000
                    case 2:
                        return total
        total += 1
    match a:
        case 0:
            last = 1
        case _:
            last = 2
    match PhysAddr(total & 7):
        case 3:
            last += 4
    return total * 8 + last
""",
    'nested structs and arrays, and a flexible array': """
@kernel
def f(s: State, a: word) -> word:
    s.parts[1].value = 4
    s.parts[a & 1].tag = 255
    s.bytes[7] = 200
    s.rest[0] = 6
    s.rest[a & 7] = -6
    return s.bytes[7] + s.parts[1].value + State.SIZE
""",
    'text': """
NAME: Final = b'n\\xc3\\xbcl\\x00"\\\\'

@kernel
def total(text: bytes) -> word:
    found = 0
    for char in text:
        found = found * 3 + char
    return found

@kernel
def name(a: word) -> bytes:
    return NAME if a > 0 else b''

@kernel
def f(s: State, a: word) -> word:
    text = b'a' if a == 1 else name(a)
    found = total(text) + len(text) * 1000 + total(b'') + len(b'') + b'xyz'[a & 1]
    for text_index in range(len(text)):
        found += text[text_index]
    text = b'another'
    return found + len(text)
""",
    'the variable of a loop can be assigned, its bounds are computed once': """
@kernel
def f(s: State, a: word) -> word:
    i = -1
    n = 3
    for i in range(log(s, 1), log(s, n + a)):
        n = 100
        s.items[i & 3] += i
        i = i * 50
    for i in range(a, 0):
        s.small = 9
    return i + n
""",
    'break, continue and return in nested loops': """
@kernel
def f(s: State, a: word) -> word:
    total = 0
    for i in range(5):
        if i == a:
            continue
        j = 0
        while True:
            j += 1
            if j > i:
                break
            if j == 3 and a > 1:
                return total
            total += i * j
        for j in range(4, 0, -1):
            if j == a:
                break
            total += 100
    return total
""",
    'a local has a value behind a loop that always sets it': """
@kernel
def f(s: State, a: word) -> word:
    while True:
        a += 1
        if a % 5 == 0:
            found = a
            break
        if a > 100:
            found = 0
            break
    if found > 5:
        kind = 1
    elif found == 5:
        kind = 2
    else:
        return 9
    return found * 10 + kind
""",
    'names of built-ins and of the module are free for locals': """
log = 5

@kernel
def f(s: State, range: word) -> word:
    len = 4
    min = len + range
    s.count = min
    State = min
    kernel = State + log
    return kernel
""",
    'built-ins that the module defines anew are its own': """
@kernel
def min(a: word, b: word) -> word:
    return a * 100 + b

@kernel
def len(a: word) -> word:
    return a + 1

@kernel
def f(s: State, a: word) -> word:
    return min(a, len(a)) + max(a, 2)
""",
    'bools': """
IS_ON: Final = True

@kernel
def is_even(a: word) -> bool:
    return a % 2 == 0

@kernel
def both(a: bool, b: bool) -> bool:
    return a and not b or IS_ON and a != b

@kernel
def f(s: State, a: word) -> word:
    flag = is_even(a)
    flag &= a > 0 or both(flag, a == 2)
    other = not flag ^ True
    s.small = flag
    s.items[flag] = 1 + other
    n = 5
    n = flag
    return n + is_even(a) * 2 + both(flag, other) * 4 + (flag << 3) + (-flag << 4)
""",
    'constants': """
SIZE: Final = 4096
MASK: Final = -SIZE
LOW: Final = -9223372036854775808
BASE: Final[PhysAddr] = PhysAddr(0x1000)
OTHER: Final = BASE
THIRD: PhysAddr = OTHER

@kernel
def f(s: State, a: word) -> word:
    s.frame = BASE
    s.frame = OTHER
    s.frame = THIRD if a > 0 else PhysAddr(SIZE)
    return (a & MASK) + (LOW >> 60) - 0x7FFF_FFFF + (-1 << 63 >> 62)
""",
    'a function that never returns': """
@kernel
def stop(s: State) -> NoReturn:
    while True:
        s.count = 1

@kernel
def f(s: State, a: word) -> word:
    if a > 1000:
        stop(s)
    elif a > 500:
        stop(s)
    else:
        b = a
    return b
""",
    'a branch that is known': """
DEBUG: Final = False

@kernel
def f(s: State, a: word) -> word:
    if DEBUG:
        s.count = 1 // a
    if True:
        return a
    return 0
""",
    'what is not needed is computed all the same': """
@kernel
def f(s: State, a: word) -> None:
    log(s, 1) + log(s, 2) if a > 0 else log(s, 3)
""".replace('    log(s, 1) + log', '    unused = log(s, 1) + log'),
}


@pytest.mark.parametrize('name', SAMPLES)
def test_sample(name: str) -> None:
    same(SAMPLES[name], [(0,), (1,), (2,), (3,)])


@pytest.mark.parametrize('step', [1, -1, 2, -3, 7, WORD_MAX, WORD_MIN])
def test_range_is_pythons_also_at_the_ends_of_the_word(step: int) -> None:
    text = f"""
@kernel
def f(s: State, start: word, end: word) -> word:
    turns = 0
    for i in range(start, end, {step}):
        s.items[turns & 3] = i
        turns += 1
        if turns == 10:
            break
    return turns
"""
    ends = (WORD_MIN, WORD_MIN + 1, WORD_MIN + 7, -8, -1, 0, 1, 5, WORD_MAX - 8, WORD_MAX - 1, WORD_MAX)
    same(text, list(itertools.product(ends, ends)))


def test_constants_through_packages_and_other_names_keep_what_they_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / 'a_package'
    package.mkdir()
    (package / '__init__.py').write_text('from .inner import START as START\nfrom . import inner\n')
    (package / 'all.py').write_text('from .inner import *\nSTART_OF_ALL: Final = START\n')
    (package / 'inner.py').write_text(
        'from incroos.lang import VirtAddr\nfrom typing import Final\nSTART: Final = VirtAddr(0x7000)\nPAGE = 4096\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    text = """
import a_package
import a_package.inner as other
from a_package import START as BEGIN
from a_package.all import *

ALSO: Final = BEGIN

@kernel
def f(s: State) -> VirtAddr:
    s.count = BEGIN + a_package.inner.PAGE
    a = BEGIN
    a = ALSO
    a = START
    a = START_OF_ALL
    a = other.START
    a = a_package.START
    a = a_package.inner.START
    return a
"""
    same(text)


def test_functions_of_one_name_from_two_modules() -> None:
    one = define('@kernel\ndef g(a: word) -> word:\n    return a + 1\n', file='one.py')
    two = define('@kernel\ndef g(a: word) -> word:\n    return a * 10\n', file='two.py')
    same(
        '@kernel\ndef f(s: State, a: word) -> word:\n    return one.g(a) + two.g(a) + h(a)\n',
        [(4,)],
        {'one': one, 'two': two, 'h': one.g},
    )


def test_an_exported_function_can_be_called_inside_and_exported_twice() -> None:
    module = define(
        '@kernel\ndef g(a: word) -> word:\n    return a + 1\n\n@kernel\ndef f(a: word) -> word:\n    return g(g(a))\n'
    )
    unit = compiled({'f': module.f, 'g': module.g, 'also_g': module.g})
    assert [unit.call(name, 5) for name in ('f', 'g', 'also_g')] == [7, 6, 6]


# ---------------------------------------------------------------- primitives
def test_fill_and_copy_of_all_small_sizes() -> None:
    text = """
@kernel
def f(s: State, to: word, source: word, nbytes: word) -> None:
    fill(s.m, s.addr, 0xA5, 96)
    for i in range(64):
        store8(s.m, VirtAddr(s.addr + i), i)
    copy(s.m, VirtAddr(s.addr + to), VirtAddr(s.addr + source), nbytes)
    fill(s.m, VirtAddr(s.addr + 128 + to), 7, nbytes)
"""
    same(text, [(to, to + gap, nbytes) for to in (0, 3) for gap in (0, 1, 7, 8, 9, 30) for nbytes in range(27)])
    same(text, [(40, 3, nbytes) for nbytes in range(30)])


def test_loads_and_stores_of_each_width() -> None:
    text = """
@kernel
def f(s: State, value: word, at: word) -> word:
    store8(s.m, VirtAddr(s.addr + at), value & 0xFF)
    store16(s.m, VirtAddr(s.addr + at + 8), value & 0xFFFF)
    store32(s.m, VirtAddr(s.addr + at + 16), value & 0xFFFF_FFFF)
    store64(s.m, VirtAddr(s.addr + at + 24), value)
    found = load8(s.m, VirtAddr(s.addr + at + 24)) + load16(s.m, VirtAddr(s.addr + at + 25))
    return found + load32(s.m, VirtAddr(s.addr + at + 26)) + (load64(s.m, VirtAddr(s.addr + at + 24)) >> 9)
"""
    same(text, [(value, at) for value in (0, -1, 0x1234_5678_9ABC_DEF0, WORD_MIN) for at in (0, 1, 5)])


def test_atomics() -> None:
    module = define(
        HEAD
        + """
@kernel
def f(s: State, a: word) -> word:
    at = s.addr
    atomic_store64(s.m, at, 5)
    found = atomic_add64(s.m, at, a)
    found = found * 100 + atomic_exchange64(s.m, at, 7)
    found = found * 100 + atomic_compare_exchange64(s.m, at, 7, 8)
    found = found * 100 + atomic_compare_exchange64(s.m, at, 7, 9)
    return found * 100 + atomic_load64(s.m, at)
"""
    )
    memory = Memory(64)
    assert compiled([module.f]).call('f', memory.addr, 3) == 5_08_07_08_08
    compiled([module.f]).call('f', memory.addr, WORD_MAX)  # adding wraps
    assert memory.words()[0] == 8


def test_the_processors_own_instructions() -> None:
    module = define(
        """
@kernel
def f(m: Machine) -> word:
    a, b, c, d = cpuid(m, 0, 0)
    before = read_tsc(m)
    pause(m)
    is_ordered = read_tsc(m) >= before
    return a if is_ordered and max(a, b) < 1 << 32 and max(c, d) < 1 << 32 and min(b, c) > 0 else -1
"""
    )
    highest_leaf = compiled([module.f]).call('f')
    assert isinstance(highest_leaf, int)
    assert 1 <= highest_leaf < 1 << 16


def test_call4_calls_a_c_function() -> None:
    module = define(
        '@kernel\ndef f(m: Machine, code: word, a: word) -> word:\n    return call4(m, code, a, 2, 3, -4)\n'
    )
    signature = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 4)
    callback = signature(lambda a, b, c, d: a * 1000 + b * 100 + c * 10 + d)
    address = ctypes.cast(callback, ctypes.c_void_p).value
    assert address is not None
    assert compiled([module.f]).call('f', address, 1) == 1226


# ---------------------------------------------------------------- checks
TRAPS: Final = {
    's.small = a': (255, 256),
    's.small = a - 1': (1, 0),
    's.bytes[7] = a': (255, -1),
    's.items[a] = 1': (3, 4),
    's.count = s.items[a]': (0, -1),
    's.parts[a].value = 1': (2, 3),
    's.rest[a] = 1': (0, -1),
    "s.count = b'abc'[a]": (2, 3),
    "s.count = b'abc'[a - 1]": (1, 0),
    'store8(s.m, s.addr, a)': (255, 256),
    'store16(s.m, s.addr, a)': (65535, 65536),
    'store32(s.m, s.addr, a)': ((1 << 32) - 1, -1),
    'fill(s.m, s.addr, a, 4)': (255, 256),
    'fill(s.m, s.addr, 0, a)': (0, -1),
    'copy(s.m, s.addr, VirtAddr(s.addr + 1), a)': (8, -1),
    'copy(s.m, VirtAddr(s.addr + 8), s.addr, a)': (8, 9),
    'copy(s.m, VirtAddr(s.addr + a), s.addr, 8)': (0, 7),
    'w, x, y, z = cpuid(s.m, a, 0)': (1, -1),
    's.count = shl_wrap(1, a)': (63, 64),
    's.count = shr_logical(1, a)': (0, -1),
    's.count += a': (1, WORD_MAX),
}


@pytest.mark.parametrize('statement', TRAPS)
def test_a_checked_build_stops_where_a_contract_is_broken(statement: str) -> None:
    fine, wrong = TRAPS[statement]
    module = define(HEAD + f'@kernel\ndef f(s: State, a: word) -> None:\n    s.count = 1\n    {statement}\n')
    memory = Memory(NBYTES)
    unit = compiled([module.f], checked=True)
    assert not isinstance(unit.call('f', memory.addr, fine), Trap)
    line = HEAD.count('\n') + 4
    assert unit.call('f', memory.addr, wrong) == Trap(f'sample.py:{line}')


@pytest.mark.parametrize('element', ['u8', 'u16', 'u32', 'u64', 'Pair', 'Three'])
@pytest.mark.parametrize('verb', ['load', 'store', 'look'])
def test_the_address_of_an_element_does_not_wrap(element: str, verb: str) -> None:
    place = 's.rest[i].first' if element in ('Pair', 'Three') else 's.rest[i]'
    if verb == 'look' and place == 's.rest[i]':
        return
    text = f"""
class Pair(Struct):
    first: u64
    second: u64

class Three(Struct):
    first: u64
    rest: Annotated[Array[u64], 2]

class Flexible(Struct):
    head: u64
    rest: Annotated[Array[{element}], 0]

@kernel
def load(s: Flexible, i: word) -> word:
    return {place}

@kernel
def store(s: Flexible, i: word) -> word:
    {place} = 7
    return 7

@kernel
def look(s: Flexible, i: word) -> word:
    return s.rest[i].addr
"""
    module = define(text)
    function = getattr(module, verb)
    memory = Memory(NBYTES)
    unit = compiled([function], checked=True)
    trap = Trap(f'sample.py:{text[: text.index(f"def {verb}")].count(chr(10)) + 2}')
    stride = module.Flexible.FIELDS['rest'].stride
    far = (1 << 47) // stride + 1
    rows = [
        (memory.addr, 0, True),
        (memory.addr, 2, True),
        (memory.addr, -1, False),
        (memory.addr, min(WORD_MAX, (1 << 64) // stride), False),  # of 1 << 64 bytes, which are 0
        (memory.addr, WORD_MAX, False),
        (memory.addr - far * stride, far, False),  # from the highest addresses on to the lowest
    ]
    for addr, index, is_fine in rows:
        view = module.Flexible(FlatMachine(memory.addr, NBYTES), VirtAddr(addr))
        if is_fine:
            assert unit.call(verb, addr, index) == function(view, index)
        else:
            assert unit.call(verb, addr, index) == trap, index
            with pytest.raises(IndexError, match='of an array'):
                function(view, index)


def test_ports_are_checked_too() -> None:
    module = define(
        """
@kernel
def f(m: Machine, port: word, value: word) -> word:
    out8(m, port, value)
    return in16(m, port)

@kernel
def my_out8(m: Machine, port: word, value: word) -> None:
    pass

@kernel
def my_in16(m: Machine, port: word) -> word:
    return port + 1
"""
    )
    target = raw_with({'out8': module.my_out8, 'in16': module.my_in16})
    unit = compiled([module.f], checked=True, target=target)
    trap = Trap('sample.py:4')
    assert unit.rows('f', [(65535, 255), (65536, 0), (-1, 0), (0, 256)]) == [65536, trap, trap, trap]


def test_a_trap_on_bare_metal_leaves_its_site_in_a_register() -> None:
    module = define('@kernel\ndef f(a: word) -> word:\n    b = a + 1\n    return b * b\n')
    unit = compile_unit({'f': module.f}, BARE, checked=True)
    assembly = compile_bare(unit.ir, '', debug=False).assembly
    assert unit.sites == ['sample.py:3', 'sample.py:4']
    assert assembly.count('ud2') == 2
    assert '$1, %edi' in assembly


def test_address_0_is_an_address_like_any_other() -> None:
    """LLVM would otherwise conclude from the load that the address is not 0, and drop the question."""
    module = define(HEAD + '@kernel\ndef f(s: State) -> word:\n    n = s.count\n    return -1 if s.addr == 0 else n\n')
    assembly = compile_bare(compile_unit({'f': module.f}, BARE).ir, '', debug=False).assembly
    assert 'test' in assembly or 'cmp' in assembly


def test_a_cold_function_stays_out_of_its_callers() -> None:
    text = (
        '@kernel\ndef f(a: word) -> word:\n    return g(a) if a > 5 else 0\n@MARK\n@kernel\ndef g(a: word) -> word:\n'
    )
    for mark, is_called in (('cold', True), ('kernel', False)):
        module = define(text.replace('MARK', mark) + '    return a * 7 ^ a\n')
        assembly = compile_bare(compile_unit({'f': module.f}, BARE).ir, '', debug=False).assembly
        assert ('sample.g:' in assembly) == is_called
        assert compiled([module.f]).call('f', 6) == 6 * 7 ^ 6


# ---------------------------------------------------------------- targets
def test_a_lowering_must_not_recurse() -> None:
    text = """
@kernel
def cpu_load8(cpu: Cpu, addr: VirtAddr) -> word:
    return deeper(cpu, addr)

@kernel
def deeper(cpu: Cpu, addr: VirtAddr) -> word:
    return cpu_load8(cpu, addr)

@kernel
def f(m: Machine) -> word:
    return load8(m, VirtAddr(1))
"""
    module = define('class Cpu(Struct):\n    start: u64\n' + text)
    with pytest.raises(Refused) as caught:
        compile_unit({'f': module.f}, simulated({**LOWERINGS, 'load8': module.cpu_load8}))
    assert caught.value.name == 'recursion'


def test_a_simulated_target_needs_all_loads_and_stores() -> None:
    with pytest.raises(ValueError, match='needs lowerings for load16'):
        simulated({name: function for name, function in LOWERINGS.items() if name != 'load16'})


def test_a_lowering_takes_what_its_primitive_takes() -> None:
    with pytest.raises(ValueError, match='the lowering of load8 takes 3 arguments instead of 2'):
        simulated({**LOWERINGS, 'load8': LOWERINGS['store8']})
    with pytest.raises(ValueError, match='load128 is not a primitive'):
        raw_with({'load128': LOWERINGS['load8']})


def test_a_simulated_target_refuses_primitives_without_a_lowering() -> None:
    module = define('@kernel\ndef f(m: Machine) -> word:\n    return in8(m, 1)\n')
    with pytest.raises(Refused, match='the target simulated has no primitive in8'):
        compile_unit({'f': module.f}, simulated(LOWERINGS))


def test_configurations_are_constants_and_two_live_in_one_process() -> None:
    text = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Choice(Config):
    nr_frames: Pfn
    is_large: bool
    name: bytes = b'classic'

class Top(Struct):
    size: u64
    config: Choice

@kernel
def f(k: Top) -> word:
    config = k.config
    k.size = k.config.nr_frames if config.is_large else 0 - config.nr_frames
    pfn = config.nr_frames
    pfn = Pfn(3)
    return len(config.name)
"""
    module = define(text)
    assert (module.Top.SIZE, module.Top.ALIGN) == (8, 8)
    memory = Memory(64)
    choices = [module.Choice(7, True), module.Choice(9, False, b'small')]
    units = [compiled([module.f], config=choice) for choice in choices]
    for unit, choice, wanted in ((units[0], choices[0], (7, 7)), (units[1], choices[1], (5, -9))):
        machine = FlatMachine(memory.addr, 64, choice)
        assert module.f(module.Top(machine, VirtAddr(memory.addr))) == unit.call('f', memory.addr) == wanted[0]
        assert memory.words()[0] == module.Top(machine, VirtAddr(memory.addr)).size == wanted[1]


def test_what_the_configuration_excludes_is_not_compiled() -> None:
    text = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Choice(Config):
    space: word

class Top(Struct):
    size: u64
    config: Choice

@kernel
def f(k: Top) -> word:
    if k.config.space == 1:
        write_cr2(k.m, VirtAddr(5))
        return 1
    elif k.config.space != 2:
        k.size = 3
    else:
        return in8(k.m, 5)
    return k.size + 1
"""
    module = define(text)
    memory = Memory(64)
    assert compiled([module.f], config=module.Choice(3)).call('f', memory.addr) == 4
    for space, primitive in ((1, 'write_cr2'), (2, 'in8')):
        with pytest.raises(Refused, match=f'the target raw has no primitive {primitive}'):
            compile_unit({'f': module.f}, RAW, module.Choice(space))
    other = define(text.replace('k.config.space !=', 'k.size !='))  # which is no choice of the build
    with pytest.raises(Refused, match='the target raw has no primitive in8'):
        compile_unit({'f': other.f}, RAW, other.Choice(3))


def test_what_a_choice_is_compared_with_is_computed_once() -> None:
    text = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Choice(Config):
    space: word

class Top(Struct):
    calls: u64
    config: Choice

@kernel
def ask(k: Top) -> word:
    k.calls += 1
    return 3

@kernel
def f(k: Top) -> word:
    if k.config.space == ask(k):
        return k.calls * 10
    return k.calls
"""
    module = define(text)
    memory = Memory(64)
    for space, wanted in ((3, 10), (4, 1)):
        machine = FlatMachine(memory.addr, 64, module.Choice(space))
        memory.clear()
        assert compiled([module.f], config=module.Choice(space)).call('f', memory.addr) == wanted
        assert module.f(module.Top(machine, VirtAddr(memory.addr))) == wanted


LEAVING = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Choice(Config):
    space: word
    is_small: bool = False

class Top(Struct):
    size: u64
    config: Choice

@kernel
def rest(k: Top) -> word:
    k.size += 1
    return 20

@kernel
def f(k: Top, x: word) -> word:
"""
LEFT: Final = {
    'a return': (
        """
    if k.config.space == 1:
        return 10
    return rest(k)
""",
        [10, 20],
    ),
    'a return in the other side': (
        """
    if k.config.space != 1:
        k.size = 4
    else:
        return 10
    y = rest(k)
    return y + x
""",
        [10, 21],
    ),
    'a return on all ways of a side': (
        """
    if k.config.space == 1 and not k.config.is_small:
        if x > 3:
            return 9
        else:
            return 10
    return rest(k)
""",
        [10, 20],
    ),
    'returns inside the sides of another test': (
        """
    if x > 0:
        if 1 == k.config.space:
            return 10
        y = 3
    else:
        return 5
    return rest(k) + y
""",
        [10, 23],
    ),
    'a break out of a loop that never ends': (
        """
    while True:
        if k.config.space == 1:
            return 10
        if x > 2:
            break
        x += 1
    return rest(k) + x
""",
        [10, 23],
    ),
    'a match': (
        """
    match k.config.space:
        case 2 | 3:
            y = rest(k) * 2
        case 1:
            return 10
        case _:
            write_cr2(k.m, VirtAddr(0))
            return 11
    return y
""",
        [10, 40],
    ),
    'a match without a fitting case': (
        """
    match k.config.space:
        case 2:
            rest(k)
        case 3:
            write_cr2(k.m, VirtAddr(0))
    return 6
""",
        [6, 6],
    ),
    'a continue and what follows': (
        """
    n = 0
    for i in range(4):
        if k.config.space == 1 or k.config.is_small:
            n += i
            continue
        n += rest(k)
    return n
""",
        [6, 80],
    ),
}


@pytest.mark.parametrize('name', LEFT)
def test_what_follows_a_side_that_leaves_is_dropped(name: str) -> None:
    body, wanted = LEFT[name]
    module = define(LEAVING + body)
    memory = Memory(64)
    for space, result in zip((1, 2), wanted, strict=True):
        config = module.Choice(space)
        machine = FlatMachine(memory.addr, 64, config)
        memory.clear()
        build = compiled([module.f], checked=True, config=config)
        assert build.call('f', memory.addr, 1) == result
        assert module.f(module.Top(machine, VirtAddr(memory.addr)), 1) == result
        assert memory.content() == bytes(machine.bytes)
        assert ('sample.rest' in build.unit.ir) == (space == 2)


@pytest.mark.parametrize(
    ('body', 'space', 'message'),
    [
        ('    if k.config.space == 1:\n        return 1\n    else:\n        return 2\n    return 3\n', 1, 'never runs'),
        ('    if k.config.space == 1:\n        return 1\n        x = 2\n    return 3\n', 1, 'never runs'),
        ('    if k.config.space == 1:\n        return 1\n    return 3\n    x = 1\n', 2, 'never runs'),
        (
            '    if x > 0:\n        if k.config.space == 1:\n            return 1\n    else:\n        return 2\n'
            '        x = 3\n    return 4\n',
            1,
            'never runs',
        ),
        ('    if k.config.space == 1:\n        y = 1\n    return y\n', 1, 'y may have no value here'),
        (
            '    match k.config.space:\n        case 1:\n            y = 1\n    return y\n',
            1,
            'y may have no value here',
        ),
        (
            '    match k.config.space:\n        case 1 | 1:\n            return 1\n    return 2\n',
            2,
            '1 has a case already',
        ),
        (
            '    match k.config.space:\n        case 1:\n            return 1\n        case _:\n            return 2\n'
            '    return 3\n',
            1,
            'never runs',
        ),
        ('    if k.config.space == 1:\n        return 1\n', 2, 'f can end without a result'),
        ('    if k.config.space == b"text":\n        return 1\n    return 2\n', 1, 'cannot be compared'),
        ('    if k.config.space:\n        return 1\n    return 2\n', 1, 'a condition is a bool'),
    ],
)
def test_what_a_choice_does_not_excuse(body: str, space: int, message: str) -> None:
    module = define(LEAVING + body)
    with pytest.raises(Refused, match=message):
        compile_unit({'f': module.f}, RAW, module.Choice(space))


def test_a_dense_match_becomes_a_table_of_jumps() -> None:
    bodies = [f's.count = s.count {"+^*|"[number & 3]} {number + 2}' for number in range(12)]
    cases = ''.join(f'        case {number - 2}:\n            {body}\n' for number, body in enumerate(bodies))
    text = f'@kernel\ndef f(s: State, a: word) -> word:\n    match a:\n{cases}    return s.count\n'
    same(text, [(number,) for number in (*range(-4, 12), WORD_MAX, WORD_MIN)])
    for debug in (False, True):
        unit = compile_unit({'f': define(HEAD + text).f}, BARE, debug=debug)
        assert unit.ir.count('switch i64') == 1
        assembly = compile_bare(unit.ir, '', debug=debug).assembly
        assert len(re.findall(r'\n\s+jmpq?\s+\*', assembly)) == 1
        assert analyse(assembly).worst_bytes('f') > 0


def test_a_plain_unit_has_no_sites_and_calls_nothing_outside() -> None:
    module = define(HEAD + SAMPLES['text'])
    unit = compile_unit({'f': module.f}, RAW)
    assert unit.sites == []
    assert 'incroos_trap' not in unit.ir


@pytest.mark.parametrize('a', [0, 1])
def test_what_follows_a_loop_that_the_build_lets_run_for_ever_is_dropped(a: int) -> None:
    """Its only break stands behind a choice: with the other choice, what follows is not refused, but left out."""
    text = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Choice(Config):
    a: word

class Top(Struct):
    calls: u64
    config: Choice

@kernel
def f(k: Top) -> word:
    while True:
        k.calls += 1
        if k.config.a == 0:
            break
        if k.calls == 3:
            return 30
    return 20
"""
    module = define(text)
    memory = Memory(64)
    config = module.Choice(a)
    machine = FlatMachine(memory.addr, 64, config)
    memory.clear()
    assert compiled([module.f], config=config).call('f', memory.addr) == (30 if a else 20)
    assert module.f(module.Top(machine, VirtAddr(memory.addr))) == (30 if a else 20)
