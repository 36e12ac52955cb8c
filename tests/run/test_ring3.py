"""Ring 3 on the simulated computer: what is not allowed there, faults, and what its processor must not remember."""

import pytest

from incroos.run.outcome import Outcome, Status

from . import ring3_kernel as mini
from .ring3_lab import PLACES, run

PASSED = Outcome(Status.PASSED)
GENERAL_PROTECTION = 13


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_halt_is_a_general_protection_fault(place: str) -> None:
    ran = run(place, 'mov eax, 7; hlt; mov eax, 8')
    assert ran.outcome == PASSED
    assert (ran.end.vector, ran.end.error, ran.end.rip, ran.end.rax) == (GENERAL_PROTECTION, 0, mini.USER + 5, 7)


def test_a_system_call_is_answered(place: str) -> None:
    ran = run(place, 'mov eax, 1; mov edi, 30; mov esi, 12; syscall; mov rbx, rax; mov eax, 0; syscall')
    assert ran.outcome == PASSED
    assert (ran.end.vector, ran.end.rbx, ran.end.cs, ran.end.ss) == (256, 42, 0x33, 0x2B)
