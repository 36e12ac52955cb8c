"""Boots an image in QEMU and says how it ended.

How the end is seen: the kernel's byte to the exit port makes QEMU end with status `code << 1 | 1`; a triple fault
resets the machine, which `-no-reboot` turns into an end whose reason the monitor tells; everything else is QEMU's own
failure, or the time is over.
"""

import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Final

from . import outcome
from .boot import BEST_ACCEL, Boot
from .firmware import UEFI
from .names import made
from .outcome import Outcome, Unusable
from .qemu_kvm import why_not_kvm
from .qemu_monitor import MonitorError
from .qemu_process import ADVICE, PROGRAM, START_SECONDS, Qemu, SlowStart
from .relay import Relay, hand_on_rest

START_OF_TEXT: Final = b'\x02'  # what build/boot_uefi.py sends before it sends anything else


def boot(wanted: Boot, image: Path) -> Outcome:
    """Boot an image, which is what its firmware starts. Raises Unusable where QEMU is missing or does not work."""
    if wanted.look is None:
        return boot_on(wanted, image, None)
    from .guest_ram import GuestRam, ram_file

    with ram_file(wanted.memory_bytes) as ram:
        end = boot_on(wanted, image, ram)
        wanted.look(GuestRam(ram, wanted.memory_bytes, made(wanted.config)))
    return end


def boot_on(wanted: Boot, image: Path, ram: IO[bytes] | None) -> Outcome:
    """Boot an image with the accelerator that is wanted; `ram`, an open file, has the guest's RAM."""
    if wanted.accel != BEST_ACCEL:
        wanted.say(f'booting in QEMU with {wanted.accel.upper()}')
        return boot_with(wanted, image, ram)
    reason = why_not_kvm()
    if not reason:
        written = Written(wanted.console_sink)
        try:
            wanted.say('booting in QEMU with KVM')
            return boot_with(replace(wanted, accel='kvm', console_sink=written), image, ram)
        except Unusable as unusable:
            if written.nr_bytes:  # what another boot prints must not follow
                raise
            reason = str(unusable)
    wanted.say(f'booting in QEMU with TCG, because {reason}')
    return boot_with(replace(wanted, accel='tcg'), image, ram)


class Written:
    """Hands output on, and counts it."""

    def __init__(self, console_sink: Callable[[bytes], object]) -> None:
        self._sink, self.nr_bytes = console_sink, 0

    def __call__(self, data: bytes) -> None:
        self.nr_bytes += len(data)
        self._sink(data)


class OwnOutput:
    """Hands on what comes after the text that UEFI firmware itself writes to the serial port."""

    def __init__(self, console_sink: Callable[[bytes], object]) -> None:
        self._sink, self._has_started = console_sink, False

    def __call__(self, data: bytes) -> None:
        if not self._has_started:
            _, mark, data = data.partition(START_OF_TEXT)
            self._has_started = bool(mark)
        if data:
            self._sink(data)


def boot_with(wanted: Boot, image: Path, ram: IO[bytes] | None) -> Outcome:
    """Boot an image with an accelerator that is named."""
    deadline = time.monotonic() + wanted.seconds
    is_uefi = wanted.firmware == UEFI
    console_sink = OwnOutput(wanted.console_sink) if is_uefi else wanted.console_sink
    start_seconds = min(wanted.seconds, START_SECONDS)
    options: dict[str, Any] = {'ram': ram, 'start_seconds': start_seconds, 'firmware': wanted.firmware}
    try:
        with Qemu(image, wanted.memory_bytes, wanted.accel, **options) as qemu:
            try:
                qemu.go()
                if relay(qemu, deadline, console_sink):
                    return judge(qemu)
            except (MonitorError, Unusable):
                end(qemu, console_sink)
                raise
            end(qemu, console_sink)
            return outcome.hang(wanted.seconds)
    except MonitorError as error:
        raise Unusable(f'{PROGRAM} does not work ({error}): {ADVICE}') from error
    except SlowStart:
        if wanted.seconds < START_SECONDS:
            return outcome.hang(wanted.seconds)
        raise


def relay(qemu: Qemu, deadline: float, console_sink: Callable[[bytes], object]) -> bool:
    """Hand on what comes from the serial port until QEMU has closed it and the monitor; False if time is over."""
    serial, monitor = qemu.serial.fileno(), qemu.monitor.fileno()
    channels = Relay()
    channels.add_pipe(serial, console_sink)
    channels.add(monitor, qemu.monitor.receive)
    return channels.run(deadline, [serial, monitor])


def end(qemu: Qemu, console_sink: Callable[[bytes], object]) -> None:
    """End a QEMU that is of no use any more, and hand on what it wrote to the serial port and nobody has read."""
    qemu.end()
    hand_on_rest(qemu.serial.fileno(), console_sink)


def judge(qemu: Qemu) -> Outcome:
    """What the end of a QEMU that ended by itself means."""
    try:
        status = qemu.process.wait(START_SECONDS)
    except subprocess.TimeoutExpired:
        raise Unusable(f'{PROGRAM} closed its channels and did not end: {ADVICE}') from None
    if status & 1 and status > 1:
        return outcome.outcome_of_exit_code(status >> 1)
    if 'guest-reset' in qemu.monitor.shutdown_reasons():
        return outcome.TRIPLE_FAULT
    raise Unusable(f'{PROGRAM} ended without a word from the kernel ({qemu.last_words()}): {ADVICE}')
