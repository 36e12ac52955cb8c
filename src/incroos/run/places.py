"""Boots the kernel in the place that its user names, or in the best one that this machine has."""

import shutil
from collections.abc import Callable
from typing import Final

from .outcome import Outcome, Unusable

Say = Callable[[str], object]
Sink = Callable[[bytes], object]

QEMU_PROGRAM: Final = 'qemu-system-x86_64'


def boot(
    place: str, memory_bytes: int, accel: str, timeout: float, checked: bool, console_sink: Sink, say: Say
) -> Outcome:
    """Boot the kernel; `place` is qemu, jit, sim or auto. Raises Unusable where the place does not work here."""
    if place == 'auto':
        place = 'qemu' if shutil.which(QEMU_PROGRAM) else 'jit'
        if place == 'jit':
            say('booting on the compiled simulated computer, because QEMU is not installed')
    if accel != 'auto' and place != 'qemu':
        raise Unusable(f'--accel {accel} is for QEMU, and this boot is on {place}: leave it away, or add --on qemu')
    if place == 'qemu':
        return boot_qemu(memory_bytes, accel, timeout, checked, console_sink, say)
    return boot_simulated(place, memory_bytes, timeout, checked, console_sink, say)


def boot_qemu(memory_bytes: int, accel: str, timeout: float, checked: bool, console_sink: Sink, say: Say) -> Outcome:
    """Boot the image on a PC in QEMU."""
    from . import images, qemu

    image = images.kernel_image(say, checked=checked)
    return qemu.boot(image.path, memory_bytes, accel, timeout, console_sink, say)


def boot_simulated(
    place: str, memory_bytes: int, timeout: float, checked: bool, console_sink: Sink, say: Say
) -> Outcome:
    """Boot the kernel on the simulated computer, interpreted or compiled."""
    if place == 'sim':  # strict in any case
        from . import sim

        return sim.boot(memory_bytes, timeout, console_sink)
    from . import jit

    return jit.boot(memory_bytes, timeout, console_sink, jit.cached_kernel(say, checked=checked))
