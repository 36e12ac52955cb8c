"""A computer: one mapping with its RAM first, then the processor, then two pages for addresses without RAM.

Behind them lie the state of ring 3's processor, a byte for each frame (code_marks.py), and the memory of a device, such
as the framebuffer of a video card, if the computer has one.

The RAM has the layout of QEMU's PC: what does not fit below 3.5 GiB continues at 4 GiB.
"""

from dataclasses import dataclass
from typing import Final

from incroos.lang import PhysAddr, VirtAddr

from .architecture import HIGH_START, LOW_END, PAGE_BYTES
from .cpu import ALL_FEATURES, Cpu, power_on
from .host import HostMemory
from .walk import set_masks

LOW_MAX: Final = 0xE000_0000  # RAM below the devices, unless there is more than that:
LOW_OF_MUCH: Final = 0xC000_0000
PA_BITS: Final = 46
RING3_BYTES: Final = 2 * PAGE_BYTES  # for the state of ring 3's processor


@dataclass(frozen=True)
class DeviceMemory:
    """Whole pages at a physical address where there is no RAM."""

    start: int
    nbytes: int


NO_DEVICE: Final = DeviceMemory(HIGH_START, 0)


class Computer:
    """RAM and processor in memory that child processes share."""

    def __init__(
        self,
        ram_bytes: int,
        pa_bits: int = PA_BITS,
        features: int = ALL_FEATURES,
        device: DeviceMemory = NO_DEVICE,
    ) -> None:
        """PRE ram_bytes is at least 1 MiB and a multiple of a page."""
        if ram_bytes < LOW_END or ram_bytes % PAGE_BYTES:
            raise ValueError(f'{ram_bytes} bytes of RAM: it takes whole pages and at least {LOW_END}')
        low = ram_bytes if ram_bytes < LOW_MAX else LOW_OF_MUCH
        high = HIGH_START + ram_bytes - low
        self.ram_bytes = ram_bytes
        self.span = high if high > HIGH_START else low  # of physical addresses
        cpu_bytes = -(-Cpu.SIZE // PAGE_BYTES) * PAGE_BYTES
        ring3_at = self.span + cpu_bytes + 2 * PAGE_BYTES
        marks_at = ring3_at + RING3_BYTES
        device_at = marks_at + -(-(self.span // PAGE_BYTES) // PAGE_BYTES) * PAGE_BYTES
        self.memory = HostMemory(device_at + device.nbytes)
        self.device = memoryview(self.memory.buffer)[device_at:]
        self.cpu = cpu = Cpu(self.memory, VirtAddr(self.memory.base + self.span))
        power_on(cpu, pa_bits, features)
        set_masks(cpu)
        cpu.ram_low_end, cpu.ram_high_end = PhysAddr(low), PhysAddr(high)
        cpu.host_ram = VirtAddr(self.memory.base)
        cpu.host_absent = VirtAddr(cpu.addr + cpu_bytes)
        cpu.host_drain = VirtAddr(cpu.host_absent + PAGE_BYTES)
        cpu.user.host_processor = VirtAddr(self.memory.base + ring3_at)
        cpu.user.host_marks = VirtAddr(self.memory.base + marks_at)
        cpu.device_start, cpu.device_end = PhysAddr(device.start), PhysAddr(device.start + device.nbytes)
        cpu.host_device = VirtAddr(self.memory.base + device_at - device.start)
        self.memory.fill(cpu.host_absent, 0xFF, PAGE_BYTES)

    @property
    def ram(self) -> memoryview:
        """The physical address space up to the end of RAM; holes read as zeros."""
        return memoryview(self.memory.buffer)[: self.span]
