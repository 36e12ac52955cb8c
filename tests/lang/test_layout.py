"""Structs lie in memory as C's do: each offset and size, as gcc computes them."""

import subprocess
from pathlib import Path
from typing import Annotated, Any

from incroos.kernel.state import Kernel
from incroos.lang import U16, Array, Order, PhysAddr, Struct, u8, u16, u32, u64, word
from incroos.lang.structs import ArrayField, ConfigField, StructField
from incroos.lang.words import Width

from .programs import Writer
from .sample import define


class Byte(Struct):
    only: u8


class Odd(Struct):
    first: u8
    second: u32
    third: Annotated[Array[u8], 3]
    fourth: u16
    inner: Byte
    order: Annotated[Order, U16]
    words: Annotated[Array[word], 2]
    last: u8


class Rows(Struct):
    flag: u8
    rows: Annotated[Array[Odd], 3]
    frame: PhysAddr
    tail: Annotated[Array[u64], 0]


class Tail(Struct):
    flag: u8
    tail: Annotated[Array[Odd], 0]


def structs() -> list[type[Struct]]:
    """Some that were chosen, the kernel's own, and some with their fields in random order."""
    found = [Byte, Odd, Rows, Tail, Kernel]
    for seed in range(12):
        module = define(Writer(seed).program())
        module.State.__name__, module.Inner.__name__ = f'State{seed}', f'Inner{seed}'
        found.append(module.State)
    return found


def c_type(kind: Any) -> str:
    return kind.c_name if isinstance(kind, Width) else f'struct {kind.__name__}'


def parts_of(struct: type[Struct]) -> list[type[Struct]]:
    """The structs inside a struct, before it."""
    found: list[type[Struct]] = []
    for field in struct.FIELDS.values():
        inner = field.kind if isinstance(field, StructField) else getattr(field, 'element', None)
        if isinstance(inner, type) and issubclass(inner, Struct):
            found += [part for part in parts_of(inner) if part not in found]
    return [*found, struct]


def declaration(struct: type[Struct]) -> str:
    lines = [f'struct {struct.__name__} {{']
    for name, field in struct.FIELDS.items():
        if isinstance(field, ConfigField):
            continue
        if isinstance(field, ArrayField):
            lines.append(f'    {c_type(field.element)} {name}_[{field.length}];')
        else:
            lines.append(f'    {c_type(field.kind if isinstance(field, StructField) else field.width)} {name}_;')
    return '\n'.join([*lines, '};'])


def assertions(struct: type[Struct]) -> list[str]:
    name = f'struct {struct.__name__}'
    lines = [f'_Static_assert(sizeof({name}) == {struct.SIZE}, "{struct.__name__}");']
    lines.append(f'_Static_assert(_Alignof({name}) == {struct.ALIGN}, "{struct.__name__}");')
    for field_name, field in struct.FIELDS.items():
        if not isinstance(field, ConfigField):
            lines.append(f'_Static_assert(offsetof({name}, {field_name}_) == {field.offset}, "{field_name}");')
    return lines


def test_gcc_agrees_about_every_offset(tmp_path: Path) -> None:
    known: list[type[Struct]] = []
    for struct in structs():
        known += [part for part in parts_of(struct) if part not in known]
    lines = ['#include <stddef.h>', '#include <stdint.h>']
    for struct in known:
        lines += [declaration(struct), *assertions(struct)]
    assert sum(line.startswith('_Static_assert') for line in lines) > 250
    source = tmp_path / 'layout.c'
    source.write_text('\n'.join(lines) + '\n')
    subprocess.run(['gcc', '-std=c11', '-fsyntax-only', '-Wall', '-Wno-pedantic', str(source)], check=True)


def test_gcc_would_have_said_so(tmp_path: Path) -> None:
    wrong = assertions(Byte)[0].replace('== 1', '== 2')
    source = tmp_path / 'layout.c'
    source.write_text('\n'.join(['#include <stdint.h>', declaration(Byte), wrong]) + '\n')
    done = subprocess.run(['gcc', '-std=c11', '-fsyntax-only', str(source)], capture_output=True, check=False)
    assert done.returncode != 0
