"""The lists in docs/language.md that follow from the code. To write them anew:

.venv/bin/python -m tests.lang.language_doc
"""

import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from incroos.lang.frontend import MESSAGES
from incroos.lang.frontend.arithmetic import INSTEAD, WORD_FUNCTIONS
from incroos.lang.frontend.expressions import REFUSED as REFUSED_EXPRESSIONS
from incroos.lang.frontend.statements import REFUSED as REFUSED_STATEMENTS
from incroos.lang.primitives import PRIMITIVES

LANGUAGE: Final = Path(__file__).parents[2] / 'docs' / 'language.md'
WIDTH: Final = 34  # of the first column


def with_contract(functions: Iterable[Callable[..., Any]]) -> list[str]:
    """Each function as it is called, and what its docstring says."""
    lines = []
    for function in functions:
        lines.append(f'{function.__name__}({", ".join(inspect.signature(function).parameters)})')
        lines += [f'    {line}' if line else '' for line in inspect.cleandoc(str(function.__doc__)).splitlines()]
    return [line for line in lines if line]


def refused() -> list[str]:
    """What is not kernel Python, and what to write instead."""
    operators = [(f'a {name} b' if len(name) < 3 else '+a', instead) for name, instead in INSTEAD.items()]
    pairs = [*REFUSED_STATEMENTS.values(), *REFUSED_EXPRESSIONS.values(), *operators]
    return [f'{what:{WIDTH}} {instead}' for what, instead in dict.fromkeys(pairs)]


def messages() -> list[str]:
    """All sentences, with what is filled in, in angle brackets."""
    general = ('statement', 'expression', 'operator')  # those of `refused`
    texts = [f'{why}; {instead}' for name, (why, instead) in MESSAGES.items() if name not in general]
    return [re.sub(r'; <instead>$', '', re.sub(r'\{(\w+)\}', r'<\1>', text)) for text in texts]


LISTS: Final[dict[str, Callable[[], list[str]]]] = {
    'words': lambda: with_contract(WORD_FUNCTIONS),
    'primitives': lambda: with_contract(PRIMITIVES.values()),
    'refused': refused,
    'messages': messages,
}


def with_lists(text: str) -> str:
    """The document with its lists as the code has them."""
    for name, lines in LISTS.items():
        start, end = f'<!-- {name}: python -m tests.lang.language_doc -->\n', f'<!-- end of {name} -->\n'
        before, marker, rest = text.partition(start)
        _, _, behind = rest.partition(end)
        assert marker, name
        text = '\n'.join([before + start + '```text', *lines(), '```', end + behind])
    return text


if __name__ == '__main__':
    LANGUAGE.write_text(with_lists(LANGUAGE.read_text()))
