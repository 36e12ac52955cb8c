"""Devices: what the kernel knows of them beyond what their registers tell."""

from incroos.lang import Struct, u64


class DevicesState(Struct):
    """Owner: devices."""

    let_through: u64  # lines of the first interrupt controller that are not masked: bit n for line n
    nr_asked: u64  # bytes of input that the host was asked for, and has not begun to send; 0: it was not asked
    nr_coming: u64  # bytes of its answer that were not taken
    has_serial_input: u64  # 1: bytes may come by the first serial port
