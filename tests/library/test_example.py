"""The example: a kernel in C boots with the transcript of our own kernel, and its own Makefile builds it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from incroos.run.outcome import Status

from .c_kernels import EXAMPLE, ROOT, boot_image, build

SEED = """\
Hello, 64-bit kernel World!
Initializing memory manager...
PMM initialized
VMM initialized
Heap initialized
Total pages: 8192
Free pages: 8192

Testing memory allocation...
kmalloc(100): SUCCESS
kfree: SUCCESS
pmm_alloc_page: SUCCESS (addr: 0x0000000000201000)
pmm_free_page: SUCCESS

Memory manager operational!
"""


@pytest.mark.parametrize('checked', [False, True])
def test_the_example_boots_with_the_transcript_of_the_seed(tmp_path: Path, checked: bool) -> None:
    outcome, text = boot_image(build(tmp_path, EXAMPLE / 'kernel.c', 'classic', checked))
    assert text == SEED
    assert outcome.status == Status.PASSED


@pytest.mark.parametrize(('memory', 'checked'), [(16 << 20, True), (64 << 20, False), (6 << 30, True)])
def test_the_example_boots_with_the_library_of_config_modern(tmp_path: Path, memory: int, checked: bool) -> None:
    outcome, text = boot_image(build(tmp_path, EXAMPLE / 'kernel.c', 'modern', checked), memory)
    assert outcome.status == Status.PASSED
    total = int(text.partition('Total pages: ')[2].partition('\n')[0])
    free = int(text.partition('Free pages: ')[2].partition('\n')[0])
    assert total - 16 < free <= total  # page tables that were made when the metadata was open
    assert 0.85 * memory < total * 4096 < memory
    assert text.endswith('vmalloc(3 MiB): SUCCESS\n\nMemory manager operational!\n')


@pytest.mark.parametrize('config', ['classic', 'modern'])
def test_the_example_boots_with_a_hardened_heap(tmp_path: Path, config: str) -> None:
    outcome, text = boot_image(build(tmp_path, EXAMPLE / 'kernel.c', config, checked=True, hardening='full'))
    assert outcome.status == Status.PASSED
    assert text.count(': SUCCESS') == (5 if config == 'modern' else 4)


def test_with_less_memory_the_counts_are_smaller(tmp_path: Path) -> None:
    outcome, text = boot_image(build(tmp_path, EXAMPLE / 'kernel.c'), 16 << 20)
    assert outcome.status == Status.PASSED
    assert 'Total pages: 3552\nFree pages: 3552\n' in text  # those of `incroos boot --memory 16M`


def test_a_check_that_fails_says_so(tmp_path: Path) -> None:
    """The lines of success are no constants: with a bug in the kernel, the line is another one."""
    text = (EXAMPLE / 'kernel.c').read_text()
    assert 'other[at] = 0x3C;' in text
    main = tmp_path / 'kernel.c'
    main.write_text(text.replace('other[at] = 0x3C;', 'other[at - 112] = 0x3C;'))
    outcome, printed = boot_image(build(tmp_path, main))
    assert outcome.status == Status.FAILED
    assert printed.endswith('kmalloc(100): FAILED (the block lost what was written to it)\n')


def test_the_makefile_builds_and_boots(tmp_path: Path) -> None:
    folder = tmp_path / 'c-kernel'
    folder.mkdir()
    for file in EXAMPLE.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    incroos = tmp_path / 'incroos'
    incroos.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from incroos.cli import main; main()" "$@"\n')
    incroos.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith('MAKE')}
    command = ['make', '-s', 'run', f'INCROOS={incroos}']
    done = subprocess.run(
        command, cwd=folder, env={**environment, 'PYTHONPATH': str(ROOT / 'src')}, capture_output=True, check=False
    )
    assert done.stdout.decode() == SEED
    assert done.returncode == 0
