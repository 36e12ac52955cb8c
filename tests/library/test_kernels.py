"""Kernels in C that use the library wrongly, strangely, and to its end: each says on the serial port what it found."""

import io
import re
from pathlib import Path
from typing import Any, Final

import pytest
from elftools.elf.elffile import ELFFile

from incroos.kernel.codes import (
    ALREADY_STARTED,
    BAD_FREE,
    BAD_START,
    NO_FRAME,
    NOT_CANONICAL,
    NOT_MAPPED,
    NOT_STARTED,
    OK,
    RESERVED,
)
from incroos.kernel.layout import HEAP, HEAP_MAX_BYTES
from incroos.lang.words import unsigned
from incroos.run.outcome import Status

from .c_kernels import run

CONFIGS: Final = ('classic', 'modern')
each_config = pytest.mark.parametrize('config', CONFIGS)

BEFORE_THE_START: Final = [
    ('kmalloc', True),
    ('kfree', NOT_STARTED),
    ('kfree', NOT_STARTED),
    ('usable', 0),
    ('owns', False),
    ('alloc_page', NOT_STARTED),
    ('free frames', NOT_STARTED),
    ('map_page', NOT_STARTED),
    ('vmm_init', NOT_STARTED),
    ('heap_init', NOT_STARTED),
    ('no regions', BAD_START),
    ('no regions', BAD_START),
    ('many regions', BAD_START),
    ('no panic hook', BAD_START),
    ('half a lock', BAD_START),
    ('window', BAD_START),
    ('no state', BAD_START),
    ('odd state', BAD_START),
    ('no start', BAD_START),
    ('still not', NOT_STARTED),
]
THE_START: Final = [
    ('pmm_init', OK),
    ('again', ALREADY_STARTED),
    ('other', ALREADY_STARTED),
    ('heap_init', NOT_STARTED),
    ('alloc_page', NOT_STARTED),
    ('vmm_init', OK),
    ('again', ALREADY_STARTED),
    ('kmalloc', True),
    ('heap_init', OK),
    ('kmalloc', False),
    ('again', ALREADY_STARTED),
    ('again', ALREADY_STARTED),
    ('again', ALREADY_STARTED),
    ('other', ALREADY_STARTED),
    ('nothing changed', True),
    ('kfree', OK),
    ('state bytes', True),
]
AFTERWARDS: Final = [
    ('huge sizes', True),
    ('wild free', BAD_FREE),
    ('wild free', BAD_FREE),
    ('wild free', BAD_FREE),
    ('foreign frame', RESERVED),
    ('null frame', RESERVED),
    ('unmapped', NOT_MAPPED),
    ('no address', NOT_CANONICAL),
    ('checks', OK),
]


@each_config
def test_misuse_is_answered_by_codes(tmp_path: Path, config: str) -> None:
    outcome, text = run(tmp_path, 'misuse', config)
    told = [line.rpartition(' ')[::2] for line in text.splitlines()]
    wanted = [(what, str(int(code))) for what, code in (*BEFORE_THE_START, *THE_START, *AFTERWARDS)]
    assert told == wanted
    assert outcome.status == Status.PASSED


@each_config
def test_what_the_kernel_had_mapped_stays(tmp_path: Path, config: str) -> None:
    outcome, text = run(tmp_path, 'spaces', config)
    assert [line for line in text.splitlines() if not line.endswith(': yes')] == []
    assert len(text.splitlines()) == 14
    assert outcome.status == Status.PASSED


@pytest.mark.parametrize(
    ('config', 'case'),
    [('classic', 'PLAIN'), ('classic', 'IDENTITY'), ('modern', 'PLAIN'), ('modern', 'DIRECT_MAP')],
)
def test_memory_is_used_up_and_given_back(tmp_path: Path, config: str, case: str) -> None:
    """Also where the kernel had mapped the zone, or all of RAM where the library has its direct map."""
    outcome, text = run(tmp_path, 'worlds', config, defines=[case], memory_bytes=16 << 20)
    assert [line for line in text.splitlines() if not line.endswith(': yes')] == []
    assert len(text.splitlines()) == 15
    assert outcome.status == Status.PASSED


@each_config
def test_calls_take_no_more_stack_than_the_header_says(tmp_path: Path, config: str) -> None:
    """But for the frame of the kernel's function that makes the call: an alignment, a register and a return address."""
    outcome, text = run(tmp_path, 'stack', config)
    code, deepest, bound = map(int, text.split())
    assert (outcome.status, code) == (Status.PASSED, OK)
    assert bound / 3 < deepest <= bound + 24


def test_caches_of_objects(tmp_path: Path) -> None:
    outcome, text = run(tmp_path, 'caches', 'modern')
    assert [line for line in text.splitlines() if not line.endswith(': yes')] == []
    assert len(text.splitlines()) == 13
    assert outcome.status == Status.PASSED


def test_a_second_root_is_never_wrong(tmp_path: Path) -> None:
    """Six of them: each sees what the library maps later, and none names a table that was freed."""
    outcome, text = run(tmp_path, 'roots', 'modern')
    assert [line for line in text.splitlines() if not line.endswith(': yes')] == []
    assert len(text.splitlines()) == 8
    assert outcome.status == Status.PASSED


def test_a_zone_that_may_not_be_written_is_a_panic(tmp_path: Path) -> None:
    outcome, text = run(tmp_path, 'worlds', 'classic', defines=['READ_ONLY_ZONE'])
    sentence = 'PANIC: vmm: memory of the zone is mapped elsewhere, or not for writing: address, entry'
    assert text.startswith(f'{sentence} 0x0000000000600000 0x80000000006000')
    assert outcome.status == Status.PANIC


@each_config
def test_a_lock_is_held_in_each_call_after_the_start(tmp_path: Path, config: str) -> None:
    outcome, text = run(tmp_path, 'hooks', config)
    assert text == 'start: locked\nkmalloc: locked\nkfree: locked\nframes: locked\nquestions: locked\n'
    assert outcome.status == Status.PASSED


@pytest.mark.parametrize(
    ('config', 'case', 'site', 'words'),
    [
        ('classic', 'NO_POOL', 'vmm: no frame for the root table', [0, 0, 0]),
        ('modern', 'NO_POOL', 'vmm: no frame for the first tables: code', [NO_FRAME, 0, 0]),
        (
            'classic',
            'HEAP_IN_USE',
            'vmm: the kernel has mapped what must be free: address, and the range',
            [HEAP + HEAP_MAX_BYTES - (2 << 20), HEAP, HEAP + HEAP_MAX_BYTES],
        ),
    ],
)
def test_a_panic_reaches_its_hook_with_text_and_words(
    tmp_path: Path, config: str, case: str, site: str, words: list[int]
) -> None:
    outcome, text = run(tmp_path, 'hooks', config, defines=[case])
    told = ' '.join(f'0x{unsigned(word):016X}' for word in words)
    assert text == f'ours\nends\nPANIC: {site} {told}\n'
    assert outcome.status == Status.PANIC


REPORTS: Final = {
    'OVERRUN': 'heap: written behind the end of a block',
    'DOUBLE_FREE': 'heap: kfree or krealloc of a block that was freed',
    'WILD_FREE': 'heap: kfree or krealloc of an address that is no block',
}


@pytest.mark.parametrize(('config', 'more'), [('classic', ''), ('modern', 'LOCKED')])
@pytest.mark.parametrize('case', REPORTS)
def test_a_hardened_heap_reports_to_the_hooks_who_asked_for_a_block(
    tmp_path: Path, config: str, more: str, case: str
) -> None:
    """Where it was asked for and given back are places in the functions of the kernel that did so."""
    outcome, text = run(tmp_path, 'damage', config, hardening='full', defines=[case, *filter(None, [more])])
    told = text.splitlines()
    start = told.index(REPORTS[case])
    assert told[-1].startswith('PANIC: heap: ')
    assert outcome.status == Status.PANIC
    sites = {what: int(site, 16) for what, site in re.findall(r'(asked for|called|freed) at 0x([0-9A-F]{16})', text)}
    assert (
        sites.keys()
        == {
            'OVERRUN': {'asked for'},
            'DOUBLE_FREE': {'asked for', 'called', 'freed'},
            'WILD_FREE': {'called'},
        }[case]
    )
    functions = {name: (at, at + size) for name, at, size in functions_of_image(tmp_path / 'kernel.elf')}
    for what, site in sites.items():
        first, end = functions['ask' if what == 'asked for' else 'give_back']
        assert first < site < end, what
    if case == 'OVERRUN':
        assert told[start + 1].endswith(f'{int(told[1], 16) + 100:016X}, found 0x0000000000000041')


def functions_of_image(image: Path) -> list[tuple[str, int, int]]:
    """Name, address and bytes of the functions in an image."""
    table: Any = ELFFile(io.BytesIO(image.read_bytes())).get_section_by_name('.symtab')
    return [(symbol.name, symbol['st_value'], symbol['st_size']) for symbol in table.iter_symbols() if symbol.name]


@pytest.mark.parametrize('hardening', ['off', 'cheap'])
def test_lower_levels_answer_wrong_calls_with_a_code(tmp_path: Path, hardening: str) -> None:
    outcome, text = run(tmp_path, 'damage', 'modern', hardening=hardening, defines=['DOUBLE_FREE'])
    assert text.endswith(f'0: taken back\n{BAD_FREE}: taken back\n')
    assert outcome.status == Status.PASSED


def test_a_panic_hook_that_returns_ends_nothing_but_the_processor(tmp_path: Path) -> None:
    seconds, text = 5, ''
    while not text.endswith('returned\n'):  # until there was time for it
        outcome, text = run(tmp_path, 'hooks', 'classic', defines=['HOOK_RETURNS'], seconds=seconds)
        assert outcome.status == Status.HANG
        seconds *= 2
    assert text == 'waits for ever\nreturned\n'
