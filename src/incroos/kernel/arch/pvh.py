"""Start information: what the loader tells a kernel, in the form of PVH: Xen, `public/arch-x86/hvm/start_info.h`.

Read through what the boot code mapped, so all of it must lie below layout.BOOT_MAP_END. Knows nothing of what the
kernel does with it, and panics about nothing.
"""

from typing import Final

from incroos.kernel.layout import BOOT_MAP_END
from incroos.kernel.state import Kernel
from incroos.lang import PhysAddr, Struct, VirtAddr, kernel, u32, u64, word

MAGIC: Final = 0x336E_C578
RAM_NUMBER: Final = 1  # of an entry


class StartInfo(Struct):
    """Xen: struct hvm_start_info."""

    magic: u32
    version: u32
    flags: u32
    nr_modules: u32
    modules: PhysAddr
    command_line: PhysAddr
    rsdp: PhysAddr
    memory_map: PhysAddr
    nr_entries: u32
    reserved: u32


class StartInfoEntry(Struct):
    """Xen: struct hvm_memmap_table_entry. What the numbers mean says pmm/memory_kinds.py."""

    start: u64
    nbytes: u64
    number: u32
    reserved: u32


class Module(Struct):
    """Xen: struct hvm_modlist_entry. The boot code hands over a small module and a large one at most.

    The small one was copied. The large one lies where the loader put it, and the memory map calls its frames reserved.
    """

    content: PhysAddr
    nbytes: u64
    command_line: PhysAddr
    reserved: u64


@kernel
def is_in_reach(start: PhysAddr, nbytes: word) -> bool:
    """Whether [start, start + nbytes) lies where the boot code maps memory, and not at 0, which means none."""
    return 0 < start <= BOOT_MAP_END - nbytes


@kernel
def info_of(k: Kernel, start_info: PhysAddr) -> StartInfo:
    """The start information."""
    return StartInfo(k.m, VirtAddr(k.config.image_window + start_info))


@kernel
def entry_of(k: Kernel, info: StartInfo, index: word) -> StartInfoEntry:
    """An entry of the firmware's list, which the start information names."""
    return StartInfoEntry(k.m, VirtAddr(k.config.image_window + info.memory_map + index * StartInfoEntry.SIZE))


@kernel
def find_module(k: Kernel, start_info: PhysAddr, nbytes: word) -> PhysAddr:
    """Where the content of the first module is that has at least nbytes and is in reach; 0 if there is none."""
    for index in range(nr_modules(k, start_info)):
        module = module_of(k, info_of(k, start_info), index)
        if module.nbytes >= nbytes and is_in_reach(module.content, nbytes):
            return module.content
    return PhysAddr(0)


@kernel
def find_large_module(k: Kernel, start_info: PhysAddr) -> tuple[PhysAddr, word]:
    """Where the content of the first module is that was not copied, and its bytes; two zeros if there is none."""
    for index in range(nr_modules(k, start_info)):
        module = module_of(k, info_of(k, start_info), index)
        if not 0 <= module.content < BOOT_MAP_END:
            return module.content, module.nbytes
    return PhysAddr(0), 0


@kernel
def nr_modules(k: Kernel, start_info: PhysAddr) -> word:
    """How many modules there are; 0 too where their list is out of reach."""
    if not is_in_reach(start_info, StartInfo.SIZE):
        return 0
    info = info_of(k, start_info)
    if info.magic != MAGIC or not is_in_reach(info.modules, info.nr_modules * Module.SIZE):
        return 0
    return info.nr_modules


@kernel
def module_of(k: Kernel, info: StartInfo, index: word) -> Module:
    """A module of the list."""
    return Module(k.m, VirtAddr(k.config.image_window + info.modules + index * Module.SIZE))


@kernel
def is_all_ram(k: Kernel, start_info: PhysAddr, start: PhysAddr, nbytes: word) -> bool:
    """Whether the firmware's list calls [start, start + nbytes) RAM and nothing else, whatever the last entry says.

    The last one is the boot code's, where it keeps a module.
    """
    info = info_of(k, start_info)
    nr_bytes = 0
    for index in range(info.nr_entries - 1):
        entry = entry_of(k, info, index)
        if 0 <= entry.start < start + nbytes and entry.nbytes > max(start - entry.start, 0):
            if entry.number != RAM_NUMBER:
                return False
            of_entry = entry.nbytes - max(start - entry.start, 0)
            nr_bytes += min(of_entry, nbytes - max(entry.start - start, 0))
    return nr_bytes >= nbytes
