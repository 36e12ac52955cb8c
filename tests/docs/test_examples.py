"""Every example in the documents does what the document says."""

from pathlib import Path
from typing import Final

import pytest

from .documents import Block, documents
from .sessions import Differs, commands_of, compare, copy_checkout, run_section

RUNNABLE: Final = {'console', 'python', 'pycon'}
SECTIONS: Final = {
    f'{document.name}: {section.title}': section
    for document in documents()
    for section in document.sections
    if RUNNABLE & {block.kind for block in section.blocks}
}


@pytest.mark.parametrize('name', SECTIONS)
def test_the_examples_of_a_section_print_what_it_shows(name: str, tmp_path: Path) -> None:
    run_section(SECTIONS[name].blocks, copy_checkout(tmp_path))


def test_there_are_examples_in_each_kind_of_session() -> None:
    kinds = {block.kind for section in SECTIONS.values() for block in section.blocks}
    assert kinds >= RUNNABLE


def test_what_a_document_does_not_show_is_a_difference() -> None:
    compare(['one', '...', 'four 4', 'a ... c'], ['one', 'two', 'three', 'four 4', 'a b c'], '')
    compare(['x.py:12: y'], ['x.py:99: y', 'incroos: booting in QEMU with TCG', ''], '')
    for printed in (['one', 'four 4'], ['one', 'four 4', 'a b', 'c'], ['one', 'four 5', 'a b c'], []):
        with pytest.raises(Differs):
            compare(['one', '...', 'four 4', 'a ... c'], printed, '')


def test_a_session_is_taken_apart() -> None:
    block = Block('console', 7, ['$ pdb x', 'banner', '(Pdb) next', '> x.py(1)', '(Pdb) q', '$ a \\', '> b', 'out'])
    first, second = commands_of(block)
    assert (first.text, first.typed) == ('pdb x', ['next', 'q'])
    assert first.printed == ['banner', '(Pdb) > x.py(1)', '(Pdb) ']
    assert (second.line, second.text, second.printed) == (12, 'a \\\nb', ['out'])


def test_a_wrong_example_fails(tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path)
    right = Block('console', 1, ['$ echo one; exit_status=3', 'one', '$ (exit 3)', '$ echo $?', '3'])
    run_section([right], checkout)
    with pytest.raises(Differs, match='it prints'):
        run_section([Block('console', 1, ['$ echo one', 'two'])], checkout)
    with pytest.raises(Differs):
        run_section([Block('pycon', 1, ['>>> 1 + 1', '3'])], checkout)
    with pytest.raises(Differs):
        run_section([Block('python', 1, ['1 / 0'])], checkout)
