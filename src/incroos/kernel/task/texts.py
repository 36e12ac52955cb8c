"""Arguments and environment of a program that will begin, gathered in the kernel's memory.

    image     what the first stack begins with: the number of arguments, a word for each, 0, a word for each of the
              environment, 0, and room for the auxiliary vector and what lies between it and the texts. Words are
              lengths until stack.py makes them addresses
    strings   the texts in the same order, each with a zero byte behind it

The name lies behind them. The image has room in front for what scripts add to the arguments, the strings get it when
there is a script (make_room). Unit: the byte, zero bytes among them.
"""

from typing import Final

from incroos.kernel import heap, vm
from incroos.kernel.codes import BAD_PROGRAM, NO_KERNEL_MEMORY, OK, TOO_LONG, TOO_MUCH_TEXT
from incroos.kernel.state import Kernel, RunInfo, UserSpace
from incroos.lang import Struct, VirtAddr, copy, kernel, load8, load64, store8, store64, u64, word

WORD_BYTES: Final = 8
LEAST_TEXT: Final = 128 << 10  # bytes that texts may always have
MOST_TEXT: Final = 6 << 20
MOST_OF_ONE: Final = 128 << 10  # bytes of a text
NR_AUXILIARY: Final = 19  # pairs
NR_BEHIND: Final = 5  # words behind them
MOST_SCRIPTS: Final = 5  # that name each other as their interpreters
HEAD_BYTES: Final = 256  # of a script, in which its first line must end
SPARE_WORDS: Final = 1 + 2 * MOST_SCRIPTS
SPARE_BYTES: Final = MOST_SCRIPTS * HEAD_BYTES


class Texts(Struct):
    """In the heap, the room of the image behind it."""

    image: VirtAddr
    nr_arguments: u64
    nr_environment: u64
    strings: VirtAddr
    nbytes: u64  # of all strings
    name: VirtAddr  # by which the program was named
    name_bytes: u64
    room: VirtAddr  # what the heap gave for strings and name
    arguments: VirtAddr  # when they are on the stack: where, and their bytes
    arguments_bytes: u64
    rsp: VirtAddr  # and where the program begins
    rip: VirtAddr


# ------------------------------------------------------------------ made and ended
@kernel
def create(k: Kernel, nr_arguments: word, nr_environment: word) -> VirtAddr:
    """Texts without strings yet; 0 without memory."""
    nr_words = SPARE_WORDS + 1 + nr_arguments + 1 + nr_environment + 1 + 2 * NR_AUXILIARY + NR_BEHIND
    at = heap.kmalloc(k, Texts.SIZE + WORD_BYTES * nr_words)
    if at != 0:
        texts = Texts(k.m, at)
        texts.image = VirtAddr(at + Texts.SIZE + WORD_BYTES * SPARE_WORDS)
        texts.nr_arguments = nr_arguments
        texts.nr_environment = nr_environment
        texts.room = VirtAddr(0)
        texts.nbytes = 0
        store64(k.m, word_at(texts, nr_arguments), 0)
        store64(k.m, word_at(texts, nr_arguments + 1 + nr_environment), 0)
    return at


@kernel
def destroy(k: Kernel, texts: Texts) -> None:
    """Give back what they have."""
    if texts.room != 0:
        heap.kfree(k, texts.room)
    heap.kfree(k, texts.addr)


@kernel
def word_at(texts: Texts, index: word) -> VirtAddr:
    """Where a word of the image is: first arguments, then one that is 0, then the environment, then another 0."""
    return VirtAddr(texts.image + WORD_BYTES * (1 + index))


@kernel
def place_of(texts: Texts, index: word) -> VirtAddr:
    """The word of a text, all counted."""
    return word_at(texts, index if index < texts.nr_arguments else index + 1)


@kernel
def nr_texts(texts: Texts) -> word:
    """How many there are."""
    return texts.nr_arguments + texts.nr_environment


@kernel
def most_bytes(limit_stack: word) -> word:
    """How many bytes texts may have with their words, if the stack has this limit: as Linux says."""
    limit = limit_stack if limit_stack >= 0 else 4 * MOST_TEXT
    return max(min(limit // 4, MOST_TEXT), LEAST_TEXT)


@kernel
def is_too_much(texts: Texts, limit_stack: word) -> bool:
    """Whether a stack with this limit may not have the texts."""
    return texts.nbytes + texts.name_bytes + WORD_BYTES * nr_texts(texts) > most_bytes(limit_stack)


# ------------------------------------------------------------------ from a program
@kernel
def gather(
    k: Kernel, user: UserSpace, arguments: word, environment: word, name: VirtAddr, name_bytes: word
) -> tuple[word, VirtAddr]:
    """OK, and Texts of what two arrays of a program's memory name. The name is the kernel's own, and copied.

    BAD_POINTER, TOO_MUCH_TEXT, NO_KERNEL_MEMORY.
    """
    nr_arguments = count(user, arguments)
    nr_environment = count(user, environment)
    if nr_arguments < 0 or nr_environment < 0:
        return nr_arguments if nr_arguments < 0 else nr_environment, VirtAddr(0)
    at = create(k, max(nr_arguments, 1), nr_environment)
    if at == 0:
        return NO_KERNEL_MEMORY, at
    texts = Texts(k.m, at)
    texts.name_bytes = name_bytes
    store64(k.m, word_at(texts, 0), 1)  # if there is no argument, there is one that is empty
    code = measure(user, texts, environment, nr_environment, texts.nr_arguments)
    if code == OK:
        code = measure(user, texts, arguments, nr_arguments, 0)
    if code == OK:
        texts.nbytes += 1 if nr_arguments == 0 else 0
        code = fetch(k, user, texts, arguments if nr_arguments > 0 else 0, environment, name)
    if code != OK:
        destroy(k, texts)
        return code, VirtAddr(0)
    return OK, at


@kernel
def count(user: UserSpace, array: word) -> word:
    """How many addresses an array has before the one that is 0: BAD_POINTER, TOO_MUCH_TEXT."""
    if array == 0:
        return 0
    most = most_bytes(user.limit_stack) // WORD_BYTES
    for index in range(most):
        code, at = vm.load64(user, array + WORD_BYTES * index)
        if code != OK:
            return code
        if at == 0:
            return index
    return TOO_MUCH_TEXT


@kernel
def measure(user: UserSpace, texts: Texts, array: word, nr: word, first: word) -> word:
    """Put the lengths of an array's texts, from one of the texts on: OK, BAD_POINTER, TOO_MUCH_TEXT."""
    most = most_bytes(user.limit_stack) - texts.name_bytes - WORD_BYTES * nr_texts(texts)
    for index in range(nr):
        code, at = vm.load64(user, array + WORD_BYTES * index)
        length = vm.text_length(user, at, MOST_OF_ONE) if code == OK else code
        if length < 0:
            return TOO_MUCH_TEXT if length == TOO_LONG else length
        store64(user.m, place_of(texts, first + index), length + 1)
        texts.nbytes += length + 1
        if texts.nbytes > most:
            return TOO_MUCH_TEXT
    return OK


@kernel
def begin_strings(k: Kernel, texts: Texts, name: VirtAddr) -> bool:
    """Have room for the strings, whose length is known, and a copy of the name behind it: False without memory."""
    texts.room = heap.kmalloc(k, texts.nbytes + texts.name_bytes)
    if texts.room == 0:
        return False
    texts.strings = texts.room
    texts.name = VirtAddr(texts.strings + texts.nbytes)
    copy(k.m, texts.name, name, texts.name_bytes)
    return True


@kernel
def fetch(k: Kernel, user: UserSpace, texts: Texts, arguments: word, environment: word, name: VirtAddr) -> word:
    """Copy the texts whose lengths are known: OK, BAD_POINTER, NO_KERNEL_MEMORY."""
    if not begin_strings(k, texts, name):
        return NO_KERNEL_MEMORY
    store8(k.m, texts.strings, 0)
    to = texts.strings
    for index in range(nr_texts(texts)):
        length = load64(k.m, place_of(texts, index))
        at = arguments + WORD_BYTES * index
        if index >= texts.nr_arguments:
            at = environment + WORD_BYTES * (index - texts.nr_arguments)
        if at != 0:  # else there are no arguments
            _code, source = vm.load64(user, at)
            code = vm.copy_in(user, to, source, length)
            if code != OK:
                return code
        to = VirtAddr(to + length)
    return OK


# ------------------------------------------------------------------ from the host
@kernel
def take_given(k: Kernel, info: RunInfo) -> tuple[word, VirtAddr]:
    """OK, and Texts of what the host handed over; BAD_PROGRAM if it is not what the head says, NO_KERNEL_MEMORY."""
    if not 0 < info.nr_arguments <= info.strings_bytes or not 0 <= info.nr_environment <= info.strings_bytes:
        return BAD_PROGRAM, VirtAddr(0)
    at = create(k, info.nr_arguments, info.nr_environment)
    if at == 0:
        return NO_KERNEL_MEMORY, at
    texts = Texts(k.m, at)
    given = VirtAddr(info.addr + info.strings)
    texts.strings = given
    texts.nbytes = info.strings_bytes
    code = measure_given(k, texts)
    texts.name_bytes = load64(k.m, word_at(texts, 0))
    if code == OK and not begin_strings(k, texts, given):
        code = NO_KERNEL_MEMORY
    if code != OK:
        destroy(k, texts)
        return code, VirtAddr(0)
    copy(k.m, texts.strings, given, texts.nbytes)
    return OK, at


@kernel
def measure_given(k: Kernel, texts: Texts) -> word:
    """Put the lengths: OK, BAD_PROGRAM if there are more or less texts, TOO_MUCH_TEXT if one is too long."""
    here = texts.strings
    end = VirtAddr(here + texts.nbytes)
    for index in range(nr_texts(texts)):
        start = here
        while here < end and load8(k.m, here) != 0:
            here = VirtAddr(here + 1)
        if here == end:
            return BAD_PROGRAM
        here = VirtAddr(here + 1)
        if here - start > MOST_OF_ONE:
            return TOO_MUCH_TEXT
        store64(k.m, place_of(texts, index), here - start)
    return OK if here == end else BAD_PROGRAM


# ------------------------------------------------------------------ scripts
@kernel
def make_room(k: Kernel, texts: Texts) -> bool:
    """Have room in front of the strings for what scripts add to them: False without memory. PRE fetch was called."""
    spare = texts.name_bytes + SPARE_BYTES
    room = heap.kmalloc(k, spare + texts.nbytes + texts.name_bytes)
    if room == 0:
        return False
    copy(k.m, VirtAddr(room + spare), texts.strings, texts.nbytes + texts.name_bytes)
    heap.kfree(k, texts.room)
    texts.room = room
    texts.strings = VirtAddr(room + spare)
    texts.name = VirtAddr(texts.strings + texts.nbytes)
    return True


@kernel
def drop_first(texts: Texts) -> None:
    """Take the first argument away. PRE there is one."""
    length = load64(texts.m, word_at(texts, 0))
    texts.image = VirtAddr(texts.image + WORD_BYTES)
    texts.strings = VirtAddr(texts.strings + length)
    texts.nbytes -= length
    texts.nr_arguments -= 1


@kernel
def push(texts: Texts, source: VirtAddr, length: word) -> None:
    """Put an argument in front, its zero byte with it. PRE there is room."""
    texts.image = VirtAddr(texts.image - WORD_BYTES)
    texts.strings = VirtAddr(texts.strings - length)
    texts.nbytes += length
    texts.nr_arguments += 1
    store64(texts.m, word_at(texts, 0), length)
    copy(texts.m, texts.strings, source, length)
