"""Interest lists where frames are refused, and what their checker finds. What they do: tests/run/tasks/interests.c."""

import errno
from typing import Final

import pytest

from incroos.kernel import files, heap
from incroos.kernel.state import File, Interest, InterestList

from ..abi.programs import Machine, machine

CREATE, CONTROL, EVENTFD, CLOSE = 291, 233, 290, 3
ADD: Final = 1
EVENT: Final = (1).to_bytes(4, 'little') + bytes(8)
WRONG_INTEREST: Final = 41


@pytest.fixture
def made() -> Machine:
    return machine()


def with_interest(made: Machine) -> tuple[int, int]:
    """A list and a counter of which it tells: their descriptors."""
    own, counter = made.call(CREATE, 0), made.call(EVENTFD, 1, 0)
    at = made.room()
    made.put(at, EVENT)
    assert made.call(CONTROL, own, ADD, counter, at) == 0
    return own, counter


@pytest.mark.parametrize('what', ['list', 'counter', 'interest'])
def test_each_allocation_may_fail(made: Machine, what: str) -> None:
    """Small objects come from slabs: those that are free are taken first, so that the next one needs a frame."""
    own, counter = made.call(CREATE, 0), made.call(EVENTFD, 1, 0)
    at = made.room()
    made.put(at, EVENT)
    calls = {'list': (CREATE, 0), 'counter': (EVENTFD, 1, 0), 'interest': (CONTROL, own, ADD, counter, at)}
    nr_refused = 0
    for nr_bytes in (16, 24, 32, 48, 64, 96, 128, 192):
        made.k.frames.requests, made.k.frames.refuse_at = 0, 1
        while heap.kmalloc(made.k, nr_bytes) != 0:
            pass
        before = heap.used_bytes(made.k)
        made.k.frames.requests, made.k.frames.refuse_at = 0, 1
        done = made.call(*calls[what])
        made.k.frames.refuse_at = 0
        if done < 0:
            assert done == -errno.ENOMEM
            assert heap.used_bytes(made.k) == before
            nr_refused += 1
        elif what == 'interest':
            assert made.call(CONTROL, own, 2, counter, 0) == 0
        else:
            assert made.call(CLOSE, done) == 0
        assert files.check(made.k) == 0
    assert nr_refused > 0


def test_the_checker_names_what_is_wrong(made: Machine) -> None:
    own, counter = with_interest(made)
    assert files.check(made.k) == 0
    told = InterestList(made.k.m, File(made.k.m, files.file_at(made.task, own)).pipe)
    interest = Interest(made.k.m, told.first)
    file = File(made.k.m, files.file_at(made.task, counter))
    for view, field, wrong in ((interest, 'list', 0), (interest, 'previous', told.first), (told, 'last', 0)):
        right = getattr(view, field)
        setattr(view, field, wrong)
        assert files.check(made.k) == WRONG_INTEREST, field
        setattr(view, field, right)
    right, file.first_interest = file.first_interest, type(file.first_interest)(0)
    assert files.check(made.k) == WRONG_INTEREST
    file.first_interest = right
    assert files.check(made.k) == 0
