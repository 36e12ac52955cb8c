"""The host's side of a program in QEMU: its channels, the end of the machine, and nothing left behind or lost."""

import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from incroos.kernel.state.records import RECORD_CALL, RECORD_END
from incroos.run import qemu_program
from incroos.run.boot import Sink
from incroos.run.outcome import Status
from incroos.run.program import TIME_OVER, TROUBLE, Program, Ran
from incroos.run.records import Told

from ..build import small_kernels
from ..build.small_kernels import SmallKernel, write_small
from . import channel_kernel

MODULE: Final = b'a module'
BINARY: Final = bytes(range(256)) * 500


class Lost(BaseException):
    """Whoever takes the output takes no more."""


def run(folder: Path, main: Callable[..., Any], **options: Any) -> Ran:
    """Run a small kernel as if it were the one for programs."""
    return qemu_program.run(
        Program('p', memory_bytes=16 << 20, **options), MODULE, write_small(folder, SmallKernel(main))
    )


def test_channels(tmp_path: Path) -> None:
    output, errors, console = bytearray(), bytearray(), bytearray()
    with tempfile.TemporaryFile() as file:
        file.write(BINARY)
        file.seek(0)
        sinks: dict[str, Sink] = {'output': output.extend, 'errors': errors.extend, 'console': console.extend}
        ran = run(tmp_path, channel_kernel.echo, input=file.fileno(), **sinks)
    assert (bytes(output), bytes(errors), bytes(console)) == (BINARY, b'errors\n', b'words of the kernel\n')
    assert (ran.exit_status, ran.sentence) == (3, '')
    assert [record.kind for record in ran.records] == [RECORD_CALL] * channel_kernel.NR_CALLS + [RECORD_END]


def test_input_from_a_pipe_that_is_written_slowly(tmp_path: Path) -> None:
    """Each piece comes back before the next is written."""
    read_end, write_end = os.pipe()
    came = threading.Semaphore(0)
    output = bytearray()

    def sink(data: bytes) -> None:
        output.extend(data)
        came.release()

    def write() -> None:
        for piece in (b'one', b'two', b'three'):
            os.write(write_end, piece)
            came.acquire()
        os.close(write_end)

    writer = threading.Thread(target=write)
    writer.start()
    ran = run(tmp_path, channel_kernel.echo, input=read_end, output=sink)
    writer.join()
    os.close(read_end)
    assert (bytes(output), ran.exit_status) == (b'onetwothree', 3)


def test_input_that_cannot_be_read(tmp_path: Path) -> None:
    with open(os.devnull, 'wb') as file:
        ran = run(tmp_path, channel_kernel.echo, input=file.fileno())
    assert ran.exit_status == channel_kernel.FAILED_STATUS


def test_input_of_bytes(tmp_path: Path) -> None:
    output = bytearray()
    assert run(tmp_path, channel_kernel.echo, input=BINARY, output=output.extend).exit_status == 3
    assert bytes(output) == BINARY


def test_input_that_nobody_asks_for_stays(tmp_path: Path) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(BINARY)
        file.seek(0)
        run(tmp_path, channel_kernel.alternate, input=file.fileno())
        assert file.tell() == 0


def test_one_file_for_both_outputs_keeps_the_order(tmp_path: Path) -> None:
    both = bytearray()
    sink = both.extend
    ran = run(tmp_path, channel_kernel.alternate, output=sink, errors=sink)
    assert bytes(both) == b'AB' * 1000
    assert (ran.exit_status, ran.sentence) == (134, 'SIGABRT ended the program')


def test_system_calls_go_to_who_wants_them(tmp_path: Path) -> None:
    calls: list[Told] = []
    with open(os.devnull, 'rb') as file:
        ran = run(tmp_path, channel_kernel.echo, input=file.fileno(), calls=calls.append)
    assert [(record.number, record.words[0]) for record in calls] == [(39, 0), (39, 1), (39, 2)]
    assert [record.kind for record in ran.records] == [RECORD_END]


@pytest.mark.parametrize('main', [channel_kernel.write_for_ever, channel_kernel.wait_for_ever])
def test_time_is_over(tmp_path: Path, main: Callable[..., Any]) -> None:
    read_end, write_end = os.pipe()  # nothing ever comes by it
    output = bytearray()
    seconds = 1.0
    while not output:
        ran = run(tmp_path, main, seconds=seconds, output=output.extend, input=read_end)
        assert (ran.exit_status, ran.sentence) == (
            TIME_OVER,
            f'the program had not ended after {seconds:g} s and was stopped',
        )
        seconds *= 2
    os.close(read_end)
    os.close(write_end)


@pytest.mark.parametrize(
    ('main', 'sentence'),
    [
        (small_kernels.triple_fault, 'the processor met a triple fault and reset'),
        (small_kernels.fail, 'the self-test failed'),
        (channel_kernel.end_without_a_word, 'the kernel ended without a word about the program'),
        (
            channel_kernel.put_garbage,
            f'the kernel told something that is no record: kind {0x5555555555555555}, {0x5555555555555555} bytes',
        ),
    ],
)
def test_trouble(tmp_path: Path, main: Callable[..., Any], sentence: str) -> None:
    ran = run(tmp_path, main)
    assert (ran.exit_status, ran.sentence) == (TROUBLE, sentence)
    assert ran.machine.status != Status.PASSED or ran.ending is None


def test_a_sink_that_takes_no_more_ends_the_machine(tmp_path: Path) -> None:
    def refuse(data: bytes) -> None:
        raise Lost

    before = set(os.listdir('/proc/self/fd'))
    with pytest.raises(Lost):
        run(tmp_path, channel_kernel.write_for_ever, output=refuse)
    assert set(os.listdir('/proc/self/fd')) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
