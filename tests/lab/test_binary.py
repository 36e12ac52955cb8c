"""The file of a trace: what is written comes back, and what is no such file is refused with a sentence."""

import zlib

import pytest
from hypothesis import given

from incroos.lab import binary, files
from incroos.lab.operations import MAX_BYTES, BadTrace, Kind, Trace

from .traces import small_trace, traces


@given(traces())
def test_what_is_written_comes_back(trace: Trace) -> None:
    assert binary.decode(binary.encode(trace), 'x') == trace


def test_most_operations_take_one_or_two_bytes() -> None:
    trace = Trace()
    for block in range(1000):
        trace.add(Kind.ALLOCATE, block, block % 200)
        if block >= 100:
            trace.add(Kind.FREE, block - 100)
    assert len(binary.encode(trace)) < 2 * len(trace) + 100


def test_the_layout_is_that_of_the_document() -> None:
    body = bytes([100 << 3 & 127 | 128, 100 >> 4, 3000 << 3 & 127 | 1 | 128, 3000 >> 4 & 127 | 128, 3000 >> 11])
    body += bytes([70_000 << 3 & 127 | 2 | 128, 70_000 >> 4 & 127 | 128, 70_000 >> 11, 12])
    body += bytes([1 << 3 | 5, 2 << 3 | 3, 200_000 & 127 | 128, 200_000 >> 7 & 127 | 128, 200_000 >> 14])
    body += bytes([5, 1 << 3 | 4, 0, 3 << 3 | 4, 4])
    header = b'\x89incroT\n' + bytes([1, 0, 0, 0, 2, 0, 0, 0])
    header += b''.join(number.to_bytes(8, 'little') for number in (8, 4, len(body)))
    assert binary.encode(small_trace()) == header + zlib.crc32(header + body).to_bytes(4, 'little') + body


def test_a_trace_that_is_cut_short_anywhere_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp('cut') / 'x.trace'
    content = binary.encode(small_trace())
    for length in range(len(content)):
        file.write_bytes(content[:length])
        with pytest.raises(BadTrace, match=r'is cut short|is empty'):
            files.read(file)


def test_a_bit_that_changed_anywhere_is_noticed() -> None:
    content = binary.encode(small_trace())
    for index in range(8 * len(content)):
        changed = bytearray(content)
        changed[index // 8] ^= 1 << index % 8
        with pytest.raises(BadTrace):
            binary.decode(bytes(changed), 'x')


def test_a_number_of_threads_that_is_not_that_of_the_operations_is_refused() -> None:
    content = binary.encode(small_trace())
    _, version, nr_threads, *counts = binary.HEADER.unpack_from(content)
    header = binary.HEADER.pack(binary.MAGIC, version, nr_threads + 1, *counts)
    body = content[binary.HEADER.size + binary.CHECKSUM.size :]
    with pytest.raises(BadTrace, match=r'its header says 3 threads: record it anew'):
        binary.decode(header + binary.CHECKSUM.pack(zlib.crc32(header + body)) + body, 'x')


def defect(body: bytes, nr_operations: int = 1, nr_blocks: int = 0) -> str:
    """What is wrong with these operations, in a file that is right otherwise."""
    header = binary.HEADER.pack(binary.MAGIC, 1, 1, nr_operations, nr_blocks, len(body))
    content = header + binary.CHECKSUM.pack(zlib.crc32(header + body)) + body
    with pytest.raises(BadTrace) as caught:
        binary.decode(content, 'x')
    return str(caught.value)


@pytest.mark.parametrize(
    ('body', 'sentence'),
    [
        (b'\x04', 'x: operation 1 frees a block that was never allocated'),
        (b'\x0c', 'x: operation 1 frees a block that was never allocated'),
        (b'\x00\x0c', 'x: operation 2 frees a block that was never allocated'),
        (b'\x00\x0b\x00', 'x: operation 2 reallocates a block that was never allocated'),
        (b'\x00\x04\x04', 'x: operation 3 frees block 0, which was freed before'),
        (b'\x00\x00\x0c\x0b\x09', 'x: operation 4 reallocates block 0, which was freed before'),
        (b'\x00\x06', 'x: operation 2 is of no kind that there is'),
        (b'\x07', 'x: operation 1 is of no kind that there is'),
        (b'\x85\x80\x80\x80\x80\x01', 'x: operation 1 is of no kind that there is'),
        (b'\x02\x2f', 'x: operation 1 asks for more than a process has addresses'),
        (b'\x80' * 7 + b'\x10', 'x: operation 1 asks for more than a process has addresses'),
        (b'\x80' * 100 + b'\x01', 'x: operation 1 asks for more than a process has addresses'),
        (b'\x80', 'x is damaged: its last operation is cut short'),
        (b'\x02', 'x is damaged: its last operation is cut short'),
        (b'\x00\x03', 'x is damaged: its last operation is cut short'),
        (b'\x00\x03\x80', 'x is damaged: its last operation is cut short'),
        (b'\x00', 'x has 1 operation and 1 block, and its header says 1 and 0'),
        (b'\x00\x00', 'x has 2 operations and 2 blocks, and its header says 1 and 0'),
    ],
)
def test_operations_that_are_wrong(body: bytes, sentence: str) -> None:
    assert defect(body) == sentence


def test_the_largest_block_and_the_next() -> None:
    trace = Trace()
    trace.add(Kind.ALLOCATE, 0, MAX_BYTES)
    content = binary.encode(trace)
    assert binary.decode(content, 'x') == trace
    trace.sizes[0] += 1
    with pytest.raises(BadTrace, match='more than a process has addresses'):
        binary.decode(binary.encode(trace), 'x')


def test_another_version_and_what_stands_behind_the_end() -> None:
    content = binary.encode(small_trace())
    with pytest.raises(BadTrace) as caught:
        binary.decode(content[:8] + b'\x07' + content[9:], 'x')
    assert str(caught.value) == 'x is a trace of version 7, and this is version 1: record it anew'
    with pytest.raises(BadTrace) as caught:
        binary.decode(content + b'abc', 'x')
    assert str(caught.value) == 'x goes on for 3 bytes behind its end: what is it?'
    with pytest.raises(BadTrace) as caught:
        binary.decode(content + b'a', 'x')
    assert str(caught.value) == 'x goes on for 1 byte behind its end: what is it?'
