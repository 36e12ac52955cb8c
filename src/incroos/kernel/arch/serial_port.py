"""The serial port: registers of a 16550, counted from its first port, and their bits.

Written from: National Semiconductor, "PC16550D UART".
"""

from typing import Final

# Registers. The first one is the data, and the low half of the divisor while DIVISOR_ACCESS is set
INTERRUPT_ENABLE: Final = 1  # and the high half of the divisor
FIFO_CONTROL: Final = 2  # and, where it is read, why the port would interrupt
LINE_CONTROL: Final = 3
MODEM_CONTROL: Final = 4
LINE_STATUS: Final = 5

WHEN_RECEIVED: Final = 0x01  # INTERRUPT_ENABLE
CLEAR_AND_USE_FIFOS: Final = 0xC7  # FIFO_CONTROL; 14 bytes fill it, and not one
INTERRUPT_AT_14: Final = 0xC1  # the same, and what is in the FIFOs stays
INTERRUPT_AT_1: Final = 0x01
DIVISOR_ACCESS: Final = 0x80  # LINE_CONTROL
EIGHT_BITS_NO_PARITY: Final = 0x03
READY: Final = 0x03  # MODEM_CONTROL: data terminal ready, request to send
INTERRUPTS_ON: Final = 0x08  # on a PC: what lets the port's interrupt out (OUT2)
LOOPBACK: Final = 0x10
HAS_BYTE: Final = 0x01  # LINE_STATUS
CAN_SEND: Final = 0x20
HAS_SENT: Final = 0x40  # FIFO and shift register are empty
