"""Amounts of memory and of time, as users write them."""

import re
from typing import Any, Final

import click

from incroos.run.firmware import MIN_MEMORY_BYTES, PVH

MEMORY_UNIT: Final = 8 << 10  # in which QEMU counts RAM
UNITS: Final = {'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30, 'T': 1 << 40}


class Amount(click.ParamType[int]):
    """An amount of memory: a number with K, M, G or T."""

    name = 'amount'

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r'([0-9]{1,1000})([KMGT])(i?B)?', value, re.IGNORECASE)
        if not match:
            self.fail(f'{value!r} is not an amount of memory: write a number with K, M, G or T, as 64M', param, ctx)
        return int(match[1]) * UNITS[match[2].upper()]


class Memory(Amount):
    """An amount of RAM that a machine can have."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        nbytes = super().convert(value, param, ctx)
        if nbytes < MIN_MEMORY_BYTES[PVH]:
            self.fail(f'{value} is too little for the kernel and a frame to manage: give it 3M or more', param, ctx)
        if nbytes > 1 << 46:
            self.fail(f'{value} is more than the processor can address: give it 64T or less', param, ctx)
        if nbytes % MEMORY_UNIT:
            self.fail(f'{value} is not a multiple of 8K: give it {nbytes // MEMORY_UNIT * 8 + 8}K', param, ctx)
        return nbytes


class Seconds(click.ParamType[float]):
    """A positive number of seconds."""

    name = 'seconds'

    def __init__(self, what: str) -> None:
        """`what` is for what the time is."""
        self.what = what

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(value)
        except ValueError:
            self.fail(f'{value!r} is not a number of seconds: write one, as 30', param, ctx)
        if not 0 < seconds <= 86400:
            self.fail(f'{value} s is no time to {self.what} in: write more than 0 and at most 86400', param, ctx)
        return seconds
