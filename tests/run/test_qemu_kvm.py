"""The probe of KVM: on this machine as it is, and where KVM is missing or of no use."""

import subprocess
from pathlib import Path

import pytest

from incroos.run import qemu_kvm
from incroos.run.boot import Boot
from incroos.run.outcome import Status
from incroos.run.qemu import boot
from incroos.run.qemu_kvm import why_not_kvm

from ..budget import SECONDS
from ..build import small_kernels
from ..build.small_kernels import SmallKernel, write_small
from .qemu_boots import MEMORY


def test_auto_boots_with_what_the_probe_says(tmp_path: Path) -> None:
    image = write_small(tmp_path, SmallKernel(small_kernels.pass_at_once))
    remarks: list[str] = []
    outcome = boot(Boot(MEMORY, SECONDS, lambda data: None, remarks.append), image)
    assert outcome.status == Status.PASSED
    assert remarks[0].startswith(('booting in QEMU with KVM', 'booting in QEMU with TCG, because '))


def test_no_kvm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path / 'kvm'
    monkeypatch.setattr(qemu_kvm, 'KVM', str(device))
    assert why_not_kvm() == f'there is no {device}'


def answer(monkeypatch: pytest.MonkeyPatch, script: str, seconds: float = SECONDS) -> str:
    """What is said where the probe's program is this one."""
    monkeypatch.setattr(qemu_kvm, 'KVM', '/dev/null')
    monkeypatch.setattr(qemu_kvm, 'PROBE_SECONDS', seconds)
    program = Path(qemu_kvm.__file__)
    real = subprocess.run

    def run(command: list[str], **options: object) -> object:
        assert command[-1] == str(program)
        return real([*command[:-1], '-c', script], **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, 'run', run)
    return why_not_kvm()


def test_quick_kvm_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer(monkeypatch, 'print(0.00005)') == ''


def test_slow_kvm_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer(monkeypatch, 'print(0.014)').startswith('KVM interprets real mode')


def test_kvm_that_fails_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer(monkeypatch, 'raise OSError(25)') == 'KVM cannot run a virtual machine here'


def test_kvm_that_does_not_answer_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer(monkeypatch, 'import time; time.sleep(10_000)', 0.2) == 'KVM does not answer'


def test_a_file_that_is_no_kvm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real probe program, on a device that answers no call of KVM's."""
    monkeypatch.setattr(qemu_kvm, 'KVM', '/dev/null')
    with pytest.raises(OSError, match='Inappropriate ioctl'):
        qemu_kvm.probe_seconds()
