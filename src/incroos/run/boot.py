"""What is asked of a boot, in whichever place it happens."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .firmware import PVH
from .names import CLASSIC, NamedConfig
from .outcome import Say

if TYPE_CHECKING:
    from incroos.kernel.config import KernelConfig

    from ..inspect.ram import RamMachine

Sink = Callable[[bytes], object]
Look = Callable[['RamMachine'], object]

BEST_ACCEL: Final = 'auto'  # KVM where it works and starts promptly, else emulation


def say_nothing(_: str) -> None:
    """For boots whose remarks nobody reads."""


@dataclass(frozen=True)
class Boot:
    """A boot that is wanted. Each place reads what concerns it; the simulated computer has no `accel` or `firmware`."""

    memory_bytes: int
    seconds: float  # until it counts as hung
    console_sink: Sink  # gets what the kernel writes to its serial port, as it comes
    say: Say = say_nothing  # gets remarks
    config: 'KernelConfig | NamedConfig' = CLASSIC
    is_checked: bool = False
    accel: str = BEST_ACCEL  # or kvm, tcg
    firmware: str = PVH
    look: Look | None = None  # gets the RAM when the machine has ended
