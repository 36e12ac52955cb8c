"""Texts of the malloc lab: read, and all of their defects named."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incroos.lab import rep
from incroos.lab.operations import BadTrace, Kind, Trace

RIGHT = b"""20000
3
7
1
a 0 512
a 1 128
r 0 640
f 1
a 1 64
a 2 0
f 0
"""


def defects(text: str) -> tuple[str, ...]:
    with pytest.raises(BadTrace) as caught:
        rep.decode(text.encode('utf-8', 'surrogateescape'), 'x.rep')
    return caught.value.defects


def test_a_file_that_is_right() -> None:
    wanted = Trace()
    wanted.add(Kind.ALLOCATE, 0, 512)
    wanted.add(Kind.ALLOCATE, 1, 128)
    wanted.add(Kind.REALLOCATE, 0, 640)
    wanted.add(Kind.FREE, 1)
    wanted.add(Kind.ALLOCATE, 2, 64)  # an id that is used again is another block
    wanted.add(Kind.ALLOCATE, 3, 0)
    wanted.add(Kind.FREE, 0)
    assert rep.looks_like_rep(RIGHT)
    assert rep.decode(RIGHT, 'x.rep') == wanted
    assert rep.decode(RIGHT.replace(b'\n', b'\r\n'), 'x.rep') == wanted
    assert rep.decode(b'1 3 7 20000\n' + RIGHT.partition(b'\n1\n')[2], 'x.rep') == wanted


@pytest.mark.parametrize(
    ('line', 'sentence'),
    [
        ('a 0 512', 'allocates id 0, which is allocated already'),
        ('f 1', 'frees id 1, which was freed before'),
        ('r 1 5', 'reallocates id 1, which was freed before'),
        ('f 2', 'frees id 2, which was never allocated'),
        ('r 2 9', 'reallocates id 2, which was never allocated'),
        ('a 3 10', 'id 3 is out of range: the header says 3 ids, from 0 on'),
        ('f 3', 'id 3 is out of range: the header says 3 ids, from 0 on'),
        ('f -1', "'-1' is negative, and an id or a size never is: write 0 or more"),
        ('f 1-', "'1-' is not an id or a size: write a number"),
        ('f -', "'-' is not an id or a size: write a number"),
        ('a 2 1x', "'1x' is not an id or a size: write a number"),
        ('a 2 1e3', "'1e3' is not an id or a size: write a number"),
        ('a 2 ' + '9' * 50, f"'{'9' * 40}...' is too large for an id or a size: write less than 2**63"),
        (f'a 2 {1 << 63}', f"'{1 << 63}' is too large for an id or a size: write less than 2**63"),
        (f'a 2 {(1 << 63) - 1}', f'{(1 << 63) - 1} bytes are more than a process has addresses'),
        ('a 2 5 6', "'6' is left over behind a ID SIZE"),
        ('f 2 5', "'5' is left over behind f ID"),
        ('a 2', "'a 2' is cut short: write a ID SIZE"),
        ('f', "'f' is cut short: write f ID"),
        ('free 2', "'free 2' is no operation: write a ID SIZE or r ID SIZE or f ID"),
        ('\x00\x01', "'\\x00\\x01' is no operation: write a ID SIZE or r ID SIZE or f ID"),
    ],
)
def test_a_line_that_is_wrong_is_named(line: str, sentence: str) -> None:
    text = f'1\n3\n5\n1\na 0 1\na 1 1\n\nf 1\n{line}\nf 0\n'
    assert defects(text) == (f'x.rep:9: {sentence}',)


def test_all_that_is_wrong_is_told() -> None:
    assert defects('1 2 9 1\nf 0\na 0 1\nb\na 0 2\n') == (
        'x.rep:2: frees id 0, which was never allocated',
        "x.rep:4: 'b' is no operation: write a ID SIZE or r ID SIZE or f ID",
        'x.rep:5: allocates id 0, which is allocated already',
        'x.rep is cut short: its header says 9 operations, and 4 follow',
    )


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ('1 2', 'x.rep ends within its header: 2 of 4 numbers'),
        ('1\n2\na 0 1\n', 'x.rep:3: an operation within the header, of which there are 2 of its 4 numbers'),
        ('a 0 1\n', 'x.rep:1: an operation within the header, of which there are 0 of its 4 numbers'),
        ('1 2\nx\n3\n', "x.rep:2: 'x' is not a number of the header: write a number"),
        ('1 -2\n3 4\n', "x.rep:1: '-2' is negative, and a number of the header never is: write 0 or more"),
        (f'1\n{1 << 63}\n', f"x.rep:2: '{1 << 63}' is too large for a number of the header: write less than 2**63"),
        (
            '1\n' + '9' * 5000,
            f"x.rep:2: '{'9' * 40}...' is too large for a number of the header: write less than 2**63",
        ),
        (f'{(1 << 63) - 1} 2', 'x.rep ends within its header: 2 of 4 numbers'),
        ('0' * 5000 + '1 2', 'x.rep ends within its header: 2 of 4 numbers'),
        ('1 2 3 4 5\n', "x.rep:1: '5' behind the header, which is 4 numbers"),
        ('1\n1\n1\n1 a\n', "x.rep:4: 'a' behind the header, which is 4 numbers"),
        ('1 1 1 1\n', 'x.rep is cut short: its header says 1 operation, and 0 follow'),
        ('1 1 1 1\na 0 1\nf 0\n', 'x.rep goes on: its header says 1 operation, and 2 follow'),
        ('1 1 2000 1\na 0 1\n', 'x.rep is cut short: its header says 2,000 operations, and 1 follows'),
        ('1 1 1 1\na 1 1\n', 'x.rep:2: id 1 is out of range: the header says 1 id, from 0 on'),
        ('1 2 1 1\na 0 1\n', 'x.rep uses 1 id, and its header says 2'),
    ],
)
def test_headers_and_counts(text: str, sentence: str) -> None:
    assert defects(text) == (sentence,)


@given(
    st.lists(st.sampled_from(['a', 'r', 'f', '0', '1', '2', '-', '\n', ' ', 'é', '99999999999999999999']), max_size=40)
)
def test_no_text_is_stumbled_over(words: list[str]) -> None:
    text = '1 3 2 1\n' + ' '.join(words)
    with suppress(BadTrace):
        assert len(rep.decode(text.encode(), 'x.rep')) == 2
