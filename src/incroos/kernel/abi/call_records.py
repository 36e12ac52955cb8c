"""Records of calls, for --calls: the words of a call, and the first bytes of its texts and buffers.

    text of the record   for each text or buffer: its length as 4 bytes, or BAD_TEXT; up to RECORD_TEXT_BYTES of it

Texts and what a call reads are told as they were before it; what it fills as it is afterwards.
"""

from typing import Final

from incroos.kernel import files, task, vm
from incroos.kernel.abi import shapes
from incroos.kernel.abi.arguments import user_of
from incroos.kernel.abi.dispatch import dispatch
from incroos.kernel.codes import TOO_LONG
from incroos.kernel.files.paths import PATH_MAX
from incroos.kernel.state import BAD_TEXT, RECORD_CALL, RECORD_TEXT_BYTES, WAITING, Kernel, Record, Registers
from incroos.lang import VirtAddr, cold, copy, kernel, store32, word

EXIT: Final = 60
EXIT_GROUP: Final = 231
LENGTH_BYTES: Final = 4


@cold
@kernel
def recorded(k: Kernel, regs: Registers, number: word) -> word:
    """Do a call, and tell the host about it: what the program finds in RAX."""
    a = regs.rdi
    b = regs.rsi
    c = regs.rdx
    d = regs.r10
    e = regs.r8
    f = regs.r9
    if number == EXIT or number == EXIT_GROUP:
        task.put(k, record_of(k, number, a, b, c, d, e, f))
        return dispatch(k, regs, number)
    shape = shapes.shape_of(number)
    nbytes = put_given(k, regs, shape)
    result = dispatch(k, regs, number)
    if task.current(k).state == WAITING:
        return result
    record = record_of(k, number, a, b, c, d, e, f)  # exec leaves nothing of them in the registers
    record.result = result
    record.nbytes = put_filled(k, regs, shape, result, nbytes)
    task.put(k, record)
    return result


@cold
@kernel
def record_of(k: Kernel, number: word, a: word, b: word, c: word, d: word, e: word, f: word) -> Record:
    """A record of a call with its words."""
    record = task.new_record(k, RECORD_CALL, number)
    record.a = a
    record.b = b
    record.c = c
    record.d = d
    record.e = e
    record.f = f
    return record


@cold
@kernel
def argument(regs: Registers, index: word) -> word:
    """One of the first four arguments: no text is behind them."""
    if index == 0:
        return regs.rdi
    if index == 1:
        return regs.rsi
    return regs.rdx if index == 2 else regs.r10


@cold
@kernel
def kind_at(shape: word, index: word) -> word:
    """What an argument is."""
    return (shape >> (shapes.BITS * index)) & shapes.MASK


@cold
@kernel
def put_given(k: Kernel, regs: Registers, shape: word) -> word:
    """Put what a call is given: how many bytes the record's text has."""
    nbytes = 0
    for index in range(shapes.NR_PLACES):
        kind = kind_at(shape, index)
        at = VirtAddr(k.tasks.record_text.addr + nbytes)
        if kind == shapes.PATH:
            nbytes += put_path(k, at, argument(regs, index))
        elif kind == shapes.INPUT:
            nbytes += put_buffer(k, at, argument(regs, index), argument(regs, index + 1))
    return nbytes


@cold
@kernel
def put_filled(k: Kernel, regs: Registers, shape: word, result: word, nbytes: word) -> word:
    """Put what a call has filled, behind nbytes: how many bytes the text has."""
    for index in range(shapes.NR_PLACES):
        if kind_at(shape, index) == shapes.OUTPUT:
            at = VirtAddr(k.tasks.record_text.addr + nbytes)
            nbytes += put_buffer(k, at, argument(regs, index), result)
    return nbytes


@cold
@kernel
def put_path(k: Kernel, at: VirtAddr, source: word) -> word:
    """Put a text: the bytes with its length."""
    length = vm.copy_text(user_of(k), files.text_of(k), source, PATH_MAX)
    if length == TOO_LONG:
        length = PATH_MAX
    if length < 0:
        store32(k.m, at, BAD_TEXT)
        return LENGTH_BYTES
    store32(k.m, at, length)
    kept = min(length, RECORD_TEXT_BYTES)
    copy(k.m, VirtAddr(at + LENGTH_BYTES), files.text_of(k), kept)
    return LENGTH_BYTES + kept


@cold
@kernel
def put_buffer(k: Kernel, at: VirtAddr, source: word, nbytes: word) -> word:
    """Put a buffer: the bytes with its length. None are told of one that cannot be read, or of a call that failed."""
    kept = min(nbytes, RECORD_TEXT_BYTES)
    if kept < 0 or vm.copy_in(user_of(k), VirtAddr(at + LENGTH_BYTES), source, kept) != 0:
        store32(k.m, at, BAD_TEXT)
        return LENGTH_BYTES
    store32(k.m, at, min(nbytes, BAD_TEXT - 1))
    return LENGTH_BYTES + kept
