"""ELF programs: headers looked at, segments mapped into a space. Nothing in a header is believed.

    what runs      ELF64, little-endian, x86-64, ET_EXEC or ET_DYN, without an interpreter
    segment        PT_LOAD: pages of the file from the page of p_offset on, then zeros up to p_memsz

Unit: the segment. A program that this kernel does not run is BAD_PROGRAM; what a space has no room for is the code of
vm. Format: "System V Application Binary Interface", chapters 4 and 5, and its supplement for AMD64.
"""

from typing import Annotated, Final

from incroos.kernel import vm
from incroos.kernel.codes import BAD_PROGRAM, NO_ROOM, OK
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import EXECUTE, READ, WRITE, Content, Kernel, UserSpace, kernel_of
from incroos.kernel.vm import LOWEST, USER_END, page_up
from incroos.lang import Array, Struct, VirtAddr, kernel, u16, u32, u64, word

MAGIC: Final = 0x464C_457F
CLASS_64: Final = 2
LITTLE_ENDIAN: Final = 1
EXECUTABLE_TYPE: Final = 2
DYNAMIC_TYPE: Final = 3
X86_64: Final = 62

LOAD: Final = 1
INTERPRETER: Final = 3
GNU_STACK: Final = 0x6474_E551

EXECUTE_FLAG: Final = 1  # of a segment
WRITE_FLAG: Final = 2
READ_FLAG: Final = 4

MOST_HEADERS_BYTES: Final = PAGE_BYTES * 16
ROW_SEGMENTS: Final = 16  # that are read at once
BASE: Final = 0x5555_5555_4000  # of a program that can lie anywhere


class FileHeader(Struct):
    """Elf64_Ehdr."""

    magic: u32
    class_: u32  # class, order of bytes, version, ABI: a byte each
    padding: u64
    kind: u16
    machine: u16
    version: u32
    entry: u64
    headers: u64  # offset
    sections: u64
    flags: u32
    nbytes: u16
    header_bytes: u16
    nr_headers: u16
    section_bytes: u16
    nr_sections: u16
    names: u16


class Segment(Struct):
    """Elf64_Phdr."""

    kind: u32
    flags: u32
    offset: u64
    start: u64
    physical: u64
    file_bytes: u64
    memory_bytes: u64
    alignment: u64


class Program(Struct):
    """What is known of a program while it is loaded. In the kernel's memory."""

    entry: u64
    base: u64  # that is added to its addresses
    headers: u64  # where its program headers are in memory; 0: nowhere
    nr_headers: u64
    brk: u64  # behind its last segment
    is_stack_executable: u64
    data_bytes: u64  # of its writable segments
    header: FileHeader
    first: u64  # of the program headers that were read last, nr_read in a row
    nr_read: u64
    row: Annotated[Array[Segment], ROW_SEGMENTS]  # them


@kernel
def read_header(k: Kernel, content: Content, program: Program) -> FileHeader:
    """The file's header. PRE the content is as long."""
    vm.read_content(k, content, program.header.addr, 0, FileHeader.SIZE)
    return program.header


@kernel
def segment_at(k: Kernel, content: Content, program: Program, index: word) -> Segment:
    """A program header, perhaps in the place of others. PRE check has looked at the file's, nr_read is 0 at first."""
    if not program.first <= index < program.first + program.nr_read:
        program.first = index
        program.nr_read = min(program.header.nr_headers - index, ROW_SEGMENTS)
        position = program.header.headers + index * Segment.SIZE
        vm.read_content(k, content, program.row.addr, position, program.nr_read * Segment.SIZE)
    return program.row[index - program.first]


# ------------------------------------------------------------------ what headers say
@kernel
def check(k: Kernel, content: Content, program: Program) -> word:
    """OK, or BAD_PROGRAM if the file's header says what cannot be."""
    if content.nbytes < FileHeader.SIZE:
        return BAD_PROGRAM
    header = read_header(k, content, program)
    is_kind = header.kind == EXECUTABLE_TYPE or header.kind == DYNAMIC_TYPE
    is_64 = header.class_ & 0xFFFF == LITTLE_ENDIAN << 8 | CLASS_64
    if header.magic != MAGIC or not is_64 or not is_kind or header.machine != X86_64:
        return BAD_PROGRAM
    nbytes = header.nr_headers * Segment.SIZE
    if header.header_bytes != Segment.SIZE or not 0 < nbytes <= MOST_HEADERS_BYTES:
        return BAD_PROGRAM
    if not 0 <= header.headers <= content.nbytes - nbytes:
        return BAD_PROGRAM
    return OK


@kernel
def is_good(content: Content, segment: Segment) -> bool:
    """Can the segment be loaded at its address, or at another for ET_DYN?"""
    if not 0 <= segment.start < USER_END or not 0 <= segment.memory_bytes <= USER_END - segment.start:
        return False
    if segment.file_bytes == 0:
        return True  # it is zeros: nothing is read at its offset
    if not 0 < segment.file_bytes <= segment.memory_bytes:
        return False
    if not 0 <= segment.offset <= content.nbytes - segment.file_bytes:
        return False
    return (segment.start - segment.offset) % PAGE_BYTES == 0


@kernel
def alignment_of(segment: Segment) -> word:
    """What the segment's address must be a multiple of, if it can be."""
    alignment = segment.alignment
    return alignment if alignment > PAGE_BYTES and alignment & (alignment - 1) == 0 else PAGE_BYTES


# ------------------------------------------------------------------ loading
@kernel
def load(user: UserSpace, content: Content, program: Program) -> word:
    """Map a program into a new space and say what is known of it: OK, BAD_PROGRAM, codes of vm."""
    k = kernel_of(user.space)
    program.first = 0
    program.nr_read = 0
    code = check(k, content, program)
    if code != OK:
        return code
    header = program.header
    program.nr_headers = header.nr_headers
    program.headers = 0
    program.brk = 0
    program.data_bytes = 0
    program.is_stack_executable = 0
    program.base = base_of(k, content, program)
    if program.base < 0:
        return BAD_PROGRAM
    nr_loaded = 0
    for index in range(header.nr_headers):
        segment = segment_at(k, content, program, index)
        if segment.kind == INTERPRETER:
            return BAD_PROGRAM
        if segment.kind == GNU_STACK:
            program.is_stack_executable = segment.flags & EXECUTE_FLAG
        if segment.kind == LOAD:
            nr_loaded += 1
            code = load_segment(user, content, program, segment)
            if code != OK:
                return code
    if nr_loaded == 0:
        return BAD_PROGRAM
    if not 0 <= header.entry < USER_END - program.base:
        return BAD_PROGRAM
    program.entry = header.entry + program.base
    return OK


@kernel
def base_of(k: Kernel, content: Content, program: Program) -> word:
    """What is added to a program's addresses, so that all of them are in the lower half; or BAD_PROGRAM.

    A multiple of all alignments: linkers put data where its address fits only then.
    """
    header = program.header
    if header.kind == EXECUTABLE_TYPE:
        return 0
    first = -1
    end = 0
    alignment = PAGE_BYTES
    for index in range(header.nr_headers):
        segment = segment_at(k, content, program, index)
        if segment.kind == LOAD and not is_good(content, segment):
            return BAD_PROGRAM
        if segment.kind == LOAD and segment.memory_bytes > 0:
            first = segment.start & -PAGE_BYTES if first < 0 else first
            end = max(end, segment.start + segment.memory_bytes)
            alignment = max(alignment, alignment_of(segment))
    if first < 0 or end > USER_END - BASE:
        return BAD_PROGRAM
    return (BASE - min(first, BASE)) & -alignment


@kernel
def load_segment(user: UserSpace, content: Content, program: Program, segment: Segment) -> word:
    """Map a segment: OK, or a code of vm; BAD_PROGRAM if that cannot be, or where another one lies."""
    if not is_good(content, segment):
        return BAD_PROGRAM
    if segment.memory_bytes == 0:
        return OK
    rights = rights_of(segment.flags)
    va = segment.start + program.base
    start = va & -PAGE_BYTES
    file_end = va + segment.file_bytes
    end = va + segment.memory_bytes
    file_pages_end = page_up(file_end) if segment.file_bytes > 0 else start
    pages_end = page_up(end)
    if start < LOWEST or pages_end > USER_END:
        return BAD_PROGRAM
    code = OK
    if file_pages_end > start:
        offset = segment.offset & -PAGE_BYTES
        code = map_part(user, VirtAddr(start), file_pages_end - start, rights, content.addr, offset)
        if code == OK and rights & WRITE != 0 and file_end < file_pages_end:
            # the last page would show what the file has behind the segment: zeros instead, as on Linux
            code = vm.bring_up_to(user, VirtAddr(file_end))
    if code == OK and pages_end > file_pages_end:
        code = map_part(user, VirtAddr(file_pages_end), pages_end - file_pages_end, rights, VirtAddr(0), 0)
    if code != OK:
        return code
    remember(program, segment)
    program.brk = max(program.brk, end)
    if rights & WRITE != 0:
        program.data_bytes += segment.memory_bytes
    return OK


@kernel
def map_part(user: UserSpace, start: VirtAddr, nbytes: word, rights: word, content: VirtAddr, offset: word) -> word:
    """Map pages of the program where none are: OK, or the code."""
    found = vm.map_at_free(user, start, nbytes, rights, 0, content, offset)
    if found < 0:
        return NO_ROOM if found == NO_ROOM else BAD_PROGRAM
    return OK


@kernel
def rights_of(flags: word) -> word:
    """The rights of a segment."""
    rights = READ if flags & READ_FLAG != 0 else 0
    rights |= WRITE if flags & WRITE_FLAG != 0 else 0
    return rights | (EXECUTE if flags & EXECUTE_FLAG != 0 else 0)


@kernel
def remember(program: Program, segment: Segment) -> None:
    """Note where the program headers are in memory, if this segment shows them."""
    headers = program.header.headers
    if segment.offset <= headers < segment.offset + segment.file_bytes:
        program.headers = headers - segment.offset + segment.start + program.base
