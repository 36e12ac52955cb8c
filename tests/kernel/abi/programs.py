"""A kernel with a program, interpreted, whose calls a test makes one by one: ring 3 itself never runs."""

import struct
from collections.abc import Iterable, Sequence
from typing import Final

from incroos.guest import mailbox
from incroos.kernel import files, heap, pmm, task, vm, vmm
from incroos.kernel.abi.entry import on_syscall
from incroos.kernel.arch.pte import DATA
from incroos.kernel.codes import OK
from incroos.kernel.config import KernelConfig
from incroos.kernel.configs import MODERN_CHECKED
from incroos.kernel.devices import interrupts
from incroos.kernel.layout import DIRECT_MAP_START, PAGE_BYTES
from incroos.kernel.state import Kernel, Registers, RunInfo, Task, UserSpace, user_registers
from incroos.lang import PhysAddr, VirtAddr
from incroos.lang.words import signed
from incroos.machine.errors import MachineStopped
from incroos.run.archive import Entry, rounded_up
from incroos.run.channels import Channels, Input
from incroos.run.handover import Standard, Start, module_of, module_start
from incroos.run.records import Decoder, Told
from incroos.run.sim import Sim

MEMORY: Final = 32 << 20
PROGRAM: Final = 'bin/program'
REGULAR: Final = 0o100755
FOLDER: Final = 0o040755
LINK: Final = 0o120777
PIPE: Final = Standard(mode=0o010600)
TERMINAL: Final = Standard(mode=0o020620, is_terminal=True, rdev=0x8801)
HOLE: Final = VirtAddr(0x1_0000_0000)  # nothing is mapped there


class Machine:
    """A started kernel to which a module was handed over."""

    def __init__(
        self,
        entries: Iterable[Entry],
        start: Start,
        given: Input = b'',
        config: KernelConfig = MODERN_CHECKED,
        memory_bytes: int = MEMORY,
        change: bytes | None = None,
    ) -> None:
        module = change or module_of(start, entries)
        at = module_start(memory_bytes, len(module))
        self.output, self.errors, self._records = bytearray(), bytearray(), bytearray()
        outputs = self.output.extend, self.errors.extend, self._records.extend
        self.sim = Sim(memory_bytes, config, module=module, channels=Channels(outputs, given))
        self.k: Kernel = self.sim.kernel
        self.sim.start(mailbox.start)
        whole = rounded_up(len(module), PAGE_BYTES)
        assert vmm.map_range(self.k, VirtAddr(DIRECT_MAP_START + at), PhysAddr(at), whole, DATA) == OK
        self.info = RunInfo(self.k.m, VirtAddr(DIRECT_MAP_START + at))
        assert vm.init(self.k) == OK
        interrupts.init(self.k)
        assert task.init(self.k) == OK
        self.free_frames = 0

    def records(self) -> list[Told]:
        """What the kernel told so far."""
        return list(Decoder().feed(bytes(self._records)))

    def init_files(self) -> int:
        return files.init(self.k, VirtAddr(self.info.addr + self.info.archive), self.info.archive_bytes)

    def create(self) -> int:
        """Make the first task: the code."""
        heap.shrink(self.k)
        self.free_frames = pmm.nr_free_frames(self.k)
        return task.create_first(self.k, self.info)

    @property
    def task(self) -> Task:
        return Task(self.k.m, self.k.tasks.current)

    @property
    def user(self) -> UserSpace:
        return UserSpace(self.k.m, self.task.space)

    @property
    def regs(self) -> Registers:
        return user_registers(self.k)

    def call(self, number: int, *arguments: int) -> int:
        """Make a call: what the program finds in RAX."""
        regs = self.regs
        regs.rax = number
        for name, value in zip(('rdi', 'rsi', 'rdx', 'r10', 'r8', 'r9'), (*arguments, 0, 0, 0, 0, 0, 0), strict=False):
            setattr(regs, name, signed(value))
        assert on_syscall(self.k, regs) in (0, 1)  # by SYSRET, by IRET
        while self.task.has_waited != 0:  # it is made anew
            assert on_syscall(self.k, regs) == 1
        return regs.rax

    def end(self, number: int, *arguments: int) -> list[Told]:
        """Make a call that ends the program: the records."""
        try:
            result = self.call(number, *arguments)
        except MachineStopped:
            return self.records()
        raise AssertionError(f'the program goes on with {result}')

    # -------------------------------------------------------------- a program's memory
    def put(self, va: int, content: bytes) -> None:
        """Write a program's memory."""
        buffer = VirtAddr(heap.kmalloc(self.k, max(len(content), 1)))
        for index, byte in enumerate(content):
            self.k.m.store8(VirtAddr(buffer + index), byte)
        assert vm.copy_out(self.user, VirtAddr(va), buffer, len(content)) == OK
        heap.kfree(self.k, buffer)

    def get(self, va: int, nbytes: int) -> bytes:
        """Read a program's memory."""
        buffer = VirtAddr(heap.kmalloc(self.k, max(nbytes, 1)))
        assert vm.copy_in(self.user, buffer, VirtAddr(va), nbytes) == OK
        content = bytes(self.k.m.load8(VirtAddr(buffer + index)) for index in range(nbytes))
        heap.kfree(self.k, buffer)
        return content

    def text(self, va: int) -> bytes:
        """A text in a program's memory."""
        content = b''
        while not content.endswith(b'\0'):
            content += self.get(va + len(content), 1)
        return content[:-1]

    def word(self, va: int) -> int:
        return int.from_bytes(self.get(va, 8), 'little')

    def room(self, nbytes: int = 1 << 16) -> int:
        """Fresh memory of the program's."""
        at = self.call(9, 0, nbytes, 3, 0x22, -1, 0)
        assert at > 0, at
        return at


# ------------------------------------------------------------------ programs
def segment(kind: int, flags: int, offset: int, start: int, file_bytes: int, memory_bytes: int) -> bytes:
    """A program header."""
    return struct.pack('<IIQQQQQQ', kind, flags, offset, start, start, file_bytes, memory_bytes, 0x1000)


def elf(segments: Sequence[bytes], entry: int = 0x40_1000, kind: int = 2, content: bytes = b'') -> bytes:
    """A program whose headers are these, with the content from the second page on."""
    head = struct.pack(
        '<16sHHIQQQIHHHHHH', b'\x7fELF\2\1\1', kind, 62, 1, entry, 64, 0, 0, 64, 56, len(segments), 0, 0, 0
    )
    return (head + b''.join(segments)).ljust(PAGE_BYTES, b'\0') + content


CODE: Final = b'\x90' * 100
DATA_BYTES: Final = b'data'.ljust(200, b'.')
SEGMENTS: Final = (
    segment(1, 4, 0, 0x40_0000, 0x200, 0x200),
    segment(1, 5, 0x1000, 0x40_1000, len(CODE), len(CODE)),
    segment(1, 6, 0x2000, 0x40_2000, len(DATA_BYTES), 0x3000),
    segment(0x6474_E551, 6, 0, 0, 0, 0),
)
CONTENT: Final = CODE.ljust(PAGE_BYTES, b'\0') + DATA_BYTES + b'behind the data'
SMALL: Final = elf(SEGMENTS, content=CONTENT)
FILES: Final = (
    Entry(b'bin', FOLDER, 5),
    Entry(b'etc', FOLDER, 6),
    Entry(b'etc/motd', 0o100644, 7, b'Hello, file!\n'),
    Entry(b'etc/empty', 0o100644, 7),
    Entry(b'link', LINK, 8, b'etc/motd'),
    Entry(b'loop', LINK, 8, b'loop'),
    Entry(b'upwards', LINK, 8, b'/etc/../etc'),
)


def machine(
    program: bytes = SMALL,
    arguments: Sequence[bytes] = (b'program', b'one'),
    given: Input = b'',
    standard: Sequence[Standard] = (PIPE, PIPE, PIPE),
    entries: Iterable[Entry] = FILES,
    flags: int = 0,
    **more: int,
) -> Machine:
    """A machine with a program that can make calls."""
    start = Start(arguments, (b'HOME=/',), flags=flags, standard=standard, **more)
    made = Machine([Entry(PROGRAM.encode(), REGULAR, 4, program), *entries], start, given)
    assert made.init_files() == OK
    assert made.create() == OK
    return made
