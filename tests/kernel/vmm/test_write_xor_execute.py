"""What no access may do in config `modern`: write to text, execute data, touch a guard page, page 0, or what is gone.

Each access ends in the kernel's handler, which says what was tried.
"""

import re
from collections.abc import Callable
from typing import Final

import pytest

from incroos.guest import mailbox
from incroos.guest.calls import CODES
from incroos.guest.dispatch import execute
from incroos.kernel import vmm
from incroos.kernel.configs import MODERN
from incroos.kernel.layout import (
    DIRECT_MAP_START,
    IMAGE_START,
    IMAGE_WINDOW,
    KERNEL_STATE,
    MODERN_HEAP,
    MODERN_STACK_END,
    STACK_GUARD,
    STACK_START,
    VMALLOC,
)
from incroos.machine.errors import MachineStopped
from incroos.run.harness import Call, Driver, MailboxDriver, call_of
from incroos.run.outcome import Status
from incroos.run.qemu_guest import Guest
from incroos.run.sim import Sim

from ...budget import SECONDS
from ..drivers import MODERN_BUILD, make_guest

NOT_PRESENT: Final = 'a page that is not present'
READ: Final = f'read of {NOT_PRESENT}'
WRITE: Final = f'write to {NOT_PRESENT}'
READ_ONLY: Final = 'write to a read-only page'
ACCESSES: Final = {
    'write text': ('store', IMAGE_WINDOW + IMAGE_START, READ_ONLY),
    'write text through the direct map': ('store', DIRECT_MAP_START + IMAGE_START, READ_ONLY),
    'write below the stack': ('store', IMAGE_WINDOW + STACK_GUARD + 0xFF8, WRITE),
    'read above the stack': ('load', IMAGE_WINDOW + MODERN_STACK_END, READ),
    'read a guard through the direct map': ('load', DIRECT_MAP_START + STACK_GUARD, READ),
    'read address 0': ('load', 0, READ),
    'write address 8': ('store', 8, WRITE),
    'read frame 0 through the direct map': ('load', DIRECT_MAP_START, READ),
    'read the identity map': ('load', KERNEL_STATE, READ),
    'write the boot tables': ('store', 0x1000, WRITE),
    'read behind the heap': ('load', MODERN_HEAP + (1 << 29), READ),
    'read behind the direct map': ('load', DIRECT_MAP_START + (64 << 20), READ),
    'read behind a range': ('load', VMALLOC + 0x1000, READ),
}


@pytest.mark.parametrize('place', ['sim', 'jit', 'qemu'])
@pytest.mark.parametrize('name', ACCESSES)
def test_a_wrong_access_is_reported(place: str, name: str) -> None:
    operation, va, text = ACCESSES[name]
    report = f'PANIC: page fault, {text}: address, error code, instruction 0x{va & (1 << 64) - 1:016X} '
    if place == 'sim':
        sim = Sim(64 << 20, MODERN)
        sim.start(mailbox.start)
        assert vmm.vmalloc(sim.kernel, 100) == VMALLOC
        with pytest.raises(MachineStopped):
            execute(sim.kernel, CODES[operation], va, 1, 0, 0)
        assert report in sim.console().decode()
        return
    with make_guest(place, build=MODERN_BUILD) as guest:
        driver = MailboxDriver(guest.ram, guest.is_running, config=MODERN_BUILD.config)
        driver.wait_until_ready()
        assert driver.call('vmalloc', 100) == VMALLOC
        driver.send([Call(CODES[operation], (va, 1))])
        assert guest.wait(SECONDS).status is Status.PANIC
        assert report in guest.console().decode()


# ------------------------------------------------------------------ execution
def heap(driver: Driver) -> int:
    return driver.call('kmalloc', 100)


def vmalloc(driver: Driver) -> int:
    return driver.call('vmalloc', 100)


def frame(driver: Driver) -> int:
    return DIRECT_MAP_START + driver.call('alloc_page')


PRESENT_TEXT: Final = 'execution of a page that is not executable'
ABSENT_TEXT: Final = f'execution of {NOT_PRESENT}'
TARGETS: Final[dict[str, tuple[int | Callable[[Driver], int], str]]] = {
    'heap': (heap, PRESENT_TEXT),
    'vmalloc': (vmalloc, PRESENT_TEXT),
    'frame': (frame, PRESENT_TEXT),
    'stack': (IMAGE_WINDOW + STACK_START, PRESENT_TEXT),
    'Kernel struct': (IMAGE_WINDOW + KERNEL_STATE, PRESENT_TEXT),
    'text in the direct map': (DIRECT_MAP_START + IMAGE_START, PRESENT_TEXT),
    'text at its physical address': (IMAGE_START, ABSENT_TEXT),
    'page 0': (0, ABSENT_TEXT),
}


@pytest.mark.parametrize('name', TARGETS)
def test_nothing_but_text_is_executed(name: str) -> None:
    """Waiver: only in `qemu`; simulated computers execute no instructions.

    The host turns the gate of the vector by which checks trap towards the target, and asks for what a check refuses.
    """
    target, text = TARGETS[name]
    with make_guest('qemu', build=MODERN_BUILD) as guest:
        assert isinstance(guest, Guest)
        driver = MailboxDriver(guest.ram, guest.is_running, config=MODERN_BUILD.config)
        driver.wait_until_ready()
        va = (target(driver) if callable(target) else target) & (1 << 64) - 1
        gate = find_gate(guest.ask('info registers'), vector=6)
        for at, part in ((0, va & 0xFFFF), (6, va >> 16 & 0xFFFF), (8, va >> 32 & 0xFFFF), (10, va >> 48)):
            guest.ram[gate + at : gate + at + 2] = part.to_bytes(2, 'little')
        driver.send([call_of('alloc_table', 300)])  # a level that no field of the record holds
        assert guest.wait(SECONDS).status is Status.PANIC
        report = f'PANIC: page fault, {text}: address, error code, instruction 0x{va:016X} '
        assert report in guest.console().decode()


def find_gate(registers: str, vector: int) -> int:
    """Where in RAM the interrupt table has the gate of a vector."""
    found = re.search(r'IDT= *([0-9a-f]+)', registers)
    assert found
    return int(found[1], 16) - (IMAGE_WINDOW & (1 << 64) - 1) + 16 * vector
