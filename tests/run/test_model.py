"""Linux as the model: random programs of memory operations say and end here as they do on Linux, in each place.

What Linux says is stored (tests/run/model/expected.txt), so that any host will do. `python -m tests.run.model` makes it
anew, and shrinks a program that differs.
"""

from pathlib import Path
from typing import Final

import pytest

from ..budget import FULL
from .model import judge
from .model.programs import program
from .model.shrink import shrink
from .model.steps import Step

NR_PROGRAMS: Final = 100
NR_ALL: Final = 10_000
SHORT: Final = 25  # steps of a program that the interpreted kernel runs in the usual suite
KERNEL, DIGEST, ANSWERS = judge.expected()


def chosen(place: str) -> list[int]:
    """A hundred numbers: the first, but the first short ones for the interpreted kernel."""
    if place != 'sim' or FULL:
        return list(range(NR_PROGRAMS))
    return [number for number in range(NR_ALL) if len(program(number)) <= SHORT][:NR_PROGRAMS]


def check(found: judge.Answers, where: str) -> None:
    """No answer differs from Linux's."""
    different = judge.differing(found, ANSWERS)
    command = f'python -m tests.run.model compare {where} {min(different, default=0)} {min(different, default=0) + 1}'
    assert not different, f'{where} and {KERNEL} differ over programs {different}; to see one: {command}'


def test_a_program_is_a_number() -> None:
    """The stored answers are of the programs that the generator makes."""
    made = judge.digest_of(judge.programs_of(range(NR_PROGRAMS)))
    assert made == DIGEST, f'the generator has changed: python -m tests.run.model expected {NR_ALL}'
    assert list(ANSWERS) == list(range(NR_ALL))
    assert len(set(ANSWERS.values())) > NR_ALL * 99 // 100


def test_the_host_says_the_same_each_time() -> None:
    """And it is what is stored, if the host's Linux is the one that was asked."""
    programs = judge.programs_of(range(NR_PROGRAMS))
    answers = judge.host_answers(programs)
    assert judge.host_answers(programs) == answers
    if judge.linux() == KERNEL:
        check(answers, 'host')


BATCHES: Final = [range(start, start + judge.BATCH) for start in range(0, NR_ALL, judge.BATCH)]


@pytest.mark.parametrize('numbers', BATCHES if FULL else [range(NR_PROGRAMS)], ids=str)
def test_programs_in_jit(numbers: range, tmp_path: Path) -> None:
    check(judge.answers_in('jit', judge.programs_of(numbers), tmp_path), 'jit')


@pytest.mark.parametrize('place', ['sim', 'qemu'])
def test_a_hundred_programs(place: str, tmp_path: Path) -> None:
    check(judge.answers_in(place, judge.programs_of(chosen(place)), tmp_path), place)


def test_a_difference_is_shrunk() -> None:
    """To the steps without which there would be none, however they lie."""
    steps = [Step('brk', (number,)) for number in range(100)]
    needed = {steps[3], steps[57], steps[58]}
    found = shrink(steps, lambda tries: [needed <= set(some) for some in tries])
    assert found == [steps[3], steps[57], steps[58]]


def test_a_planted_difference_is_found(tmp_path: Path) -> None:
    """A program that does something else has another answer, here and on the host."""
    steps = program(3)
    other = [*steps, Step('brk', (0,))]
    answers = judge.answers_in('jit', {3: steps, 4: other}, tmp_path)
    assert answers[3] == ANSWERS[3] != answers[4]
    assert judge.host_answers({4: other})[4] == answers[4]
