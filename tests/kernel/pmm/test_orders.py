"""Orders: which blocks a range of frames consists of, by trying them all."""

import pytest

from incroos.kernel.pmm.orders import largest_order, order_for

from .blocks_lab import MAX_ORDER


def test_the_smallest_block_that_is_large_enough() -> None:
    for nr_frames in (*range(1, 1030), (1 << 18) - 1, 1 << 18, (1 << 18) + 1, (1 << 62) + 1):
        order = order_for(nr_frames)
        assert 1 << order >= nr_frames
        assert order == 0 or 1 << order - 1 < nr_frames


@pytest.mark.parametrize('start', [0, 1, 6, 64, 0x1FF, 0x200, 0x300, 5 << 18, 1 << 30])
def test_the_largest_block_that_fits(start: int) -> None:
    for nr_frames in (1, 2, 3, 63, 64, 65, 1000, 1 << 18, 1 << 20):
        fitting = (order for order in range(MAX_ORDER + 1) if start % (1 << order) == 0 and 1 << order <= nr_frames)
        assert largest_order(start, start + nr_frames, MAX_ORDER) == max(fitting)
