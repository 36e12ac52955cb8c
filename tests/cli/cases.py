"""A kernel that ends in as many ways as there are: the machine's RAM in MiB says which, the same in all places.

It has the real kernel's memory map, console, panic and exception handlers; only what it does is its own.
"""

from typing import Final

from incroos.kernel.codes import EXIT_FAILED, EXIT_PASSED, EXIT_PORT
from incroos.kernel.io import console
from incroos.kernel.io.panic import panic
from incroos.kernel.layout import IMAGE_START
from incroos.kernel.pmm import memory_map
from incroos.kernel.state import Kernel
from incroos.kernel.trap import faults
from incroos.lang import PhysAddr, VirtAddr, halt, kernel, load_idt, out8, pause, store8, word
from incroos.run.simulated import EntryPoints

PASS: Final = 16
FAIL: Final = 17
PANIC: Final = 18
PAGE_FAULT: Final = 19
TRIPLE_FAULT: Final = 20
HANG: Final = 21
HALT: Final = 22
OVERFLOW: Final = 23
STRANGE_CODE: Final = 24
RETURN: Final = 25
CHATTER: Final = 26
HALF_LINE: Final = 27

UNMAPPED: Final = VirtAddr(0x5000_0000)
MEBIBYTE_SHIFT: Final = 20


@kernel
def start(k: Kernel, start_info: PhysAddr) -> None:
    """Does what the case wants."""
    console.init(k, start_info)
    memory_map.read(k, start_info)
    case = nr_mebibytes(k)
    if case == PASS:
        end(k, EXIT_PASSED)
    elif case == FAIL:
        end(k, EXIT_FAILED)
    elif case == PANIC:
        panic(k, b'as the test wants', 1, 2, 3)
    elif case == PAGE_FAULT:
        store8(k.m, UNMAPPED, 1)
    elif case == TRIPLE_FAULT:
        console.put_text(k, b'last words\n')
        load_idt(k.m, VirtAddr(0), 0)
        store8(k.m, UNMAPPED, 1)
    elif case == OVERFLOW:
        overflow(k, case)
    elif case == STRANGE_CODE:
        end(k, 0x42)
    elif case == HALF_LINE:
        console.put_text(k, b'half a line')
        end(k, EXIT_PASSED)
    elif case != RETURN:
        stay(k, case)


@kernel
def stay(k: Kernel, case: word) -> None:
    """The cases that have no end."""
    console.put_text(k, b'staying\n')
    while True:
        if case == HALT:
            halt(k.m)
        elif case == CHATTER:
            console.put_text(k, b'and on\n')
        else:
            pause(k.m)


@kernel
def nr_mebibytes(k: Kernel) -> word:
    """The machine's RAM. The firmware keeps a little at its end, hence rounded up."""
    end_of_ram = 0
    for index in range(k.memory_map.nr_regions):
        region = k.memory_map.regions[index]
        if region.start <= IMAGE_START < region.end:
            end_of_ram = region.end
    return (end_of_ram + (1 << MEBIBYTE_SHIFT) - 1) >> MEBIBYTE_SHIFT


@kernel
def overflow(k: Kernel, value: word) -> None:
    """A sum beyond the word."""
    k.space.nr_tables = value + 0x7FFF_FFFF_FFFF_FFFF


@kernel
def end(k: Kernel, code: word) -> None:
    out8(k.m, EXIT_PORT, code)


ENTRIES: Final = EntryPoints(start, faults.on_page_fault, faults.on_exception)
