"""The numbers of MADV_, as far as vm does something about them or draws a line at one."""

from typing import Final

NORMAL: Final = 0
RANDOM: Final = 1
SEQUENTIAL: Final = 2
DONT_NEED: Final = 4
FREE: Final = 8
REMOVE: Final = 9
DONT_FORK: Final = 10
DO_FORK: Final = 11
HUGE_PAGES: Final = 14
NO_HUGE_PAGES: Final = 15
DONT_DUMP: Final = 16
DO_DUMP: Final = 17
WIPE_ON_FORK: Final = 18
KEEP_ON_FORK: Final = 19
COLD: Final = 20
PAGE_OUT: Final = 21
DONT_NEED_LOCKED: Final = 24
