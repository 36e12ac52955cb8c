"""The boot state of the simulated computer: what the boot code leaves in a real one, put there by the host.

Long mode, CR3 at the boot tables, the first 2 MiB identity-mapped in 4 KiB pages under W^X, a guard page below the
stack, the exceptions' handlers in place, and the firmware's memory map in PVH start information, which tells RAM as
SeaBIOS does on a PC of the same size. Xen: `public/arch-x86/hvm/start_info.h`.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from incroos.kernel import layout
from incroos.kernel.config import FOUR_LEVELS, MODERN_SPACE, KernelConfig
from incroos.kernel.configs import CLASSIC
from incroos.lang import VirtAddr
from incroos.machine import architecture as arch
from incroos.machine.computer import NO_DEVICE, Computer
from incroos.machine.cpu import HAS_LA57, STOPPED_BY_HALT, STOPPED_BY_PORT, STOPPED_BY_TRIPLE_FAULT, Cpu
from incroos.machine.user import Frame
from incroos.machine.walk import set_masks

from . import outcome
from .framebuffer import Framebuffer
from .handover import module_start
from .outcome import Outcome, Status

# No code lies in a simulated computer's memory. What the boot code makes read-only and executable is this much of the
# image's megabyte; the start information lies behind it, where a real image has its data.
TEXT_START: Final = layout.IMAGE_START
TEXT_END: Final = 0x14_0000
START_INFO: Final = TEXT_END
MEMORY_MAP: Final = START_INFO + 64
MODULE: Final = START_INFO + 0x800
MODULE_CONTENT: Final = MODULE + 64

MAGIC: Final = 0x336E_C578
VERSION: Final = 1
TYPE_RAM: Final = 1
TYPE_RESERVED: Final = 2
BIOS_DATA_START: Final = 0x9_FC00
BIOS_ROM_START: Final = 0xF_0000
FIRMWARE_BYTES: Final = 0x2_0000  # that SeaBIOS keeps at the top of RAM
FLASH_START: Final = 0xFFFC_0000
HYPERTRANSPORT: Final = (0xFD_0000_0000, 0x100_0000_0000)  # of AMD's processors; programs have one of Intel's
IDT_LIMIT: Final = 32 * 16 - 1

Poke = Callable[[int, bytes], None]


@dataclass(frozen=True)
class EntryPoints:
    """The kernel functions that the boot code calls."""

    main: Callable[..., Any]
    page_fault: Callable[..., Any]
    exception: Callable[..., Any]
    # Of a kernel that runs programs; `main` then returns, and ring 3 begins with the registers at its stack's end.
    trap: Callable[..., Any] | None = None
    syscall: Callable[..., Any] | None = None

    @property
    def runs_programs(self) -> bool:
        """Does ring 3 begin when `main` has returned?"""
        return self.trap is not None and self.syscall is not None

    @property
    def names(self) -> list[str]:
        """What they are called, with their modules."""
        entries = (self.main, self.page_fault, self.exception, self.trap, self.syscall)
        return [f'{entry.__module__}.{entry.__qualname__}' for entry in entries if entry is not None]

    def loaded(self) -> 'EntryPoints':
        """The functions: these."""
        return self


@dataclass(frozen=True)
class NamedEntries:
    """Entry points of which only the names are known yet: a kernel that was compiled before needs no more."""

    main: str
    page_fault: str
    exception: str
    trap: str = ''
    syscall: str = ''

    @property
    def runs_programs(self) -> bool:
        """Does ring 3 begin when `main` has returned?"""
        return self.trap != '' != self.syscall

    @property
    def names(self) -> list[str]:
        """What they are called, with their modules."""
        return [name for name in (self.main, self.page_fault, self.exception, self.trap, self.syscall) if name]

    def loaded(self) -> EntryPoints:
        """The functions, imported."""
        parts = [name.rpartition('.') for name in self.names]
        return EntryPoints(*(getattr(import_module(module), function) for module, _, function in parts))


Entries = EntryPoints | NamedEntries

ON_PAGE_FAULT: Final = 'incroos.kernel.trap.faults.on_page_fault'
ON_EXCEPTION: Final = 'incroos.kernel.trap.faults.on_exception'
CLASSIC_ENTRIES: Final = NamedEntries('incroos.kernel.boot.main.kmain', ON_PAGE_FAULT, ON_EXCEPTION)


def computer_with(memory_bytes: int, framebuffer: Framebuffer | None, features: int) -> Computer:
    """A computer with so much RAM, the memory of a framebuffer, and features of a processor (machine/cpu.py)."""
    device = framebuffer.device if framebuffer else NO_DEVICE
    return Computer(memory_bytes, features=features, device=device)


def prepare(
    computer: Computer,
    poke: Poke,
    config: KernelConfig = CLASSIC,
    framebuffer: Framebuffer | None = None,
    module: bytes = b'',
) -> None:
    """Put a computer that was just made into the boot state of a kernel; `poke` writes its RAM.

    A module lies where QEMU puts one, and its frames are told to be reserved.
    """
    cpu = computer.cpu
    has_five = config.levels > FOUR_LEVELS and cpu.features & HAS_LA57 != 0
    entries = boot_tables(config, has_five)
    for table in range(min(entries), max(entries), layout.PAGE_BYTES):
        poke(table, struct.pack('<512Q', *(entries[at] for at in range(table, table + layout.PAGE_BYTES, 8))))
    modules = []
    if module:
        start = module_start(computer.ram_bytes, len(module))
        poke(start, module)
        modules.append((start, len(module)))
    if framebuffer:
        modules.append((MODULE_CONTENT, len(framebuffer.description)))
        poke(MODULE_CONTENT, framebuffer.description)
    if modules:
        poke(MODULE, b''.join(struct.pack('<QQQQ', start, nbytes, 0, 0) for start, nbytes in modules))
    poke(START_INFO, start_info(computer, len(modules), reserved=modules[:1] if module else []))
    prepare_frame(computer, poke, config)
    cpu.cr3 = layout.BOOT_PML5 if has_five else layout.BOOT_TABLES
    cpu.cr4 |= arch.CR4_LA57 if has_five else 0
    set_masks(cpu)
    cpu.idt_limit = IDT_LIMIT
    cpu.kernel = VirtAddr(config.image_window + layout.KERNEL_STATE)


def prepare_frame(computer: Computer, poke: Poke, config: KernelConfig) -> None:
    """Say where the registers of ring 3 are while the kernel runs: at the end of its stack."""
    pa = layout.MODERN_STACK_END - Frame.SIZE
    if config.space == MODERN_SPACE:
        poke(pa, bytes(Frame.SIZE))
        computer.cpu.user.host_frame = VirtAddr(computer.cpu.host_ram + pa)
        computer.cpu.user.frame = VirtAddr(config.image_window + pa)


def boot_tables(config: KernelConfig, has_five: bool) -> dict[int, int]:
    """Address and value of each entry of the boot tables: four, and up to two more.

    One is for a kernel in the upper half, one for five levels.
    """
    level4, level3, level2, level1 = range(layout.BOOT_TABLES, layout.BOOT_UPPER_PDPT, layout.PAGE_BYTES)
    entries = dict.fromkeys(range(layout.BOOT_TABLES, layout.BOOT_UPPER_PDPT, 8), 0)
    if has_five:
        entries |= dict.fromkeys(range(layout.BOOT_UPPER_PDPT, layout.BOOT_TABLES_END, 8), 0)
        for index in (0, 511) if config.space == MODERN_SPACE else (0,):
            entries[layout.BOOT_PML5 + 8 * index] = level4 | arch.ENTRY_PRESENT | arch.ENTRY_WRITABLE
    for table, below in ((level4, level3), (level3, level2), (level2, level1)):
        entries[table] = below | arch.ENTRY_PRESENT | arch.ENTRY_WRITABLE
    if config.space == MODERN_SPACE:
        upper3 = layout.BOOT_UPPER_PDPT
        entries |= dict.fromkeys(range(upper3, upper3 + layout.PAGE_BYTES, 8), 0)
        for slot, below in (
            (level4 + 8 * 511, upper3),  # the image window, 2 GiB below the end
            (upper3 + 8 * 510, level2),
            (level4 + 8 * 256, level3),  # the first 2 MiB of the direct map
        ):
            entries[slot] = below | arch.ENTRY_PRESENT | arch.ENTRY_WRITABLE
    for index in range(arch.ENTRIES_PER_TABLE):
        entries[level1 + 8 * index] = boot_entry(index * layout.PAGE_BYTES)
    return entries


def boot_entry(pa: int) -> int:
    """The entry that maps a page of the first 2 MiB."""
    if pa == layout.STACK_GUARD:
        return 0
    if TEXT_START <= pa < TEXT_END:
        return pa | arch.ENTRY_PRESENT
    return pa | arch.ENTRY_PRESENT | arch.ENTRY_WRITABLE | 1 << 63


def memory_map(computer: Computer) -> list[tuple[int, int, int]]:
    """Start, end and type of each region, in the order in which SeaBIOS tells them."""
    low, high = computer.cpu.ram_low_end, computer.cpu.ram_high_end
    regions = [
        (0, BIOS_DATA_START, TYPE_RAM),
        (BIOS_DATA_START, arch.VIDEO_START, TYPE_RESERVED),
        (BIOS_ROM_START, arch.LOW_END, TYPE_RESERVED),
        (arch.LOW_END, low - FIRMWARE_BYTES, TYPE_RAM),
        (low - FIRMWARE_BYTES, low, TYPE_RESERVED),
        (FLASH_START, arch.HIGH_START, TYPE_RESERVED),
    ]
    if high > arch.HIGH_START:
        regions.append((arch.HIGH_START, high, TYPE_RAM))
    if high <= HYPERTRANSPORT[0]:
        regions.append((*HYPERTRANSPORT, TYPE_RESERVED))
    return regions


def start_info(computer: Computer, nr_modules: int = 0, reserved: Sequence[tuple[int, int]] = ()) -> bytes:
    """The start information, and the memory map right behind it."""
    regions = [region for region in memory_map(computer) if not reserved or region[:2] != HYPERTRANSPORT]
    regions += [
        (start, -(-(start + nbytes) // arch.PAGE_BYTES) * arch.PAGE_BYTES, TYPE_RESERVED) for start, nbytes in reserved
    ]
    # No flags, command line or ACPI tables.
    modules = MODULE if nr_modules else 0
    head = struct.pack('<IIIIQQQQII', MAGIC, VERSION, 0, nr_modules, modules, 0, 0, MEMORY_MAP, len(regions), 0)
    entries = (struct.pack('<QQII', start, end - start, kind, 0) for start, end, kind in regions)
    return head.ljust(MEMORY_MAP - START_INFO, b'\0') + b''.join(entries)


def unsent(cpu: Cpu) -> bytes:
    """What the serial port has not sent yet: it sends whole lines, and a run may end within one."""
    return bytes(cpu.serial[index] for index in range(cpu.nr_serial))


def outcome_of(cpu: Cpu) -> Outcome:
    """What the processor's last word means; a trap is for the caller, who knows the sites."""
    if cpu.stop_reason == STOPPED_BY_PORT:
        return outcome.outcome_of_exit_code(cpu.stop_code)
    if cpu.stop_reason == STOPPED_BY_TRIPLE_FAULT:
        return outcome.TRIPLE_FAULT
    if cpu.stop_reason == STOPPED_BY_HALT:
        return Outcome(Status.HANG, 'the kernel halted the processor, and nothing can wake it')
    return Outcome(Status.PANIC, 'the kernel ended without a word')
