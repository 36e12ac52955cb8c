"""Faults: a page fault or any other exception of the kernel is a bug, and ends the machine with its name.

Nothing returns to the instruction that faulted: the kernel maps all memory before it touches it.
"""

from incroos.kernel.arch.x86 import FAULT_FETCH, FAULT_PRESENT, FAULT_RESERVED_BIT, FAULT_USER, FAULT_WRITE
from incroos.kernel.io.panic import panic
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr, kernel, read_cr2, word


@kernel
def on_page_fault(k: Kernel, error: word, ip: VirtAddr) -> None:
    """Say which access failed and why, and end the machine: this kernel maps everything before it touches it."""
    va = read_cr2(k.m)
    if error & FAULT_RESERVED_BIT != 0:
        panic(k, b'page fault, reserved bits in an entry: address, error code, instruction', va, error, ip)
    if error & FAULT_USER != 0:
        panic(k, b'page fault in user mode: address, error code, instruction', va, error, ip)
    if error & FAULT_FETCH != 0 and error & FAULT_PRESENT != 0:
        panic(
            k,
            b'page fault, execution of a page that is not executable: address, error code, instruction',
            va,
            error,
            ip,
        )
    if error & FAULT_FETCH != 0:
        panic(
            k, b'page fault, execution of a page that is not present: address, error code, instruction', va, error, ip
        )
    if error & FAULT_WRITE != 0 and error & FAULT_PRESENT != 0:
        panic(k, b'page fault, write to a read-only page: address, error code, instruction', va, error, ip)
    if error & FAULT_WRITE != 0:
        panic(k, b'page fault, write to a page that is not present: address, error code, instruction', va, error, ip)
    if error & FAULT_PRESENT != 0:
        panic(k, b'page fault, read of a protected page: address, error code, instruction', va, error, ip)
    panic(k, b'page fault, read of a page that is not present: address, error code, instruction', va, error, ip)


@kernel
def on_exception(k: Kernel, vector: word, error: word, ip: VirtAddr, site: word) -> None:
    """Name the exception and end the machine. Never returns.

    Checked code traps with vector 6, its site in `site`: an index of the list that the front end made with the code.
    """
    if vector == 0:
        panic(k, b'divide error: instruction', ip, 0, 0)
    if vector == 2:
        panic(k, b'non-maskable interrupt: instruction', ip, 0, 0)
    if vector == 3:
        panic(k, b'breakpoint: instruction', ip, 0, 0)
    if vector == 6:
        panic(k, b'a check failed, or no such instruction: site of the check, instruction', site, ip, 0)
    if vector == 8:
        panic(
            k,
            b'double fault, as when the stack is full: address of the last page fault, instruction',
            read_cr2(k.m),
            ip,
            0,
        )
    if vector == 10:
        panic(k, b'task state segment refused: error code, instruction', error, ip, 0)
    if vector == 11:
        panic(k, b'segment not present: error code, instruction', error, ip, 0)
    if vector == 12:
        panic(k, b'stack segment fault: error code, instruction', error, ip, 0)
    if vector == 13:
        panic(k, b'general protection fault: error code, instruction', error, ip, 0)
    if vector == 17:
        panic(k, b'alignment check: error code, instruction', error, ip, 0)
    if vector == 18:
        panic(k, b'machine check: instruction', ip, 0, 0)
    panic(k, b'exception: vector, error code, instruction', vector, error, ip)
