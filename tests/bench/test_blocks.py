"""Frames of all of RAM against their twins at tiny sizes: both hand out the same blocks."""

from collections.abc import Iterator

import pytest

from bench import blocks, frames_page
from bench.blocks import FILLS, HEADLINES, NO_ORDER, SIZES, Row
from bench.figures import Figure, as_json

SIZE = '32M'


def quiet(sentence: str) -> None:
    """Progress is of no interest here."""


@pytest.fixture(scope='module')
def executable() -> Iterator[str]:
    """The loops of both sides, compiled once."""
    with blocks.built(quiet) as path:
        yield path


@pytest.fixture(scope='module')
def figures(executable: str) -> list[Figure]:
    """Each row of the smallest size, once, with few operations."""
    wanted = [row for row in blocks.rows() if row.size == SIZE]
    return list(blocks.measure(executable, wanted, sample_us=0, nr_samples=1, most=2000, say=quiet))


def test_each_row_has_a_figure_but_those_for_which_too_little_is_free(figures: list[Figure]) -> None:
    missing = {row.name for row in blocks.rows() if row.size == SIZE} - {figure.name for figure in figures}
    assert missing == {f'{allocator}-huge-churn-{SIZE}-99' for allocator in blocks.ALLOCATORS}


def test_twins_give_equal_results(figures: list[Figure]) -> None:
    assert [figure.name for figure in figures if not figure.are_results_equal] == []


def test_twins_give_equal_results_over_all_zones(executable: str) -> None:
    """With 16 GiB the zones below 1 MiB, below 4 GiB and above are in use, once half of memory is."""
    wanted = [row for row in blocks.rows() if (row.size, row.fill) == ('16G', 50) and row.pattern.order == 9]
    found = list(blocks.measure(executable, wanted, sample_us=0, nr_samples=1, most=0, say=quiet))
    assert len(found) == len(wanted)
    assert all(figure.are_results_equal for figure in found)


def test_rows_are_patterns_on_allocators_sizes_and_fills() -> None:
    rows = blocks.rows()
    assert len({row.name for row in rows}) == len(rows)
    for pattern in blocks.PATTERNS:
        found = {(row.allocator, row.size, row.fill) for row in rows if row.pattern == pattern}
        fills = FILLS if pattern.order != NO_ORDER else (0,)
        assert found == {(name, size, fill) for name in blocks.ALLOCATORS for size in SIZES for fill in fills}
    assert {headline.row for headline in HEADLINES} <= set(rows)


def test_fragmentation_is_measured_for_each_allocator(executable: str) -> None:
    shares = list(blocks.measure_fragmentation(executable, ['32M'], quiet))
    assert [name for name, _, _ in shares] == [
        f'{allocator}-{kind}-32M' for allocator in blocks.ALLOCATORS for kind in blocks.FRAGMENTATIONS
    ]
    assert all(0 <= share <= 100 and nanoseconds > 0 for _, share, nanoseconds in shares)


def test_each_way_to_a_zeroed_frame_is_measured(executable: str) -> None:
    figures = list(blocks.measure_zeroing(executable, 1, 1, quiet))
    assert [figure.name for figure in figures] == [each.name for each in blocks.ZEROINGS]
    assert all(figure.are_results_equal and figure.ours > 0 for figure in figures)


def test_the_page_shows_each_figure_in_its_place() -> None:
    rows = blocks.rows()
    figures = [
        Figure(row.name, row.pattern.words, 'ns', float(index), 1.0, 1.5) for index, row in enumerate(rows, start=1)
    ]
    figures += [Figure(each.name, '', 'ns', 0.1 * index, 1.0, 0.5) for index, each in enumerate(blocks.ZEROINGS)]
    machine = dict.fromkeys(('processor', 'processors', 'load', 'python', 'llvm', 'gcc'), '')
    shares = [{'name': 'tree-random-pairs-1G', 'per_cent': 99.5, 'ns': 1.0}]
    page = frames_page.section({**as_json(figures, machine, []), 'fragmentation': shares})
    at = [row.name for row in rows].index(Row('buddy', blocks.BY_NAME['frame-bulk'], '1G', 0).name) + 1
    cells = ' | '.join(f'{at + column:.1f} (1.50)' for column in range(len(FILLS)))
    _, _, table = page.partition(f'{blocks.BY_NAME["frame-bulk"].words}:\n')
    assert f'| buddy, 1 GiB | {cells} |' in table.partition(':\n')[0]
    assert f'| {frames_page.KINDS["random-pairs"]} | tree, 1 GiB | 99.5 |' in page
    assert f'| {frames_page.TAKEN["zero-ahead-warm"]} | 0.2 (0.50) | 0.3 (0.50) |' in page
    assert 'the highest ratio 1.50' in page


def test_a_figure_for_which_too_little_is_free_is_left_open() -> None:
    assert frames_page.cell(None) == frames_page.NO_FIGURE
