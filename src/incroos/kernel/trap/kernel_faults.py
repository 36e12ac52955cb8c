"""Faults in ring 0 of a kernel that runs programs: all that is known is told, and the machine ends.

    registers        as the entry code found them
    level 4: 0x...   the entries on the way to the address of a page fault, down to the one that denied the access
    range: ...       the program's range round it
    backtrace: 0x... return addresses, the innermost first; the host says which function and line each is
    PANIC: ...       what faults.py says, the last word

Nothing is trusted: a second fault while the first is being told has only its PANIC told. The instruction's own address
is the first of the backtrace.
"""

from typing import Final

from incroos.kernel import task, vm
from incroos.kernel.arch.pte import NX, PRESENT, USER, WRITABLE, index_in, is_leaf, is_present, table_of
from incroos.kernel.arch.x86 import CR4_LA57, FAULT_FETCH, FAULT_WRITE, FLAG_INTERRUPTS, NMI, PAGE_FAULT, RING
from incroos.kernel.cpu import this_cpu
from incroos.kernel.devices import interrupts
from incroos.kernel.io import console
from incroos.kernel.layout import (
    DIRECT_MAP_START,
    IMAGE_END,
    IMAGE_START,
    MODERN_STACK_END,
    STACK_START,
)
from incroos.kernel.state import Kernel, Range, Registers, UserSpace
from incroos.kernel.trap.faults import on_exception, on_page_fault
from incroos.lang import VirtAddr, kernel, load8, load32, load64, read_cr2, read_cr3, read_cr4, word

MOST_RETURNS: Final = 24  # lines of a backtrace
CALL: Final = 0xE8  # the instruction, with 32 bits relative to what follows
CALL_BYTES: Final = 5


@kernel
def on_kernel_trap(k: Kernel, regs: Registers) -> None:
    """Ignore an NMI, acknowledge an interrupt; tell about any other trap in ring 0, and of double faults and machine
    checks in any ring.

    Comes back after the former alone: an interrupt comes when the processor is idle (devices/idle.py).
    """
    if regs.vector == NMI:
        return
    if interrupts.is_interrupt(regs.vector) and regs.rflags & FLAG_INTERRUPTS != 0:
        interrupts.acknowledge(k, regs.vector)
        return
    cpu = this_cpu(k)
    cpu.nr_kernel_faults += 1
    if cpu.nr_kernel_faults == 1:
        put_registers(k, regs)
        if regs.vector == PAGE_FAULT:
            put_entries(k, read_cr2(k.m), regs.error)
            put_range(k, read_cr2(k.m))
        put_backtrace(k, regs)
    if regs.vector == PAGE_FAULT:
        on_page_fault(k, regs.error, VirtAddr(regs.rip))
    on_exception(k, regs.vector, regs.error, VirtAddr(regs.rip), regs.rdi)


# ------------------------------------------------------------------ registers
@kernel
def put_registers(k: Kernel, regs: Registers) -> None:
    """Put all registers, four a line."""
    put_four(k, b'rax', regs.rax, b' rbx', regs.rbx, b' rcx', regs.rcx, b' rdx', regs.rdx)
    put_four(k, b'rsi', regs.rsi, b' rdi', regs.rdi, b' rbp', regs.rbp, b' rsp', regs.rsp)
    put_four(k, b'r8 ', regs.r8, b' r9 ', regs.r9, b' r10', regs.r10, b' r11', regs.r11)
    put_four(k, b'r12', regs.r12, b' r13', regs.r13, b' r14', regs.r14, b' r15', regs.r15)
    put_four(k, b'rip', regs.rip, b' cs ', regs.cs, b' rfl', regs.rflags, b' ss ', regs.ss)
    put_four(k, b'vec', regs.vector, b' err', regs.error, b' cr2', read_cr2(k.m), b' cr3', read_cr3(k.m))


@kernel
def put_four(
    k: Kernel, name0: bytes, a: word, name1: bytes, b: word, name2: bytes, c: word, name3: bytes, d: word
) -> None:
    """Put a line with four names and words."""
    put_named(k, name0, a)
    put_named(k, name1, b)
    put_named(k, name2, c)
    put_named(k, name3, d)
    console.put_text(k, b'\n')


@kernel
def put_named(k: Kernel, name: bytes, value: word) -> None:
    """Put a name and a word."""
    console.put_text(k, name)
    console.put_text(k, b' ')
    console.put_hex(k, value)


# ------------------------------------------------------------------ page tables
@kernel
def put_entries(k: Kernel, va: VirtAddr, error: word) -> None:
    """Put the entries on the way to va, as far as the processor went, the one that denied the access marked."""
    table = table_of(read_cr3(k.m))
    for level in range(5 if read_cr4(k.m) & CR4_LA57 != 0 else 4, 0, -1):
        entry = load64(k.m, VirtAddr(DIRECT_MAP_START + table + 8 * index_in(va, level)))
        is_last = not is_present(entry) or is_leaf(entry, level)
        put_entry(k, level, entry)
        if is_denied(entry, error) or is_last:
            console.put_text(k, b' <- fault here\n')
            return
        console.put_text(k, b'\n')
        table = table_of(entry)


@kernel
def is_denied(entry: word, error: word) -> bool:
    """Whether the entry alone forbids ring 0 the access of the error code."""
    if not is_present(entry):
        return True
    if error & FAULT_WRITE != 0 and entry & WRITABLE == 0:
        return True
    return error & FAULT_FETCH != 0 and entry & NX != 0


@kernel
def put_entry(k: Kernel, level: word, entry: word) -> None:
    """Put an entry, and in words what it allows."""
    console.put_text(k, b'level ')
    console.put_decimal(k, level)
    console.put_text(k, b': 0x')
    console.put_hex(k, entry)
    if entry & PRESENT == 0:
        console.put_text(k, b' not present')
        return
    console.put_text(k, b' present,')
    if entry & WRITABLE == 0:
        console.put_text(k, b' not')
    console.put_text(k, b' writable,')
    if entry & NX != 0:
        console.put_text(k, b' not')
    console.put_text(k, b' executable')
    if entry & USER != 0:
        console.put_text(k, b', user')


# ------------------------------------------------------------------ the program's range
@kernel
def put_range(k: Kernel, va: VirtAddr) -> None:
    """Put the program's range round an address of the lower half, or that there is none."""
    if va < 0 or k.tasks.current == 0 or task.current(k).space == 0:
        return
    at = vm.find_range(UserSpace(k.m, task.current(k).space), va)
    if at == 0:
        console.put_text(k, b'range: none of the program is there\n')
        return
    found = Range(k.m, at)
    console.put_text(k, b'range: ')
    put_named(k, b'start', found.start)
    put_named(k, b' end', found.end)
    put_named(k, b' rights', found.rights)
    console.put_text(k, b'\n')


# ------------------------------------------------------------------ return addresses
@kernel
def put_backtrace(k: Kernel, regs: Registers) -> None:
    """Put the instruction, and each word of the kernel's stack above its RSP that is the address behind a call.

    No frame pointers are kept. So among them may be one that an earlier call left in a frame that was never written.
    The program's registers, which lie at the stack's end, are not looked at.
    """
    put_return(k, regs.rip)
    if regs.cs & RING != 0:
        return  # nothing was called
    start = k.config.image_window + STACK_START
    end = k.config.image_window + MODERN_STACK_END - Registers.SIZE
    nr_returns = 0
    if start <= regs.rsp < end:
        start = regs.rsp & -8
    for at in range(start, end, 8):
        address = load64(k.m, VirtAddr(at))
        if nr_returns < MOST_RETURNS and is_return(k, address):
            put_return(k, address)
            nr_returns += 1


@kernel
def put_return(k: Kernel, address: word) -> None:
    """Put a line that the host finds (run/backtrace.py)."""
    console.put_text(k, b'backtrace: 0x')
    console.put_hex(k, address)
    console.put_text(k, b'\n')


@kernel
def is_return(k: Kernel, address: word) -> bool:
    """Whether a call of something in the image stands in front of the address."""
    start = k.config.image_window + IMAGE_START
    end = k.config.image_window + IMAGE_END
    if not start + CALL_BYTES <= address < end or load8(k.m, VirtAddr(address - CALL_BYTES)) != CALL:
        return False
    distance = load32(k.m, VirtAddr(address - 4))
    if distance >= 1 << 31:
        distance -= 1 << 32
    return start <= address + distance < end
