"""Start information: what the loader tells a kernel, in the form of PVH: Xen, `public/arch-x86/hvm/start_info.h`.

Read through what the boot code mapped, so all of it must lie below layout.BOOT_MAP_END. Knows nothing of what the
kernel does with it, and panics about nothing.
"""

from typing import Final

from incroos.kernel.layout import BOOT_MAP_END
from incroos.kernel.state import Kernel
from incroos.lang import PhysAddr, Struct, VirtAddr, kernel, u32, u64, word

MAGIC: Final = 0x336E_C578


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
    """Xen: struct hvm_modlist_entry. The boot code hands over the first module at most.

    A small one was copied. A larger one lies where the loader put it, and the memory map calls its frames reserved.
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
    """Where the content of the first module is, if there is one of at least nbytes in reach; 0."""
    content, its_bytes = first_module(k, start_info)
    if its_bytes < nbytes or not is_in_reach(content, nbytes):
        return PhysAddr(0)
    return content


@kernel
def first_module(k: Kernel, start_info: PhysAddr) -> tuple[PhysAddr, word]:
    """Where the content of the first module is, in reach or not, and its bytes; two zeros if there is none."""
    if not is_in_reach(start_info, StartInfo.SIZE):
        return PhysAddr(0), 0
    info = info_of(k, start_info)
    if info.magic != MAGIC or info.nr_modules == 0 or not is_in_reach(info.modules, Module.SIZE):
        return PhysAddr(0), 0
    module = Module(k.m, VirtAddr(k.config.image_window + info.modules))
    return module.content, module.nbytes
