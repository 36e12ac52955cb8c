"""Bitmap allocator: up to 8,192 frames in a row, a bit each; hands out the lowest free one.

Unit: the frame, named by its physical address. Knows nothing of what a frame holds or is for; does not touch it.

    hint ──┐                 the first word of `free` that is not 0: where the next frame comes from
    free   0 0 5 f f 0 f ...
    summary    a bit for each word of `free`: is it not 0? When the word at the hint is used up, the summary names the
               next one, so nothing is scanned, from the start or otherwise
"""

from incroos.kernel.codes import DOUBLE_FREE, FOREIGN, MISALIGNED, NO_FRAME, OK
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.pmm.memory_kinds import RAM
from incroos.kernel.state import BITMAP_WORDS, SUMMARY_WORDS, FrameBitmap, MemoryMap
from incroos.lang import PhysAddr, count_ones, count_trailing_zeros, kernel, shl_wrap, shr_logical, sub_wrap, word

# BITMAP-1  hint is the first word of `free` that is not 0; the last word when no frame is free
# BITMAP-2  each free frame is managed
# BITMAP-3  a bit of the summary is set exactly where the word of `free` is not 0
# BITMAP-4  nr_total_frames == managed bits, nr_free_frames == free bits


@kernel
def init(bitmap: FrameBitmap, start: PhysAddr) -> None:
    """Make a bitmap without frames for addresses from start on."""
    bitmap.start = start
    bitmap.hint = BITMAP_WORDS - 1
    bitmap.nr_total_frames = 0
    bitmap.nr_free_frames = 0
    for index in range(BITMAP_WORDS):
        bitmap.managed[index] = 0
        bitmap.free[index] = 0
    for index in range(SUMMARY_WORDS):
        bitmap.summary[index] = 0


@kernel
def add_ram(bitmap: FrameBitmap, regions: MemoryMap, end: PhysAddr) -> None:
    """Manage, and call free, each frame from the bitmap's start to end that is RAM. Only after init."""
    for index in range(regions.nr_regions):
        region = regions.regions[index]
        first = max(region.start, bitmap.start) - bitmap.start
        behind = min(region.end, end) - bitmap.start
        if region.kind == RAM and first < behind:
            add_frames(bitmap, first >> PAGE_SHIFT, behind >> PAGE_SHIFT)


@kernel
def add_frames(bitmap: FrameBitmap, first: word, behind: word) -> None:
    """Manage, and call free, the frames of the bits [first, behind)."""
    at = first
    while at < behind:
        index = at >> 6
        nr_frames = min(behind, (index + 1) * 64) - at
        bits = shl_wrap(shr_logical(-1, 64 - nr_frames), at & 63)
        bitmap.managed[index] = bitmap.managed[index] | bits
        bitmap.free[index] = bitmap.free[index] | bits
        set_summary(bitmap, index)
        bitmap.nr_total_frames += nr_frames
        bitmap.nr_free_frames += nr_frames
        bitmap.hint = min(bitmap.hint, index)
        at += nr_frames


@kernel
def take(bitmap: FrameBitmap) -> PhysAddr:
    """The lowest free frame, as it was left by whoever freed it; NO_FRAME."""
    index = bitmap.hint
    bits = bitmap.free[index]
    if bits == 0:
        return PhysAddr(NO_FRAME)
    bitmap.nr_free_frames -= 1
    rest = bits & sub_wrap(bits, 1)  # without its lowest bit
    bitmap.free[index] = rest
    if rest == 0:
        clear_summary(bitmap, index)
        bitmap.hint = find_word(bitmap)
    return PhysAddr(bitmap.start + (((index << 6) + count_trailing_zeros(bits)) << PAGE_SHIFT))


@kernel
def find_word(bitmap: FrameBitmap) -> word:
    """The first word of `free` that is not 0; the last word when all are."""
    for group in range(SUMMARY_WORDS):
        bits = bitmap.summary[group]
        if bits != 0:
            return (group << 6) + count_trailing_zeros(bits)
    return BITMAP_WORDS - 1


@kernel
def bit_of(bitmap: FrameBitmap, pa: PhysAddr) -> word:
    """Which bit is the frame's; more than there are for what lies before the first frame or behind the last."""
    return shr_logical(sub_wrap(pa, bitmap.start), PAGE_SHIFT)


@kernel
def check_free(bitmap: FrameBitmap, pa: PhysAddr) -> word:
    """OK if pa is a frame of the bitmap that is handed out, so that `put` may have it back.

    MISALIGNED when pa is no frame, FOREIGN when the bitmap does not manage it, DOUBLE_FREE when it is free.
    """
    if pa & (PAGE_BYTES - 1) != 0:
        return MISALIGNED
    bit = bit_of(bitmap, pa)
    if bit >= BITMAP_WORDS * 64:
        return FOREIGN
    mask = shl_wrap(1, bit & 63)
    if bitmap.managed[bit >> 6] & mask == 0:
        return FOREIGN
    if bitmap.free[bit >> 6] & mask != 0:
        return DOUBLE_FREE
    return OK


@kernel
def put(bitmap: FrameBitmap, pa: PhysAddr) -> None:
    """Take back a frame for which check_free says OK."""
    bit = bit_of(bitmap, pa)
    index = bit >> 6
    bitmap.free[index] = bitmap.free[index] | shl_wrap(1, bit & 63)
    set_summary(bitmap, index)
    bitmap.nr_free_frames += 1
    bitmap.hint = min(bitmap.hint, index)


@kernel
def set_summary(bitmap: FrameBitmap, index: word) -> None:
    """Note that the word of `free` at index is not 0."""
    bitmap.summary[index >> 6] = bitmap.summary[index >> 6] | shl_wrap(1, index & 63)


@kernel
def clear_summary(bitmap: FrameBitmap, index: word) -> None:
    """Note that the word of `free` at index is 0."""
    bitmap.summary[index >> 6] = bitmap.summary[index >> 6] & ~shl_wrap(1, index & 63)


@kernel
def check(bitmap: FrameBitmap) -> word:
    """0, or the number of the first BITMAP invariant that does not hold."""
    nr_total_frames = 0
    nr_free_frames = 0
    first_word = BITMAP_WORDS - 1
    for index in range(BITMAP_WORDS):
        free = bitmap.free[index]
        if free != 0:
            first_word = min(first_word, index)
        if free & ~bitmap.managed[index] != 0:
            return 2
        if (shr_logical(bitmap.summary[index >> 6], index & 63) & 1 != 0) != (free != 0):
            return 3
        nr_total_frames += count_ones(bitmap.managed[index])
        nr_free_frames += count_ones(free)
    if nr_total_frames != bitmap.nr_total_frames or nr_free_frames != bitmap.nr_free_frames:
        return 4
    return OK if bitmap.hint == first_word else 1
