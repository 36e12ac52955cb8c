"""The kernel booted on the simulated computer: transcripts, sizes of RAM, the memory map, the boot state, the cache."""

from pathlib import Path

import pytest

from incroos.kernel import layout
from incroos.machine.computer import Computer
from incroos.run import jit, sim
from incroos.run.boot import Boot
from incroos.run.outcome import Status, Unusable
from incroos.run.simulated import memory_map, prepare

from ..budget import SECONDS

MIB = 1 << 20
GIB = 1 << 30
PLACES = ('sim', 'jit', 'checked jit')


def boot(place: str, memory_bytes: int) -> tuple[Status, str]:
    output = bytearray()
    if place == 'sim':
        outcome = sim.boot(Boot(memory_bytes, SECONDS, output.extend))
    else:
        code = jit.cached_kernel(print, checked=place == 'checked jit')
        outcome = jit.boot(Boot(memory_bytes, SECONDS, output.extend), code)
    return outcome.status, output.decode()


@pytest.mark.parametrize('mebibytes', [3, 8, 34, 64, 256])
def test_the_same_transcript_interpreted_and_compiled(mebibytes: int) -> None:
    results = {boot(place, mebibytes * MIB) for place in PLACES}
    assert len(results) == 1
    status, transcript = results.pop()
    assert status is Status.PASSED
    assert transcript.endswith('Memory manager operational!\n')
    assert ('Free pages: 8192\n' in transcript) == (mebibytes >= 64)


def test_too_little_memory_is_the_same_panic_interpreted_and_compiled() -> None:
    results = {boot(place, 2 * MIB) for place in PLACES}
    assert len(results) == 1
    status, transcript = results.pop()
    assert status is Status.PANIC
    assert 'PANIC: too little RAM' in transcript


def test_no_ram_behind_the_kernels_own_fails_interpreted_and_compiled() -> None:
    results = {boot(place, 2176 << 10) for place in PLACES}
    assert len(results) == 1
    status, transcript = results.pop()
    assert status is Status.FAILED
    assert transcript.endswith('\nkmalloc(100): FAILED (no memory)\n')
    assert 'Total pages: 0\nFree pages: 0\n' in transcript


@pytest.mark.parametrize('memory_bytes', [8 * GIB, 64 << 40])
def test_much_memory_compiled(memory_bytes: int) -> None:
    assert boot('jit', memory_bytes)[0] is Status.PASSED


def test_more_memory_than_the_interpreter_serves() -> None:
    with pytest.raises(Unusable, match='256M'):
        sim.boot(Boot(257 * MIB, SECONDS, lambda data: None))


# Start and end of each region of RAM that SeaBIOS told a guest of QEMU 7.2 with so much memory.
RAM_TOLD = {
    64 * MIB: [(0, 0x9FC00), (0x100000, 0x3FE0000)],
    3583 * MIB: [(0, 0x9FC00), (0x100000, 0xDFEE0000)],
    4 * GIB: [(0, 0x9FC00), (0x100000, 0xBFFE0000), (0x1_0000_0000, 0x1_4000_0000)],
}


@pytest.mark.parametrize('memory_bytes', RAM_TOLD)
def test_ram_lies_as_on_a_pc(memory_bytes: int) -> None:
    computer = Computer(memory_bytes)
    assert [(start, end) for start, end, kind in memory_map(computer) if kind == 1] == RAM_TOLD[memory_bytes]


def test_the_boot_state() -> None:
    """What the boot code leaves: each page of the first 2 MiB with its rights, and the registers."""
    computer = Computer(8 * MIB)
    written: dict[int, int] = {}

    def poke(pa: int, content: bytes) -> None:
        computer.ram[pa : pa + len(content)] = content
        written.update(dict.fromkeys(range(pa >> 12, (pa + len(content) - 1 >> 12) + 1), 1))

    prepare(computer, poke)
    cpu = computer.cpu
    assert (cpu.cr3, cpu.cr0, cpu.cr4, cpu.efer) == (0x1000, 0x8001_0031, 0x20, 0xD00)
    assert cpu.kernel == layout.KERNEL_STATE
    assert written.keys() == {1, 2, 3, 4, layout.IMAGE_START + 0x40000 >> 12}
    entries = [int.from_bytes(computer.ram[0x4000 + 8 * page : 0x4008 + 8 * page], 'little') for page in range(512)]
    text = range(layout.IMAGE_START >> 12, (layout.IMAGE_START >> 12) + 64)
    for page, entry in enumerate(entries):
        if page == layout.STACK_GUARD >> 12:
            assert entry == 0
        else:
            assert entry == page << 12 | (1 if page in text else 3 | 1 << 63)


def test_a_compiled_kernel_comes_from_the_cache_the_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    remarks: list[str] = []
    first = jit.cached_kernel(remarks.append, checked=True)
    monkeypatch.setattr(jit, 'compile_kernel', None)
    assert jit.cached_kernel(remarks.append, checked=True) == first
    assert first.sites
    assert len(remarks) == 1  # that it builds
