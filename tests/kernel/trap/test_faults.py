"""Page faults and exceptions: what the kernel says about them in every place, and how it ends."""

import pytest

from incroos.guest import mailbox
from incroos.guest.calls import CODES
from incroos.guest.dispatch import execute
from incroos.kernel import vmm
from incroos.kernel.arch.pte import PRESENT
from incroos.kernel.codes import EXIT_PANIC
from incroos.kernel.configs import CLASSIC
from incroos.kernel.layout import HEAP, IMAGE_START, STACK_GUARD, ZONE_START
from incroos.kernel.trap import faults
from incroos.lang import PhysAddr, VirtAddr
from incroos.machine.errors import MachineStopped
from incroos.run.harness import Call, MailboxDriver
from incroos.run.outcome import Status
from incroos.run.sim import Sim

from ...budget import SECONDS
from ..drivers import make_guest

READ_ONLY = 0x50_0000_0000


@pytest.fixture
def fresh() -> Sim:
    """An interpreted kernel whose memory manager is up."""
    sim = Sim(16 << 20, CLASSIC)
    sim.start(mailbox.start)
    return sim


@pytest.mark.parametrize(
    ('error', 'text'),
    [
        (0b00000, 'read of a page that is not present'),
        (0b00001, 'read of a protected page'),
        (0b00010, 'write to a page that is not present'),
        (0b00011, 'write to a read-only page'),
        (0b00100, 'in user mode'),
        (0b01011, 'reserved bits in an entry'),
        (0b10000, 'execution of a page that is not present'),
        (0b10001, 'execution of a page that is not executable'),
    ],
)
def test_the_error_code_is_told_in_words(fresh: Sim, error: int, text: str) -> None:
    fresh.machine.write_cr2(VirtAddr(0xABC_DEF0))
    with pytest.raises(MachineStopped):
        faults.on_page_fault(fresh.kernel, error, VirtAddr(0x10_1234))
    line = fresh.console().decode()
    assert line.startswith('PANIC: page fault')
    assert text in line
    assert line.endswith(f': address, error code, instruction 0x000000000ABCDEF0 0x{error:016X} 0x0000000000101234\n')
    assert fresh.computer.cpu.stop_code == EXIT_PANIC


IP, ERROR, SITE, CR2 = 0xDEAD, 0x18, 7, 0xABC_DEF0


@pytest.mark.parametrize(
    ('vector', 'name', 'words'),
    [
        (0, 'divide error: instruction', (IP, 0, 0)),
        (2, 'non-maskable interrupt: instruction', (IP, 0, 0)),
        (3, 'breakpoint: instruction', (IP, 0, 0)),
        (6, 'a check failed, or no such instruction: site of the check, instruction', (SITE, IP, 0)),
        (8, 'double fault, as when the stack is full: address of the last page fault, instruction', (CR2, IP, 0)),
        (10, 'task state segment refused: error code, instruction', (ERROR, IP, 0)),
        (11, 'segment not present: error code, instruction', (ERROR, IP, 0)),
        (12, 'stack segment fault: error code, instruction', (ERROR, IP, 0)),
        (13, 'general protection fault: error code, instruction', (ERROR, IP, 0)),
        (17, 'alignment check: error code, instruction', (ERROR, IP, 0)),
        (18, 'machine check: instruction', (IP, 0, 0)),
        (19, 'exception: vector, error code, instruction', (19, ERROR, IP)),
    ],
)
def test_an_exception_has_its_name(fresh: Sim, vector: int, name: str, words: tuple[int, ...]) -> None:
    fresh.machine.write_cr2(VirtAddr(CR2))
    with pytest.raises(MachineStopped):
        faults.on_exception(fresh.kernel, vector, ERROR, VirtAddr(IP), SITE)
    assert fresh.console().decode() == f'PANIC: {name} ' + ' '.join(f'0x{value:016X}' for value in words) + '\n'
    assert fresh.computer.cpu.stop_code == EXIT_PANIC


ACCESSES = [
    ('load', HEAP + (8 << 20), 0, 'read of a page that is not present'),
    ('store', HEAP + (8 << 20), 1, 'write to a page that is not present'),
    ('store', STACK_GUARD + 8, 1, 'write to a page that is not present'),
    ('store', IMAGE_START, 1, 'write to a read-only page'),
    ('store', READ_ONLY, 1, 'write to a read-only page'),
]


@pytest.mark.parametrize('place', ['jit', 'qemu'])
@pytest.mark.parametrize(('name', 'addr', 'value', 'text'), ACCESSES)
def test_a_wrong_access_ends_in_the_kernels_handler(place: str, name: str, addr: int, value: int, text: str) -> None:
    with make_guest(place) as guest:
        driver = MailboxDriver(guest.ram, guest.is_running)
        driver.wait_until_ready()
        assert driver.call('map_page', READ_ONLY, ZONE_START, PRESENT) == 0
        driver.send([Call(CODES[name], (addr, value))])
        outcome = guest.wait(SECONDS)
        assert outcome.status is Status.PANIC
        assert f'PANIC: page fault, {text}: address, error code, instruction 0x{addr:016X} ' in guest.console().decode()


@pytest.mark.parametrize(('name', 'addr', 'value', 'text'), ACCESSES)
def test_a_wrong_access_of_the_interpreted_kernel_ends_there_too(
    fresh: Sim, name: str, addr: int, value: int, text: str
) -> None:
    assert vmm.map_page(fresh.kernel, VirtAddr(READ_ONLY), PhysAddr(ZONE_START), PRESENT) == 0
    with pytest.raises(MachineStopped):
        execute(fresh.kernel, CODES[name], addr, value, 0, 0)
    assert f'PANIC: page fault, {text}: address, error code, instruction 0x{addr:016X} ' in fresh.console().decode()
    assert fresh.computer.cpu.stop_code == EXIT_PANIC
