"""What is said about a program while it runs."""

import pytest

from incroos.kernel.state.records import NO_CALL, RECORD_REMARK, REMARK_WAITS_FOR_EVER
from incroos.run.records import Told
from incroos.run.remarks import remark_on


@pytest.mark.parametrize(
    ('call', 'sentence'),
    [
        (34, 'the program would wait for ever in pause: there is nobody who could wake it'),
        (0, 'the program would wait for ever in read: there is nobody who could wake it'),
        (NO_CALL, 'the program is stopped for ever: there is nobody who could let it go on'),
    ],
)
def test_a_wait_without_an_end_is_told(call: int, sentence: str) -> None:
    words = (call & (1 << 64) - 1, 0, 0, 0, 0, 0)
    assert remark_on(Told(RECORD_REMARK, 2, REMARK_WAITS_FOR_EVER, words, 0, b'')) == sentence
