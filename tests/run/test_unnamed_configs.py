"""Configurations without a name, also with a design from elsewhere: built and booted as those that users name.

The key in the cache is made from what they choose, of a design from its content.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from incroos.hosted.configs import HOSTED
from incroos.inspect.ram import RamMachine
from incroos.inspect.statistics import statistics_of
from incroos.kernel.config import KernelConfig
from incroos.kernel.configs import EMBEDDED_CLASSIC, MODERN
from incroos.kernel.heap import chunks_alone
from incroos.lang import load_design
from incroos.run import images, jit, library, places, shared_library
from incroos.run.boot import Boot
from incroos.run.outcome import Status

from ..budget import SECONDS

PLACES = ('sim', 'jit', 'qemu')
TEXT = """
from incroos.kernel.pmm.all import buddy
from incroos.kernel.pmm.all.buddy import *
from incroos.kernel.state import FrameDatabase, Zone
from incroos.lang import Pfn, kernel, word


@kernel
def take(zone: Zone, database: FrameDatabase, order: word) -> Pfn:
    return buddy.take(zone, database, order)
"""


@pytest.fixture
def design(tmp_path: Path) -> Path:
    file = tmp_path / 'my_frames.py'
    file.write_text(TEXT)
    return file


@pytest.mark.parametrize('place', PLACES)
def test_it_boots(place: str, design: Path) -> None:
    seen: list[Any] = []

    def look(ram: RamMachine) -> None:
        seen.append(ram.config)
        assert statistics_of(ram)

    config = replace(MODERN, objects=chunks_alone, frames=load_design(design))
    console = bytearray()
    end = places.boot(
        place, Boot(64 << 20, SECONDS, console.extend, config=config, accel='tcg', look=look, is_checked=True)
    )
    assert end.status is Status.PASSED, console
    assert seen == [config]


def keys_of(config: KernelConfig, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys under which all that is built of a configuration is kept."""
    asked: list[str] = []

    class Asked(Exception):
        pass

    class Cache:
        def __init__(self, say: object) -> None:
            pass

        def fetch(self, key: str) -> None:
            asked.append(key)
            raise Asked

    for module in (images, jit, library, shared_library):
        monkeypatch.setattr(module, 'Cache', Cache)
    for build in (
        lambda: images.kernel_image(print, config=config),
        lambda: jit.cached_kernel(print, config=config),
        lambda: library.library_files(print, config=config),
        lambda: shared_library.shared_library(print, config=config),
    ):
        with pytest.raises(Asked):
            build()
    return asked


def test_what_is_built_is_kept_for_this_content_of_its_design(design: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(MODERN, frames=load_design(design))
    before = keys_of(config, monkeypatch)
    assert keys_of(config, monkeypatch) == before
    design.write_text(TEXT + '# Another text, for all that the cache knows.\n')
    after = keys_of(config, monkeypatch)
    assert len({*before, *after}) == len(before) + len(after) == 8


@pytest.mark.parametrize('config', [MODERN, EMBEDDED_CLASSIC, HOSTED])
def test_each_choice_makes_another_key(config: KernelConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(config, quarantine_blocks=config.quarantine_blocks - 1)
    assert not set(keys_of(config, monkeypatch)) & set(keys_of(other, monkeypatch))
