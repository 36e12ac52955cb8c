"""The kernel's image: from the cache and into files, and how little a warm boot needs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from incroos.build.errors import BuildError
from incroos.kernel.configs import CLASSIC, CLASSIC_CHECKED, EMBEDDED_CLASSIC, MODERN_FULL
from incroos.run import images
from incroos.run.check import check
from incroos.run.names import made, named_kernel
from incroos.run.outcome import Unusable

FACTS: dict[str, Any] = {'symbols': {}, 'sites': ['a.py:1'], 'stack': {'stack': 840}, 'nr_functions': 7}


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """An empty cache, and a build that only records with what it was called."""
    calls: list[tuple[object, ...]] = []

    def build_files(*arguments: object) -> dict[str, bytes]:
        calls.append(arguments)
        return {images.ELF: b'an image', images.FACTS: json.dumps(FACTS).encode()}

    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(images, 'build_files', build_files)
    return calls


def test_what_was_built_is_not_built_again(builds: list[object]) -> None:
    said: list[str] = []
    first = images.kernel_image(said.append)
    again = images.kernel_image(said.append)
    assert first == again
    assert first.path.read_bytes() == b'an image'
    assert first.place_of_site(0) == 'a.py:1'
    assert builds == [('kmain', CLASSIC, False, False, False)]
    assert said == ['building the kernel']


def test_each_kind_of_image_is_an_entry_of_its_own(builds: list[object]) -> None:
    kinds: list[dict[str, Any]] = [
        {},
        {'checked': True},
        {'debug': True},
        {'is_quick': True},
        {'entry': images.MAILBOX},
        {'config': CLASSIC_CHECKED},
        {'config': named_kernel('modern')},
        {'config': named_kernel('modern', 'full')},
    ]
    paths = {images.kernel_image(print, **kind).path for kind in kinds}
    assert len(paths) == len(builds) == len(kinds)


def test_named_configuration_is_the_one_of_that_name() -> None:
    assert made(named_kernel('modern', 'full')) == MODERN_FULL == made(MODERN_FULL)
    assert made(named_kernel()) == CLASSIC


def test_damaged_image_is_built_anew(builds: list[object]) -> None:
    said: list[str] = []
    image = images.kernel_image(said.append)
    image.path.write_bytes(b'an imagE')
    assert images.kernel_image(said.append).path.read_bytes() == b'an image'
    assert len(builds) == 2
    assert said[1:] == [f'the cached build in {image.path.parent} is damaged: building it anew', 'building the kernel']


def test_build_that_fails_is_a_sentence(builds: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> dict[str, bytes]:
        raise BuildError('no linker is installed: install one')

    monkeypatch.setattr(images, 'build_files', fail)
    with pytest.raises(Unusable, match=r'^no linker is installed: install one$'):
        images.kernel_image(print)


def test_write_replaces_a_file_whole(builds: list[object], tmp_path: Path) -> None:
    output = tmp_path / 'out' / 'kernel.elf'
    output.parent.mkdir()
    output.write_bytes(b'what was there before')
    built = images.write(output, checked=False, debug=False, say=print)
    assert output.read_bytes() == b'an image'
    assert built['bytes'] == 8
    assert built['stack_bytes'] == 840
    assert list(output.parent.iterdir()) == [output]
    mask = os.umask(0)
    os.umask(mask)
    assert output.stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize('output', ['/proc/nothing/kernel.elf', '/proc/kernel.elf', '/dev/full', '/'])
def test_output_that_cannot_be_written(builds: list[object], output: str) -> None:
    with pytest.raises(Unusable, match=f'^{output} cannot be written .*: name a path that can'):
        images.write(Path(output), checked=False, debug=False, say=print)


def test_kernel_and_machine_pass_the_front_end() -> None:
    classic = check([CLASSIC], [])
    assert classic > 100
    assert check([CLASSIC], [EMBEDDED_CLASSIC]) > classic + 50


def test_warm_boot_imports_no_configuration_no_front_end_and_no_llvm() -> None:
    images.kernel_image(print)
    text = (
        'import sys; from pathlib import Path; from incroos.run import images, qemu\n'
        'said = []\n'
        'image = images.kernel_image(said.append)\n'
        'assert said == [], said\n'
        'print(*sys.modules)\n'
    )
    done = subprocess.run([sys.executable, '-c', text], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert 'incroos.run.qemu' in loaded
    assert not loaded & {
        'llvmlite',
        'elftools',
        'ctypes',
        'incroos.lang.frontend',
        'incroos.kernel.boot.main',
        'incroos.kernel.configs',
        'incroos.build.image',
    }
