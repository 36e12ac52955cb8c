"""Programs of a few instructions in ring 3, in `sim` and `jit`, on the kernel of ring3_kernel.py."""

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from incroos.inspect.ram import RamMachine
from incroos.kernel.configs import MODERN
from incroos.lang import VirtAddr, offset_of
from incroos.machine.cpu import ALL_FEATURES
from incroos.run import jit, sim
from incroos.run.channels import NO_CHANNELS, Channels
from incroos.run.outcome import Outcome
from incroos.run.simulated import EntryPoints

from . import ring3_kernel as mini
from .ring3_kernel import FRAMES, NOTES, USER, Event, Notes

PLACES: Final = ['sim', 'jit', 'checked jit']
ENTRIES: Final = EntryPoints(mini.main, mini.on_page_fault, mini.on_exception, mini.on_trap, mini.on_syscall)
MEMORY: Final = 4 << 20
PRESENT, WRITABLE, ACCESSED, DIRTY, NX = 1, 2, 32, 64, -1 << 63
CODE: Final = 5  # present, user
DATA: Final = NX | 7
RWX: Final = 7
STACK_PAGE: Final = mini.NR_PAGES - 1
CONSTANTS: Final = f"""
.intel_syntax noprefix
.set USER, {USER}
.set FRAMES, {FRAMES}
"""


def frame(index: int) -> int:
    """The frame that belongs to a page of the program."""
    return FRAMES + 4096 * index


def page(index: int) -> int:
    """The page's address."""
    return USER + 4096 * index


@cache
def assembled(text: str) -> bytes:
    """The machine code of Intel syntax."""
    with TemporaryDirectory() as folder:
        source, made, code = (Path(folder) / name for name in ('a.s', 'a.o', 'a.bin'))
        source.write_text(CONSTANTS + text + '\n')
        subprocess.run(['as', '--64', '-o', made, source], check=True)
        subprocess.run(['objcopy', '-O', 'binary', '-j', '.text', made, code], check=True)
        return code.read_bytes()


@cache
def compiled(checked: bool) -> jit.KernelCode:
    return jit.compile_kernel(ENTRIES, MODERN, checked)


@dataclass
class Ran:
    """What a program left behind."""

    outcome: Outcome
    notes: Notes
    ram: memoryview

    @property
    def events(self) -> list[Event]:
        return [self.notes.events[index] for index in range(self.notes.nr_events)]

    @property
    def end(self) -> Event:
        return self.events[-1]

    @property
    def ticks(self) -> list[tuple[int, int]]:
        """RIP and RBX where the timer interrupted the program, of its first times."""
        nr_noted = min(self.notes.nr_ticks, mini.NR_TICKS)
        return [(self.notes.ticks[index].rip, self.notes.ticks[index].rbx) for index in range(nr_noted)]

    def entry(self, index: int) -> int:
        """The page-table entry of a page of the program."""
        return int.from_bytes(self.ram[mini.LEVEL1 + 8 * index :][:8], 'little', signed=True)

    def content(self, index: int) -> bytes:
        return bytes(self.ram[frame(index) :][:4096])


def run(
    place: str,
    text: str,
    *,
    goes_on: bool = False,
    first: Mapping[int, int] = {},
    later: Mapping[int, int] = {},
    frames: Mapping[int, bytes] = {},
    start: int = 0,
    cr4: int = 0,
    rflags: int = 0x202,
    silent: bool = False,
    leaves_ticks: bool = False,
    channels: Channels = NO_CHANNELS,
    features: int = ALL_FEATURES,
    seconds: float = 20,
) -> Ran:
    """Run a program that begins in page 0, or `start` bytes behind; pages are given by their entries' bits."""
    code = assembled(text)
    pokes = {frame(index): bytes(4096) for index in range(mini.NR_PAGES)} | {mini.SCRATCH: bytes(8192)}
    pokes |= {frame(index): content.ljust(4096, b'\0') for index, content in frames.items()}
    whole = pokes[frame(0)] + pokes[frame(1)]
    whole = whole[:start] + code + whole[start + len(code) :]
    pokes |= {frame(0): whole[:4096], frame(1): whole[4096:8192]}
    pages = {0: CODE, STACK_PAGE: DATA} | dict(first)
    if start + len(code) > 4096:
        pages = {1: CODE} | pages
    if place == 'sim':
        computer = sim.Sim(MEMORY, MODERN, ENTRIES, features=features, channels=channels)
        poke, ram = computer.machine.poke, computer.ram
    else:
        guest = jit.Guest(MEMORY, compiled(place == 'checked jit'), features=features, channels=channels)
        poke, ram = guest.poke, guest.ram
    poke(NOTES, bytes(-(-Notes.SIZE // 4096) * 4096))
    for pa, content in pokes.items():
        poke(pa, content)
    notes = Notes(RamMachine(ram), VirtAddr(NOTES))
    words = {'goes_on': int(goes_on), 'cr4': cr4, 'start': start, 'rflags': rflags, 'is_silent': int(silent)}
    lay(poke, pages, later, words | {'leaves_ticks': int(leaves_ticks)})
    if place == 'sim':
        return Ran(sim.run(computer, mini.main, seconds), notes, ram)
    with guest:
        return Ran(guest.wait(seconds), notes, ram)


def lay(
    poke: Callable[[int, bytes], None],
    first: Mapping[int, int],
    later: Mapping[int, int],
    words: dict[str, int],
) -> None:
    """Write what the kernel reads."""
    fields = {name: offset_of(Notes, name) for name in words}
    for name, value in words.items():
        poke(NOTES + fields[name], value.to_bytes(8, 'little'))
    for name, pages in (('first', first), ('later', later)):
        at = NOTES + offset_of(Notes, name)
        for index, bits in pages.items():
            entry = frame(index) | bits if bits & PRESENT and not bits & 0xF_FFFF_F000 else bits
            poke(at + 8 * index, (entry & (1 << 64) - 1).to_bytes(8, 'little'))
