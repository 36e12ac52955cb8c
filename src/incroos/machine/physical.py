"""What lies at a physical address: RAM, VGA text, a device's memory, or nothing.

```
0         0xA0000        0xB8000    0xC0000   0x100000      ram_low_end     4 GiB       ram_high_end
| RAM     | no device    | VGA text | ROM     | RAM         | no device     | RAM       |
```
Where no device is drawn, a device may have memory, in whole pages. Reads from the ROM and from empty addresses return
ones; writes there vanish. Unit: the byte, at an address of this process.
"""

from incroos.lang import PhysAddr, VirtAddr, kernel, load64, store64, word

from .architecture import HIGH_START, LOW_END, OFFSET_MASK, TEXT_END, TEXT_START, VIDEO_START
from .cpu import Cpu


@kernel
def is_ram(cpu: Cpu, pa: PhysAddr) -> bool:
    """Whether the byte at pa is RAM or VGA text."""
    if pa < LOW_END:
        return 0 <= pa < VIDEO_START or TEXT_START <= pa < TEXT_END
    return pa < cpu.ram_low_end or HIGH_START <= pa < cpu.ram_high_end


@kernel
def is_device(cpu: Cpu, pa: PhysAddr) -> bool:
    """Whether the byte at pa is a device's memory."""
    return cpu.device_start <= pa < cpu.device_end


@kernel
def is_memory(cpu: Cpu, pa: PhysAddr) -> bool:
    """Whether the byte at pa keeps what is written to it."""
    return is_ram(cpu, pa) or is_device(cpu, pa)


@kernel
def host_to_read(cpu: Cpu, pa: PhysAddr) -> VirtAddr:
    """The address in this process for a read at pa, good up to the end of pa's page."""
    if is_ram(cpu, pa):
        return VirtAddr(cpu.host_ram + pa)
    if is_device(cpu, pa):
        return VirtAddr(cpu.host_device + pa)
    return VirtAddr(cpu.host_absent + (pa & OFFSET_MASK))


@kernel
def host_to_write(cpu: Cpu, pa: PhysAddr) -> VirtAddr:
    """The address in this process for a write at pa, good up to the end of pa's page."""
    if is_ram(cpu, pa):
        return VirtAddr(cpu.host_ram + pa)
    if is_device(cpu, pa):
        return VirtAddr(cpu.host_device + pa)
    return VirtAddr(cpu.host_drain + (pa & OFFSET_MASK))


@kernel
def load_entry(cpu: Cpu, pa: PhysAddr) -> word:
    """An entry of a page table."""
    return load64(cpu.m, host_to_read(cpu, pa))


@kernel
def store_entry(cpu: Cpu, pa: PhysAddr, entry: word) -> None:
    """Change an entry of a page table, as the processor does to mark it accessed or dirty."""
    store64(cpu.m, host_to_write(cpu, pa), entry)
