"""The options --firmware and --format: boots from a disk end as others do, and the disk is what a BIOS starts."""

from pathlib import Path

import pytest

from incroos.run.outcome import Status

from . import cases as kernel_cases
from .command import run


def test_the_transcript_is_the_same() -> None:
    done = run('boot', '--firmware', 'bios', '--accel', 'tcg')
    assert (done.status, done.output) == (Status.PASSED, run('boot', '--on', 'qemu', '--accel', 'tcg').output)


@pytest.mark.parametrize(
    ('case', 'status', 'sentence'),
    [
        (kernel_cases.PASS, Status.PASSED, 'booting in QEMU with TCG'),
        (kernel_cases.FAIL, Status.FAILED, 'the self-test failed'),
        (kernel_cases.PANIC, Status.PANIC, 'the kernel panicked'),
        (kernel_cases.TRIPLE_FAULT, Status.TRIPLE_FAULT, 'the processor met a triple fault and reset'),
    ],
)
def test_ends(cases: list[str], case: int, status: Status, sentence: str) -> None:
    done = run('boot', '--firmware', 'bios', '--accel', 'tcg', '--memory', f'{case}M', prefix=cases)
    assert (done.status, done.sentence) == (status, sentence)


def test_an_overflow_tells_its_line_of_python(cases: list[str]) -> None:
    arguments = ['--firmware', 'bios', '--accel', 'tcg', '--memory', f'{kernel_cases.OVERFLOW}M']
    done = run('boot', *arguments, prefix=cases)
    assert done.status == Status.PANIC
    assert 'a check failed at ' in done.sentence


def test_build_writes_a_disk(tmp_path: Path) -> None:
    disk = tmp_path / 'kernel.img'
    done = run('build', '--format', 'bios', '-o', str(disk))
    content = disk.read_bytes()
    assert done.status == 0
    assert f'{disk}: {len(content):,} bytes' in done.sentence
    assert len(content) % 512 == 0
    assert content[510:512] == b'\x55\xaa'


def test_a_disk_and_an_elf_image_differ(tmp_path: Path) -> None:
    for image_format in ('elf', 'bios'):
        assert run('build', '--format', image_format, '-o', str(tmp_path / image_format)).status == 0
    assert (tmp_path / 'elf').read_bytes()[:4] == b'\x7fELF'
    assert (tmp_path / 'bios').read_bytes()[:1] == b'\xeb'
