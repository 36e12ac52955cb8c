"""The start of a kernel that runs programs: called by the boot code, it comes back when the first program can begin."""

from typing import Final

from incroos.kernel import files, heap, pmm, task, vm, vmm
from incroos.kernel.abi.errno import number_of
from incroos.kernel.arch.pte import DATA
from incroos.kernel.arch.pvh import find_large_module, is_all_ram
from incroos.kernel.codes import OK
from incroos.kernel.devices import serial_input
from incroos.kernel.io import console
from incroos.kernel.io.panic import panic
from incroos.kernel.layout import BOOT_MAP_END, DIRECT_MAP_START, PAGE_BYTES
from incroos.kernel.pmm.memory_kinds import RAM
from incroos.kernel.state import ON_PC, RUN_MAGIC, Kernel, RunInfo
from incroos.kernel.trap import init as processor
from incroos.lang import PhysAddr, VirtAddr, kernel, load32, word

FIRST_4_GIB: Final = 1 << 32
SUMMED_BYTES: Final = 4
LOW_WORD: Final = (1 << 32) - 1


@kernel
def run_main(k: Kernel, start_info: PhysAddr) -> None:
    """Start the kernel, and make the first task of what the host handed over; user_registers(k) are its registers.

    Comes back to go to ring 3; where the program cannot be started, the machine ends and the host is told why.
    start_info is the loader's PVH start information, below 2 MiB.
    """
    console.init(k, start_info)
    require_ram(k, start_info)
    pmm.init(k, start_info)
    vmm.init(k)
    heap.init(k)
    processor.init(k)
    code = begin(k, find_run_info(k, start_info))
    if code != OK:
        task.end_unstarted(k, number_of(code))


@kernel
def begin(k: Kernel, info: RunInfo) -> word:
    """Start what programs need, and make the first one; or the code of what was refused."""
    code = task.init(k)
    k.tasks.flags = info.flags  # what goes wrong from here on is told where they say
    if info.flags & ON_PC != 0:
        serial_input.init(k)
    if code == OK:
        code = vm.init(k)
    if code == OK:
        code = files.init(k, VirtAddr(info.addr + info.archive), info.archive_bytes)
    return task.create_first(k, info) if code == OK else code


@kernel
def require_ram(k: Kernel, start_info: PhysAddr) -> None:
    """Panic if the program and its files lie where there is no RAM: a loader that puts them there does not look."""
    start, nbytes = find_large_module(k, start_info)
    if nbytes > 0 and not is_all_ram(k, start_info, start, nbytes):
        panic(k, b'run: too little RAM for the program and its files: their start and end', start, start + nbytes, 0)


@kernel
def find_run_info(k: Kernel, start_info: PhysAddr) -> RunInfo:
    """What the host handed over, mapped: the first module. Panics if there is none, or it is something else."""
    start, nbytes = find_large_module(k, start_info)
    if nbytes == 0:
        panic(k, b'run: the loader handed over no module', 0, 0, 0)
    if start % PAGE_BYTES != 0 or not BOOT_MAP_END <= start < FIRST_4_GIB - nbytes or nbytes < RunInfo.SIZE:
        panic(k, b'run: the module is not where it can be used: address, bytes', start, nbytes, 0)
    keep_module(k, start, vm.page_up(nbytes))
    info = RunInfo(k.m, VirtAddr(DIRECT_MAP_START + start))
    if info.magic != RUN_MAGIC:
        panic(k, b'run: the module has another head: address, found, wanted', start, info.magic, RUN_MAGIC)
    if info.flags & ON_PC != 0:
        require_whole(k, info, nbytes)
    if not (
        is_inside(info.strings, info.strings_bytes, nbytes) and is_inside(info.archive, info.archive_bytes, nbytes)
    ):
        panic(k, b'run: the module ends before its parts: bytes, strings, archive', nbytes, info.strings, info.archive)
    return info


@kernel
def require_whole(k: Kernel, info: RunInfo, nbytes: word) -> None:
    """Panic unless the module is as it was built: firmware that starts an image may write where that already lies."""
    found = 0
    for at in range(info.addr, info.addr + (nbytes & -SUMMED_BYTES), SUMMED_BYTES):
        found += load32(k.m, VirtAddr(at))
    wanted = info.sum
    found -= (wanted & LOW_WORD) + (wanted >> 32 & LOW_WORD)
    if found != wanted:
        panic(k, b'run: the program and its files are damaged, as with too little RAM: found, wanted', found, wanted, 0)


@kernel
def is_inside(offset: word, nbytes: word, module_bytes: word) -> bool:
    """Whether a part of the module is in it, behind the head."""
    return RunInfo.SIZE <= offset <= module_bytes and 0 <= nbytes <= module_bytes - offset


@kernel
def keep_module(k: Kernel, start: PhysAddr, nbytes: word) -> None:
    """Map the module where it would be if it were RAM. Panics if a frame of it is, so that somebody may be given it."""
    for index in range(k.memory_map.nr_regions):
        region = k.memory_map.regions[index]
        if region.kind == RAM and region.start < start + nbytes and start < region.end:
            panic(k, b'run: the module lies in free memory: address, bytes', start, nbytes, 0)
    code = vmm.map_range(k, VirtAddr(DIRECT_MAP_START + start), start, nbytes, DATA)
    if code != OK:
        panic(k, b'run: the module cannot be mapped: address, bytes, code', start, nbytes, code)
    k.memory_map.module_start = start
    k.memory_map.module_end = PhysAddr(start + nbytes)
