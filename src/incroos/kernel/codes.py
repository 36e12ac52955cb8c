"""Codes: what a call answers when it cannot do what was asked, and how the machine ends.

Frames, physical addresses, sizes and counts are never negative, so a negative result is one of these. A call that
answers with a code has changed nothing.
"""

from typing import Final

OK: Final = 0

# Frames
NO_FRAME: Final = -1  # no frame is free
MISALIGNED: Final = -2  # not a multiple of the page size that the call works in
FOREIGN: Final = -3  # not a frame that is managed: no RAM, or outside pool and zone
RESERVED: Final = -4  # the frame has a use that this call must not end
DOUBLE_FREE: Final = -5  # free already

# Pages
NOT_CANONICAL: Final = -6  # the highest bits of the virtual address, which no level uses, are not all equal
OUT_OF_RANGE: Final = -7  # the physical address does not fit the 52 bits of the architecture
BAD_FLAGS: Final = -8  # not present, or bits that are no flags of an entry of this level
ALREADY_MAPPED: Final = -9  # the page, or a part of it, is mapped
NOT_MAPPED: Final = -10  # no present entry
ENTRY_IN_USE: Final = -11  # the entry is not present and not zero: it is somebody's note, not to be overwritten
LARGE_PAGE: Final = -12  # the address lies in a page larger than the one that the call names
SMALL_PAGE: Final = -13  # the address lies in a page smaller than the one that the call names
BAD_LEVEL: Final = -14  # no leaf can be of this level: they are of 1, 2 and 3
SPACE_IN_USE: Final = -23  # the address space is loaded, or the kernel's own, or has no tables any more
KERNEL_HALF: Final = -22  # an address of the half that all spaces share: of the kernel's own alone, below its root

# Heap
BAD_FREE: Final = -15  # the pointer is not a block of the heap
NO_ADDRESSES: Final = -16  # the heap has grown to its limit

# Blocks of frames
WRONG_BLOCK: Final = -17  # no block of this order that was handed out begins here
SHARED: Final = -18  # others hold references to the block
BAD_ORDER: Final = -19  # blocks have 2**0 to 2**18 frames
NOT_FREE: Final = -20  # a frame of the block or range is not free

# Caches
CACHE_IN_USE: Final = -21  # somebody has an object of the cache

# A library in somebody's kernel
NOT_STARTED: Final = -31  # the steps of the start that must come before have not been made
ALREADY_STARTED: Final = -32  # this step of the start was made before
BAD_START: Final = -33  # the arguments of the first step are no state, no regions, or no hook for panics
LIBRARY_RANGE: Final = -34  # an address is the library's own: it alone maps, unmaps and protects pages there

# Programs: what abi/errno.py makes Linux's numbers of
NO_ENTRY: Final = -60  # no file has that name
NOT_FOLDER: Final = -61
IS_FOLDER: Final = -62
TOO_MANY_LINKS: Final = -63  # symlinks that lead to symlinks, without an end
NAME_TOO_LONG: Final = -64
NO_PERMISSION: Final = -66
BAD_DESCRIPTOR: Final = -67  # not open, or not for this
NO_DESCRIPTOR: Final = -68  # the table is full
NO_POSITION: Final = -69  # the file has none: a pipe or a terminal
BAD_ARGUMENT: Final = -70
BAD_ARCHIVE: Final = -71  # the host's archive is not what archive.py reads
BAD_PROGRAM: Final = -72  # not an ELF program that this kernel runs
NO_DEVICE: Final = -73
TOO_MUCH_TEXT: Final = -74  # arguments and environment
INPUT_FAILED: Final = -75  # the host could not read
NO_KERNEL_MEMORY: Final = -76
MUST_WAIT: Final = -77  # for FilesState.waits_on: the call is made anew when that has changed
WOULD_WAIT: Final = -78  # it must, and the file says that nobody wants to
BROKEN_PIPE: Final = -79  # nobody reads what is written
TOO_MANY_FILES: Final = -80  # of all tasks together
NO_SPACE: Final = -83  # files have all the memory that they may have
NOT_EMPTY: Final = -84
FILE_BUSY: Final = -85  # a program that runs
IN_USE: Final = -86  # what cannot be moved or removed: the root, or the kernel's own
NOT_ALLOWED: Final = -87  # for nobody
NOT_SUPPORTED: Final = -88
FILE_TOO_LARGE: Final = -89
TOO_MANY_TASKS: Final = -81  # a limit
NO_CHILD: Final = -82
NO_TASK: Final = -92  # of which a file of /proc tells: it is gone
OVER_LIMIT: Final = -93  # of the caller's, for the size of files
IN_BACKGROUND: Final = -91  # of its terminal: FilesState.signal is for the task's group

# User spaces
NO_ROOM: Final = -40  # a limit, no addresses, or no memory for a range
BAD_RANGE: Final = -41  # the address is no start of a page, or there are no bytes, or rights that nobody knows
NOT_COVERED: Final = -42  # a part of it is in no range
NO_ACCESS: Final = -43  # more rights than the range may ever have
EXISTS: Final = -44  # a range is there
BAD_POINTER: Final = -45  # no memory of the user's, or without the right
TOO_LONG: Final = -46  # no zero byte ends the text within what is allowed
TOO_LOW: Final = -47  # below the lowest address that may be mapped
FAULT_NO_RANGE: Final = -50  # the address is in no range
FAULT_NO_RIGHT: Final = -51  # the range does not allow the access
FAULT_BEYOND_CONTENT: Final = -52  # a page behind the last one of the file

# The machine's end: written to EXIT_PORT; QEMU's exit status is then code << 1 | 1
EXIT_PORT: Final = 0xF4
EXIT_PASSED: Final = 0x10
EXIT_FAILED: Final = 0x11
EXIT_PANIC: Final = 0x12
