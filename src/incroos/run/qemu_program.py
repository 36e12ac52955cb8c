"""A program in ring 3 of a PC in QEMU.

The module is QEMU's initial RAM disk. Standard output, standard error and records are debug consoles, each on a pipe;
the second serial port is on a socket by which the kernel asks for input; the first has the kernel's own words.
"""

import contextlib
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import IO, Final

from .boot import Sink
from .channels import descriptor_of
from .names import made
from .outcome import Outcome, Status, Unusable
from .program import Program, Ran, Recorder, RecordSink, time_is_over
from .program_channels import Input
from .qemu import judge
from .qemu_monitor import MonitorError
from .qemu_process import ADVICE, PROGRAM, Qemu
from .records import BrokenStream
from .relay import Relay, hand_on_rest

ACCEL: Final = 'tcg'  # some KVMs interpret ring 0, and cannot run ring 3
PORTS: Final = {'output': 0xE9, 'errors': 0xEA, 'records': 0xEB}


def run(wanted: Program, module: bytes, image: Path) -> Ran:
    """Run a program on an image that is there. Raises Unusable where QEMU is missing or does not work."""
    if wanted.look is None:
        return run_on(wanted, module, image, None)
    from .guest_ram import GuestRam, ram_file

    with ram_file(wanted.memory_bytes) as ram:
        ran = run_on(wanted, module, image, ram)
        wanted.look(GuestRam(ram, wanted.memory_bytes, made(wanted.config)))
    return ran


def run_on(wanted: Program, module: bytes, image: Path, ram: IO[bytes] | None) -> Ran:
    """The same, where `ram`, an open file, has the guest's RAM."""
    recorder = Recorder(wanted)
    sinks: dict[str, Sink] = {'output': wanted.output, 'errors': wanted.errors, 'records': RecordSink(recorder)}
    try:
        with contextlib.ExitStack() as closing:
            ends = {name: closing.enter_context(pipe()) for name in sinks}
            if wanted.output is wanted.errors:  # one file: what comes first must stay first
                ends['errors'] = ends['output']
            ours, its_input = (closing.enter_context(end) for end in socket.socketpair())
            disk = closing.enter_context(tempfile.TemporaryFile())
            disk.write(module)
            disk.flush()
            writers = {name: write_end.fileno() for name, (_, write_end) in ends.items()}
            options = [*channel_options(writers, its_input.fileno()), '-initrd', f'/dev/fd/{disk.fileno()}']
            inherited = tuple({*writers.values(), its_input.fileno(), disk.fileno()})
            source = descriptor_of(wanted.input)
            closing.callback(os.close, source)
            qemu = closing.enter_context(
                Qemu(
                    image,
                    wanted.memory_bytes,
                    ACCEL,
                    extra=(*options, *wanted.extra),
                    inherited=inherited,
                    processor=wanted.processor,
                    ram=ram,
                )
            )
            for _, write_end in ends.values():
                write_end.close()
            its_input.close()
            readers = {name: read_end.fileno() for name, (read_end, _) in ends.items()}
            return recorder.ran(
                relay(qemu, wanted, {readers[name]: sink for name, sink in sinks.items()}, ours, source)
            )
    except MonitorError as error:
        raise Unusable(f'{PROGRAM} does not work ({error}): {ADVICE}') from error


def relay(qemu: Qemu, wanted: Program, sinks: dict[int, Sink], input_channel: socket.socket, source: int) -> Outcome:
    """Let the machine run until it has ended, and hand on what comes and goes."""
    deadline = None if wanted.seconds is None else time.monotonic() + wanted.seconds
    sinks = {qemu.serial.fileno(): wanted.console, **sinks}
    channels = Relay()
    for descriptor, sink in sinks.items():
        channels.add_pipe(descriptor, sink)
    channels.add(qemu.monitor.fileno(), qemu.monitor.receive)
    Input(input_channel, source, channels)
    qemu.go()
    try:
        if channels.run(deadline, [*sinks, qemu.monitor.fileno()]):
            return judge(qemu)
    except BrokenStream as broken:
        return Outcome(Status.PANIC, str(broken))
    qemu.end()
    for descriptor, sink in sinks.items():
        with contextlib.suppress(BrokenStream):
            hand_on_rest(descriptor, sink)
    assert wanted.seconds is not None
    return time_is_over(wanted.seconds)


@contextmanager
def pipe() -> Iterator[tuple[FileIO, FileIO]]:
    """The two ends of a pipe."""
    read_end, write_end = os.pipe()
    with FileIO(read_end) as reader, FileIO(write_end, 'w') as writer:
        yield reader, writer


def channel_options(writers: dict[str, int], input_channel: int) -> list[str]:
    """The devices of the channels. The first serial port is there already; this one is COM2."""
    options = ['-chardev', f'socket,id=input,fd={input_channel}', '-serial', 'chardev:input']
    for name, port in PORTS.items():
        device = f'isa-debugcon,iobase={port:#x},chardev={name}'
        options += ['-chardev', f'file,id={name},path=/dev/fd/{writers[name]}', '-device', device]
    return options
