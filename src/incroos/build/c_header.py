"""The C header of the library, from the same declarations as the code: structs, constants, prototypes, docstrings.

C99 and C++ compile it without a warning. Each struct is followed by assertions of its size and of the offset of each
field as the Python declaration has them. A comment beside a field is the one beside it in Python, the comment of a
function its docstring.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from incroos.lang.structs import ArrayField, ConfigField, Field, NumberField, Struct, StructField
from incroos.lang.words import Width, unsigned

from .c_prototypes import CFunction

COLUMNS: Final = 110
PREFIX: Final = 'incro_'
_RESERVED_WORDS: Final = re.compile(  # of C and C++, that may be names in Python
    'auto|bool|case|catch|char|const|default|delete|do|double|enum|explicit|export|extern|float|friend|goto|inline|int|'
    'long|mutable|namespace|new|operator|private|protected|public|register|short|signed|sizeof|static|struct|switch|'
    'template|this|throw|typedef|typename|union|unsigned|using|virtual|void|volatile'
)

_HEAD: Final = """\
/* incro_mm.h: memory manager of IncroOS, config {config}. Made by `incroos build --format library`; do not edit.
 *
{text}
 */
#ifndef INCRO_MM_H
#define INCRO_MM_H

#include <stddef.h>
#include <stdint.h>
#ifndef __cplusplus
#include <stdbool.h>
#endif

#ifdef __cplusplus
#define INCRO_ASSERT(name, condition) static_assert(condition, #name)
extern "C" {{
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define INCRO_ASSERT(name, condition) _Static_assert(condition, #name)
#else
#define INCRO_ASSERT(name, condition) typedef char incro_assert_##name[(condition) ? 1 : -1]
#endif
"""
_TAIL: Final = """
#undef INCRO_ASSERT

#ifdef __cplusplus
}
#endif

#endif
"""


@dataclass(frozen=True)
class Constant:
    """One #define."""

    name: str
    value: int
    comment: str = ''


@dataclass(frozen=True)
class HeaderParts:
    """The content of a header. `c_types` names a field's type, by struct and name, if it is more than a number."""

    config: str
    text: str
    constants: Mapping[str, Iterable[Constant]]  # by the headings over them
    structs: Iterable[type[Struct]]
    c_types: Mapping[tuple[str, str], str]
    typedefs: Iterable[str]
    functions: Mapping[str, Iterable[CFunction]]  # by the headings over them
    c_names: Mapping[str, str]  # of what docstrings name


def header_of(parts: HeaderParts) -> str:
    """The text of the header."""
    lines = [_HEAD.format(config=parts.config, text=textwrap.indent(parts.text.strip(), ' * ', lambda line: True))]
    for heading, constants in parts.constants.items():
        lines.append(f'\n/* {heading} */\n' + ''.join(map(define, constants)))
    lines += ['\n' + declare(struct, parts.c_types, parts.c_names) for struct in with_inner(parts.structs)]
    lines += [f'\n{typedef}\n' for typedef in parts.typedefs]
    for heading, functions in parts.functions.items():
        lines.append(f'\n/* ---- {heading} */\n')
        for each in functions:
            text = inspect.getdoc(each.function) or ''
            lines.append(f'\n{comment(text, parts.c_names)}{each.prototype.text};\n')
    return '\n'.join(line.rstrip() for line in (''.join(lines) + _TAIL).split('\n'))


def define(constant: Constant) -> str:
    """A line for a constant: a small number as it is, a larger one by its 64 bits."""
    value = str(constant.value) if constant.value >= 0 else f'({constant.value})'
    if not -(1 << 15) <= constant.value < 1 << 15:
        value = f'UINT64_C({unsigned(constant.value):#x})'
    remark = f'  /* {constant.comment} */' if constant.comment else ''
    return f'#define {constant.name} {value}{remark}\n'


def comment(text: str, c_names: Mapping[str, str]) -> str:
    """A docstring as a C comment, with C's names in it."""
    text = re.sub(r'[A-Za-z_]\w*(?:\.\w+)*', lambda match: c_names.get(match[0], match[0]), text).replace('*/', '* /')
    paragraphs = (textwrap.wrap(' '.join(part.split()), COLUMNS - 3) for part in text.split('\n\n'))
    lines = '\n *\n * '.join('\n * '.join(lines) for lines in paragraphs)
    return f'/* {lines} */\n'


# ------------------------------------------------------------------ structs
def c_name(struct: type[Struct]) -> str:
    """`FrameState` is `struct incro_frame_state`."""
    return PREFIX + re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', struct.__name__).lower()


def member_name(name: str) -> str:
    """A field's name, which must not be a word of C or C++."""
    return f'{name}_' if _RESERVED_WORDS.fullmatch(name) else name


def fields_of(struct: type[Struct]) -> dict[str, Field]:
    """The fields that take bytes."""
    return {name: field for name, field in struct.FIELDS.items() if not isinstance(field, ConfigField)}


def with_inner(structs: Iterable[type[Struct]]) -> list[type[Struct]]:
    """The structs and those inside them, each once and after those that it needs."""
    found: list[type[Struct]] = []
    for struct in structs:
        inner = [
            field.element if isinstance(field, ArrayField) else field.kind
            for field in struct.FIELDS.values()
            if isinstance(field, ArrayField | StructField)
        ]
        needed = with_inner(kind for kind in inner if not isinstance(kind, Width))
        found += [kind for kind in (*needed, struct) if kind not in found]
    return found


def declare(struct: type[Struct], c_types: Mapping[tuple[str, str], str], c_names: Mapping[str, str]) -> str:
    """A struct and the assertions about it."""
    name, remarks = c_name(struct), field_comments(struct)
    lines = [comment(inspect.getdoc(struct) or '', c_names), f'struct {name} {{\n']
    assertions = [f'INCRO_ASSERT({name}_size, sizeof(struct {name}) == {struct.SIZE});\n']
    for field_name, field in fields_of(struct).items():
        member = member_name(field_name)
        remark = f'  /* {remarks[field_name]} */' if field_name in remarks else ''
        lines.append(f'    {declaration(member, field, c_types.get((struct.__name__, field_name)))};{remark}\n')
        where = f'offsetof(struct {name}, {member}) == {field.offset}'  # type: ignore[union-attr]
        assertions.append(f'INCRO_ASSERT({name}_{field_name}, {where});\n')
    return ''.join((*lines, '};\n', *assertions))


def declaration(name: str, field: Field, c_type: str | None) -> str:
    """One member."""
    if c_type is not None:
        return c_type.format(name)
    if isinstance(field, NumberField):
        return f'{field.width.c_name} {name}'
    if isinstance(field, StructField):
        return f'struct {c_name(field.kind)} {name}'
    assert isinstance(field, ArrayField)
    element = field.element
    kind = element.c_name if isinstance(element, Width) else f'struct {c_name(element)}'
    return f'{kind} {name}[{field.length}]'


def field_comments(struct: type[Struct]) -> dict[str, str]:
    """The comment after each field's annotation in Python."""
    lines = textwrap.dedent(inspect.getsource(struct)).splitlines()
    (body,) = ast.parse('\n'.join(lines)).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            _, hash_sign, remark = lines[node.lineno - 1].partition('  # ')
            if hash_sign:
                found[node.target.id] = remark.replace('*/', '* /').replace('/*', '/ *')
    return found
