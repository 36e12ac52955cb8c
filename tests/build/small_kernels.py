"""Small kernels, each with one thing to show: what they write to the serial port says which, the exit port says how.

Exit codes are the real kernel's: 0x10 passed, 0x11 failed, 0x12 a handler was called that should not have been.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from incroos.build.boot_pvh import BootLayout, ExitPort
from incroos.build.image import Image, build_image
from incroos.lang import (
    Machine,
    PhysAddr,
    Struct,
    VirtAddr,
    are_interrupts_enabled,
    halt,
    invlpg,
    kernel,
    load8,
    load32,
    load64,
    load_idt,
    out8,
    pause,
    read_cr0,
    read_cr2,
    read_cr3,
    read_cr4,
    read_msr,
    store8,
    store64,
    u64,
    word,
)
from incroos.lang.frontend import BARE, compile_unit

LAYOUT: Final = BootLayout(
    page_tables=0x1000,
    image_start=0x10_0000,
    image_limit=0x1D_0000,
    guard_page=0x1E_0000,
    stack_top=0x1F_0000,
    kernel_struct=0x1F_0000,
    exit_port=ExitPort(0xF4, 0x5A),
)
LEVEL1: Final = 0x4000  # the last of the four boot tables
LEVEL3: Final = 0x2000
GUARD: Final = 0x1E_0000
STACK_TOP: Final = 0x1F_0000
TEXT: Final = 0x10_0000
PASSED: Final = 0x10
FAILED: Final = 0x11
UNEXPECTED: Final = 0x12


class State(Struct):
    """What a small kernel remembers between its functions, at the address of the Kernel struct."""

    nr_faults: u64
    error: u64
    va: u64


@kernel
def put(m: Machine, text: bytes) -> None:
    for char in text:
        out8(m, 0x3F8, char)


@kernel
def put_hex(m: Machine, value: word) -> None:
    """16 digits and a blank."""
    for shift in range(60, -4, -4):
        digit = (value >> shift) & 15
        out8(m, 0x3F8, digit + 48 if digit < 10 else digit + 55)
    out8(m, 0x3F8, 32)


@kernel
def stop(m: Machine, code: word) -> None:
    out8(m, 0xF4, code)


@kernel
def report_page_fault(k: State, error: word, ip: VirtAddr) -> None:
    """For kernels that must not fault, or whose fault is what they show."""
    put(k.m, b'page fault ')
    put_hex(k.m, error)
    put_hex(k.m, read_cr2(k.m))
    stop(k.m, UNEXPECTED)


@kernel
def report_exception(k: State, vector: word, error: word, ip: VirtAddr, site: word) -> None:
    put(k.m, b'exception ')
    put_hex(k.m, vector)
    put_hex(k.m, error)
    put_hex(k.m, site)
    stop(k.m, UNEXPECTED)


@kernel
def mend_page_fault(k: State, error: word, ip: VirtAddr) -> None:
    """Map the page of the address to the frame of the same number, and let the access be retried."""
    k.nr_faults += 1
    k.error = error
    k.va = read_cr2(k.m)
    page = read_cr2(k.m) >> 12
    store64(k.m, VirtAddr(LEVEL1 + 8 * page), page << 12 | 3)
    invlpg(k.m, VirtAddr(page << 12))


@kernel
def pass_at_once(k: State, start_info: PhysAddr) -> None:
    put(k.m, b'hello\n')
    stop(k.m, PASSED)


@kernel
def fail(k: State, start_info: PhysAddr) -> None:
    stop(k.m, FAILED)


@kernel
def end_with_unknown_code(k: State, start_info: PhysAddr) -> None:
    stop(k.m, 0x42)


@kernel
def fault_and_return(k: State, start_info: PhysAddr) -> None:
    """A store to the guard page faults once; all values that were alive across it must be what they were."""
    k.nr_faults = 0
    a = load64(k.m, VirtAddr(LEVEL1 + 8))
    b = a * 3 + 1
    c = a * 5 + 2
    d = a * 7 + 3
    e = a * 11 + 4
    f = a * 13 + 5
    g = a * 17 + 6
    h = a * 19 + 7
    store64(k.m, VirtAddr(GUARD + 0x18), a + 1)
    right = b == a * 3 + 1 and c == a * 5 + 2 and d == a * 7 + 3 and e == a * 11 + 4
    right = right and f == a * 13 + 5 and g == a * 17 + 6 and h == a * 19 + 7
    right = right and load64(k.m, VirtAddr(GUARD + 0x18)) == a + 1
    right = right and k.nr_faults == 1 and k.error == 2 and k.va == GUARD + 0x18
    put_hex(k.m, b ^ c ^ d ^ e ^ f ^ g ^ h)
    stop(k.m, PASSED if right else FAILED)


@kernel
def write_to_text(k: State, start_info: PhysAddr) -> None:
    store8(k.m, VirtAddr(TEXT), 0)
    stop(k.m, PASSED)


@kernel
def lose_the_stack(k: State, start_info: PhysAddr) -> None:
    """Unmap the page of the stack in use: not even the page fault's frame can be pushed."""
    page = (STACK_TOP >> 12) - 1
    store64(k.m, VirtAddr(LEVEL1 + 8 * page), 0)
    invlpg(k.m, VirtAddr(page << 12))
    put_hex(k.m, 1 if are_interrupts_enabled(k.m) else 0)  # pushes the flags
    stop(k.m, PASSED)


@kernel
def triple_fault(k: State, start_info: PhysAddr) -> None:
    """An exception without a table of handlers."""
    put(k.m, b'last words\n')
    load_idt(k.m, VirtAddr(0), 0)
    store8(k.m, VirtAddr(TEXT), 0)


@kernel
def hang(k: State, start_info: PhysAddr) -> None:
    put(k.m, b'hanging\n')
    while True:
        pause(k.m)


@kernel
def halt_for_ever(k: State, start_info: PhysAddr) -> None:
    while True:
        halt(k.m)


@kernel
def chatter_for_ever(k: State, start_info: PhysAddr) -> None:
    """Output without an end must not keep the time from running out."""
    while True:
        put(k.m, b'and on ')


@kernel
def overflow(k: State, start_info: PhysAddr) -> None:
    value = load64(k.m, VirtAddr(LEVEL1)) | 1 << 62
    put_hex(k.m, value * 4)  # the line of the trap
    stop(k.m, PASSED)


@kernel
def tell_boot_state(k: State, start_info: PhysAddr) -> None:
    put_hex(k.m, k.addr)
    put_hex(k.m, read_cr0(k.m))
    put_hex(k.m, read_cr3(k.m))
    put_hex(k.m, read_cr4(k.m))
    put_hex(k.m, read_msr(k.m, 0xC000_0080))
    stop(k.m, PASSED)


@kernel
def tell_memory_map(k: State, start_info: PhysAddr) -> None:
    """Magic and version, then start, bytes and type of each region."""
    put_hex(k.m, load32(k.m, VirtAddr(start_info)))
    put_hex(k.m, load32(k.m, VirtAddr(start_info + 4)))
    entry = VirtAddr(load64(k.m, VirtAddr(start_info + 40)))
    for _ in range(load32(k.m, VirtAddr(start_info + 48))):
        put_hex(k.m, load64(k.m, entry))
        put_hex(k.m, load64(k.m, VirtAddr(entry + 8)))
        put_hex(k.m, load32(k.m, VirtAddr(entry + 16)))
        entry = VirtAddr(entry + 24)
    stop(k.m, PASSED)


@kernel
def tell_modules(k: State, start_info: PhysAddr) -> None:
    """How many, where their list is, the command line; and of the first its bytes, its command line, its content."""
    put_hex(k.m, load32(k.m, VirtAddr(start_info + 12)))
    put_hex(k.m, load64(k.m, VirtAddr(start_info + 24)))
    module = VirtAddr(load64(k.m, VirtAddr(start_info + 16)))
    if module != 0:
        put_hex(k.m, load64(k.m, VirtAddr(module + 8)))
        put_hex(k.m, load64(k.m, VirtAddr(module + 16)))
        content = VirtAddr(load64(k.m, module))
        for at in range(load64(k.m, VirtAddr(module + 8))):
            put_hex(k.m, load8(k.m, VirtAddr(content + at)))
    stop(k.m, PASSED)


@kernel
def tell_large_module(k: State, start_info: PhysAddr) -> None:
    """Where the content of the first one is, its bytes, and the last entry of the memory map."""
    module = VirtAddr(load64(k.m, VirtAddr(start_info + 16)))
    put_hex(k.m, load64(k.m, module))
    put_hex(k.m, load64(k.m, VirtAddr(module + 8)))
    nr_entries = load32(k.m, VirtAddr(start_info + 48))
    last = VirtAddr(load64(k.m, VirtAddr(start_info + 40)) + 24 * (nr_entries - 1))
    put_hex(k.m, load64(k.m, last))
    put_hex(k.m, load64(k.m, VirtAddr(last + 8)))
    put_hex(k.m, load32(k.m, VirtAddr(last + 16)))
    stop(k.m, PASSED)


@kernel
def touch_high_memory(k: State, start_info: PhysAddr) -> None:
    """Map the giant page at 4 GiB, write there and on the screen, and wait for the host to answer."""
    store64(k.m, VirtAddr(LEVEL3 + 8 * 4), 4 << 30 | 0x83)
    store64(k.m, VirtAddr((4 << 30) + 0x5008), 0x1234_5678_9ABC)
    store8(k.m, VirtAddr(0xB8000), 0x4B)
    put(k.m, b'ready\n')
    while load8(k.m, VirtAddr(0x1D_0000)) != 7:
        pause(k.m)
    stop(k.m, PASSED)


@dataclass(frozen=True)
class SmallKernel:
    """What build_small needs to know of one."""

    main: Callable[..., Any]
    page_fault: Callable[..., Any] = report_page_fault
    checked: bool = False
    debug: bool = False
    levels: int = 4


def build_small(small: SmallKernel, layout: BootLayout = LAYOUT) -> Image:
    roots = {'kmain': small.main, 'on_page_fault': small.page_fault, 'on_exception': report_exception}
    unit = compile_unit(roots, target=BARE, checked=small.checked, debug=small.debug)
    return build_image(unit.ir, unit.sites, replace(layout, levels=small.levels), small.debug)


def write_small(folder: Path, small: SmallKernel, layout: BootLayout = LAYOUT) -> Path:
    """Build into a folder; the image's path."""
    path = folder / f'{small.main.__name__}.elf'
    path.write_bytes(build_small(small, layout).elf)
    return path
