"""Small kernels that use the channels of a program as the kernel for programs does; there is no program."""

from typing import Final

from incroos.kernel.state.records import RECORD_CALL, RECORD_END, Record
from incroos.lang import PhysAddr, VirtAddr, in8, kernel, out8, out_bytes, pause, store8, word

from ..build.small_kernels import PASSED, State, put, stop

RECORD: Final = VirtAddr(0x1F_4000)
BUFFER: Final = VirtAddr(0x1F_8000)
BUFFER_BYTES: Final = 0x7000
OUTPUT: Final = 0xE9
ERRORS: Final = 0xEA
RECORDS: Final = 0xEB
INPUT: Final = 0x2F8
FAILED: Final = 0xFFFF_FFFF
NR_CALLS: Final = 3
FAILED_STATUS: Final = 77


@kernel
def get_byte(k: State) -> word:
    while in8(k.m, INPUT + 5) & 1 == 0:
        pause(k.m)
    return in8(k.m, INPUT)


@kernel
def get_input(k: State) -> word:
    """Ask for as much as the buffer takes; how many bytes came."""
    for index in range(4):
        out8(k.m, INPUT, (BUFFER_BYTES >> (8 * index)) & 0xFF)
    nbytes = 0
    for index in range(4):
        nbytes |= get_byte(k) << (8 * index)
    if nbytes != FAILED:
        for index in range(nbytes):
            store8(k.m, VirtAddr(BUFFER + index), get_byte(k))
    return nbytes


@kernel
def put_record(k: State, kind: word, number: word, a: word) -> None:
    record = Record(k.m, RECORD)
    record.kind = kind
    record.task = 2  # the first program
    record.number = number
    record.a = a
    record.b = 0
    record.c = 0
    record.d = 0
    record.e = 0
    record.f = 0
    record.result = 0
    record.nbytes = 0
    record.reserved = 0
    out_bytes(k.m, RECORDS, RECORD, Record.SIZE)


@kernel
def echo(k: State, start_info: PhysAddr) -> None:
    """Hand all input on to the output, say how it ended on the other channel, and exit."""
    out8(k.m, INPUT + 2, 7)  # FIFO on, and empty
    for index in range(NR_CALLS):
        put_record(k, RECORD_CALL, 39, index)
    nbytes = get_input(k)
    while 0 < nbytes < FAILED:
        out_bytes(k.m, OUTPUT, BUFFER, nbytes)
        nbytes = get_input(k)
    for char in b'errors\n':
        out8(k.m, ERRORS, char)
    put(k.m, b'words of the kernel\n')
    put_record(k, RECORD_END, 0, FAILED_STATUS if nbytes == FAILED else 3)
    stop(k.m, PASSED)


@kernel
def alternate(k: State, start_info: PhysAddr) -> None:
    """Both outputs by turns, and input is never asked for."""
    for _ in range(1000):
        out8(k.m, OUTPUT, 65)
        out8(k.m, ERRORS, 66)
    put_record(k, RECORD_END, 1, 6)
    stop(k.m, PASSED)


@kernel
def write_for_ever(k: State, start_info: PhysAddr) -> None:
    while True:
        out8(k.m, OUTPUT, 65)


@kernel
def wait_for_ever(k: State, start_info: PhysAddr) -> None:
    """Say something, and ask for input for which there is no need."""
    out8(k.m, OUTPUT, 65)
    get_input(k)
    while True:
        pause(k.m)


@kernel
def end_without_a_word(k: State, start_info: PhysAddr) -> None:
    stop(k.m, PASSED)


@kernel
def put_garbage(k: State, start_info: PhysAddr) -> None:
    for _ in range(Record.SIZE):
        out8(k.m, RECORDS, 0x55)
    while True:
        pause(k.m)
