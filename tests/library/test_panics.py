"""Panics in a call that holds the lock: the hook may ask the library what it likes, and other processors still wait."""

from pathlib import Path
from typing import Final

import pytest

from incroos.kernel.configs import EMBEDDED_MODERN
from incroos.kernel.embed import lock
from incroos.kernel.io.panic import panic
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr
from incroos.run.outcome import Status

from .c_kernels import run
from .interpreted import Panicked, started

QUESTIONS: Final = ('in a call', 'kmalloc', 'kfree', 'frames', 'pages', 'checkers', 'the same report')


@pytest.mark.parametrize(
    ('config', 'hardening', 'case'),
    [
        ('modern', 'off', 'LOST_PAGE'),
        ('modern', 'cheap', 'LOST_PAGE'),
        ('modern', 'full', 'LOST_PAGE'),
        ('modern', 'full', 'DOUBLE_FREE'),
        ('classic', 'cheap', 'OVERRUN'),
        ('classic', 'full', 'DOUBLE_FREE'),
    ],
)
def test_the_panic_hook_may_allocate_and_check(tmp_path: Path, config: str, hardening: str, case: str) -> None:
    outcome, text = run(tmp_path, 'panics', config, hardening=hardening, defines=[case])
    assert text == ''.join(f'{question}: yes\n' for question in QUESTIONS)
    assert outcome.status == Status.PANIC


def test_a_panic_in_the_panic_hook_halts(tmp_path: Path) -> None:
    seconds, text = 5, ''
    while not text.endswith('panics again\n'):  # until there was time for it
        outcome, text = run(tmp_path, 'panics', 'modern', 'full', ['DOUBLE_FREE', 'AGAIN'], seconds=seconds)
        assert outcome.status == Status.HANG
        seconds *= 2
    assert text == 'in a call: yes\npanics again\n'


# ------------------------------------------------------------------ which processor it is
LOCK_HOOK: Final = 0x2000
UNLOCK_HOOK: Final = 0x3000
CONTEXT: Final = 0x4000
TAKEN: Final = 77


class Hooks:
    """A kernel with hooks for a lock, on the processor of a number; what was called."""

    def __init__(self, topology: bool) -> None:
        self.k = started(EMBEDDED_MODERN)
        self.number = 1
        self.has_topology = topology
        self.calls: list[tuple[int, ...]] = []
        hooks = self.k.hooks.hooks
        hooks.context, hooks.lock, hooks.unlock = VirtAddr(CONTEXT), VirtAddr(LOCK_HOOK), VirtAddr(UNLOCK_HOOK)
        panic_hook = self.k.m.call4

        def call(code: int, a: int, b: int, c: int, d: int) -> int:
            if code not in (LOCK_HOOK, UNLOCK_HOOK):
                return panic_hook(code, a, b, c, d)
            self.calls.append((code, a, b, c, d))
            return TAKEN

        self.k.m.call4 = call  # type: ignore[method-assign]
        self.k.m.cpuid = self.cpuid  # type: ignore[method-assign]

    def cpuid(self, leaf: int, subleaf: int) -> tuple[int, int, int, int]:
        """The leaves in which a processor tells its number: 8 bits of it, and all."""
        return {
            0: (0xB if self.has_topology else 7, 0, 0, 0),
            1: (0, (self.number & 0xFF) << 24 | 0x10_0800, 0, 0),
            0xB: (0, 2, 0, self.number),
        }[leaf]


@pytest.fixture(params=[False, True], ids=['8 bits', '32 bits'])
def hooks(request: pytest.FixtureRequest) -> Hooks:
    return Hooks(request.param)


def call_once(k: Kernel) -> int:
    """What a wrapper does round a call."""
    taken = lock.take(k)
    lock.release(k, taken)
    return taken


def test_the_lock_is_taken_and_released_with_its_word(hooks: Hooks) -> None:
    assert call_once(hooks.k) == TAKEN
    assert hooks.calls == [(LOCK_HOOK, CONTEXT, 0, 0, 0), (UNLOCK_HOOK, CONTEXT, TAKEN, 0, 0)]


def test_the_processor_that_panicked_passes_the_lock_and_others_wait(hooks: Hooks) -> None:
    lock.take(hooks.k)
    with pytest.raises(Panicked):
        panic(hooks.k, b'test: on purpose', 1, 2, 3)
    hooks.calls.clear()
    call_once(hooks.k)
    assert hooks.calls == []
    hooks.number = 2
    call_once(hooks.k)
    assert [code for code, *_ in hooks.calls] == [LOCK_HOOK, UNLOCK_HOOK]


def test_the_lowest_bits_of_a_number_are_not_all_of_it() -> None:
    hooks = Hooks(topology=True)
    with pytest.raises(Panicked):
        panic(hooks.k, b'test: on purpose', 1, 2, 3)
    hooks.number = 0x101
    call_once(hooks.k)
    assert [code for code, *_ in hooks.calls] == [LOCK_HOOK, UNLOCK_HOOK]
