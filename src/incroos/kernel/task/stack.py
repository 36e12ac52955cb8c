"""The first stack of a program: what the Linux ABI says is on it.

    end - 8     0
    below       the program's name; environment; arguments, the first one lowest: texts
    below       "x86_64", 16 random bytes
    rsp         number of arguments, their addresses, 0, those of the environment, 0, the auxiliary vector

Unit: the byte. Addresses are those that Linux gives without randomization. Format: "System V Application Binary
Interface, AMD64", "Process Initialization".
"""

from typing import Final

from incroos.kernel import vm
from incroos.kernel.codes import BAD_PROGRAM, EXISTS, OK, TOO_MUCH_TEXT
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import EXECUTE, GROWS_DOWN, READ, WRITE, Kernel, RunInfo, Task, UserSpace
from incroos.kernel.task.elf import Program, Segment
from incroos.kernel.task.random import next_word
from incroos.kernel.vm import USER_END
from incroos.lang import VirtAddr, kernel, load8, store64, word

ROOM_BELOW: Final = 128 << 10  # of the first range, below what is on it
LEAST_TEXT: Final = 128 << 10  # bytes that texts may always have
MOST_TEXT: Final = 6 << 20
MOST_OF_ONE: Final = 128 << 10  # bytes of a text, with its zero byte
PLATFORM: Final = 0x34_365F_3638_78  # "x86_64" and a zero byte
PLATFORM_BYTES: Final = 8
RANDOM_BYTES: Final = 16
WORD_BYTES: Final = 8
HARDWARE: Final = 0x178B_FBFF  # CPUID leaf 1, EDX, of every x86-64 processor in use
TICKS: Final = 100  # a second, of times

# Keys of the auxiliary vector
AT_NULL: Final = 0
AT_PHDR: Final = 3
AT_PHENT: Final = 4
AT_PHNUM: Final = 5
AT_PAGESZ: Final = 6
AT_BASE: Final = 7
AT_FLAGS: Final = 8
AT_ENTRY: Final = 9
AT_UID: Final = 11
AT_EUID: Final = 12
AT_GID: Final = 13
AT_EGID: Final = 14
AT_PLATFORM: Final = 15
AT_HWCAP: Final = 16
AT_CLKTCK: Final = 17
AT_SECURE: Final = 23
AT_RANDOM: Final = 25
AT_HWCAP2: Final = 26
AT_EXECFN: Final = 31
NR_AUXILIARY: Final = 19


@kernel
def texts_of(info: RunInfo) -> VirtAddr:
    """Where the texts are that the host handed over."""
    return VirtAddr(info.addr + info.strings)


@kernel
def length_at(k: Kernel, at: VirtAddr, end: VirtAddr) -> word:
    """The bytes of a text with its zero byte; BAD_PROGRAM if it does not end before the end."""
    here = at
    while here < end:
        if load8(k.m, here) == 0:
            return here + 1 - at
        here = VirtAddr(here + 1)
    return BAD_PROGRAM


@kernel
def count_texts(k: Kernel, info: RunInfo) -> word:
    """How many texts there are; BAD_PROGRAM if they are not what the head says, TOO_MUCH_TEXT if one is too long."""
    end = VirtAddr(texts_of(info) + info.strings_bytes)
    at = texts_of(info)
    nr_texts = 0
    while at < end:
        length = length_at(k, at, end)
        if length < 0:
            return BAD_PROGRAM
        if length > MOST_OF_ONE:
            return TOO_MUCH_TEXT
        at = VirtAddr(at + length)
        nr_texts += 1
    return nr_texts if info.nr_arguments > 0 and nr_texts == info.nr_arguments + info.nr_environment else BAD_PROGRAM


@kernel
def build(k: Kernel, user: UserSpace, task: Task, info: RunInfo, program: Program) -> tuple[word, VirtAddr]:
    """Map the stack and put all on it: code and RSP. TOO_MUCH_TEXT, BAD_PROGRAM, codes of vm."""
    nr_texts = count_texts(k, info)
    if nr_texts < 0:
        return nr_texts, VirtAddr(0)
    limit = info.limit_stack if info.limit_stack >= 0 else 4 * MOST_TEXT
    name_bytes = length_at(k, texts_of(info), VirtAddr(texts_of(info) + info.strings_bytes))
    if info.strings_bytes + name_bytes + WORD_BYTES * nr_texts > max(min(limit // 4, MOST_TEXT), LEAST_TEXT):
        return TOO_MUCH_TEXT, VirtAddr(0)
    texts = USER_END - WORD_BYTES - name_bytes - info.strings_bytes
    low = (texts & -16) - PLATFORM_BYTES
    random = (low - RANDOM_BYTES) & -16
    rsp = (random - WORD_BYTES * (1 + nr_texts + 2 + 2 * NR_AUXILIARY)) & -16
    code = map_stack(user, rsp, limit, program)
    if code == OK:
        code = put_texts(k, user, info, texts, name_bytes, low, random)
    if code == OK:
        code = put_words(k, user, info, VirtAddr(rsp), texts)
    if code == OK:
        at = VirtAddr(rsp + WORD_BYTES * (1 + nr_texts + 2))
        code = put_auxiliary(k, user, program, at, low, random, texts + info.strings_bytes)
    task.arguments = VirtAddr(texts)
    task.arguments_bytes = arguments_bytes(k, info)
    return code, VirtAddr(rsp)


@kernel
def map_stack(user: UserSpace, rsp: word, limit: word, program: Program) -> word:
    """Map the stack's range: OK, or a code of vm. It grows by itself, up to its limit."""
    rights = READ | WRITE | (EXECUTE if program.is_stack_executable != 0 else 0)
    needed = USER_END - (rsp & -PAGE_BYTES)
    nbytes = max(needed, min(needed + ROOM_BELOW, limit & -PAGE_BYTES))
    found = vm.map_at_free(user, VirtAddr(USER_END - nbytes), nbytes, rights, GROWS_DOWN, VirtAddr(0), 0)
    if found == EXISTS:
        return BAD_PROGRAM
    return found if found < 0 else OK


@kernel
def arguments_bytes(k: Kernel, info: RunInfo) -> word:
    """The bytes of all arguments, with their zero bytes."""
    end = VirtAddr(texts_of(info) + info.strings_bytes)
    at = texts_of(info)
    for _index in range(info.nr_arguments):
        at = VirtAddr(at + length_at(k, at, end))
    return at - texts_of(info)


@kernel
def put_texts(
    k: Kernel, user: UserSpace, info: RunInfo, texts: word, name_bytes: word, low: word, random: word
) -> word:
    """Put the texts, the program's name behind them, the platform and the random bytes: OK, or a code of vm."""
    code = vm.copy_out(user, VirtAddr(texts), texts_of(info), info.strings_bytes)
    if code == OK:
        code = vm.copy_out(user, VirtAddr(texts + info.strings_bytes), texts_of(info), name_bytes)
    if code == OK:
        code = vm.store64(user, VirtAddr(low), PLATFORM)
    if code == OK:
        code = vm.store64(user, VirtAddr(random), next_word(k))
    return vm.store64(user, VirtAddr(random + WORD_BYTES), next_word(k)) if code == OK else code


@kernel
def put_words(k: Kernel, user: UserSpace, info: RunInfo, rsp: VirtAddr, texts: word) -> word:
    """Put the number of arguments, and the addresses of all texts: OK, or a code of vm."""
    code = vm.store64(user, rsp, info.nr_arguments)
    source = texts_of(info)
    end = VirtAddr(source + info.strings_bytes)
    at = rsp + WORD_BYTES
    for index in range(info.nr_arguments + info.nr_environment + 2):
        value = 0
        if index != info.nr_arguments and source < end:
            value = texts + (source - texts_of(info))
            source = VirtAddr(source + length_at(k, source, end))
        if code == OK:
            code = vm.store64(user, VirtAddr(at), value)
        at += WORD_BYTES
    return code


@kernel
def put_pair(k: Kernel, at: VirtAddr, key: word, value: word) -> VirtAddr:
    """Put a key and its value into the kernel's buffer: the address behind them."""
    store64(k.m, at, key)
    store64(k.m, VirtAddr(at + WORD_BYTES), value)
    return VirtAddr(at + 2 * WORD_BYTES)


@kernel
def put_auxiliary(
    k: Kernel, user: UserSpace, program: Program, to: VirtAddr, low: word, random: word, name: word
) -> word:
    """Put the auxiliary vector: OK, or a code of vm."""
    start = VirtAddr(program.addr + Program.SIZE)
    at = put_pair(k, start, AT_HWCAP, HARDWARE)
    at = put_pair(k, at, AT_PAGESZ, PAGE_BYTES)
    at = put_pair(k, at, AT_CLKTCK, TICKS)
    at = put_pair(k, at, AT_PHDR, program.headers)
    at = put_pair(k, at, AT_PHENT, Segment.SIZE)
    at = put_pair(k, at, AT_PHNUM, program.nr_headers)
    at = put_pair(k, at, AT_BASE, 0)
    at = put_pair(k, at, AT_FLAGS, 0)
    at = put_pair(k, at, AT_ENTRY, program.entry)
    at = put_pair(k, at, AT_UID, 0)
    at = put_pair(k, at, AT_EUID, 0)
    at = put_pair(k, at, AT_GID, 0)
    at = put_pair(k, at, AT_EGID, 0)
    at = put_pair(k, at, AT_SECURE, 0)
    at = put_pair(k, at, AT_RANDOM, random)
    at = put_pair(k, at, AT_HWCAP2, 0)
    at = put_pair(k, at, AT_EXECFN, name)
    at = put_pair(k, at, AT_PLATFORM, low)
    at = put_pair(k, at, AT_NULL, 0)
    return vm.copy_out(user, to, start, at - start)
