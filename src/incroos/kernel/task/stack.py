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
from incroos.kernel.files.random import next_word
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import EXECUTE, GROWS_DOWN, READ, WRITE, Kernel, UserSpace
from incroos.kernel.task.elf import Program, Segment
from incroos.kernel.task.texts import (
    MOST_TEXT,
    NR_AUXILIARY,
    WORD_BYTES,
    Texts,
    is_too_much,
    nr_texts,
    place_of,
    word_at,
)
from incroos.kernel.vm import USER_END
from incroos.lang import VirtAddr, kernel, load64, store64, word

ROOM_BELOW: Final = 128 << 10  # of the first range, below what is on it
PLATFORM: Final = 0x34_365F_3638_78  # "x86_64" and a zero byte
PLATFORM_BYTES: Final = 8
RANDOM_BYTES: Final = 16
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


@kernel
def build(k: Kernel, user: UserSpace, texts: Texts, program: Program) -> tuple[word, VirtAddr]:
    """Map the stack and put all on it: code and RSP. The texts are of no use afterwards. TOO_MUCH_TEXT, codes of vm."""
    if is_too_much(texts, user.limit_stack):
        return TOO_MUCH_TEXT, VirtAddr(0)
    limit = user.limit_stack if user.limit_stack >= 0 else 4 * MOST_TEXT
    start = USER_END - WORD_BYTES - texts.name_bytes - texts.nbytes
    low = (start & -16) - PLATFORM_BYTES
    random = (low - RANDOM_BYTES) & -16
    image_bytes = WORD_BYTES * (1 + nr_texts(texts) + 2 + 2 * NR_AUXILIARY)
    rsp = (random - image_bytes) & -16
    code = map_stack(user, rsp, limit, program)
    if code == OK:
        code = vm.copy_out(user, start, texts.strings, texts.nbytes + texts.name_bytes)
    if code == OK:
        make_addresses(texts, start)
        make_auxiliary(k, texts, program, low, random, start + texts.nbytes)
        make_end(k, VirtAddr(texts.image + (random - rsp)))
        code = vm.copy_out(user, rsp, texts.image, low + PLATFORM_BYTES - rsp)
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
def make_addresses(texts: Texts, start: word) -> None:
    """Let the image have addresses where lengths were, the first text's being `start`."""
    store64(texts.m, texts.image, texts.nr_arguments)
    at = start
    for index in range(nr_texts(texts)):
        place = place_of(texts, index)
        length = load64(texts.m, place)
        store64(texts.m, place, at)
        at += length
        if index == texts.nr_arguments - 1:
            texts.arguments = VirtAddr(start)
            texts.arguments_bytes = at - start


@kernel
def put_pair(k: Kernel, at: VirtAddr, key: word, value: word) -> VirtAddr:
    """Put a key and its value into the kernel's buffer: the address behind them."""
    store64(k.m, at, key)
    store64(k.m, VirtAddr(at + WORD_BYTES), value)
    return VirtAddr(at + 2 * WORD_BYTES)


@kernel
def make_auxiliary(k: Kernel, texts: Texts, program: Program, low: word, random: word, name: word) -> None:
    """Let the image end with the auxiliary vector."""
    at = word_at(texts, nr_texts(texts) + 2)
    at = put_pair(k, at, AT_HWCAP, HARDWARE)
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
    put_pair(k, at, AT_NULL, 0)


@kernel
def make_end(k: Kernel, at: VirtAddr) -> None:
    """Let random bytes and the platform's name lie behind the auxiliary vector, and zeros in the gaps round them."""
    store64(k.m, VirtAddr(at - WORD_BYTES), 0)  # a gap, or the last word of the vector
    store64(k.m, at, next_word(k))
    store64(k.m, VirtAddr(at + WORD_BYTES), next_word(k))
    store64(k.m, VirtAddr(at + RANDOM_BYTES), 0)
    store64(k.m, VirtAddr(at + RANDOM_BYTES + WORD_BYTES), PLATFORM)
