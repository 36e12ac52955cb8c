"""Slabs and chunks against their twins at tiny sizes: both hand out the same addresses."""

from collections.abc import Iterator
from dataclasses import asdict

import pytest

from bench import objects, objects_page
from bench.executable import CannotBench
from bench.figures import Figure, as_json
from bench.objects import LEVELS, LIVES, LOADS, PATTERNS, Row


def quiet(sentence: str) -> None:
    """Progress is of no interest here."""


@pytest.fixture(scope='module')
def executable() -> Iterator[str]:
    """The loops of all sides, compiled once."""
    with objects.built(quiet) as path:
        yield path


@pytest.fixture(scope='module')
def figures(executable: str) -> list[Figure]:
    """Each row with up to 10,000 live blocks, once, with few operations."""
    wanted = [row for row in objects.rows() if row.live <= 10_000]
    return list(objects.measure(executable, wanted, sample_us=0, nr_samples=1, most=2000, say=quiet))


def test_each_row_has_a_figure(figures: list[Figure]) -> None:
    assert {figure.name for figure in figures} == {row.name for row in objects.rows() if row.live <= 10_000}
    assert all(figure.ours > 0 and (figure.twin or 0) > 0 for figure in figures)


def test_twins_give_equal_results(figures: list[Figure]) -> None:
    assert [figure.name for figure in figures if not figure.are_results_equal] == []


def test_rows_are_patterns_on_loads_and_numbers_of_live_blocks() -> None:
    names = [row.name for row in objects.rows()]
    assert len(set(names)) == len(names)
    for load in LOADS:
        for pattern in PATTERNS:
            found = {row.live for row in objects.rows() if (row.load, row.pattern) == (load, pattern)}
            assert found == {live for live in LIVES if live >= pattern.least_live}
    assert set(objects.HEADLINES) <= set(names)


def test_instructions_are_counted(executable: str) -> None:
    """The same call takes as many of them again, and a step at least what it takes to take and to give."""
    wanted = [row for row in objects.counted_rows() if row.live == LIVES[1]]
    counts = [list(objects.count_instructions(executable, wanted, 20, quiet)) for _ in range(2)]
    assert counts[0] == counts[1]
    assert [name for name, _, _ in counts[0]] == [row.name for row in wanted]
    assert all(20 < ours < 2000 and 20 < twin < 2000 for _, ours, twin in counts[0])


def test_each_level_of_hardening_has_a_price(executable: str) -> None:
    wanted = [row for row in objects.priced_rows() if row.pattern.name == 'pair']
    found = list(objects.measure_levels(executable, wanted, 0, 1, 200, quiet))
    assert [name for name, _, _ in found] == [row.name for row in wanted]
    for _, taken, ratios in found:
        assert list(taken) == list(LEVELS)
        assert ratios['off'] == 1
        assert ratios['full'] == pytest.approx(taken['full'] / taken['off'])


def test_single_calls_are_timed(executable: str) -> None:
    found = list(objects.measure_worst(executable, objects.worst_rows(), 2, 2000, quiet))
    assert [each.name for each in found] == [row.name for row in objects.worst_rows()]
    for each in found:
        assert each.median_take <= each.rare_take <= each.worst_take
        assert each.median_give <= each.rare_give <= each.worst_give


def test_the_page_shows_each_figure_in_its_place() -> None:
    rows = objects.rows()
    figures = [Figure(row.name, row.words, 'ns', float(index), 1.0, 1.25) for index, row in enumerate(rows, start=1)]
    counts = [{'name': row.name, 'ours': 50 + 5.0 * row.live / LIVES[1], 'twin': 2.0} for row in objects.counted_rows()]
    prices = {level: 1.0 + index for index, level in enumerate(LEVELS)}
    levels = [{'name': row.name, 'ns': prices, 'ratios': prices} for row in objects.priced_rows()]
    machine = dict.fromkeys(('processor', 'processors', 'load', 'python', 'llvm', 'gcc'), '')
    worst = [asdict(objects.Worst(row.name, 1, 2, 3, 4, 5, 6)) for row in objects.worst_rows()]
    content = {**as_json(figures, machine, []), 'instructions': counts, 'levels': levels, 'worst': worst}
    page = objects_page.section(content)
    at = [row.name for row in rows].index(Row(LOADS[1], objects.BY_NAME['churn'], LIVES[1]).name) + 1
    cells = ' | '.join(f'{at + column:.1f} (1.25)' for column in range(len(LIVES) - 1))
    _, _, table = page.partition(f'{LOADS[1].words}:\n')
    assert f'| {objects.BY_NAME["churn"].words} | – | {cells} |' in table.partition(':\n')[0]
    assert '| slab, pair | 1.0 (1.00) | 2.0 (2.00) | 3.0 (3.00) |' in page
    assert '| dlmalloc, kfree | 4 | 5 | 6 |' in page
    assert '| mix | 55 (2) | 50050 (2) |' in page
    assert 'in instructions 910.00 (pair)' in page


def test_a_figure_is_missing_where_the_executable_complains() -> None:
    with pytest.raises(CannotBench, match='ended with 1'):
        list(objects.run(['false']))
