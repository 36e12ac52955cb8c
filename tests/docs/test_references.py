"""What the documents name exists: files, functions, tests, targets of make, headings, statuses, addresses."""

import re
import subprocess
import sys
import tomllib
from functools import cache
from typing import Final

import pytest

from bench import frames_page, objects, objects_page
from bench.blocks import ALLOCATORS, FILLS, HEADLINES, NO_ORDER, PATTERNS, SIZES
from bench.cases import CASES
from bench.processes import PROCESSES
from bench.readme import END, START
from incroos.build import boot_bios, boot_bios_loader, boot_uefi
from incroos.kernel import layout
from incroos.run.outcome import Status

from .documents import PACKAGE, ROOT, Document, documents, read_document

DOCUMENTS: Final = {document.name: document for document in documents()}
PLACES_OF_FILES: Final = (ROOT, PACKAGE, ROOT / 'docs')
TEXT_FOLDERS: Final = ('src', 'tests', 'bench', 'tools')
_FILE: Final = re.compile(r'^\.{0,2}[\w./-]*(\.(py|md|toml|lock|png|svg|c|h)|/)$')
_CALL: Final = re.compile(r'^([a-z_][\w.]*)\(\)$')
_DEFINITION: Final = re.compile(r'(?m)^ *(?:def|class) (\w+)')
_TEST: Final = re.compile(r'^test_\w+$')
_TARGET: Final = re.compile(r'(?<![\w/-])make ([a-z-]+)')
each_document = pytest.mark.parametrize('name', DOCUMENTS)


@cache
def defined_names() -> dict[str, set[str]]:
    """Each function and class of the checkout, with the modules that define it."""
    names: dict[str, set[str]] = {}
    for folder in TEXT_FOLDERS:
        for path in (ROOT / folder).rglob('*.py'):
            module = '.'.join(path.relative_to(ROOT).with_suffix('').parts)
            for name in _DEFINITION.findall(path.read_text()):
                names.setdefault(name, set()).add(module)
    return names


def is_defined(qualified: str) -> bool:
    """Whether a function of that name is there; of `pmm.alloc_page`, in a module whose path says pmm.

    An owner that is no module is a value, as in `k.m.load64`.
    """
    *owners, name = qualified.split('.')
    places = [module.split('.') for module in defined_names().get(name, set())]
    every_part = {part for modules in defined_names().values() for module in modules for part in module.split('.')}
    return any(all(owner in place for owner in owners if owner in every_part) for place in places)


def exists(name: str, document: Document) -> bool:
    """Whether there is a file or folder of that name, from one of the places that documents name files from.

    Or it is a file of the document's own, or one that its examples make and list.
    """
    own_files = {block.lines[0].removeprefix('# ') for block in document.blocks if block.kind == 'python'}
    own_files |= {line for block in document.blocks if block.kind == 'console' for line in block.lines}
    return name in own_files or any((place / name).exists() for place in (*PLACES_OF_FILES, document.path.parent))


@each_document
def test_files_that_a_document_names_exist(name: str) -> None:
    document = DOCUMENTS[name]
    assert [code for code in document.codes if _FILE.match(code) and not exists(code, document)] == []


@each_document
def test_functions_that_a_document_names_exist(name: str) -> None:
    calls = [match[1] for code in DOCUMENTS[name].codes if (match := _CALL.match(code))]
    assert [call for call in calls if not is_defined(call)] == []


@each_document
def test_tests_that_a_document_names_exist(name: str) -> None:
    tests = [code for code in DOCUMENTS[name].codes if _TEST.match(code)]
    assert [test for test in tests if test not in defined_names()] == []


@each_document
def test_links_of_a_document_lead_somewhere(name: str) -> None:
    document = DOCUMENTS[name]
    broken = []
    for link in document.links:
        path, _, anchor = link.partition('#')
        target = (document.path.parent / path) if path else document.path
        if '://' not in link and not (target.exists() and (not anchor or anchor in read_document(target).anchors)):
            broken.append(link)
    assert broken == []


@each_document
def test_targets_of_make_that_a_document_names_exist(name: str) -> None:
    document = DOCUMENTS[name]
    files = [path for path in (ROOT / 'Makefile', document.path.parent / 'Makefile') if path.exists()]
    targets = {target for path in files for target in re.findall(r'(?m)^([a-z-]+):', path.read_text())}
    lines = [*document.codes, *(line for block in document.blocks for line in block.lines)]
    assert {target for line in lines for target in _TARGET.findall(line)} - targets == set()


def test_the_table_of_exit_statuses_is_that_of_the_command() -> None:
    rows = re.findall(r'(?m)^\| (\d+) \| (.*) \|$', DOCUMENTS['README.md'].prose)
    start = 'import sys; sys.argv[0] = "incroos"; from incroos.cli import main; main()'
    told = subprocess.run([sys.executable, '-c', start, 'boot', '--help'], capture_output=True, text=True, check=True)
    in_help = re.findall(r'(?m)^ +(\d+) ', told.stdout.partition('Exit status')[2])
    assert [int(number) for number, _ in rows] == [status.value for status in Status]
    assert [int(number) for number in in_help] == [status.value for status in Status]
    for (_, meaning), status in zip(rows, Status, strict=True):
        assert status.name.lower().replace('_', ' ').split()[-1] in meaning.lower()


@pytest.mark.parametrize(
    ('name', 'sentences'),
    [
        ('docs/boot-bios.md', {**boot_bios.SENTENCES, **boot_bios_loader.LOADER_SENTENCES}),
        ('docs/boot-uefi.md', boot_uefi.SENTENCES),
    ],
)
def test_what_boot_code_says_when_it_fails_is_what_it_can_say(name: str, sentences: dict[str, str]) -> None:
    told = re.findall(r'(?m)^\| ([A-Z].*?\.) \|', DOCUMENTS[name].prose)
    assert sorted(told) == sorted(sentences.values())


def test_the_figures_in_the_readme_are_those_that_are_measured() -> None:
    """The README's table has a row for each benchmark; the numbers are those of the machine that it names."""
    text = (ROOT / 'README.md').read_text()
    table = text.partition(START)[2].partition(END)[0]
    words = {row.name: row.words for row in objects.rows()}
    patterns = [row.pattern for row in (*CASES, *HEADLINES)]
    patterns += [words[name] for name in objects.HEADLINES]
    patterns += [process.pattern for process in PROCESSES]
    assert re.findall(r'(?m)^\| (.*?) \| [\d.]+ n?s \|', table) == patterns


def test_the_figures_of_frames_are_those_that_are_measured() -> None:
    """docs/frames.md has a table for each pattern, with a line for each allocator and size, a column for each fill."""
    figures = (ROOT / frames_page.PAGE).read_text().partition(START)[2].partition(END)[0]
    names = [frames_page.line_name(allocator, size) for allocator in ALLOCATORS for size in SIZES]
    for pattern in PATTERNS:
        if pattern.order != NO_ORDER:
            table = figures.partition(f'{pattern.words}:\n\n')[2].partition('\n\n')[0]
            lines = [line.split(' | ') for line in table.splitlines()[2:]]
            assert [line[0].removeprefix('| ') for line in lines] == names, pattern.words
            assert {len(line) for line in lines} == {1 + len(FILLS)}


def test_the_figures_of_slabs_and_chunks_are_those_that_are_measured() -> None:
    """docs/heap-figures.md has a table for each load, with a line for each pattern."""
    figures = (ROOT / objects_page.PAGE).read_text().partition(START)[2].partition(END)[0]
    for load in objects.LOADS:
        table = figures.partition(f'{load.words}:\n\n')[2].partition('\n\n')[0]
        lines = [line.split(' | ') for line in table.splitlines()[2:]]
        assert [line[0].removeprefix('| ') for line in lines] == [pattern.words for pattern in objects.PATTERNS]
        assert {len(line) for line in lines} == {1 + len(objects.LIVES)}


def test_the_layers_that_are_drawn_are_those_that_are_enforced() -> None:
    contracts = tomllib.loads((ROOT / 'pyproject.toml').read_text())['tool']['importlinter']['contracts']
    lines = '\n'.join(line for block in DOCUMENTS['ARCHITECTURE.md'].blocks for line in block.lines)
    drawn = {line.strip() for line in re.sub(r'\n +> ', ' > ', lines).splitlines()}
    for contract in contracts:
        if contract['type'] == 'layers':
            assert ' > '.join(contract['layers']) in drawn


def test_the_addresses_in_the_memory_map_are_those_of_the_kernel() -> None:
    addresses = {value for name, value in vars(layout).items() if name.isupper()}
    (drawn,) = [block for block in DOCUMENTS['docs/memory-contract.md'].blocks if block.kind == 'memory']
    starts = [int(match[1].replace('_', ''), 16) for line in drawn.lines if (match := re.match(r'0x([\dA-F_]+)', line))]
    assert starts == sorted(starts)
    assert len(starts) >= 10
    assert set(starts) - {0, layout.BOOT_TABLES_END} <= addresses


@each_document
def test_a_document_keeps_to_the_width(name: str) -> None:
    document = DOCUMENTS[name]
    code = [line for block in document.blocks if block.kind not in ('console', 'pycon') for line in block.lines]
    lines = [line for line in document.prose.splitlines() if not line.startswith(('|', '!['))]
    assert [line for line in (*lines, *code) if len(line) > 120] == []
