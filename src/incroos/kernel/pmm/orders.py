"""Orders: which blocks a range of frames consists of. A block has 2**order frames and is aligned on its size."""

from incroos.lang import count_leading_zeros, count_trailing_zeros, kernel, word


@kernel
def largest_order(start: word, end: word, most: word) -> word:
    """The order of the largest block that begins at start and ends by end, start < end; no more than `most`."""
    return min(count_trailing_zeros(start | 1 << most), 63 - count_leading_zeros(end - start))


@kernel
def order_for(nr_frames: word) -> word:
    """The order of the smallest block that has so many frames; nr_frames is not 0."""
    return 64 - count_leading_zeros(nr_frames - 1)
