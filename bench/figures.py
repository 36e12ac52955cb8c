"""What a benchmark gives: figures, what is required of them, and how they are written down."""

import math
import statistics
from dataclasses import dataclass
from typing import Any, Final

ROW_LIMIT: Final = 1.3  # no row takes more than this many times its twin's time
MEAN_LIMIT: Final = 1.15  # nor the geometric mean of all rows more than this


@dataclass(frozen=True)
class Figure:
    """One row: the median of ours, and beside it the twin's and the median of the ratios of runs side by side."""

    name: str
    pattern: str
    unit: str  # 'ns' an operation, 's' a process
    ours: float
    twin: float | None = None
    ratio: float | None = None
    at_most: float | None = None
    ambition: float | None = None
    are_results_equal: bool = True

    @property
    def is_met(self) -> bool | None:
        """Whether all that is required of it holds; None where nothing is."""
        limits = [(self.ours, self.at_most), (self.ratio, ROW_LIMIT)]
        required = [value <= limit for value, limit in limits if value is not None and limit is not None]
        return all(required) and self.are_results_equal if required else None

    @property
    def is_ambition_met(self) -> bool:
        """Whether what was hoped for holds: the named figure, or to be no slower than the twin."""
        if self.ambition is not None and self.ours > self.ambition:
            return False
        return self.ratio is None or self.ratio <= 1

    def required(self) -> str:
        """What is required, in words."""
        parts = []
        if self.at_most is not None:
            parts.append(f'{self.at_most:g} {self.unit}')
        if self.ratio is not None:
            parts.append(f'{ROW_LIMIT:g} x')
        return ', '.join(parts)


def against_twin(name: str, samples: list[float], equal: bool, **words: Any) -> Figure:
    """The figure of runs in turn: ours, twin's, ours, ..."""
    ours, twin = samples[0::2], samples[1::2]
    return Figure(
        name=name,
        unit='ns',
        ours=statistics.median(ours),
        twin=statistics.median(twin),
        ratio=statistics.median(a / b for a, b in zip(ours, twin, strict=True)),
        are_results_equal=equal,
        **words,
    )


def geometric_mean(figures: list[Figure]) -> float | None:
    """Of the ratios; None where there is none."""
    ratios = [figure.ratio for figure in figures if figure.ratio is not None]
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None


def as_json(figures: list[Figure], machine: dict[str, Any], missing: list[str]) -> dict[str, Any]:
    """All of it, for machines."""
    mean = geometric_mean(figures)
    rows = [
        {
            'name': figure.name,
            'pattern': figure.pattern,
            'unit': figure.unit,
            'ours': figure.ours,
            'twin': figure.twin,
            'ratio': figure.ratio,
            'at_most': figure.at_most,
            'ambition': figure.ambition,
            'are_results_equal': figure.are_results_equal,
            'is_met': figure.is_met,
            'is_ambition_met': figure.is_ambition_met,
        }
        for figure in figures
    ]
    return {
        'machine': machine,
        'rows': rows,
        'missing': missing,
        'geometric_mean': mean,
        'is_mean_met': None if mean is None else mean <= MEAN_LIMIT,
    }
