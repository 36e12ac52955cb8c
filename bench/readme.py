"""`python -m bench.readme`: puts the figures of the last `make bench` into the README, between its two markers."""

import json
from pathlib import Path
from typing import Any, Final

RESULT: Final = Path('build/bench.json')
README: Final = Path('README.md')
START: Final = '<!-- figures of the last make bench: python -m bench.readme -->\n'
END: Final = '<!-- end of the figures -->\n'


def section(bench: dict[str, Any]) -> str:
    """The table, and on what it was measured."""
    machine = bench['machine']
    lines = ['| what | ours | required | twin in C | ratio |', '|---|---|---|---|---|']
    for row in bench['rows']:
        ours = f'{row["ours"]:.2f} {row["unit"]}'
        required = '' if row['at_most'] is None else f'{row["at_most"]:g} {row["unit"]}'
        twin = '' if row['twin'] is None else f'{row["twin"]:.2f} {row["unit"]}'
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


def main() -> None:
    """Replace what stands between the markers."""
    text = README.read_text()
    before, _, rest = text.partition(START)
    _, _, behind = rest.partition(END)
    README.write_text(before + START + section(json.loads(RESULT.read_text())) + END + behind)


if __name__ == '__main__':
    main()
