"""The boot self-test: its transcript, and that each SUCCESS depends on what it claims."""

from collections.abc import Callable
from typing import Any

import pytest

from incroos.kernel import heap, pmm
from incroos.kernel.boot import main
from incroos.kernel.codes import EXIT_FAILED, EXIT_PANIC, EXIT_PASSED, OK
from incroos.kernel.configs import CLASSIC
from incroos.kernel.layout import HEAP, ZONE_START
from incroos.kernel.pmm import frames
from incroos.kernel.state import Kernel
from incroos.lang import VirtAddr
from incroos.machine.errors import MachineStopped
from incroos.run.sim import Sim

TRANSCRIPT = """\
Hello, 64-bit kernel World!
Initializing memory manager...
PMM initialized
VMM initialized
Heap initialized
Total pages: 8192
Free pages: 8192

Testing memory allocation...
kmalloc(100): SUCCESS
kfree: SUCCESS
pmm_alloc_page: SUCCESS (addr: 0x{frame:016X})
pmm_free_page: SUCCESS

Memory manager operational!
"""
Function = Callable[..., Any]


def boot(memory_mib: int = 64) -> tuple[str, int]:
    """What the kernel wrote, and the code with which it ended."""
    sim = Sim(memory_mib << 20, CLASSIC)
    if memory_mib > 2:
        sim.machine.poke(ZONE_START, b'\xcc' * 0x8000)  # what was there before the kernel
    with pytest.raises(MachineStopped):
        sim.start(main.kmain)
    return sim.console().decode(), sim.computer.cpu.stop_code


def test_the_transcript_is_exactly_this() -> None:
    heap_frames = 1
    assert boot() == (TRANSCRIPT.format(frame=ZONE_START + heap_frames * 0x1000), EXIT_PASSED)


@pytest.mark.parametrize(('memory_mib', 'nr_frames'), [(16, 3552), (4, 480)])
def test_a_machine_with_less_ram_says_the_smaller_counts(memory_mib: int, nr_frames: int) -> None:
    text, code = boot(memory_mib)
    assert text == TRANSCRIPT.format(frame=ZONE_START + 0x1000).replace('8192', str(nr_frames))
    assert code == EXIT_PASSED


def test_a_machine_without_room_for_the_kernel_says_so() -> None:
    text, code = boot(2)
    assert text.splitlines()[2:] == [
        'PANIC: too little RAM, the kernel has its own state up to: wanted end, found end'
        ' 0x0000000000200000 0x00000000001E0000 0x0000000000000000'
    ]
    assert code == EXIT_PANIC


def changed(module: Any, name: str, change: Callable[[Function], Function]) -> tuple[Any, str, Function]:
    """A function of the kernel, and what a mistake makes of it."""
    return module, name, change(getattr(module, name))


def then(answer: Callable[[int], int]) -> Callable[[Function], Function]:
    """An alloc_page that makes something else of the frame. The heap takes its frames by take_frame."""
    return lambda real: lambda k: answer(real(k))


def forgetful(real: Function) -> Function:
    """A zero_frame that leaves the self-test's frame as it was."""
    return lambda k, pa: None if pa == ZONE_START + 0x1000 else real(k, pa)


def second_look(real: Function) -> Function:
    """A checker that finds the heap broken once the self-test has written to a frame."""
    return lambda k: 2 if k.m.load64(VirtAddr(ZONE_START + 0x1008)) == ZONE_START + 0x1008 else real(k)


def twice(real: Function) -> Function:
    """A kmalloc that gives each pointer to two callers."""
    given: list[int] = []

    def kmalloc(k: Kernel, nbytes: int) -> int:
        given.append(real(k, nbytes) if len(given) % 2 == 0 else given[-1] + 16)
        return given[-1]

    return kmalloc


def smearing(real: Function) -> Function:
    """A kmalloc that writes its metadata into the payload that it gave before."""

    def kmalloc(k: Kernel, nbytes: int) -> int:
        ptr: int = real(k, nbytes)
        k.m.store8(VirtAddr(HEAP + 16 + 99), 0)
        return ptr

    return kmalloc


MISTAKES = [
    ('kmalloc(100): FAILED (no memory)', changed(heap, 'kmalloc', lambda real: lambda k, n: 0)),
    ('kmalloc(100): FAILED (misaligned)', changed(heap, 'kmalloc', lambda real: lambda k, n: real(k, n + 8) + 8)),
    ('kmalloc(100): FAILED (outside the heap)', changed(heap, 'kmalloc', lambda real: lambda k, n: ZONE_START)),
    (
        'kmalloc(100): FAILED (first byte on a foreign frame)',
        changed(heap, 'kmalloc', lambda real: lambda k, n: HEAP + 0x8000),
    ),
    (
        'kmalloc(100): FAILED (last byte on a foreign frame)',
        changed(heap, 'kmalloc', lambda real: lambda k, n: real(k, n) + 0xFE0),
    ),
    ('kmalloc(100): FAILED (two blocks overlap)', changed(heap, 'kmalloc', twice)),
    ('kmalloc(100): FAILED (the block lost what was written to it)', changed(heap, 'kmalloc', smearing)),
    (
        'kmalloc(100): FAILED (the second block was not taken back)',
        changed(heap, 'kfree', lambda real: lambda k, p: -1),
    ),
    ('kmalloc(100): FAILED (the heap is broken)', changed(heap, 'check', lambda real: lambda k: 5)),
    ('kfree: FAILED (used bytes differ from before)', changed(heap, 'kfree', lambda real: lambda k, p: OK)),
    ('kfree: FAILED (a second time accepted)', changed(heap, 'kfree', lambda real: lambda k, p: real(k, p) and OK)),
    ('pmm_alloc_page: FAILED (no frame)', changed(pmm, 'alloc_page', then(lambda frame: -1))),
    ('pmm_alloc_page: FAILED (misaligned)', changed(pmm, 'alloc_page', then(lambda frame: frame + 16))),
    (
        'pmm_alloc_page: FAILED (outside the zone)',
        changed(pmm, 'alloc_page', then(lambda frame: 0x7000)),
    ),
    ('pmm_alloc_page: FAILED (not counted)', changed(pmm, 'nr_free_frames', lambda real: lambda k: 8000)),
    ('pmm_alloc_page: FAILED (a frame of the heap)', changed(heap, 'check', second_look)),
    ('pmm_alloc_page: FAILED (not zero)', changed(frames, 'zero_frame', forgetful)),
    ('pmm_free_page: FAILED (refused)', changed(pmm, 'free_page', lambda real: lambda k, pa: -1)),
    (
        'pmm_free_page: FAILED (free frames differ from before)',
        changed(pmm, 'free_page', lambda real: lambda k, pa: OK),
    ),
    (
        'pmm_free_page: FAILED (a second time accepted)',
        changed(pmm, 'free_page', lambda real: lambda k, pa: real(k, pa) and OK),
    ),
]


@pytest.mark.parametrize(('line', 'mistake'), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_is_told_and_ends_the_test(
    line: str, mistake: tuple[Any, str, Function], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*mistake)
    text, code = boot()
    assert text.splitlines()[-1] == line
    assert text.endswith('\n')
    assert code == EXIT_FAILED
