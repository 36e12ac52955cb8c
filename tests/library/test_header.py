"""incro_mm.h: what C and C++ compilers say of it, and whether it says what the kernel's declarations say."""

import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from incroos.build.c_header import c_name, fields_of, member_name, with_inner
from incroos.kernel import codes
from incroos.kernel.arch import pte
from incroos.kernel.arch.pvh import StartInfoEntry
from incroos.kernel.embed.library import Start
from incroos.kernel.state import Kernel
from incroos.lang.frontend.signature import signature_of
from incroos.lang.structs import ArrayField, NumberField
from incroos.run.library_functions import all_functions
from incroos.run.names import library_config

from .c_kernels import library_folder

CONFIGS: Final = ('classic', 'modern')
STRICT: Final = ['-Wall', '-Wextra', '-pedantic', '-Werror', '-Wconversion', '-Wshadow', '-Wundef', '-ffreestanding']
LANGUAGES: Final = {
    'c99': ['gcc', '-std=c99', '-Wstrict-prototypes', '-Wc++-compat', '-x', 'c'],
    'c11': ['gcc', '-std=c11', '-Wstrict-prototypes', '-x', 'c'],
    'c++17': ['g++', '-std=c++17', '-x', 'c++'],
}


def compile_text(language: str, text: str, folder: Path, include: Path) -> str:
    """What a compiler has to say of a text; nothing if it is content."""
    source = folder / 'source'
    source.write_text(text)
    command = [*LANGUAGES[language], *STRICT, f'-I{include}', '-c', '-o', str(folder / 'object.o'), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (done.stderr == '')
    return done.stderr


@pytest.mark.parametrize('config', CONFIGS)
@pytest.mark.parametrize('language', LANGUAGES)
def test_compilers_take_the_header_without_a_word(tmp_path: Path, language: str, config: str) -> None:
    text = (
        '#include "incro_mm.h"\n#include "incro_mm.h"\nvoid *take(void);\nvoid *take(void) { return kmalloc(100); }\n'
    )
    assert compile_text(language, text, tmp_path, library_folder(config)) == ''
    assert b'kmalloc' in (tmp_path / 'object.o').read_bytes()
    assert b'_Z7kmalloc' not in (tmp_path / 'object.o').read_bytes()


@pytest.mark.parametrize('language', LANGUAGES)
def test_the_assertions_of_the_header_can_fail(tmp_path: Path, language: str) -> None:
    """A field of another width is refused at its struct's size, a field that moved at its offset."""
    header = (library_folder() / 'incro_mm.h').read_text()
    for before, after in (
        ('    uint32_t row;', '    uint64_t row;'),
        ('    uint64_t start;\n    uint64_t nbytes;', '    uint64_t nbytes;\n    uint64_t start;'),
    ):
        assert header.count(before) == 1
        (tmp_path / 'incro_mm.h').write_text(header.replace(before, after))
        assert 'assert' in compile_text(language, '#include "incro_mm.h"\n', tmp_path, tmp_path)


def asked_of_c() -> dict[str, int]:
    """What a C program is asked, as an expression, and what the kernel's declarations answer."""
    asked: dict[str, int] = {}
    for struct in with_inner((StartInfoEntry, Start, Kernel)):
        name = f'struct {c_name(struct)}'
        asked[f'sizeof({name})'] = struct.SIZE
        for field_name, field in fields_of(struct).items():
            member = member_name(field_name)
            asked[f'offsetof({name}, {member})'] = field.offset  # type: ignore[union-attr]
            asked[f'sizeof((({name} *)0)->{member})'] = bytes_of(field)
    for name, value in vars(codes).items():
        if name.isupper() and not name.startswith('EXIT_'):
            asked[f'INCRO_{name}'] = value
    asked |= {f'(int64_t)VMM_{name}': getattr(pte, name) for name in ('PRESENT', 'WRITABLE', 'USER', 'GLOBAL', 'NX')}
    return asked


def bytes_of(field: Any) -> int:
    if isinstance(field, NumberField):
        return field.width.nbytes
    return field.stride * field.length if isinstance(field, ArrayField) else int(field.kind.SIZE)


def test_c_has_the_layout_and_the_constants_of_the_kernel(tmp_path: Path) -> None:
    asked = asked_of_c()
    lines = ''.join(f'    printf("%lld\\n", (long long)({question}));\n' for question in asked)
    (tmp_path / 'ask.c').write_text(f'#include <stdio.h>\n#include "incro_mm.h"\nint main(void) {{\n{lines}}}\n')
    command = ['gcc', f'-I{library_folder()}', '-o', str(tmp_path / 'ask'), str(tmp_path / 'ask.c')]
    subprocess.run(command, check=True)
    told = subprocess.run([tmp_path / 'ask'], capture_output=True, text=True, check=True).stdout.split()
    assert len(asked) > 300
    assert dict(zip(asked, map(int, told), strict=True)) == asked


@pytest.mark.parametrize('config', CONFIGS)
def test_prototypes_have_the_parameters_of_the_kernel_functions(config: str) -> None:
    for each in all_functions(library_config(config)):
        prototype, signature = each.prototype, signature_of(each.function)
        state = ['state'] if 'state' in prototype.parameters else []
        wanted = [*state, *(name for name, _ in signature.parameters[1:])]
        assert list(prototype.parameters) == wanted, prototype.text
        pointer = str(signature.result) == 'VirtAddr'
        assert prototype.is_pointer == pointer, prototype.text
        assert (prototype.result == 'bool') == (str(signature.result) == 'bool'), prototype.text
        if each.with_site is not None:
            assert [name for name, _ in signature_of(each.with_site).parameters[1:-1]] == wanted, prototype.text


@pytest.mark.parametrize('config', CONFIGS)
def test_the_header_has_each_function_with_its_docstring(config: str) -> None:
    header = (library_folder(config) / 'incro_mm.h').read_text()
    for each in all_functions(library_config(config)):
        assert re.search(rf'\*/\n{re.escape(each.prototype.text)};\n', header), each.prototype.text
    assert ('void *vmalloc(' in header) == (config == 'modern')
    assert "/* Take back what was given; 0 is nobody's and does nothing. INCRO_BAD_FREE, and" in header
    assert max(map(len, header.splitlines())) < 180
