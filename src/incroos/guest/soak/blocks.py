"""Blocks of the heap under random use: each filled with a pattern of its own, wholly, and read again before it changes.

    BlockSoak   state of the generator, counts | block 0 | block 1 | ...        a block of the heap, too

An operation picks a block. What is empty is allocated, in one of five ways; what is not is read, and then given back,
reallocated, kept, or given back wrongly. Two blocks that overlapped, or a heap that wrote into what it handed out,
would be found by the pattern, which differs from word to word and from block to block.

Unit: the operation. Knows nothing of the heap's design; what a design has not (first fit has no alignment) is refused.
"""

from typing import Annotated, Final

from incroos.guest.soak.generator import Generator, draw
from incroos.guest.soak.operations import count_frames
from incroos.guest.soak.slots import (
    FRAMES_BROKEN,
    HEAP_BROKEN,
    LOST,
    NOT_ZEROED,
    PAGES_BROKEN,
    VMALLOC_BROKEN,
    WRONG_ANSWER,
    WRONG_COUNT,
)
from incroos.kernel import heap, pmm, vmm
from incroos.kernel.codes import BAD_FREE, OK
from incroos.kernel.config import FULL, NO_HARDENING
from incroos.kernel.state import Kernel
from incroos.lang import (
    Array,
    Struct,
    VirtAddr,
    add_wrap,
    i64,
    kernel,
    load8,
    load64,
    mul_wrap,
    shr_logical,
    store8,
    store64,
    u64,
    word,
)

NR_BLOCKS: Final = 1024
STEP: Final = -0x61C8_8646_80B5_83EB  # from one word of a pattern to the next: 2**64 by the golden ratio
MAX_SHIFT: Final = 12  # of an alignment
LARGEST_BYTES: Final = 3 << 20


class Block(Struct):
    """What was handed out; at address 0 nothing was."""

    ptr: VirtAddr
    nbytes: u64
    alignment: u64
    pattern: i64  # its first word


class BlockSoak(Struct):
    """See the head of this file."""

    generator: Generator
    nr_operations: u64
    nr_refused: u64  # requests that got nothing
    nr_wrong: u64  # wrong pointers that were given back
    balance: i64  # count_frames at the start
    used_bytes: u64  # of the heap, at the start
    blocks: Annotated[Array[Block], NR_BLOCKS]


@kernel
def begin(k: Kernel, seed: word) -> VirtAddr:
    """The address of a new BlockSoak; 0 where the heap has no room for it."""
    used_bytes = heap.used_bytes(k)
    balance = count_frames(k)
    soak = BlockSoak(k.m, heap.kzalloc(k, BlockSoak.SIZE))
    if soak.addr != 0:
        soak.generator.state = seed
        soak.balance = balance
        soak.used_bytes = used_bytes
    return soak.addr


@kernel
def run(k: Kernel, soak: BlockSoak, nr_operations: word) -> word:
    """So many operations; 0, or what is wrong with the last one: soak.nr_operations is its number."""
    for _ in range(nr_operations):
        soak.nr_operations += 1
        refuse = k.config.fault_injection != 0 and draw(soak.generator, 8) == 0
        if refuse:
            k.frames.requests = 0
            k.frames.refuse_at = 1 + draw(soak.generator, 4)
        fault = operate(k, soak, soak.blocks[draw(soak.generator, NR_BLOCKS)])
        if refuse:
            k.frames.refuse_at = 0
        if fault != OK:
            return fault
    return OK


@kernel
def check(k: Kernel, soak: BlockSoak) -> word:
    """Whether each block has its pattern, each part its invariants, and no frame is lost: 0, or what is wrong."""
    for index in range(NR_BLOCKS):
        if not has_pattern(k, soak.blocks[index]):
            return LOST
    if heap.check(k) != OK:
        return HEAP_BROKEN
    if pmm.check(k) != OK:
        return FRAMES_BROKEN
    if vmm.check(k) != OK:
        return PAGES_BROKEN
    if vmm.check_vmalloc(k) != OK:
        return VMALLOC_BROKEN
    return OK if count_frames(k) == soak.balance else WRONG_COUNT


@kernel
def finish(k: Kernel, soak: BlockSoak) -> word:
    """Give everything back, and then the BlockSoak itself: 0, or what is wrong."""
    for index in range(NR_BLOCKS):
        block = soak.blocks[index]
        if not has_pattern(k, block):
            return LOST
        if block.ptr != 0 and give(k, soak, block) != OK:
            return WRONG_ANSWER
    fault = check(k, soak)
    used_bytes = soak.used_bytes
    balance = soak.balance
    if fault == OK and heap.kfree(k, soak.addr) != OK:
        fault = WRONG_ANSWER
    heap.shrink(k)
    if fault == OK and (heap.used_bytes(k) != used_bytes or count_frames(k) != balance):
        fault = WRONG_COUNT
    return fault


# ------------------------------------------------------------------ random numbers
@kernel
def draw_bytes(soak: BlockSoak) -> word:
    """A size from 1 byte to some MiB, mostly small."""
    what = draw(soak.generator, 2048)
    if what == 0:
        return 1 + draw(soak.generator, LARGEST_BYTES)
    if what < 40:
        return 1 + draw(soak.generator, 70_000)
    if what < 300:
        return 1 + draw(soak.generator, 9000)
    if what < 1000:
        return 1 + draw(soak.generator, 1100)
    return 1 + draw(soak.generator, 80)


# ------------------------------------------------------------------ one operation
@kernel
def operate(k: Kernel, soak: BlockSoak, block: Block) -> word:
    """Allocate a block, or do something to it: 0, or what is wrong."""
    if block.ptr == 0:
        return take(k, soak, block)
    if not has_pattern(k, block):
        return LOST
    what = draw(soak.generator, 8)
    if what < 4:
        return give(k, soak, block)
    if what < 6:
        return reallocate(k, soak, block)
    return give_wrongly(k, soak, block) if what == 6 else OK


@kernel
def take(k: Kernel, soak: BlockSoak, block: Block) -> word:
    """Allocate it in one of the ways that there are."""
    nbytes = draw_bytes(soak)
    what = draw(soak.generator, 8)
    alignment = 1
    if what == 0:
        ptr = heap.kzalloc(k, nbytes)
    elif what == 1:
        nbytes = nbytes // 12 * 12 + 12
        ptr = heap.kcalloc(k, nbytes // 12, 12)
    elif what == 2:
        alignment = 1 << draw(soak.generator, MAX_SHIFT + 1)
        ptr = heap.kmemalign(k, alignment, nbytes)
    elif what == 3:
        ptr = heap.krealloc(k, VirtAddr(0), nbytes)
    else:
        ptr = heap.kmalloc(k, nbytes)
    if ptr == 0:
        soak.nr_refused += 1
        return OK
    if what < 2 and not is_zeroed(k, ptr, nbytes):
        return NOT_ZEROED
    return keep(k, soak, block, ptr, nbytes, alignment)


@kernel
def keep(k: Kernel, soak: BlockSoak, block: Block, ptr: VirtAddr, nbytes: word, alignment: word) -> word:
    """Remember what was handed out, and fill it."""
    if ptr & (max(alignment, 16) - 1) != 0 or heap.kmalloc_usable_size(k, ptr) < nbytes:
        return WRONG_ANSWER
    block.ptr = ptr
    block.nbytes = nbytes
    block.alignment = alignment
    block.pattern = mul_wrap(soak.generator.state, STEP)
    write_pattern(k, block)
    return OK


@kernel
def give(k: Kernel, soak: BlockSoak, block: Block) -> word:
    """Give it back; at times once more, which is refused."""
    ptr = block.ptr
    block.ptr = VirtAddr(0)
    if heap.kfree(k, ptr) != OK:
        return WRONG_ANSWER
    if draw(soak.generator, 4) == 0 and k.config.hardening != FULL:
        soak.nr_wrong += 1
        return OK if heap.kfree(k, ptr) == BAD_FREE else WRONG_ANSWER
    return OK


@kernel
def reallocate(k: Kernel, soak: BlockSoak, block: Block) -> word:
    """Let it have another size: what fits of the content is there, or nothing has changed."""
    nbytes = draw_bytes(soak)
    if draw(soak.generator, 2) == 0:
        nbytes = 1 + block.nbytes + (block.nbytes >> 2)
    ptr = heap.krealloc(k, block.ptr, nbytes)
    if ptr == 0:
        soak.nr_refused += 1
        return OK if has_pattern(k, block) else LOST
    block.ptr = ptr
    block.nbytes = min(block.nbytes, nbytes)
    if not has_pattern(k, block):
        return LOST
    return keep(k, soak, block, ptr, nbytes, block.alignment)


@kernel
def give_wrongly(k: Kernel, soak: BlockSoak, block: Block) -> word:
    """Give back pointers that nobody got; in FULL that would be a panic."""
    if k.config.hardening == FULL:
        return OK
    soak.nr_wrong += 1
    ptr = block.ptr
    if heap.kfree(k, VirtAddr(ptr + 1 + draw(soak.generator, 15))) != BAD_FREE or heap.kfree(k, VirtAddr(0)) != OK:
        return WRONG_ANSWER
    inside = VirtAddr(ptr + 16 * (1 + draw(soak.generator, max(block.nbytes >> 4, 1))))
    if k.config.hardening != NO_HARDENING and inside < ptr + block.nbytes and heap.kfree(k, inside) != BAD_FREE:
        return WRONG_ANSWER
    if heap.kmalloc_usable_size(k, VirtAddr(ptr + 8)) != 0 or heap.krealloc(k, VirtAddr(ptr + 8), 40) != 0:
        return WRONG_ANSWER
    far = VirtAddr(ptr ^ 1 << 40 + draw(soak.generator, 22))
    return OK if heap.kfree(k, far) == BAD_FREE and has_pattern(k, block) else WRONG_ANSWER


# ------------------------------------------------------------------ patterns
@kernel
def write_pattern(k: Kernel, block: Block) -> None:
    """Fill it to its last byte."""
    value = block.pattern
    end = block.ptr + block.nbytes
    for at in range(block.ptr, end - 7, 8):
        store64(k.m, VirtAddr(at), value)
        value = add_wrap(value, STEP)
    for at in range(end - (block.nbytes & 7), end):
        store8(k.m, VirtAddr(at), value & 0xFF)
        value = shr_logical(value, 8)


@kernel
def has_pattern(k: Kernel, block: Block) -> bool:
    """Whether each byte of it is what was written; of nothing, always."""
    if block.ptr == 0:
        return True
    value = block.pattern
    end = block.ptr + block.nbytes
    for at in range(block.ptr, end - 7, 8):
        if load64(k.m, VirtAddr(at)) != value:
            return False
        value = add_wrap(value, STEP)
    for at in range(end - (block.nbytes & 7), end):
        if load8(k.m, VirtAddr(at)) != value & 0xFF:
            return False
        value = shr_logical(value, 8)
    return True


@kernel
def is_zeroed(k: Kernel, ptr: VirtAddr, nbytes: word) -> bool:
    """Whether all bytes are 0."""
    for at in range(ptr, ptr + nbytes):
        if load8(k.m, VirtAddr(at)) != 0:
            return False
    return True
