"""The file of a trace: docs/traces.md has the layout, byte for byte.

A header with magic, version, counts, length and checksum is followed by the operations. Each is a number of variable
length: the low three bits are its kind, the others its size, or how many blocks ago its block was made. Most
operations take two bytes.
"""

import struct
import zlib
from typing import Final

from .operations import MAX_BYTES, MAX_SHIFT, MAX_THREADS, BadTrace, Kind, Trace
from .words import count

MAGIC: Final = b'\x89incroT\n'  # no text, and damaged by what takes it for text
VERSION: Final = 1
HEADER: Final = struct.Struct('<8sIIQQQ')  # magic, version, threads, operations, blocks, bytes of the operations
CHECKSUM: Final = struct.Struct('<I')  # of header and operations, CRC-32; stands between them
THREAD: Final = 5  # in the place of a kind: the operations that follow are of this thread
_KIND_BITS: Final = 3
_MAX_NUMBER: Final = 1 << 64


def encode(trace: Trace) -> bytes:
    """A trace as the bytes of its file."""
    encoder = Encoder()
    for operation in zip(trace.kinds, trace.blocks, trace.sizes, trace.shifts, trace.threads, strict=True):
        encoder.add(*operation)
    return encoder.content()


class Encoder:
    """Operations as the bytes of a file: what is recorded is never in memory as a Trace, which takes ten times that."""

    def __init__(self) -> None:
        self.nr_blocks = 0
        self._nr_operations = 0
        self._nr_threads = 1
        self._thread = 0
        self._body = bytearray()

    def add(self, kind: int, block: int, size: int = 0, shift: int = 0, thread: int = 0) -> None:
        """Append an operation; one that makes a block gives the next number."""
        if thread != self._thread:
            put_number(self._body, thread << _KIND_BITS | THREAD)
            self._thread = thread
            self._nr_threads = max(self._nr_threads, thread + 1)
        if kind <= Kind.ALLOCATE_ALIGNED:
            put_number(self._body, size << _KIND_BITS | kind)
            self.nr_blocks += 1
            if kind == Kind.ALLOCATE_ALIGNED:
                self._body.append(shift)
        else:
            put_number(self._body, self.nr_blocks - 1 - block << _KIND_BITS | kind)
            if kind == Kind.REALLOCATE:
                put_number(self._body, size)
        self._nr_operations += 1

    def content(self) -> bytes:
        """The whole file."""
        counts = (self._nr_threads, self._nr_operations, self.nr_blocks, len(self._body))
        header = HEADER.pack(MAGIC, VERSION, *counts)
        return header + CHECKSUM.pack(zlib.crc32(self._body, zlib.crc32(header))) + self._body


def put_number(body: bytearray, number: int) -> None:
    """Seven bits to a byte, the lowest first; the highest bit says that more follow."""
    while number >= 128:
        body.append(number & 127 | 128)
        number >>= 7
    body.append(number)


def is_trace(data: bytes) -> bool:
    """Does it begin like a trace?"""
    return data[: len(MAGIC)] == MAGIC


def decode(data: bytes, name: str) -> Trace:
    """The trace in the bytes of a file. Raises BadTrace."""
    if not is_trace(data):
        raise BadTrace(f'{name} is not a trace: record one with incroos trace record')
    start = HEADER.size + CHECKSUM.size
    if len(data) < start:
        raise BadTrace(f'{name} is cut short: it ends within its header')
    _, version, nr_threads, nr_operations, nr_blocks, body_bytes = HEADER.unpack_from(data)
    (checksum,) = CHECKSUM.unpack_from(data, HEADER.size)
    if version != VERSION:
        raise BadTrace(f'{name} is a trace of version {version}, and this is version {VERSION}: record it anew')
    body = data[start:]
    if len(body) < body_bytes:
        raise BadTrace(f'{name} is cut short: {len(body):,} of its {count(body_bytes, "byte")} of operations are there')
    if len(body) > body_bytes:
        raise BadTrace(f'{name} goes on for {count(len(body) - body_bytes, "byte")} behind its end: what is it?')
    if zlib.crc32(body, zlib.crc32(data[: HEADER.size])) != checksum:
        raise BadTrace(f'{name} is damaged: its checksum is not that of what it holds')
    trace = decode_body(body, name)
    if (len(trace), trace.nr_blocks) != (nr_operations, nr_blocks):
        found = f'{count(len(trace), "operation")} and {count(trace.nr_blocks, "block")}'
        raise BadTrace(f'{name} has {found}, and its header says {nr_operations:,} and {nr_blocks:,}')
    if nr_threads != 1 + max(trace.threads, default=0):
        found = f'threads up to number {max(trace.threads, default=0):,}'
        raise BadTrace(f'{name} has {found}, and its header says {count(nr_threads, "thread")}: record it anew')
    return trace


def decode_body(body: bytes, name: str) -> Trace:
    """The operations. One loop, without calls for most of them, because it takes all of the time of reading."""
    trace = Trace()
    add_kind, add_block, add_size = trace.kinds.append, trace.blocks.append, trace.sizes.append
    add_shift, add_thread = trace.shifts.append, trace.threads.append
    is_live = bytearray()
    thread = nr_made = at = 0
    end = len(body)
    try:
        while at < end:
            number = body[at]
            at += 1
            if number >= 128:
                more = body[at]
                at += 1
                number += (more << 7) - 128
                if more >= 128:
                    number, at = long_number(body, at, number - (128 << 7), 14)
            kind = number & 7
            operand = number >> 3
            size = shift = 0
            if kind <= 2:
                block, size = nr_made, operand
                nr_made += 1
                is_live.append(1)
                if kind == 2:
                    shift = body[at]
                    at += 1
            elif kind <= 4:
                block = nr_made - 1 - operand
                if block < 0 or not is_live[block]:
                    raise BadTrace(f'{name}: {wrong_block(len(trace), kind, block)}')
                if kind == 4:
                    is_live[block] = 0
                else:
                    size, at = long_number(body, at, 0, 0)
            elif kind == THREAD and operand < MAX_THREADS:
                thread = operand
                continue
            else:
                raise BadTrace(f'{name}: operation {len(trace) + 1:,} is of no kind that there is')
            if size > MAX_BYTES or shift > MAX_SHIFT:
                raise BadTrace(f'{name}: operation {len(trace) + 1:,} asks for more than a process has addresses')
            add_kind(kind)
            add_block(block)
            add_size(size)
            add_shift(shift)
            add_thread(thread)
    except IndexError:
        raise BadTrace(f'{name} is damaged: its last operation is cut short') from None
    trace.nr_blocks = nr_made
    return trace


def long_number(body: bytes, at: int, number: int, shift: int) -> tuple[int, int]:
    """The number that continues at a byte, and its end. A number of more than 64 bits is too large for every use."""
    while True:
        byte = body[at]
        at += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128 or number >= _MAX_NUMBER:
            return number, at


def wrong_block(index: int, kind: int, block: int) -> str:
    """What is wrong with an operation on a block that is not live."""
    does = 'frees' if kind == Kind.FREE else 'reallocates'
    if block < 0:
        return f'operation {index + 1:,} {does} a block that was never allocated'
    return f'operation {index + 1:,} {does} block {block:,}, which was freed before'
