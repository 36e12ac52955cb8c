"""Linking: the shape of the image, and linkers that are missing or do not work."""

import io
import os
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from incroos.build import link
from incroos.build.boot_pvh import assembly
from incroos.build.codegen import compile_bare
from incroos.build.errors import BuildError

from . import small_kernels
from .small_kernels import LAYOUT, SmallKernel, build_small

SMALL = SmallKernel(small_kernels.pass_at_once)


@pytest.fixture(params=[name for name in link.LINKERS if shutil.which(name)])
def linker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the linkers that this system has, as the only one."""
    monkeypatch.setattr(link, 'LINKERS', (request.param,))
    return str(request.param)


def test_segments_are_writable_or_executable_and_never_both(linker: str) -> None:
    segments = list(ELFFile(io.BytesIO(build_small(SMALL).elf)).iter_segments('PT_LOAD'))
    assert [segment['p_flags'] for segment in segments] == [5, 4, 6]  # R-X, R--, RW-
    pages = [range(s['p_paddr'] >> 12, (s['p_paddr'] + s['p_memsz'] + 0xFFF) >> 12) for s in segments]
    assert segments[0]['p_paddr'] == LAYOUT.image_start
    assert all(before.stop <= after.start for before, after in pairwise(pages))


def test_debug_sections_are_kept_where_asked_for(linker: str) -> None:
    sections = [
        {section.name for section in ELFFile(io.BytesIO(build_small(replace(SMALL, debug=debug)).elf)).iter_sections()}
        for debug in (False, True)
    ]
    assert '.debug_info' not in sections[0]
    assert {'.debug_info', '.debug_line'} <= sections[1]


def test_image_that_is_too_large(linker: str) -> None:
    with pytest.raises(BuildError, match='the image is too large'):
        build_small(SMALL, replace(LAYOUT, image_limit=LAYOUT.image_start + 0x1000))


def test_function_that_nobody_defines(linker: str) -> None:
    text = 'declare void @nothing()\ndefine void @kmain() { call void @nothing() ret void }'
    code = compile_bare(text, '', debug=False)
    with pytest.raises(BuildError, match=r'cannot link the image: .*nothing'):
        link.link(code.object_bytes, LAYOUT)


def test_no_linker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(BuildError, match=r'no linker is installed .*: install one .*or boot with --on jit'):
        build_small(SMALL)
    assert link.linker_identity() == ''


@pytest.mark.parametrize(
    ('script', 'reason'),
    [
        ('#!/bin/sh\necho out of order >&2\nexit 1\n', 'cannot link the image: out of order'),
        ('#!/bin/sh\nexit 3\n', 'cannot link the image: exit status 3'),
        ('#!/bin/sh\n', 'wrote no image'),
        ('#!/nonexistent/interpreter\n', 'cannot be started'),
    ],
)
def test_broken_linker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str) -> None:
    fake = tmp_path / link.LINKERS[0]
    fake.write_text(script)
    fake.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)
    with pytest.raises(BuildError, match=reason):
        build_small(SMALL)


def test_identity_changes_with_the_linker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = link.linker_identity()
    fake = tmp_path / link.LINKERS[0]
    fake.write_text('#!/bin/sh\n')
    fake.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)
    other = link.linker_identity()
    fake.write_text('#!/bin/sh\nexit 1\n')
    assert len({before, other, link.linker_identity()}) == 3


def test_boot_code_needs_its_three_functions() -> None:
    code: Any = compile_bare('define void @kmain() { ret void }', assembly(LAYOUT), False)
    with pytest.raises(BuildError, match=r'on_page_fault|on_exception'):
        link.link(code.object_bytes, LAYOUT)
