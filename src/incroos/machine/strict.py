"""The machine that interpreted kernels run on: the simulated computer, stricter than any real one.

Every primitive ends in the same core that compiled kernels use; on top of it these are errors that name the kernel's
line: loads of bytes that were never written, accesses outside RAM and to the first page, numbers that do not fit,
preconditions that do not hold, and stale translations (translations.py, which also says what makes common accesses a
look-up in a dict).
"""

import mmap
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from incroos.lang import Config, PhysAddr, VirtAddr, add_wrap, word

from . import devices, registers, unicorn, vectors
from .access import check_next_page
from .architecture import (
    CR0_WP,
    CR3_KEEP,
    CR4_PCIDE,
    CR4_PGE,
    CR4_SMAP,
    CR4_SMEP,
    EFER_NXE,
    ERROR_WRITE,
    INVPCID_ADDRESS,
    INVPCID_ALL,
    INVPCID_SPACE,
    OFFSET_MASK,
    PAGE_BYTES,
    PAGE_SHIFT,
    READ,
    USER,
    WRITE,
)
from .atomics import Atomics
from .code_marks import note_write
from .computer import Computer
from .errors import DoesNotFit, MachineStopped, Misuse, StaleTranslation, UnwrittenLoad
from .host import BYTE, HALF, MAP_NORESERVE, QUARTER, WORD, unpack_word
from .translations import ENTRY_BYTES, Translations
from .user_fills import UserFills
from .walk import probe

MAX_RAM: Final = 256 << 20
WORD_BITS: Final = 64
ONES: Final = b'\1' * PAGE_BYTES
EIGHT_ONES: Final = ONES[:8]
LAST_WORD: Final = PAGE_BYTES - 8


class SimulatedMachine(Atomics):
    """The interpreted kernel's machine; `config` is the kernel's configuration."""

    def __init__(self, computer: Computer, config: Config | None = None) -> None:
        if computer.ram_bytes > MAX_RAM:
            raise ValueError(f'the interpreted computer has at most {MAX_RAM >> 20} MiB of RAM')
        self.computer, self.cpu, self.config = computer, computer.cpu, config
        self.ram = computer.memory.buffer  # physical address 0 is its first byte
        nr_bytes = computer.memory.nbytes if computer.device else computer.ram_bytes
        # 1 for each byte of memory that was written: a mapping, of which only what is touched takes memory and time
        self._written = mmap.mmap(-1, nr_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)
        self._translations = Translations(computer, self._check_entry)
        self._readable, self._writable = self._translations.readable, self._translations.writable
        self._tables = self._translations.tables
        self._user_fills = UserFills(self.cpu)

    def connect(
        self,
        page_fault: Callable[[int, int], object],
        exception: Callable[[int, int], object],
        write: Callable[[bytes], object],
        pause: Callable[[], object],
        outputs: Sequence[Callable[[bytes], object]] = (),
        read: Callable[[int], bytes] = lambda _nbytes: b'',
        wait: Callable[[int, int], bool] = lambda _nr_files, _milliseconds: True,
    ) -> None:
        """Set the receivers of page faults (error, ip), exceptions (vector, error), serial output, pauses.

        `outputs` receive what goes to the output ports; `read` gives so many bytes of input or fewer, none at the end;
        `wait` is as poll(2): whether the input can be read, after so many milliseconds at most, -1: for ever.
        """
        sinks = [write, *outputs]

        def do_page_fault(_cpu: int, _kernel: int, error: int, ip: int) -> int:
            page_fault(error, ip)
            return 0

        def do_exception(_cpu: int, _kernel: int, vector: int, error: int) -> int:
            exception(vector, error)
            return 0

        def do_write(file: int, addr: int, nbytes: int, _: int) -> int:
            at = addr - self.computer.memory.base
            try:
                sinks[file](self.ram[at : at + nbytes])
            except OSError:
                return -1
            return nbytes

        def do_read(_file: int, addr: int, nbytes: int, _: int) -> int:
            try:
                content = read(nbytes)
            except OSError:
                return -1
            at = addr - self.computer.memory.base
            self.ram[at : at + len(content)] = content
            return len(content)

        def do_poll(_polled: int, nr_files: int, milliseconds: int, _: int) -> int:
            return int(wait(nr_files, milliseconds))

        def do_stop(*_: int) -> int:
            raise MachineStopped

        def do_pause(*_: int) -> int:
            pause()
            return 0

        register, cpu = self.computer.memory.register, self.cpu
        cpu.call_page_fault, cpu.call_exception = register(do_page_fault), register(do_exception)
        cpu.call_read, cpu.call_poll, cpu.serial_file = register(do_read), register(do_poll), 0
        for index in range(len(outputs)):
            cpu.output_files[index] = 1 + index
        cpu.call_write, cpu.call_stop, cpu.call_pause = register(do_write), register(do_stop), register(do_pause)

    # -------------------------------------------------------------- the host's hand in RAM
    def poke(self, pa: int, content: bytes) -> None:
        """Write RAM as the loader and the boot code do: it counts as written."""
        self.ram[pa : pa + len(content)] = content
        self._mark(pa, len(content))

    def _mark(self, pa: int, nbytes: int) -> None:
        self._written[pa : pa + nbytes] = b'\1' * nbytes
        for frame in range(pa >> PAGE_SHIFT, (pa + nbytes - 1 >> PAGE_SHIFT) + 1):
            if frame in self._tables:
                start = max(pa, frame << PAGE_SHIFT)
                self._note_written(start, min(pa + nbytes, frame + 1 << PAGE_SHIFT) - start)

    def _note_written(self, pa: int, nbytes: int) -> None:
        """A part of a frame was written that holds entries, or code that ring 3's processor may keep."""
        self._translations.entries_written(pa, nbytes)
        self._user_fills.entries_written(pa, nbytes)
        note_write(self.cpu, PhysAddr(pa))

    def forget_shortcuts(self) -> None:
        """Check every page again at its next access. This changes no verdict, as a test verifies."""
        self._translations.drop_shortcuts()

    # -------------------------------------------------------------- ring 3
    def tell_user_page(self, va: VirtAddr, kind: int) -> int:
        """What ring 3's processor is told of a page: unicorn.fill, and what is wrong with it is raised."""
        answer = unicorn.fill(self.cpu, va, kind)
        if answer < 0:
            return answer
        frame = answer & -PAGE_BYTES
        fresh, _ = probe(self.cpu, va, USER)
        if fresh & -PAGE_BYTES != frame:
            raise StaleTranslation(f'stale upper entry: a walk for ring 3 finds {va:#x} at {frame:#x}, not {fresh:#x}')
        if self._written[frame : frame + PAGE_BYTES] != ONES:
            first = self._written.find(b'\0', frame, frame + PAGE_BYTES)
            raise UnwrittenLoad(f'ring 3 has {va:#x} at physical {frame:#x}: the byte at {first:#x} was never written')
        entries = list(self._translations.walk(va))
        for entry in entries:
            self._check_entry(entry)
        self._translations.watch({entry >> PAGE_SHIFT for entry in entries} | {frame >> PAGE_SHIFT})
        self._user_fills.learn(va, answer, entries)
        return answer

    def check_user_pages(self) -> None:
        """Find what the kernel forgot to flush, before ring 3 goes on."""
        self._user_fills.check()

    # -------------------------------------------------------------- loads
    def load8(self, addr: VirtAddr) -> word:
        frame = self._readable.get(addr >> PAGE_SHIFT)
        if frame is None:
            return self._load(BYTE, addr)
        at = frame + (addr & OFFSET_MASK)
        if not self._written[at]:
            self._refuse_unwritten(at, 1, addr)
        return self.ram[at]

    def load16(self, addr: VirtAddr) -> word:
        return self._load(HALF, addr)

    def load32(self, addr: VirtAddr) -> word:
        return self._load(QUARTER, addr)

    def load64(self, addr: VirtAddr) -> word:
        frame = self._readable.get(addr >> PAGE_SHIFT)  # as _load, for the width that most accesses have
        at = (frame or 0) + (addr & OFFSET_MASK)
        if frame is None or addr & OFFSET_MASK > LAST_WORD or self._written[at : at + 8] != EIGHT_ONES:
            return self._load(WORD, addr)
        value: int = unpack_word(self.ram, at)[0]
        return value

    def _load(self, number: struct.Struct, addr: VirtAddr) -> int:
        nbytes, offset = number.size, addr & OFFSET_MASK
        frame = self._readable.get(addr >> PAGE_SHIFT)
        if frame is None or offset + nbytes > PAGE_BYTES:
            return self._load_slow(number, addr)
        at = frame + offset
        if self._written[at : at + nbytes] != ONES[:nbytes]:
            self._refuse_unwritten(at, nbytes, addr)
        value: int = number.unpack_from(self.ram, at)[0]
        return value

    def _load_slow(self, number: struct.Struct, addr: VirtAddr) -> int:
        content = b''
        for pa, nbytes in self._places(addr, number.size, READ):
            if self._written[pa : pa + nbytes] != ONES[:nbytes]:
                self._refuse_unwritten(pa, nbytes, addr)
            content += self.ram[pa : pa + nbytes]
        value: int = number.unpack(content)[0]
        return value

    def _refuse_unwritten(self, pa: int, nbytes: int, addr: int) -> None:
        first = self._written.find(b'\0', pa, pa + nbytes)
        raise UnwrittenLoad(f'load of {nbytes} bytes at {addr:#x}: the byte at physical {first:#x} was never written')

    def _check_entry(self, pa: int) -> None:
        if self._written[pa : pa + ENTRY_BYTES] != ONES[:ENTRY_BYTES]:
            raise UnwrittenLoad(f'a walk of the page tables reads the entry at physical {pa:#x}: nobody wrote it')

    # -------------------------------------------------------------- stores
    def store8(self, addr: VirtAddr, value: word) -> None:
        self._store(BYTE, addr, value)

    def store16(self, addr: VirtAddr, value: word) -> None:
        self._store(HALF, addr, value)

    def store32(self, addr: VirtAddr, value: word) -> None:
        self._store(QUARTER, addr, value)

    def store64(self, addr: VirtAddr, value: word) -> None:
        self._store(WORD, addr, value)

    def _store(self, number: struct.Struct, addr: VirtAddr, value: int) -> None:
        nbytes, offset = number.size, addr & OFFSET_MASK
        frame = self._writable.get(addr >> PAGE_SHIFT)
        if frame is None or offset + nbytes > PAGE_BYTES:
            self._store_slow(number, addr, value)
            return
        at = frame + offset
        try:
            number.pack_into(self.ram, at, value)
        except struct.error:
            self._refuse_number(value, nbytes)
        self._written[at : at + nbytes] = ONES[:nbytes]
        if frame >> PAGE_SHIFT in self._tables:
            self._note_written(at, nbytes)

    def _store_slow(self, number: struct.Struct, addr: VirtAddr, value: int) -> None:
        try:
            content = number.pack(value)
        except struct.error:
            self._refuse_number(value, number.size)
        for pa, nbytes in self._places(addr, number.size, WRITE):
            self.poke(pa, content[:nbytes])
            content = content[nbytes:]

    def _refuse_number(self, value: int, nbytes: int) -> None:
        raise DoesNotFit(f'{value!r} does not fit the {nbytes} bytes where it goes')

    # -------------------------------------------------------------- where accesses go
    def _translate(self, addr: int, access: int) -> int:
        if not -1 << WORD_BITS - 1 <= addr < 1 << WORD_BITS - 1:
            raise DoesNotFit(f'the address {addr:#x} is not a word')
        frame = (self._writable if access == ERROR_WRITE else self._readable).get(addr >> PAGE_SHIFT)
        return self._translations.translate(VirtAddr(addr), access) if frame is None else frame + (addr & OFFSET_MASK)

    def _places(self, addr: int, nbytes: int, access: int) -> list[tuple[int, int]]:
        """Place in the mapping and length of the one or two parts of an access, with no fault in between."""
        first = min(nbytes, PAGE_BYTES - (addr & OFFSET_MASK))
        if first < nbytes:
            check_next_page(self.cpu, VirtAddr(addr))
        while True:
            faults = self.cpu.nr_faults
            places = [(self._translate(addr, access), first)]
            if first < nbytes:
                places.append((self._translate(add_wrap(addr, first), access), nbytes - first))
            if self.cpu.nr_faults == faults:
                return places

    def fill(self, addr: VirtAddr, byte: word, nbytes: word) -> None:
        if not 0 <= byte <= 0xFF:
            self._refuse_number(byte, 1)
        self._check_length(nbytes)
        while nbytes > 0:
            part = min(nbytes, PAGE_BYTES - (addr & OFFSET_MASK))
            pa = self._translate(addr, WRITE)
            self.poke(pa, bytes([byte]) * part)
            addr, nbytes = VirtAddr(add_wrap(addr, part)), nbytes - part

    def copy(self, to: VirtAddr, source: VirtAddr, nbytes: word) -> None:
        """The primitive `copy`; bytes that were never written may be copied, and stay unwritten."""
        self._check_length(nbytes)
        if source < to < source + nbytes:
            raise Misuse(f'copy of {nbytes} bytes from {source:#x} to {to:#x}: the ranges overlap the wrong way')
        while nbytes > 0:
            part = min(nbytes, PAGE_BYTES - (to & OFFSET_MASK), PAGE_BYTES - (source & OFFSET_MASK))
            self._copy_part(to, source, part)
            to, source = VirtAddr(add_wrap(to, part)), VirtAddr(add_wrap(source, part))
            nbytes -= part

    def _copy_part(self, to: VirtAddr, source: VirtAddr, nbytes: int) -> None:
        while True:
            faults = self.cpu.nr_faults
            source_pa, to_pa = self._translate(source, READ), self._translate(to, WRITE)
            if self.cpu.nr_faults == faults:
                break
        written = self._written[source_pa : source_pa + nbytes]
        self.poke(to_pa, self.ram[source_pa : source_pa + nbytes])
        self._written[to_pa : to_pa + nbytes] = written

    def _check_length(self, nbytes: int) -> None:
        if not 0 <= nbytes < 1 << WORD_BITS - 1:
            raise Misuse(f'a range of {nbytes} bytes')

    # -------------------------------------------------------------- ports
    def _check_port(self, port: int, value: int, nbytes: int) -> None:
        if not 0 <= port < 1 << 16:
            raise Misuse(f'there is no port {port:#x}')
        if not 0 <= value < 1 << 8 * nbytes:
            self._refuse_number(value, nbytes)

    def in8(self, port: word) -> word:
        self._check_port(port, 0, 1)
        return devices.cpu_in8(self.cpu, port)

    def in16(self, port: word) -> word:
        self._check_port(port, 0, 2)
        return devices.cpu_in16(self.cpu, port)

    def in32(self, port: word) -> word:
        self._check_port(port, 0, 4)
        return devices.cpu_in32(self.cpu, port)

    def out8(self, port: word, value: word) -> None:
        self._check_port(port, value, 1)
        devices.cpu_out8(self.cpu, port, value)

    def out16(self, port: word, value: word) -> None:
        self._check_port(port, value, 2)
        devices.cpu_out16(self.cpu, port, value)

    def out32(self, port: word, value: word) -> None:
        self._check_port(port, value, 4)
        devices.cpu_out32(self.cpu, port, value)

    def in_bytes(self, port: word, to: VirtAddr, nbytes: word) -> None:
        self._check_length(nbytes)
        done = 0
        if port == devices.INPUT:
            done = min(nbytes, self.cpu.input_end - self.cpu.nr_input)
            at = self.cpu.input.addr + self.cpu.nr_input - self.computer.memory.base
            self._put(to, self.ram[at : at + done])
            self.cpu.nr_input += done
        for index in range(done, nbytes):
            self.store8(VirtAddr(to + index), self.in8(port))

    def out_bytes(self, port: word, source: VirtAddr, nbytes: word) -> None:
        self._check_length(nbytes)
        if devices.is_output(port):
            for at, part in self._parts(source, nbytes):
                devices.put_host_bytes(self.cpu, port, VirtAddr(self.computer.memory.base + at), part)
            return
        for index in range(nbytes):
            self.out8(port, self.load8(VirtAddr(source + index)))

    def _parts(self, addr: VirtAddr, nbytes: int) -> Iterator[tuple[int, int]]:
        """Place in the mapping and length of what lies in each page of a range that is read."""
        while nbytes > 0:
            part = min(nbytes, PAGE_BYTES - (addr & OFFSET_MASK))
            pa = self._translate(addr, READ)
            if self._written[pa : pa + part] != ONES[:part]:
                self._refuse_unwritten(pa, part, addr)
            yield pa, part
            addr, nbytes = VirtAddr(add_wrap(addr, part)), nbytes - part

    def _put(self, addr: VirtAddr, content: bytes) -> None:
        """Write a range, page by page."""
        while content:
            part = min(len(content), PAGE_BYTES - (addr & OFFSET_MASK))
            self.poke(self._translate(addr, WRITE), content[:part])
            addr, content = VirtAddr(add_wrap(addr, part)), content[part:]

    # -------------------------------------------------------------- registers
    def save_vector_state(self, to: VirtAddr) -> None:
        vectors.take_vectors(self.cpu)
        for index in range(64):
            self.store64(VirtAddr(to + 8 * index), self.cpu.vector_state[index])

    def load_vector_state(self, source: VirtAddr) -> None:
        for index in range(64):
            self.cpu.vector_state[index] = self.load64(VirtAddr(source + 8 * index))
        self.cpu.has_new_vectors = 1

    def read_cr0(self) -> word:
        return registers.cpu_read_cr0(self.cpu)

    def write_cr0(self, value: word) -> None:
        before = self.cpu.cr0
        registers.cpu_write_cr0(self.cpu, value)
        self._forget_if((before ^ self.cpu.cr0) & CR0_WP)

    def read_cr2(self) -> VirtAddr:
        return registers.cpu_read_cr2(self.cpu)

    def write_cr2(self, value: VirtAddr) -> None:
        registers.cpu_write_cr2(self.cpu, value)

    def read_cr3(self) -> word:
        return registers.cpu_read_cr3(self.cpu)

    def write_cr3(self, value: word) -> None:
        registers.cpu_write_cr3(self.cpu, value)
        self._translations.switch_context()
        if value & CR3_KEEP == 0:
            self._translations.forget_space(self.cpu.pcid)
            self._user_fills.forget_space(self.cpu.pcid)

    def read_cr4(self) -> word:
        return registers.cpu_read_cr4(self.cpu)

    def write_cr4(self, value: word) -> None:
        before = self.cpu.cr4
        registers.cpu_write_cr4(self.cpu, value)
        self._translations.switch_context()
        changed = before ^ self.cpu.cr4
        self._forget_if(changed & (CR4_PGE | CR4_SMEP | CR4_SMAP) or before & ~self.cpu.cr4 & CR4_PCIDE)

    def read_msr(self, index: word) -> word:
        return registers.cpu_read_msr(self.cpu, index)

    def write_msr(self, index: word, value: word) -> None:
        before = self.cpu.efer
        registers.cpu_write_msr(self.cpu, index, value)
        self._forget_if((before ^ self.cpu.efer) & EFER_NXE)

    def _forget_if(self, changed: int) -> None:
        if changed:
            self._translations.forget_all()
            self._user_fills.forget_all()

    def invlpg(self, va: VirtAddr) -> None:
        registers.cpu_invlpg(self.cpu, va)
        self._translations.forget_page(va)
        self._user_fills.forget_page(va)

    def invpcid(self, kind: word, pcid: word, va: VirtAddr) -> None:
        registers.cpu_invpcid(self.cpu, kind, pcid, va)
        if kind == INVPCID_ADDRESS:
            self._translations.forget_address(pcid, va)
            self._user_fills.forget_address(pcid, va)
        elif kind == INVPCID_SPACE:
            self._translations.forget_space(pcid)
            self._user_fills.forget_space(pcid)
        elif kind == INVPCID_ALL:
            self._translations.forget_all()
            self._user_fills.forget_all()
        else:
            self._translations.forget_all_spaces()
            self._user_fills.forget_all()

    def load_idt(self, base: VirtAddr, limit: word) -> None:
        registers.cpu_load_idt(self.cpu, base, limit)

    def load_gdt(self, base: VirtAddr, limit: word) -> None:
        registers.cpu_load_gdt(self.cpu, base, limit)

    def cpuid(self, leaf: word, subleaf: word) -> tuple[word, word, word, word]:
        return registers.cpu_cpuid(self.cpu, leaf, subleaf)

    def read_tsc(self) -> word:
        return registers.cpu_read_tsc(self.cpu)

    def disable_interrupts(self) -> None:
        registers.cpu_disable_interrupts(self.cpu)

    def enable_interrupts(self) -> None:
        registers.cpu_enable_interrupts(self.cpu)

    def are_interrupts_enabled(self) -> bool:
        return registers.cpu_are_interrupts_enabled(self.cpu)

    def halt(self) -> None:
        registers.cpu_halt(self.cpu)

    def wait_for_interrupt(self) -> None:
        devices.cpu_wait_for_interrupt(self.cpu)

    def pause(self) -> None:
        devices.cpu_pause(self.cpu)
