"""Boots the kernel in the place that its user names, or in the best one that this machine has.

What a place needs is imported when it is chosen, so that no boot pays for the others.
"""

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from .backtrace import calls_in
from .boot import BEST_ACCEL, Boot, Sink
from .firmware import PVH, check_firmware, file_for_qemu
from .names import made
from .outcome import Outcome, Say, Status, Unusable

if TYPE_CHECKING:
    from .images import KernelImage

LAST_BYTES: Final = 4096  # of the output, among which a panic's line is looked for
TRAP: Final = re.compile(
    rb'PANIC: [^\n]*site of the check[^\n]*? 0x([0-9A-F]{16})'
)  # kernel/trap/faults.py: on_exception


def boot(place: str, wanted: Boot) -> Outcome:
    """Boot the kernel; `place` is qemu, jit, sim or auto. Raises Unusable where the place does not work here."""
    if place == 'auto':
        place = 'qemu' if wanted.accel != BEST_ACCEL or wanted.firmware != PVH else best_place(wanted.say)
    if place == 'qemu':
        return boot_qemu(wanted)
    if place == 'sim':  # strict in any case
        from . import sim

        return sim.boot(wanted)
    from . import jit

    return jit.boot(wanted, jit.cached_kernel(wanted.say, config=made(wanted.config), checked=wanted.is_checked))


def best_place(say: Say) -> str:
    """QEMU where it is installed, otherwise the compiled simulator."""
    from .qemu_process import find_qemu

    try:
        find_qemu()
    except Unusable:
        say('booting on the compiled simulated computer, because QEMU is not installed')
        return 'jit'
    return 'qemu'


def boot_qemu(wanted: Boot) -> Outcome:
    """Boot the image on a PC in QEMU."""
    from . import images, qemu, qemu_process

    qemu_process.find_qemu()  # before anything is built for it
    check_firmware(wanted.firmware)
    image = images.kernel_image(wanted.say, config=wanted.config, checked=wanted.is_checked)
    file = file_for_qemu(wanted.firmware, image, wanted.say)
    last = LastBytes(wanted.console_sink)
    outcome = qemu.boot(replace(wanted, console_sink=last), file)
    return with_place_of_trap(outcome, image, last.content)


class LastBytes:
    """Hands output on, and keeps its end."""

    def __init__(self, sink: Sink) -> None:
        self._sink, self.content = sink, bytearray()

    def __call__(self, data: bytes) -> None:
        self._sink(data)
        self.content += data
        del self.content[:-LAST_BYTES]


def with_place_of_trap(outcome: Outcome, image: 'KernelImage', output: bytes | bytearray) -> Outcome:
    """The outcome; of a panic its remark tells the line of a check that failed, and the functions that were called."""
    if outcome.status != Status.PANIC:
        return outcome
    remark = outcome.remark
    trap = TRAP.search(output)
    site = int(trap[1], 16) if trap else len(image.facts['sites'])
    if site < len(image.facts['sites']):
        remark = f'a check failed at {image.place_of_site(site)}'
    calls = calls_in(output, image)
    if calls:
        remark += f'; in {", called by ".join(calls)}'
    return Outcome(Status.PANIC, remark)
