"""The clock that goes on while the PC is off: date and time of day, from the CMOS memory.

Unit: the second since 1970. It is taken for UTC, which is how virtual machines and most systems set it. Written from:
Motorola, "MC146818 Real-Time Clock Plus RAM".
"""

from typing import Final

from incroos.kernel.state import Kernel
from incroos.lang import in8, kernel, out8, word

INDEX_PORT: Final = 0x70
DATA_PORT: Final = 0x71

# Registers
SECONDS: Final = 0
MINUTES: Final = 2
HOURS: Final = 4
DAY: Final = 7
MONTH: Final = 8
YEAR: Final = 9  # of the century
STATUS_A: Final = 10
STATUS_B: Final = 11

IS_CHANGING: Final = 0x80  # STATUS_A: the registers are no time now
IS_BINARY: Final = 0x04  # STATUS_B: numbers are binary, and not two decimal digits
HAS_24_HOURS: Final = 0x02
AFTERNOON: Final = 0x80  # in HOURS, where it has 12

MOST_TRIES: Final = 100_000  # it changes for 2 ms in each second
DAYS_BEFORE_CENTURY: Final = 10_957  # from 1970 on
DAY_SECONDS: Final = 86_400


@kernel
def seconds(k: Kernel) -> word:
    """The time; 0 where there is no such clock, or it is not set."""
    for _try in range(MOST_TRIES):
        if register(k, STATUS_A) & IS_CHANGING == 0:
            found = read(k)
            if register(k, STATUS_A) & IS_CHANGING == 0 and found == read(k):
                return found
    return 0


@kernel
def read(k: Kernel) -> word:
    """What the registers say, whether they change or not; 0 for what is no time."""
    month = number(k, MONTH)
    day = number(k, DAY)
    year = number(k, YEAR)
    hour = hour_of(k)
    minute = number(k, MINUTES)
    second = number(k, SECONDS)
    if not (1 <= month <= 12 and 1 <= day <= 31 and year < 100 and hour < 24 and minute < 60 and second < 60):
        return 0
    days = DAYS_BEFORE_CENTURY + days_before(year, month) + day - 1
    return days * DAY_SECONDS + hour * 3600 + minute * 60 + second


@kernel
def days_before(year: word, month: word) -> word:
    """The days from the century's first to the month's first. The year 2000 was a leap year."""
    days = year * 365 + (year + 3) // 4
    is_leap = year % 4 == 0
    for before in range(1, month):
        if before == 2:
            days += 29 if is_leap else 28
        elif before == 4 or before == 6 or before == 9 or before == 11:
            days += 30
        else:
            days += 31
    return days


@kernel
def hour_of(k: Kernel) -> word:
    """The hour, 0 to 23."""
    if register(k, STATUS_B) & HAS_24_HOURS != 0:
        return number(k, HOURS)
    hour = register(k, HOURS)
    half = 12 if hour & AFTERNOON != 0 else 0
    return plain(k, hour & ~AFTERNOON) % 12 + half


@kernel
def number(k: Kernel, index: word) -> word:
    """The number in a register."""
    return plain(k, register(k, index))


@kernel
def plain(k: Kernel, value: word) -> word:
    """A number as the registers have it, in binary."""
    return value if register(k, STATUS_B) & IS_BINARY != 0 else value // 16 * 10 + value % 16


@kernel
def register(k: Kernel, index: word) -> word:
    """Read a register."""
    out8(k.m, INDEX_PORT, index)
    return in8(k.m, DATA_PORT)
