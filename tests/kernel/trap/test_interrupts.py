"""Interrupts of the booted kernel: the timer in ring 3 at any instruction, and the processor that is idle."""

import subprocess
import threading
import time
from pathlib import Path
from typing import Final

import pytest

from incroos.build.image import Image
from incroos.kernel.codes import EXIT_PASSED
from incroos.run.outcome import Outcome, Status
from incroos.run.qemu_process import find_qemu

from ...budget import SECONDS
from . import ring3_kernel as ring3
from .test_ring3 import AC, DF, FAIL, KEPT, KEPT_TOO, MODULE_BYTES, NT, PASS, assembled, built, call, run

PASSED: Final = Outcome(Status.PASSED, '')
TICK: Final = 10_000_000
OFTEN: Final = 100_000  # nanoseconds
TIMER: Final = 1 << 0
MACHINE: Final = (
    *('-nodefaults', '-no-user-config', '-display', 'none', '-vga', 'std', '-no-reboot', '-machine', 'pc', '-m', '64m'),
    *('-accel', 'tcg', '-cpu', 'max', '-serial', 'stdio', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4'),
)
UNTIL: Final = '1:\n{call}cmp ${number}, %rax\njl 1b\n'


@pytest.fixture(scope='module')
def image() -> Image:
    """The kernel, with its checks."""
    return built(checked=True)


def until_ticks(number: int) -> str:
    """Loop until so many have come; one that went wrong is less than none."""
    return UNTIL.format(call=call(ring3.NR_TICKS), number=number)


def test_the_timer_interrupts_a_program_at_its_rate(tmp_path: Path, image: Image) -> None:
    start = time.monotonic()
    text = call(ring3.START, f'${TICK}') + until_ticks(100) + PASS
    assert run(tmp_path, image, text) == (PASSED, '')
    assert time.monotonic() - start > 0.9


def test_what_is_masked_does_not_interrupt(tmp_path: Path, image: Image) -> None:
    """Before it was started, and after it was stopped."""
    for before in ('', call(ring3.START, f'${OFTEN}') + until_ticks(3) + call(ring3.STOP)):
        text = before + call(ring3.NR_TICKS) + 'mov %rax, %rbx\nmov $50000000, %ecx\n1:\ndec %ecx\njnz 1b\n'
        text += call(ring3.NR_TICKS) + f'cmp %rax, %rbx\njne fail\n{PASS}{FAIL}'
        assert run(tmp_path, image, text) == (PASSED, '')


def test_all_registers_live_on(tmp_path: Path, image: Image) -> None:
    kept = {**KEPT, **KEPT_TOO, 'rcx': 0x77, 'r11': 0x1177}
    text = call(ring3.START, f'${OFTEN}') + ''.join(f'movabs ${value}, %{name}\n' for name, value in kept.items())
    text += 'mov $20000000, %eax\n1:\ndec %eax\njnz 1b\n'
    text += ''.join(f'movabs ${value}, %rax\ncmp %rax, %{name}\njne fail\n' for name, value in kept.items())
    text += f'cmp ${ring3.STACK_END}, %rsp\njne fail\n{until_ticks(100)}{PASS}{FAIL}'
    assert run(tmp_path, image, text) == (PASSED, '')


@pytest.mark.parametrize('flags', [DF, AC, NT, DF | AC | NT])
def test_flags_of_a_program_are_off_in_the_kernel_and_live_on(tmp_path: Path, image: Image, flags: int) -> None:
    """The kernel's strings go up when the program's go down."""
    text = call(ring3.START, f'${OFTEN}') + f'pushf\norl ${flags}, (%rsp)\npopf\n'
    text += 'mov $10000000, %eax\n1:\ndec %eax\njnz 1b\npushf\npop %rbx\n'
    text += f'pushf\nandl ${~flags & 0xFFFF_FFFF}, (%rsp)\npopf\n'
    text += f'and ${DF | AC | NT}, %ebx\ncmp ${flags}, %ebx\njne fail\n{until_ticks(50)}{PASS}{FAIL}'
    assert run(tmp_path, image, text) == (PASSED, '')


def test_interrupts_in_a_storm_of_calls(tmp_path: Path, image: Image) -> None:
    """While the program enters the kernel again and again."""
    text = call(ring3.START, f'${OFTEN}') + 'mov $0x5A5A, %ebx\nmov $200000, %ebp\n2:\n'
    text += f'{call(ring3.TRIVIAL)}test %rax, %rax\njne fail\ncmp $0x5A5A, %rbx\njne fail\ndec %ebp\njnz 2b\n'
    text += until_ticks(300) + PASS + FAIL
    assert run(tmp_path, image, text) == (PASSED, '')


def test_a_program_that_traps_itself_at_each_instruction(tmp_path: Path, image: Image) -> None:
    """With the trap flag set when the timer interrupts: its exceptions go on, and the kernel is not stepped."""
    text = 'mov $0, %r12d\nlea stepped(%rip), %rdi\n' + f'mov ${ring3.RECOVER}, %eax\nsyscall\n'
    text += call(ring3.START, f'${OFTEN}')
    text += 'again:\npushf\norl $0x100, (%rsp)\npopf\nnop\nnop\njmp fail\n'
    text += 'stepped:\ncmp $1, %rdi\njne fail\ninc %r12d\ncmp $20000, %r12d\njl again\n'
    text += until_ticks(100) + PASS + FAIL
    assert run(tmp_path, image, text) == (PASSED, '')


# ------------------------------------------------------------------ idle
def test_idle_takes_a_tick_at_most(tmp_path: Path, image: Image) -> None:
    """Fifty times, and each one is the timer's doing; ring 3 hears of none."""
    start = time.monotonic()
    text = f'mov $50, %ebp\n2:\n{call(ring3.IDLE, "$20000000")}cmp ${TICK}, %rax\njne fail\ndec %ebp\njnz 2b\n'
    text += f'{call(ring3.NR_WAKES)}cmp $50, %rax\njl fail\n{call(ring3.NR_TICKS)}test %rax, %rax\njne fail\n'
    assert run(tmp_path, image, text + PASS + FAIL) == (PASSED, '')
    assert time.monotonic() - start > 0.45


def test_idle_for_less_than_a_tick(tmp_path: Path, image: Image) -> None:
    """And the timer has its own rate again behind it."""
    text = f'mov $100, %ebp\n2:\n{call(ring3.IDLE, "$1000000")}cmp $1000000, %rax\njne fail\ndec %ebp\njnz 2b\n'
    text += f'{call(ring3.IDLE, "$0")}test %rax, %rax\njne fail\n' + PASS + FAIL
    assert run(tmp_path, image, text) == (PASSED, '')


def test_a_wait_leaves_interrupts_disabled(tmp_path: Path, image: Image) -> None:
    text = f'mov $10, %ebp\n2:\n{call(ring3.IDLE_RAW, f"${TIMER}")}test %rax, %rax\njne fail\ndec %ebp\njnz 2b\n'
    assert run(tmp_path, image, text + PASS + FAIL) == (PASSED, '')


def test_a_byte_of_the_serial_port_ends_a_wait(tmp_path: Path, image: Image) -> None:
    """Without a timer: the line alone wakes the processor, each time, and no byte is lost."""
    text = call(ring3.LISTEN) + f'mov $3, %ebp\n2:\n{call(ring3.PUT, "%rbp")}3:\n{call(ring3.IDLE, "$-1")}'
    text += f'{call(ring3.GET)}test %rax, %rax\njs 3b\nmov %rax, %rdi\n{call(ring3.PUT)}dec %ebp\njnz 2b\n'
    kernel, module = tmp_path / 'ring3.elf', tmp_path / 'program'
    kernel.write_bytes(image.elf)
    module.write_bytes(assembled(text + PASS).ljust(MODULE_BYTES, b'\xcc'))
    command = [find_qemu(), *MACHINE, '-kernel', str(kernel), '-initrd', str(module)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as qemu:
        assert qemu.stdin is not None
        assert qemu.stdout is not None
        alarm = threading.Timer(SECONDS, qemu.kill)
        alarm.start()
        heard = []
        for byte in b'abc':
            heard.append(qemu.stdout.readline())
            time.sleep(0.2)  # it sleeps by now
            qemu.stdin.write(bytes([byte]))
            qemu.stdin.flush()
            heard.append(qemu.stdout.readline())
        assert qemu.wait() == EXIT_PASSED << 1 | 1
        alarm.cancel()
    assert [int(line, 16) for line in heard] == [3, 0x61, 2, 0x62, 1, 0x63]
