"""The kernel's entry points: what the boot code calls at the start, at a page fault and at any other exception."""

from incroos.kernel import heap, pmm, statistics, vmm
from incroos.kernel.boot import report, selftest
from incroos.kernel.codes import EXIT_FAILED, EXIT_PASSED
from incroos.kernel.config import MODERN_SPACE
from incroos.kernel.io import console
from incroos.kernel.io.panic import end_machine, panic
from incroos.kernel.layout import IMAGE_START, KERNEL_STATE_END
from incroos.kernel.pmm.memory_kinds import RAM
from incroos.kernel.state import Kernel
from incroos.lang import PhysAddr, kernel, word


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
