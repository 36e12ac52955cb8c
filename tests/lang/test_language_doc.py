"""docs/language.md says what the code does; its examples are run with those of the other documents."""

import incroos.lang
from incroos.lang.primitives import PRIMITIVES

from .language_doc import LANGUAGE, with_lists


def test_the_lists_are_those_of_the_code() -> None:
    text = LANGUAGE.read_text()
    assert text == with_lists(text), 'write them anew: python -m tests.lang.language_doc'


def test_everything_that_lang_offers_is_described() -> None:
    text = LANGUAGE.read_text()
    assert [name for name in incroos.lang.__all__ if name not in text] == []
    assert len(PRIMITIVES) > 40
