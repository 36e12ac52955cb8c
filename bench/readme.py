"""`python -m bench.readme`: puts the figures of the last runs into the README and pages in docs/, between two markers.

Those of `make bench` go into the README, those of `make bench ARGS=blocks` into docs/frames.md, those of `make bench
ARGS=objects` into docs/heap-figures.md, those of `make bench ARGS=heap` into docs/heap.md, those of `make bench
ARGS=ring3` into docs/ring3-figures.md, and some of them into the README.
"""

import json
from pathlib import Path
from typing import Any, Final

from bench import frames_page, heap_page, objects_page, ring3_page
from incroos.build.whole_file import write_whole

RESULT: Final = Path('build/bench.json')
README: Final = Path('README.md')
START: Final = '<!-- figures of the last make bench: python -m bench.readme -->\n'
END: Final = '<!-- end of the figures -->\n'
SHORT_START: Final = '<!-- figures of the last make bench ARGS=ring3: python -m bench.readme -->\n'


def section(bench: dict[str, Any]) -> str:
    """The table, and on what it was measured."""
    machine = bench['machine']
    lines = ['| what | ours | required | twin in C | ratio |', '|---|---|---|---|---|']
    for row in bench['rows']:
        digits = 2 if row['ours'] >= 0.1 else 5
        ours = f'{row["ours"]:.{digits}f} {row["unit"]}'
        required = '' if row['at_most'] is None else f'{row["at_most"]:g} {row["unit"]}'
        twin = '' if row['twin'] is None else f'{row["twin"]:.{digits}f} {row["unit"]}'
        ratio = '' if row['ratio'] is None else f'{row["ratio"]:.2f}'
        lines.append(f'| {row["pattern"]} | {ours} | {required} | {twin} | {ratio} |')
    mean = bench['geometric_mean']
    measured = [
        '',
        f'Measured on {machine["processor"]} with {machine["processors"]} processors and a load of {machine["load"]},',
        f'Python {machine["python"]}, LLVM {machine["llvm"]}; the twins by {machine["gcc"]}.',
        *([f'The geometric mean of the ratios is {mean:.2f}.'] if mean is not None else []),
    ]
    return '\n'.join([*lines, *measured]) + '\n'


def put(document: Path, content: str, start: str = START) -> None:
    """Replace what stands between the markers."""
    before, _, rest = document.read_text().partition(start)
    _, _, behind = rest.partition(END)
    write_whole(document, (before + start + content + END + behind).encode())


def main() -> None:
    """Each result that there is."""
    if RESULT.exists():
        put(README, section(json.loads(RESULT.read_text())))
    for page in (frames_page, heap_page, objects_page, ring3_page):
        result = Path(page.RESULT)
        if result.exists():
            put(Path(page.PAGE), page.section(json.loads(result.read_text())))
    if Path(ring3_page.RESULT).exists():
        bench = json.loads(Path(ring3_page.RESULT).read_text())
        put(README, ring3_page.short_section(bench), SHORT_START)
        ring3_page.keep(bench)


if __name__ == '__main__':
    main()
