"""The exit status of the command for each way in which a kernel can end, the same in all places."""

import re
import signal
from pathlib import Path
from typing import Final

import pytest

from incroos.run.outcome import Status

from . import cases as kernel_cases
from .command import PLACES, ROOT, Done, run

SECONDS_OF_HANG: Final = {'sim': 0.7, 'jit': 0.5, 'qemu': 2.0}  # enough to start in, on a quiet machine
WORDS_OF_HANG: Final = {
    'HANG': 'staying\n',
    'HALT': 'staying\n',
    'RETURN': '',
    'CHATTER': 'staying\n' + 11 * 'and on\n',
}
BY_SIGNALS: Final = {128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
OVERFLOW_LINE: Final = 'value + 0x7FFF_FFFF_FFFF_FFFF'


def boot(starter: list[str], place: str, case: int, *arguments: str) -> Done:
    """Boot the kernel of cases.py."""
    return run('boot', '--on', place, '--memory', f'{case}M', *arguments, prefix=starter)


def test_passed(cases: list[str], place: str) -> None:
    done = boot(cases, place, kernel_cases.PASS)
    assert (done.status, done.output) == (Status.PASSED, '')


def test_failed(cases: list[str], place: str) -> None:
    done = boot(cases, place, kernel_cases.FAIL)
    assert (done.status, done.sentence) == (Status.FAILED, 'the self-test failed')


def test_panic(cases: list[str], place: str) -> None:
    done = boot(cases, place, kernel_cases.PANIC)
    assert (done.status, done.sentence) == (Status.PANIC, 'the kernel panicked')
    assert done.output == f'PANIC: as the test wants 0x{1:016X} 0x{2:016X} 0x{3:016X}\n'


def test_a_page_fault_is_a_panic(cases: list[str], place: str) -> None:
    done = boot(cases, place, kernel_cases.PAGE_FAULT)
    assert done.status == Status.PANIC
    assert done.output.startswith('PANIC: page fault, write to a page that is not present: ')
    assert f' 0x{kernel_cases.UNMAPPED:016X} 0x{2:016X} ' in done.output


def test_an_unknown_code_is_a_panic(cases: list[str], place: str) -> None:
    done = boot(cases, place, kernel_cases.STRANGE_CODE)
    assert (done.status, done.sentence) == (
        Status.PANIC,
        'the kernel ended with 0x42, a code that means nothing',
    )


def test_an_overflow_tells_its_line_of_python(cases: list[str], place: str) -> None:
    done = boot(cases, place, kernel_cases.OVERFLOW)
    assert done.status == Status.PANIC
    where = re.search(r'at (\S+\.py):(\d+)', done.sentence)
    assert where, done.sentence
    line = Path(where[1]).read_text().splitlines()[int(where[2]) - 1]
    assert line.endswith(OVERFLOW_LINE)


def test_triple_fault(cases: list[str], place: str) -> None:
    done = boot(cases, place, kernel_cases.TRIPLE_FAULT)
    assert (done.status, done.output) == (Status.TRIPLE_FAULT, 'last words\n')
    assert done.sentence == 'the processor met a triple fault and reset'


@pytest.mark.parametrize('case', WORDS_OF_HANG)
def test_hang(cases: list[str], place: str, case: str) -> None:
    seconds, is_over = SECONDS_OF_HANG[place], False
    while not is_over:  # until there was time for all that the kernel has to say
        done = boot(cases, place, getattr(kernel_cases, case), '--timeout', f'{seconds:g}')
        assert done.status == Status.HANG
        assert done.sentence in (
            f'the kernel had not ended after {seconds:g} s and was stopped',
            'the kernel halted the processor, and nothing can wake it',
        )
        is_over = done.output.startswith(WORDS_OF_HANG[case])
        seconds *= 2


def test_half_a_line_is_not_lost(cases: list[str], place: str) -> None:
    done = boot(cases, place, kernel_cases.HALF_LINE)
    assert (done.status, done.output) == (Status.PASSED, 'half a line')


def statuses_in(text: str, pattern: str) -> set[int]:
    """The numbers in the first columns of a table."""
    return {int(number) for cell in re.findall(pattern, text) for number in re.findall(r'\d+', cell)}


def test_every_status_is_told_by_the_readme() -> None:
    readme = (ROOT / 'README.md').read_text()
    assert statuses_in(readme, r'(?m)^\| (\d+(?:, \d+)*) \| ') == {*map(int, Status), *BY_SIGNALS}


def test_every_status_is_told_by_the_help() -> None:
    done = run('boot', '--help')
    assert statuses_in(done.output, r'(?m)^ +(\d+(?:, \d+)*)  ') == {*map(int, Status), *BY_SIGNALS}
    assert set(PLACES) < set(re.findall(r'\w+', done.output))
