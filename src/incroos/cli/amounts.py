"""Amounts of memory, as users write them."""

import re
from typing import Any, Final

import click

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
