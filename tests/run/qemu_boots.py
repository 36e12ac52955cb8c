"""Boots of small kernels for tests."""

from pathlib import Path
from typing import Final

from incroos.run.boot import Boot
from incroos.run.outcome import Outcome
from incroos.run.qemu import boot

from ..budget import SECONDS
from ..build.small_kernels import SmallKernel, write_small

MEMORY: Final = 16 << 20


def boot_small(
    folder: Path, small: SmallKernel, memory_bytes: int = MEMORY, seconds: float = SECONDS
) -> tuple[Outcome, str]:
    """How a small kernel ends in QEMU, and what it wrote."""
    console = bytearray()
    outcome = boot(Boot(memory_bytes, seconds, console.extend, accel='tcg'), write_small(folder, small))
    return outcome, console.decode('ascii')


def words_of(text: str) -> list[int]:
    """The words of 16 hexadecimal digits in what a kernel wrote."""
    return [int(part, 16) for part in text.split() if len(part) == 16]
