"""Events of poll, select and epoll: what can be done with a file. Numbers: Linux, `poll.h`."""

from typing import Final

IN: Final = 0x1  # POLLIN
OUT: Final = 0x4  # POLLOUT
CAN_READ: Final = IN | 0x40  # and POLLRDNORM
CAN_WRITE: Final = OUT | 0x100  # and POLLWRNORM
BROKEN: Final = 0x8  # POLLERR
HUNG_UP: Final = 0x10  # POLLHUP
NOT_OPEN: Final = 0x20  # POLLNVAL
UNASKED: Final = BROKEN | HUNG_UP | NOT_OPEN  # told though nobody asks for them
