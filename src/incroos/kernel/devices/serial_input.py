"""Input by the first serial port, COM1, where a person or another computer sits: bytes come whether asked for or not.

Unit: the byte. The port's FIFO holds 16; what comes while it is full is lost. The kernel's own text leaves by the same
port (io/console.py).
"""

from incroos.kernel.arch.serial_port import (
    FIFO_CONTROL,
    HAS_BYTE,
    INTERRUPT_AT_1,
    INTERRUPT_ENABLE,
    INTERRUPTS_ON,
    LINE_STATUS,
    MODEM_CONTROL,
    READY,
    WHEN_RECEIVED,
)
from incroos.kernel.io.console import SERIAL
from incroos.kernel.state import Kernel
from incroos.lang import in8, kernel, out8, word


@kernel
def init(k: Kernel) -> None:
    """Have a byte that comes end an idle processor's wait. PRE console.init was called."""
    out8(k.m, SERIAL + FIFO_CONTROL, INTERRUPT_AT_1)
    out8(k.m, SERIAL + MODEM_CONTROL, READY | INTERRUPTS_ON)
    out8(k.m, SERIAL + INTERRUPT_ENABLE, WHEN_RECEIVED)
    k.devices.has_serial_input = 1


@kernel
def has_byte(k: Kernel) -> bool:
    """Whether one has come; waits for nothing."""
    return in8(k.m, SERIAL + LINE_STATUS) & HAS_BYTE != 0


@kernel
def get_byte(k: Kernel) -> word:
    """Take it. PRE has_byte(k)."""
    return in8(k.m, SERIAL)
