"""Struct views, interpreted: what a declaration may say, and what a view refuses."""

from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from incroos.lang import (
    U8,
    Array,
    Config,
    Machine,
    Order,
    PhysAddr,
    Struct,
    VirtAddr,
    address_of,
    offset_of,
    u8,
    u16,
    u32,
    u64,
    word,
)

from .flat import FlatMachine
from .sample import define


@dataclass(frozen=True)
class Choice(Config):
    nr_frames: word


class Inner(Struct):
    value: u16


class Block(Struct):
    size: u32
    owner: PhysAddr
    order: Annotated[Order, U8]
    config: Choice
    inner: Inner
    items: Annotated[Array[u8], 3]
    parts: Annotated[Array[Inner], 2]
    rest: Annotated[Array[u64], 0]


def block() -> Block:
    return Block(FlatMachine(64, 128, Choice(5)), VirtAddr(64))


WRONG = {
    'x: bool': 'is not a field',
    'x: str': 'is not a field',
    'x: list[int]': 'is not a field',
    'x: Array[u64]': r'an array says how long it is: write Annotated\[Array',
    'x: Array': 'an array says how long it is',
    'x: Struct': 'is not a field',
    'x: Annotated[Array[Struct], 2]': 'is not a field',
    'x: u8 = 5': 'a field has no default',
    "x: 'Wrong'": r'write VirtAddr, and Wrong\(m, addr\)',
    "x: Annotated[Array['Wrong'], 2]": 'a struct is not inside itself',
    "x: 'Missing'": 'the module has no Missing before this struct',
    "x: 'VirtAddr.Missing'": 'is not a type',
    "x: '1 +'": 'is not a type',
    'x: Annotated[Array[u64], 1 << 61]': 'a struct has at most 140737488355328 bytes',
    'x: u8; y: Annotated[Array[u8], 1 << 47]': 'a struct has at most',
    'x: Annotated[Array[u64], 10**5000]': 'a struct has at most',
    "x: NewType('Name', str)": 'is not a field',
    "x: NewType('Flag', bool)": 'is not a field',
    'x: Annotated[Array[bool], 2]': 'is not a field',
    'x: Annotated[Array[u64], -1]': 'the length of an array is a number',
    'x: Annotated[Array[u64], True]': 'the length of an array is a number',
    "x: Annotated[Array[u64], '4']": 'the length of an array is a number',
    'x: Annotated[Array[u64], 0]; y: u8': 'a flexible array is the last field',
    'addr: u64': 'every view has a addr of its own',
    'm: u64': 'every view has a m of its own',
    'SIZE: u64': 'every view has a SIZE of its own',
}


@pytest.mark.parametrize('fields', WRONG)
def test_a_wrong_declaration_is_an_error_that_names_the_field(fields: str) -> None:
    with pytest.raises(TypeError, match=WRONG[fields]) as caught:
        define(f'class Wrong(Struct):\n    {fields}\n')
    assert str(caught.value).startswith('Wrong.')


def test_a_struct_derives_from_struct_alone() -> None:
    with pytest.raises(TypeError, match='put one struct into the other'):
        define('class A(Struct):\n    x: u64\nclass B(A):\n    y: u64\n')


def test_fields_and_elements_are_loads_and_stores() -> None:
    view = block()
    view.size, view.owner, view.order = 7, PhysAddr(-1), Order(255)
    view.inner.value = 0x1234
    view.items[2] = 9
    view.parts[1].value = 3
    view.rest[1] = 1 << 62
    assert (view.size, view.owner, view.order, view.inner.value) == (7, -1, 255, 0x1234)
    assert (list(view.items), view.parts[1].value, view.rest[1]) == ([0, 0, 9], 3, 1 << 62)
    assert view.m.load16(VirtAddr(view.addr + offset_of(Block, 'inner'))) == 0x1234
    assert view.config.nr_frames == 5
    assert repr(view) == 'Block(0x40)'


def test_a_struct_in_structs_is_not_larger_than_memory_either() -> None:
    half = 'class Half(Struct):\n    x: Annotated[Array[u64], 1 << 43]\n'
    assert define(half + 'class Top(Struct):\n    x: Half\n    y: Half\n').Top.SIZE == 1 << 47
    for fields in ('x: Half; y: Half; z: u8', 'x: Annotated[Array[Half], 3]'):
        with pytest.raises(TypeError, match='a struct has at most'):
            define(f'{half}class Top(Struct):\n    {fields}\n')


@pytest.mark.parametrize('index', [-1, 3])
def test_an_index_outside_is_an_error(index: int) -> None:
    with pytest.raises(IndexError, match='array of 3 elements'):
        block().items[index] = 1
    with pytest.raises(IndexError):
        print(block().rest[-1])


def test_structs_and_arrays_are_not_assigned_as_a_whole() -> None:
    view: Any = block()
    for assign in (
        lambda: setattr(view, 'inner', view.parts[0]),
        lambda: setattr(view, 'items', view.items),
        lambda: view.parts.__setitem__(0, view.inner),
    ):
        with pytest.raises(TypeError, match='cannot be assigned'):
            assign()


def test_a_misspelt_field_is_an_error() -> None:
    view: Any = block()
    with pytest.raises(AttributeError):
        view.ordr = 1
    with pytest.raises(AttributeError):
        print(view.ordr)


def test_a_field_of_the_configuration_has_no_offset() -> None:
    with pytest.raises(TypeError, match='takes no bytes'):
        offset_of(Block, 'config')
    with pytest.raises(TypeError, match=r'Block\.config takes no bytes'):
        address_of(Block(FlatMachine(0, 64), VirtAddr(0)), 'config')


def test_a_machine_says_which_primitive_it_does_not_supply() -> None:
    with pytest.raises(NotImplementedError, match='FlatMachine has no primitive read_cr3'):
        block().m.read_cr3()
    methods = [name for name in vars(Machine) if not name.startswith('_') and name != 'config']
    for name in methods:
        with pytest.raises(NotImplementedError, match=name):
            getattr(Machine(), name)(*[0] * (getattr(Machine, name).__code__.co_argcount - 1))
