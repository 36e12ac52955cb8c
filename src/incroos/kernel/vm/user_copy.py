"""Copies between the kernel's memory and a program's: the tables are walked in software, with the user's rights.

The kernel never touches memory through a user mapping. Each page is looked up, faulted in by the same function as the
processor's fault would if it is not there or has not the right, marked accessed and dirty as the processor does, and
copied through the window on frames. So a pointer that is bad is a code, in a space that is loaded or not.

Unit: the byte. What is copied before a bad page stays copied. A fault for which no frame is free is a bad pointer, too.
"""

from typing import Final

from incroos import lang
from incroos.kernel import pmm, vmm
from incroos.kernel.arch.pte import ADDRESS
from incroos.kernel.arch.x86 import FAULT_PRESENT, FAULT_USER, FAULT_WRITE
from incroos.kernel.codes import BAD_POINTER, OK, TOO_LONG
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import UserSpace, kernel_of
from incroos.kernel.vm.addresses import USER_END
from incroos.kernel.vm.fault import fault
from incroos.lang import (
    PhysAddr,
    VirtAddr,
    apart,
    cold,
    copy,
    count_trailing_zeros,
    fill,
    kernel,
    load8,
    shl_wrap,
    shr_logical,
    store8,
    sub_wrap,
    word,
)

LOWEST_BITS: Final = 0x0101_0101_0101_0101  # of each byte of a word
HIGHEST_BITS: Final = 0x8080_8080_8080_8080 - (1 << 64)
SEEN: Final = vmm.ACCESSED | vmm.DIRTY
READS: Final = vmm.PRESENT | vmm.USER | vmm.ACCESSED
WRITES: Final = READS | vmm.WRITABLE | vmm.DIRTY


# ------------------------------------------------------------------ one page
@kernel
def reach(user: UserSpace, va: word, needed: word) -> VirtAddr:
    """Where the kernel sees a user's byte, up to the end of its page; 0: the user may not. READS or WRITES."""
    if not 0 <= va < USER_END:
        return VirtAddr(0)
    entry = vmm.leaf_in(user.space, VirtAddr(va))
    if entry & needed != needed:
        entry = bring_in(user, VirtAddr(va), needed)
        if entry == 0:
            return VirtAddr(0)
    return pmm.address_of(kernel_of(user.space), PhysAddr(entry & ADDRESS | va & (PAGE_BYTES - 1)))


@cold
@kernel
def bring_in(user: UserSpace, va: VirtAddr, needed: word) -> word:
    """The entry of a page after the fault that the access makes, and after the processor has marked it; 0: refused."""
    rights = needed & ~SEEN
    entry = vmm.leaf_in(user.space, va)
    if entry & rights != rights:
        error = FAULT_USER | (FAULT_WRITE if needed & vmm.WRITABLE != 0 else 0)
        if fault(user, va, error | (FAULT_PRESENT if entry != 0 else 0)) != OK:
            return 0
    vmm.mark_in(user.space, va, needed & SEEN)
    return vmm.leaf_in(user.space, va)


@kernel
def rest_of_page(va: word, nbytes: word) -> word:
    """How many of so many bytes are in the page of the first."""
    return min(nbytes, PAGE_BYTES - (va & (PAGE_BYTES - 1)))


# ------------------------------------------------------------------ bytes
@kernel
def copy_in_some(user: UserSpace, to: VirtAddr, source: word, nbytes: word) -> word:
    """Copy a user's bytes to the kernel's memory, up to the first that cannot be read: how many."""
    done = 0
    while done < nbytes:
        at = reach(user, source + done, READS)
        if at == 0:
            return done
        part = rest_of_page(source + done, nbytes - done)
        copy(user.m, VirtAddr(to + done), at, part)
        done += part
    return done


@kernel
def copy_out_some(user: UserSpace, to: word, source: VirtAddr, nbytes: word) -> word:
    """Copy the kernel's bytes to a user's memory, up to the first that cannot be written: how many."""
    done = 0
    while done < nbytes:
        at = reach(user, to + done, WRITES)
        if at == 0:
            return done
        part = rest_of_page(to + done, nbytes - done)
        copy(user.m, at, VirtAddr(source + done), part)
        done += part
    return done


@kernel
def copy_in(user: UserSpace, to: VirtAddr, source: word, nbytes: word) -> word:
    """Copy so many of a user's bytes to the kernel's memory: OK or BAD_POINTER."""
    return OK if copy_in_some(user, to, source, nbytes) == nbytes else BAD_POINTER


@kernel
def copy_out(user: UserSpace, to: word, source: VirtAddr, nbytes: word) -> word:
    """Copy so many of the kernel's bytes to a user's memory: OK or BAD_POINTER."""
    return OK if copy_out_some(user, to, source, nbytes) == nbytes else BAD_POINTER


@kernel
def clear_out_some(user: UserSpace, to: word, nbytes: word) -> word:
    """Fill a user's bytes with zeros, up to the first that cannot be written: how many."""
    done = 0
    while done < nbytes:
        at = reach(user, to + done, WRITES)
        if at == 0:
            return done
        part = rest_of_page(to + done, nbytes - done)
        fill(user.m, at, 0, part)
        done += part
    return done


@kernel
def clear_out(user: UserSpace, to: word, nbytes: word) -> word:
    """Fill so many of a user's bytes with zeros: OK or BAD_POINTER."""
    return OK if clear_out_some(user, to, nbytes) == nbytes else BAD_POINTER


@kernel
def copy_text(user: UserSpace, to: VirtAddr, source: word, most: word) -> word:
    """Copy a user's text with the zero byte behind it, at most so many bytes with that: how long it is without it.

    BAD_POINTER; TOO_LONG where no zero byte is among them.
    """
    done = 0
    while done < most:
        at = reach(user, source + done, READS)
        if at == 0:
            return BAD_POINTER
        part = rest_of_page(source + done, most - done)
        length = length_in(user, at, part)
        copy(user.m, VirtAddr(to + done), at, min(length + 1, part))
        done += length
        if length < part:
            return done
    return TOO_LONG


@kernel
def text_length(user: UserSpace, source: word, most: word) -> word:
    """How long a user's text is, without the zero byte behind it: BAD_POINTER, TOO_LONG as copy_text."""
    done = 0
    while done < most:
        at = reach(user, source + done, READS)
        if at == 0:
            return BAD_POINTER
        part = rest_of_page(source + done, most - done)
        length = length_in(user, at, part)
        done += length
        if length < part:
            return done
    return TOO_LONG


@kernel
def length_in(user: UserSpace, at: VirtAddr, nbytes: word) -> word:
    """How many bytes of the kernel's memory lie before the first that is zero; all if none is."""
    index = 0
    while index + 8 <= nbytes:
        zeros = zero_bytes(lang.load64(user.m, VirtAddr(at + index)))
        if zeros != 0:
            return index + (count_trailing_zeros(zeros) >> 3)
        index += 8
    while index < nbytes and load8(user.m, VirtAddr(at + index)) != 0:
        index += 1
    return index


@kernel
def zero_bytes(value: word) -> word:
    """A word whose lowest bit that is set lies in the first byte of another that is zero. "Hacker's Delight", 6-1."""
    return sub_wrap(value, LOWEST_BITS) & ~value & HIGHEST_BITS


# ------------------------------------------------------------------ words
@kernel
def find_seen(user: UserSpace, va: word, nbytes: word, needed: word) -> VirtAddr:
    """Where the kernel sees so many of a user's bytes if they lie in one page, and access needs neither walk nor fault.

    0: it needs that, or the user may not.
    """
    if not 0 <= va < USER_END or va & (PAGE_BYTES - 1) > PAGE_BYTES - nbytes:
        return VirtAddr(0)
    entry = vmm.known_leaf_in(user.space, VirtAddr(va))
    if entry & needed != needed:
        return VirtAddr(0)
    return pmm.address_of(kernel_of(user.space), PhysAddr(entry & ADDRESS | va & (PAGE_BYTES - 1)))


@kernel
def load64(user: UserSpace, va: word) -> tuple[word, word]:
    """OK and a user's word; or BAD_POINTER, 0."""
    at = find_seen(user, va, 8, READS)
    if at == 0:
        return load_bytes(user, va)
    return OK, lang.load64(user.m, at)


@apart
@kernel
def load_bytes(user: UserSpace, va: word) -> tuple[word, word]:
    """The same, byte by byte: they may be in two pages, and not be there."""
    value = 0
    for index in range(7, -1, -1):
        at = reach(user, va + index, READS)
        if at == 0:
            return BAD_POINTER, 0
        value = shl_wrap(value, 8) | load8(user.m, at)
    return OK, value


@kernel
def load32(user: UserSpace, va: word) -> tuple[word, word]:
    """OK and four of a user's bytes, without a sign; or BAD_POINTER, 0. PRE va is a multiple of 4."""
    at = reach(user, va, READS)
    return OK if at != 0 else BAD_POINTER, lang.load32(user.m, at) if at != 0 else 0


@kernel
def store64(user: UserSpace, va: word, value: word) -> word:
    """Write a user's word: OK; or BAD_POINTER, and nothing is written."""
    at = find_seen(user, va, 8, WRITES)
    if at == 0:
        return store_bytes(user, va, value, 8)
    lang.store64(user.m, at, value)
    return OK


@kernel
def store32(user: UserSpace, va: word, value: word) -> word:
    """Write the low half of a word to a user's memory: OK; or BAD_POINTER, and nothing is written."""
    at = find_seen(user, va, 4, WRITES)
    if at == 0:
        return store_bytes(user, va, value, 4)
    lang.store32(user.m, at, value & 0xFFFF_FFFF)
    return OK


@apart
@kernel
def store_bytes(user: UserSpace, va: word, value: word, nbytes: word) -> word:
    """Write the lowest bytes of a word, up to 8, one by one, in two pages perhaps."""
    at = reach(user, va, WRITES)
    nr_here = rest_of_page(va, nbytes)
    behind = reach(user, va + nr_here, WRITES) if at != 0 and nr_here < nbytes else at
    if behind == 0:
        return BAD_POINTER
    for index in range(nbytes):
        to = at + index if index < nr_here else behind + index - nr_here
        store8(user.m, VirtAddr(to), shr_logical(value, 8 * index) & 0xFF)
    return OK
