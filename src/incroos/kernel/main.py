"""The kernel's entry points: what the boot code calls at the start, at a page fault and at any other exception."""

from incroos.kernel import heap, pmm, report, selftest, statistics, vmm
from incroos.kernel.arch.x86 import FAULT_FETCH, FAULT_PRESENT, FAULT_RESERVED_BIT, FAULT_USER, FAULT_WRITE
from incroos.kernel.codes import EXIT_FAILED, EXIT_PASSED
from incroos.kernel.config import MODERN_SPACE
from incroos.kernel.io import console
from incroos.kernel.io.panic import end_machine, panic
from incroos.kernel.layout import IMAGE_START, KERNEL_STATE_END
from incroos.kernel.pmm.memory_kinds import RAM
from incroos.kernel.state import Kernel
from incroos.lang import PhysAddr, VirtAddr, kernel, read_cr2, word


@kernel
def kmain(k: Kernel, start_info: PhysAddr) -> None:
    """Start the memory manager, let it prove itself, and end the machine with what came of it. Never returns.

    start_info is the loader's PVH start information, below 2 MiB.
    """
    console.init(k, start_info)
    if k.config.space == MODERN_SPACE:
        report.put_memory_map(k, start_info)
    console.put_text(k, b'Hello, 64-bit kernel World!\n')
    console.put_text(k, b'Initializing memory manager...\n')
    pmm.init(k, start_info)
    require_own_ram(k)
    console.put_text(k, b'PMM initialized\n')
    vmm.init(k)
    console.put_text(k, b'VMM initialized\n')
    heap.init(k)
    console.put_text(k, b'Heap initialized\n')
    put_count(k, b'Total pages: ', pmm.nr_total_frames(k))
    put_count(k, b'Free pages: ', pmm.nr_free_frames(k))
    console.put_text(k, b'\nTesting memory allocation...\n')
    if not selftest.run(k):
        end_machine(k.m, EXIT_FAILED)
    console.put_text(k, b'\nMemory manager operational!\n')
    if statistics.can_collect(k):
        statistics.collect(k)
    end_machine(k.m, EXIT_PASSED)


@kernel
def require_own_ram(k: Kernel) -> None:
    """Panic unless the megabyte of the image, its stack and its state is RAM."""
    end = 0
    for index in range(k.memory_map.nr_regions):
        region = k.memory_map.regions[index]
        if region.kind == RAM and region.start <= IMAGE_START < region.end:
            end = region.end
    if end < KERNEL_STATE_END:
        panic(k, b'too little RAM, the kernel has its own state up to: wanted end, found end', KERNEL_STATE_END, end, 0)


@kernel
def put_count(k: Kernel, name: bytes, count: word) -> None:
    """Put a line with a name and a decimal number."""
    console.put_text(k, name)
    console.put_decimal(k, count)
    console.put_text(k, b'\n')


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
