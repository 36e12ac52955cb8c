"""The time stamp counter as a clock. How fast it counts is measured once, by channel 2 of the 8254.

Unit: the nanosecond; of rates the kilohertz. Channel 2 drives the loudspeaker; its gate and its output are bits of port
0x61. Written from: Intel, "8254 Programmable Interval Timer"; IBM, "Personal Computer AT Technical Reference",
"System Timers".
"""

from typing import Final

from incroos.kernel.devices.timer import CONTROL, HERTZ
from incroos.kernel.state import Kernel
from incroos.lang import in8, kernel, out8, read_tsc, word

CHANNEL_2: Final = 0x42
ONE_SHOT: Final = 0xB0  # of channel 2, whose count follows in two bytes: its output rises when that has passed
GATE_PORT: Final = 0x61
GATE: Final = 1 << 0
LOUDSPEAKER: Final = 1 << 1
OUTPUT: Final = 1 << 5

COUNT: Final = 29_830  # 25 ms
MOST_LOOKS: Final = 4_000_000  # where nothing counts
NANOSECOND: Final = 1_000_000  # the rate of a counter that counts nanoseconds
MILLISECOND: Final = 1_000_000


@kernel
def measure(k: Kernel) -> word:
    """The rate; where channel 2 does not count, that of a counter of nanoseconds. Takes 25 ms."""
    before = in8(k.m, GATE_PORT)
    out8(k.m, GATE_PORT, (before & ~LOUDSPEAKER) | GATE)
    out8(k.m, CONTROL, ONE_SHOT)
    out8(k.m, CHANNEL_2, COUNT & 0xFF)
    out8(k.m, CHANNEL_2, COUNT >> 8)
    start = read_tsc(k.m)
    nr_looks = 0
    while in8(k.m, GATE_PORT) & OUTPUT == 0 and nr_looks < MOST_LOOKS:
        nr_looks += 1
    nr_ticks = read_tsc(k.m) - start
    out8(k.m, GATE_PORT, before)
    rate = nr_ticks * HERTZ // COUNT // 1000
    return rate if nr_looks < MOST_LOOKS and rate > 0 else NANOSECOND


@kernel
def nanoseconds(k: Kernel) -> word:
    """What the counter says since the start, by the rate that was measured."""
    rate = k.tasks.counter_rate
    if rate == NANOSECOND:
        return read_tsc(k.m)
    nr_ticks = read_tsc(k.m) - k.tasks.counter_start
    return nr_ticks // rate * MILLISECOND + nr_ticks % rate * MILLISECOND // rate
