"""Boots the kernel in the place that its user names, or in the best one that this machine has.

What a place needs is imported when it is chosen, so that no boot pays for the others.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from .firmware import PVH, check_firmware, file_for_qemu
from .outcome import Outcome, Status, Unusable

if TYPE_CHECKING:
    from ..inspect.ram import RamMachine
    from .images import KernelImage

Say = Callable[[str], object]
Sink = Callable[[bytes], object]
Look = Callable[['RamMachine'], object]

CLASSIC: Final = 'CLASSIC'  # names of configurations in kernel/configs.py
CONFIGS: Final = {
    'classic': CLASSIC,
    'modern': 'MODERN',
    'modern-la57': 'MODERN_LA57',
}  # by the names that users give them

CHEAP: Final = 'cheap'  # the level of hardening of a configuration without an ending
LEVELS: Final = {'off': '_OFF', CHEAP: '', 'full': '_FULL'}  # endings of their names, by level

LAST_BYTES: Final = 4096  # of the output, among which a panic's line is looked for
TRAP: Final = re.compile(
    rb'PANIC: [^\n]*site of the check[^\n]*? 0x([0-9A-F]{16})'
)  # kernel/trap/faults.py: on_exception


def boot(
    place: str,
    memory_bytes: int,
    accel: str,
    timeout: float,
    checked: bool,
    console_sink: Sink,
    say: Say,
    firmware: str = PVH,
    config: str = CLASSIC,
    look: Look | None = None,
) -> Outcome:
    """Boot the kernel; `place` is qemu, jit, sim or auto. Raises Unusable where the place does not work here.

    `config` is the name of a configuration in kernel/configs.py. `look` gets the machine's RAM when it has ended.
    """
    if place == 'auto':
        place = 'qemu' if accel != 'auto' or firmware != PVH else best_place(say)
    if place == 'qemu':
        return boot_qemu(memory_bytes, accel, timeout, checked, console_sink, say, firmware, config, look)
    return boot_simulated(place, memory_bytes, timeout, checked, console_sink, say, config, look)


def config_name(config: str, level: str) -> str:
    """The name in kernel/configs.py of the configuration that users call so, with this level of hardening."""
    return CONFIGS[config] + LEVELS[level]


def best_place(say: Say) -> str:
    """QEMU where it is installed, otherwise the compiled simulator."""
    from .qemu_process import find_qemu

    try:
        find_qemu()
    except Unusable:
        say('booting on the compiled simulated computer, because QEMU is not installed')
        return 'jit'
    return 'qemu'


def boot_qemu(
    memory_bytes: int,
    accel: str,
    timeout: float,
    checked: bool,
    console_sink: Sink,
    say: Say,
    firmware: str,
    config: str,
    look: Look | None,
) -> Outcome:
    """Boot the image on a PC in QEMU."""
    from . import images, qemu, qemu_process

    qemu_process.find_qemu()  # before anything is built for it
    check_firmware(firmware)
    image = images.kernel_image(say, config=config, checked=checked)
    last = bytearray()

    def keep_last(data: bytes) -> None:
        console_sink(data)
        last.extend(data)
        del last[:-LAST_BYTES]

    file = file_for_qemu(firmware, image, say)
    if look is None:
        outcome = qemu.boot(file, memory_bytes, accel, timeout, keep_last, say, firmware)
    else:
        from incroos.kernel import configs

        from .guest_ram import GuestRam, ram_file

        with ram_file(memory_bytes) as ram:
            outcome = qemu.boot(file, memory_bytes, accel, timeout, keep_last, say, firmware, ram)
            look(GuestRam(ram, memory_bytes, getattr(configs, config)))
    return with_place_of_trap(outcome, image, bytes(last))


def with_place_of_trap(outcome: Outcome, image: 'KernelImage', output: bytes) -> Outcome:
    """The outcome; where a check of a checked build failed, its remark tells the line of Python."""
    trap = TRAP.search(output)
    site = int(trap[1], 16) if trap else len(image.facts['sites'])
    if outcome.status != Status.PANIC or site >= len(image.facts['sites']):
        return outcome
    return Outcome(Status.PANIC, f'a check failed at {image.place_of_site(site)}')


def boot_simulated(
    place: str,
    memory_bytes: int,
    timeout: float,
    checked: bool,
    console_sink: Sink,
    say: Say,
    config: str,
    look: Look | None,
) -> Outcome:
    """Boot the kernel on the simulated computer, interpreted or compiled."""
    from incroos.kernel import configs

    from ..inspect.ram import RamMachine

    settings = getattr(configs, config)

    def look_at(ram: Any) -> None:
        if look is not None:
            look(RamMachine(ram, settings))

    if place == 'sim':  # strict in any case
        from . import sim

        return sim.boot(memory_bytes, timeout, console_sink, settings, look=look_at)
    from . import jit

    return jit.boot(
        memory_bytes, timeout, console_sink, jit.cached_kernel(say, config=settings, checked=checked), look_at
    )
