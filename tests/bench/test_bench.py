"""The harness at tiny sizes: each twin does what the kernel does, and a figure is what was measured."""

import re

import pytest

from bench import objects, readme, twins
from bench.blocks import HEADLINES
from bench.cases import CASES
from bench.executable import exported
from bench.figures import Figure, against_twin, as_json, geometric_mean
from bench.processes import PROCESSES

from ..cli.command import ROOT


@pytest.fixture(scope='module')
def figures() -> list[Figure]:
    """Each case, once, with some thousand operations: of fewer, reading the clock may take more than they."""
    return list(twins.measure(list(CASES), sample_us=0, nr_samples=1, most=10_000, say=lambda sentence: None))


def test_each_case_has_a_figure(figures: list[Figure]) -> None:
    assert [figure.name for figure in figures] == [case.name for case in CASES]


def test_figures_are_positive(figures: list[Figure]) -> None:
    for figure in figures:
        assert figure.ours > 0
        assert figure.twin is not None
        assert figure.twin > 0


def test_twins_give_equal_results(figures: list[Figure]) -> None:
    assert [figure.name for figure in figures if not figure.are_results_equal] == []


def test_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    for case in CASES:
        assert all(symbol.startswith('ours_') for symbol in exported(case.steps()))


def test_a_ratio_is_the_median_of_pairs() -> None:
    figure = against_twin('x', [1.0, 2.0, 9.0, 3.0, 4.0, 4.0], equal=True, pattern='')
    assert (figure.ours, figure.twin, figure.ratio) == (4.0, 3.0, 1.0)


@pytest.mark.parametrize(
    ('figure', 'is_met', 'is_ambition_met'),
    [
        (Figure('a', '', 'ns', 2.9, 3.0, 0.97, at_most=3.0), True, True),
        (Figure('a', '', 'ns', 3.1, 3.2, 0.97, at_most=3.0), False, True),
        (Figure('a', '', 'ns', 2.0, 1.5, 1.33, at_most=3.0), False, False),
        (Figure('a', '', 'ns', 2.0, 1.6, 1.25), True, False),
        (Figure('a', '', 'ns', 2.0, 2.0, 1.0, are_results_equal=False), False, True),
        (Figure('a', '', 's', 4.0, at_most=10.0, ambition=3.0), True, False),
        (Figure('a', '', 's', 2.0), None, True),
    ],
)
def test_what_is_required(figure: Figure, is_met: bool | None, is_ambition_met: bool) -> None:
    assert (figure.is_met, figure.is_ambition_met) == (is_met, is_ambition_met)


def test_the_mean_of_ratios() -> None:
    rows = [Figure('a', '', 'ns', 1, 1, 0.5), Figure('b', '', 'ns', 1, 1, 2.0), Figure('c', '', 's', 1)]
    assert geometric_mean(rows) == pytest.approx(1.0)
    assert as_json(rows, {}, [])['is_mean_met'] is True
    assert geometric_mean(rows[2:]) is None


def test_the_readme_names_the_row_that_a_limit_is_for() -> None:
    rows = [
        Figure('load-hit', 'independent', 'ns', 1.5, 1.5, 1.0, at_most=4.0),
        Figure('load-chain', 'chained', 'ns', 4.5, 4.5, 1.0),
    ]
    machine = dict.fromkeys(('processor', 'processors', 'load', 'python', 'llvm', 'gcc'), '')
    table = readme.section(as_json(rows, machine, []))
    assert '| independent | 1.50 ns | 4 ns | 1.50 ns | 1.00 |' in table
    assert '| chained | 4.50 ns |  | 4.50 ns | 1.00 |' in table


def test_limits_in_the_readme_are_those_of_the_bench() -> None:
    limits = {row.pattern: row.at_most for row in (*CASES, *HEADLINES, *PROCESSES)}
    limits |= {row.words: None for row in objects.rows()}
    table = (ROOT / 'README.md').read_text().partition(readme.START)[2].partition(readme.END)[0]
    told = re.findall(r'(?m)^\| ([^|]+) \| [^|]+ \| ([^|]*) \|', table)[1:]
    assert len(told) > len(PROCESSES)
    for pattern, required in told:
        assert (float(required.split()[0]) if required.strip() else None) == limits[pattern], pattern
