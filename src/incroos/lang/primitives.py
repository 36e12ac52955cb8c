"""The machine's primitives: everything that kernel code can do beyond computing with words.

Each states what must hold before (PRE) and what holds after (POST). Interpreted, a primitive is the method of the same
name of the machine. Compiled, the target gives its lowering: an instruction, or a kernel function that simulates one.
Loads and stores need no alignment. Wording of the processor's behaviour: Intel SDM volume 2, AMD APM volume 3.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from .machine import Machine
from .words import VirtAddr, word

F = TypeVar('F', bound=Callable[..., Any])

PRIMITIVES: Final[dict[str, Callable[..., Any]]] = {}


def primitive(function: F) -> F:
    """Enter a primitive into the table that the front end reads."""
    PRIMITIVES[function.__name__] = function
    return function


# ------------------------------------------------------------------ memory
@primitive
def load8(m: Machine, addr: VirtAddr) -> word:
    """PRE addr is readable. POST the byte there, 0 to 2**8 - 1."""
    return m.load8(addr)


@primitive
def load16(m: Machine, addr: VirtAddr) -> word:
    """PRE 2 bytes at addr are readable. POST their number, little-endian, 0 to 2**16 - 1."""
    return m.load16(addr)


@primitive
def load32(m: Machine, addr: VirtAddr) -> word:
    """PRE 4 bytes at addr are readable. POST their number, little-endian, 0 to 2**32 - 1."""
    return m.load32(addr)


@primitive
def load64(m: Machine, addr: VirtAddr) -> word:
    """PRE 8 bytes at addr are readable. POST the word there."""
    return m.load64(addr)


@primitive
def store8(m: Machine, addr: VirtAddr, value: word) -> None:
    """PRE addr is writable, 0 <= value < 2**8. POST the byte there is value."""
    m.store8(addr, value)


@primitive
def store16(m: Machine, addr: VirtAddr, value: word) -> None:
    """PRE 2 bytes at addr are writable, 0 <= value < 2**16. POST they hold value, little-endian."""
    m.store16(addr, value)


@primitive
def store32(m: Machine, addr: VirtAddr, value: word) -> None:
    """PRE 4 bytes at addr are writable, 0 <= value < 2**32. POST they hold value, little-endian."""
    m.store32(addr, value)


@primitive
def store64(m: Machine, addr: VirtAddr, value: word) -> None:
    """PRE 8 bytes at addr are writable. POST they hold the word."""
    m.store64(addr, value)


@primitive
def fill(m: Machine, addr: VirtAddr, byte: word, nbytes: word) -> None:
    """PRE nbytes >= 0 bytes at addr are writable, 0 <= byte < 2**8. POST each of them is byte."""
    m.fill(addr, byte, nbytes)


@primitive
def copy(m: Machine, to: VirtAddr, source: VirtAddr, nbytes: word) -> None:
    """PRE nbytes >= 0 bytes are readable at source and writable at to; to <= source where the ranges overlap.

    POST the bytes at to are what the bytes at source were.
    """
    m.copy(to, source, nbytes)


# ------------------------------------------------------------------ ports
@primitive
def in8(m: Machine, port: word) -> word:
    """PRE 0 <= port < 2**16. POST a byte from the device there; 255 where there is none."""
    return m.in8(port)


@primitive
def out8(m: Machine, port: word, value: word) -> None:
    """PRE 0 <= port < 2**16, 0 <= value < 2**8. POST the device there has the byte."""
    m.out8(port, value)


@primitive
def in16(m: Machine, port: word) -> word:
    """PRE 0 <= port < 2**16. POST 16 bits from the device there."""
    return m.in16(port)


@primitive
def out16(m: Machine, port: word, value: word) -> None:
    """PRE 0 <= port < 2**16, 0 <= value < 2**16. POST the device there has the 16 bits."""
    m.out16(port, value)


@primitive
def in32(m: Machine, port: word) -> word:
    """PRE 0 <= port < 2**16. POST 32 bits from the device there."""
    return m.in32(port)


@primitive
def out32(m: Machine, port: word, value: word) -> None:
    """PRE 0 <= port < 2**16, 0 <= value < 2**32. POST the device there has the 32 bits."""
    m.out32(port, value)


@primitive
def in_bytes(m: Machine, port: word, to: VirtAddr, nbytes: word) -> None:
    """PRE as of in8, nbytes >= 0 bytes at `to` are writable. POST they came from the device, one after the other."""
    m.in_bytes(port, to, nbytes)


@primitive
def out_bytes(m: Machine, port: word, source: VirtAddr, nbytes: word) -> None:
    """PRE as of out8, nbytes >= 0 bytes are readable at source. POST the device there has them, one after the other."""
    m.out_bytes(port, source, nbytes)


# ------------------------------------------------------------------ control and model-specific registers
@primitive
def read_cr0(m: Machine) -> word:
    """POST the control register: paging, write protection."""
    return m.read_cr0()


@primitive
def write_cr0(m: Machine, value: word) -> None:
    """PRE value sets no reserved bit. POST the control register is value."""
    m.write_cr0(value)


@primitive
def read_cr2(m: Machine) -> VirtAddr:
    """POST the address of the last page fault."""
    return m.read_cr2()


@primitive
def write_cr2(m: Machine, value: VirtAddr) -> None:
    """POST the register that holds the address of the last page fault is value."""
    m.write_cr2(value)


@primitive
def read_cr3(m: Machine) -> word:
    """POST the frame of the root table, with the flags in its low bits."""
    return m.read_cr3()


@primitive
def write_cr3(m: Machine, value: word) -> None:
    """PRE value names a root table. POST walks start there; translations that are not global are forgotten.

    With CR4.PCIDE set only those of the PCID in the low 12 bits, and none if bit 63 is set.
    """
    m.write_cr3(value)


@primitive
def read_cr4(m: Machine) -> word:
    """POST the control register of the processor's extensions."""
    return m.read_cr4()


@primitive
def write_cr4(m: Machine, value: word) -> None:
    """PRE value sets no reserved bit. POST the control register is value."""
    m.write_cr4(value)


@primitive
def read_msr(m: Machine, index: word) -> word:
    """PRE the processor has the model-specific register. POST its 64 bits."""
    return m.read_msr(index)


@primitive
def write_msr(m: Machine, index: word, value: word) -> None:
    """PRE the processor has the model-specific register and allows the value. POST it holds value."""
    m.write_msr(index, value)


@primitive
def invlpg(m: Machine, va: VirtAddr) -> None:
    """POST no cached translation of the page of va is left, nor any cached upper entry of this address space."""
    m.invlpg(va)


@primitive
def invpcid(m: Machine, kind: word, pcid: word, va: VirtAddr) -> None:
    """PRE the processor has the instruction; 0 <= kind <= 3, 0 <= pcid < 2**12, va is canonical.

    POST forgotten are, by kind: 0 what the PCID alone has of the page of va; 1 all that it alone has; 2 everything; 3
    everything but global translations.
    """
    m.invpcid(kind, pcid, va)


@primitive
def load_idt(m: Machine, base: VirtAddr, limit: word) -> None:
    """PRE limit + 1 bytes at base are the gates of the exceptions. POST the processor uses them."""
    m.load_idt(base, limit)


@primitive
def load_gdt(m: Machine, base: VirtAddr, limit: word) -> None:
    """PRE limit + 1 bytes at base are segment descriptors that fit the loaded selectors. POST they are in use."""
    m.load_gdt(base, limit)


# ------------------------------------------------------------------ the rest of the processor
@primitive
def cpuid(m: Machine, leaf: word, subleaf: word) -> tuple[word, word, word, word]:
    """PRE 0 <= leaf, subleaf < 2**32. POST the registers A, B, C, D, each 0 to 2**32 - 1."""
    return m.cpuid(leaf, subleaf)


@primitive
def read_tsc(m: Machine) -> word:
    """POST the time stamp counter, which never runs backwards."""
    return m.read_tsc()


@primitive
def save_vector_state(m: Machine, to: VirtAddr) -> None:
    """PRE 512 bytes at `to`, a multiple of 16, are writable. POST they hold ring 3's x87 and SSE state."""
    m.save_vector_state(to)


@primitive
def load_vector_state(m: Machine, source: VirtAddr) -> None:
    """PRE 512 bytes at source, a multiple of 16, are what save_vector_state wrote. POST ring 3 has that state."""
    m.load_vector_state(source)


@primitive
def disable_interrupts(m: Machine) -> None:
    """POST no maskable interrupt arrives."""
    m.disable_interrupts()


@primitive
def enable_interrupts(m: Machine) -> None:
    """PRE the interrupt gates are set. POST maskable interrupts arrive."""
    m.enable_interrupts()


@primitive
def are_interrupts_enabled(m: Machine) -> bool:
    """POST whether maskable interrupts arrive."""
    return m.are_interrupts_enabled()


@primitive
def halt(m: Machine) -> None:
    """POST the processor slept until an interrupt; with interrupts disabled it never wakes."""
    m.halt()


@primitive
def wait_for_interrupt(m: Machine) -> None:
    """PRE the interrupt gates are set; interrupts are disabled. POST an interrupt has come, and its handler has come
    back, where the machine has one; interrupts are disabled. None that comes before the processor sleeps is missed.
    """
    m.wait_for_interrupt()


@primitive
def pause(m: Machine) -> None:
    """POST a moment has passed: for the inside of waiting loops."""
    m.pause()


# ------------------------------------------------------------------ atomics, all sequentially consistent
@primitive
def atomic_load64(m: Machine, addr: VirtAddr) -> word:
    """PRE addr is readable and a multiple of 8. POST the word there, read at once."""
    return m.atomic_load64(addr)


@primitive
def atomic_store64(m: Machine, addr: VirtAddr, value: word) -> None:
    """PRE addr is writable and a multiple of 8. POST value is there, written at once."""
    m.atomic_store64(addr, value)


@primitive
def atomic_exchange64(m: Machine, addr: VirtAddr, value: word) -> word:
    """PRE addr is writable and a multiple of 8. POST value is there; the result is the word it replaced."""
    return m.atomic_exchange64(addr, value)


@primitive
def atomic_add64(m: Machine, addr: VirtAddr, value: word) -> word:
    """PRE addr is writable and a multiple of 8. POST value is added, wrapping; the result is the word before."""
    return m.atomic_add64(addr, value)


@primitive
def atomic_compare_exchange64(m: Machine, addr: VirtAddr, expected: word, desired: word) -> word:
    """PRE addr is writable and a multiple of 8. POST desired is there if expected was; the result is what was there."""
    return m.atomic_compare_exchange64(addr, expected, desired)


# ------------------------------------------------------------------ out of the kernel
@primitive
def call4(m: Machine, code: word, a: word, b: word, c: word, d: word) -> word:
    """PRE code is the address of a C function of up to four words. POST it ran; the result is its word.

    Only where compiled code runs in a process: the way from the simulated computer to a handler or to the host.
    """
    return m.call4(code, a, b, c, d)
