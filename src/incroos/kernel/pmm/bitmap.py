"""Bitmap allocator: up to 8,192 frames in a row, a bit each; hands out the lowest free one.

Unit: the frame, named by its physical address. Knows nothing of what a frame holds or is for; does not touch it.

    hint ─┐                    summary   0 0 1 1 1 0 1 ...   a bit for each word of `free`: is it not 0?
    free  0 0 f..f ...                   the search begins at the hint, and where that word is empty the
          └ all words before the hint    summary names the next one that is not: no word is scanned
            are 0: no frame is free there
"""

from incroos.kernel.codes import DOUBLE_FREE, FOREIGN, MISALIGNED, NO_FRAME, OK
from incroos.kernel.layout import PAGE_BYTES, PAGE_SHIFT
from incroos.kernel.state import BITMAP_WORDS, SUMMARY_WORDS, FrameBitmap, MemoryMap
from incroos.lang import PhysAddr, count_ones, count_trailing_zeros, kernel, shl_wrap, shr_logical, sub_wrap, word

# BITMAP-1  hint < BITMAP_WORDS, and each word of `free` before the hint is 0
# BITMAP-2  each free frame is managed
# BITMAP-3  a bit of the summary is set exactly where the word of `free` is not 0
# BITMAP-4  nr_total_frames == managed bits, nr_free_frames == free bits


@kernel
def init(bitmap: FrameBitmap, start: PhysAddr) -> None:
    """Make a bitmap without frames for addresses from start on."""
    bitmap.start = start
    bitmap.hint = 0
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
        if first < behind:
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
        at += nr_frames


@kernel
def take(bitmap: FrameBitmap) -> PhysAddr:
    """The lowest free frame, as it was left by whoever freed it; NO_FRAME."""
    index = bitmap.hint
    bits = bitmap.free[index]
    if bits == 0:
        index = find_word(bitmap)
        if index < 0:
            return PhysAddr(NO_FRAME)
        bitmap.hint = index
        bits = bitmap.free[index]
    rest = bits & sub_wrap(bits, 1)  # without its lowest bit
    bitmap.free[index] = rest
    if rest == 0:
        clear_summary(bitmap, index)
    bitmap.nr_free_frames -= 1
    return PhysAddr(bitmap.start + (((index << 6) + count_trailing_zeros(bits)) << PAGE_SHIFT))


@kernel
def find_word(bitmap: FrameBitmap) -> word:
    """The first word of `free` that is not 0; NO_FRAME."""
    for group in range(SUMMARY_WORDS):
        bits = bitmap.summary[group]
        if bits != 0:
            return (group << 6) + count_trailing_zeros(bits)
    return NO_FRAME


@kernel
def check_free(bitmap: FrameBitmap, pa: PhysAddr) -> word:
    """OK if pa is a frame of the bitmap that is handed out, so that `put` may have it back.

    MISALIGNED when pa is no frame, FOREIGN when the bitmap does not manage it, DOUBLE_FREE when it is free.
    """
    if pa & (PAGE_BYTES - 1) != 0:
        return MISALIGNED
    bit = (pa - bitmap.start) >> PAGE_SHIFT if pa >= bitmap.start else -1
    if bit < 0 or bit >= BITMAP_WORDS * 64:
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
    bit = (pa - bitmap.start) >> PAGE_SHIFT
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
    if not 0 <= bitmap.hint < BITMAP_WORDS:
        return 1
    nr_total_frames = 0
    nr_free_frames = 0
    for index in range(BITMAP_WORDS):
        free = bitmap.free[index]
        if index < bitmap.hint and free != 0:
            return 1
        if free & ~bitmap.managed[index] != 0:
            return 2
        if (shr_logical(bitmap.summary[index >> 6], index & 63) & 1 != 0) != (free != 0):
            return 3
        nr_total_frames += count_ones(bitmap.managed[index])
        nr_free_frames += count_ones(free)
    if nr_total_frames != bitmap.nr_total_frames or nr_free_frames != bitmap.nr_free_frames:
        return 4
    return OK
