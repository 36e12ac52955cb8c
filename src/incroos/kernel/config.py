"""What a build of the kernel chooses. Each field is a constant to the front end; the code it excludes is dropped."""

from dataclasses import dataclass
from typing import Final

from incroos.lang import Config, word


@dataclass(frozen=True)
class KernelConfig(Config):
    """The choices. A switch is 0 or 1."""

    fault_injection: word = 0  # count the requests for frames and refuse the one that FrameState.refuse_at names
    poison: word = 0  # fill freed frames and freed heap blocks with a byte that nobody takes for data


CLASSIC: Final = KernelConfig()
CLASSIC_CHECKED: Final = KernelConfig(fault_injection=1, poison=1)
