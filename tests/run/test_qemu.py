"""The place `qemu`: every way in which a boot can end, tools that are missing or broken, and nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from incroos.run import qemu, qemu_process
from incroos.run.boot import Boot
from incroos.run.outcome import Status, Unusable
from incroos.run.qemu_process import PROGRAM

from ..budget import SECONDS
from ..build import small_kernels
from ..build.small_kernels import SmallKernel, write_small
from .qemu_boots import MEMORY, boot_small

REPOSITORY: Final = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ('main', 'status', 'remark'),
    [
        (small_kernels.pass_at_once, Status.PASSED, ''),
        (small_kernels.fail, Status.FAILED, 'the self-test failed'),
        (small_kernels.end_with_unknown_code, Status.PANIC, 'the kernel ended with 0x42, a code that means nothing'),
        (small_kernels.triple_fault, Status.TRIPLE_FAULT, 'the processor met a triple fault and reset'),
    ],
)
def test_ends(tmp_path: Path, main: Callable[..., Any], status: Status, remark: str) -> None:
    outcome, _ = boot_small(tmp_path, SmallKernel(main))
    assert (outcome.status, outcome.remark) == (status, remark)


@pytest.mark.parametrize(
    'main',
    [small_kernels.hang, small_kernels.halt_for_ever, small_kernels.chatter_for_ever],
    ids=lambda main: main.__name__,
)
def test_hang_ends_in_time(tmp_path: Path, main: Callable[..., Any]) -> None:
    seconds, is_over = 2, False
    while not is_over:  # until there was time for the words of a kernel that has some
        outcome, text = boot_small(tmp_path, SmallKernel(main), seconds=seconds)
        assert outcome.status == Status.HANG
        assert outcome.remark == f'the kernel had not ended after {seconds} s and was stopped'
        is_over = main is small_kernels.halt_for_ever or bool(text)
        seconds *= 2
    assert ('and on ' in text) == (main is small_kernels.chatter_for_ever)


def test_time_so_short_that_qemu_has_not_started(tmp_path: Path) -> None:
    outcome, _ = boot_small(tmp_path, SmallKernel(small_kernels.pass_at_once), seconds=0.001)
    assert outcome.status == Status.HANG


def test_console_comes_while_the_kernel_runs(tmp_path: Path) -> None:
    class Arrived(Exception):
        """Data has come."""

    def take(data: bytes) -> None:
        raise Arrived

    image = write_small(tmp_path, SmallKernel(small_kernels.hang))
    with pytest.raises(Arrived):  # and not only at the end, for which nobody waits so long
        qemu.boot(Boot(MEMORY, 1000 * SECONDS, take, accel='tcg'), image)


def test_triple_fault_keeps_the_last_words(tmp_path: Path) -> None:
    _, text = boot_small(tmp_path, SmallKernel(small_kernels.triple_fault))
    assert text == 'last words\n'


def refusal(image: Path, accel: str = 'tcg', memory_bytes: int = MEMORY) -> str:
    """The sentence with which QEMU is found unusable."""
    with pytest.raises(Unusable) as refused:
        qemu.boot(Boot(memory_bytes, SECONDS, lambda data: None, accel=accel), image)
    return str(refused.value)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A kernel that passes."""
    return write_small(tmp_path, SmallKernel(small_kernels.pass_at_once))


def test_missing_qemu(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('PATH', str(image.parent))
    assert refusal(image) == f'{PROGRAM} is not installed: {qemu_process.ADVICE}'


@pytest.mark.parametrize(
    ('script', 'words'),
    [
        ('#!/bin/sh\nexit 1\n', 'does not work (exit status 1)'),
        ('#!/bin/sh\necho garbage; echo no such library >&2; exit 0\n', 'does not work (no such library)'),
        ('#!/bin/sh\nexec /nonexistent/qemu\n', 'does not work'),
        ('not a program\n', 'does not work'),
        ('#!/nonexistent/interpreter\n', 'does not work'),
        ('#!/bin/sh\nsleep 10000\n', 'did not answer within 1 s'),
    ],
)
def test_broken_qemu(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str) -> None:
    fake = tmp_path / PROGRAM
    fake.write_text(script)
    fake.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)
    if 'sleep' in script:
        monkeypatch.setattr(qemu, 'START_SECONDS', 1)
    sentence = refusal(image)
    assert words in sentence
    assert sentence.endswith(qemu_process.ADVICE)
    assert '\n' not in sentence


def test_qemu_that_is_slow_with_more_memory_than_it_can_have(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / PROGRAM
    fake.write_text('#!/bin/sh\nsleep 10000\n')
    fake.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)
    sentence = r'did not answer within 1 s: ask for less with --memory$'
    with pytest.raises(Unusable, match=sentence), qemu_process.Qemu(image, 64 << 40, 'tcg', start_seconds=1):
        pass


def test_garbage_on_the_monitor(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / PROGRAM
    fake.write_text(
        f'#!{sys.executable}\nimport os, re, sys\n'
        'fd = int(re.search(r"id=monitor,fd=([0-9]+)", " ".join(sys.argv))[1])\n'
        'os.write(fd, b"garbage\\n")\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)
    assert 'does not work' in refusal(image)


def test_more_memory_than_there_is(image: Path) -> None:
    assert refusal(image, memory_bytes=1 << 47).endswith('ask for less with --memory')


def test_lists_of_more_memory_than_there_is(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """QEMU makes them before it finds that its processor has no addresses for so much."""
    monkeypatch.setattr(qemu_process, 'free_bytes', lambda: 200 << 20)
    words = 'qemu-system-x86_64 takes 384M for lists of so much memory, of 200M: ask for less with --memory'
    assert refusal(image, memory_bytes=4 << 40) == words


def test_accelerator_that_fails_is_refused_when_it_was_asked_for(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(qemu_process.PROCESSORS, 'kvm', 'no-such-processor')
    sentence = refusal(image, accel='kvm')
    assert 'does not work' in sentence
    assert sentence.endswith('take --accel tcg')


def test_auto_takes_emulation_where_kvm_fails(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(qemu_process.PROCESSORS, 'kvm', 'no-such-processor')
    monkeypatch.setattr(qemu, 'why_not_kvm', lambda: '')
    remarks: list[str] = []
    outcome = qemu.boot(Boot(MEMORY, SECONDS, lambda data: None, remarks.append), image)
    assert outcome.status == Status.PASSED
    assert remarks[0] == 'booting in QEMU with KVM'
    assert remarks[1].startswith('booting in QEMU with TCG, because ')


def start_boot(image: Path) -> subprocess.Popen[bytes]:
    """A process that boots an image and waits for its end; it has got the first output when this returns."""
    text = (
        'import sys; from pathlib import Path; from incroos.run.boot import Boot\n'
        'from incroos.run.qemu import boot\n'
        'sink = lambda data: (sys.stdout.buffer.write(data), sys.stdout.flush())\n'
        f'boot(Boot({MEMORY}, {SECONDS}, sink, accel="tcg"), Path({str(image)!r}))\n'
    )
    process = subprocess.Popen([sys.executable, '-c', text], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b'hanging\n'
    return process


def processes_with(image: Path) -> list[str]:
    """The processes that have the image on their command line, this test's own child aside."""
    found = []
    for entry in Path('/proc').iterdir():
        try:
            arguments = (entry / 'cmdline').read_bytes().split(b'\0')
        except OSError:
            continue
        if str(image).encode() in arguments:
            found.append(entry.name)
    return found


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_nothing_is_left_behind(tmp_path: Path, number: signal.Signals) -> None:
    image = write_small(tmp_path, SmallKernel(small_kernels.hang))
    with start_boot(image) as process:
        assert processes_with(image)
        process.send_signal(number)
        process.communicate(timeout=SECONDS)
        end = time.monotonic() + SECONDS
        while processes_with(image) and time.monotonic() < end:
            time.sleep(0.02)
        assert not processes_with(image)
