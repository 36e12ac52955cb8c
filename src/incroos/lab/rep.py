"""The text format of the malloc lab: `.rep` files, as the traces of the course are.

    header     four numbers: a size of heap that is suggested, how many ids, how many operations, a weight
    a ID SIZE  allocate          r ID SIZE  reallocate          f ID  free

The first and the last number of the header mean nothing here; some files have them the other way round. Many such files
were written by hand or cut with an editor, so all defects are reported, not only the first one.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from .operations import MAX_BYTES, BadTrace, Kind, Trace
from .words import count

NR_HEADER: Final = 4
FORMS: Final = {'a': 'a ID SIZE', 'r': 'r ID SIZE', 'f': 'f ID'}
MAX_NUMBER: Final = (1 << 63) - 1
_MAX_DIGITS: Final = len(str(MAX_NUMBER))
_NUMBER: Final = re.compile(r'-?[0-9]+')
_TEXT: Final = re.compile(rb'[\t\n\f\r -~]*')
_MAX_SHOWN: Final = 40


def looks_like_rep(data: bytes) -> bool:
    """Could it be such a file, with or without defects? That is a text whose first word is a number or an operation."""
    words = data[:4096].split(maxsplit=1)
    return bool(words) and bool(_TEXT.fullmatch(data[:4096])) and bool(re.fullmatch(rb'-?[0-9]+|[arf]', words[0]))


def decode(data: bytes, name: str) -> Trace:
    """The trace in the bytes of a file. Raises BadTrace with all of its defects."""
    reader = Reader(name)
    lines = enumerate(data.decode('ascii', errors='replace').splitlines(), 1)
    for number, line in lines:
        words = line.split()
        if words and len(reader.header) < NR_HEADER:
            reader.read_header(number, words)
        elif words:
            reader.read_operation(number, words)
    reader.finish()
    if reader.defects:
        raise BadTrace(*reader.defects)
    return reader.trace


@dataclass
class Reader:
    """The operations read so far, and their defects."""

    name: str
    trace: Trace = field(default_factory=Trace)
    header: list[int] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)
    nr_lines: int = 0  # with operations, right or wrong
    last_block: dict[int, int] = field(default_factory=dict)  # of each id that was ever used
    live: set[int] = field(default_factory=set)  # ids

    def wrong(self, line: int, sentence: str) -> None:
        self.defects.append(f'{self.name}:{line}: {sentence}')

    def number(self, line: int, word: str, what: str) -> int | None:
        """A number; anything else is a defect, and so is a number that is negative or has more than 63 bits."""
        digits = word.lstrip('0') or '0'
        if not _NUMBER.fullmatch(word):
            self.wrong(line, f'{shown(word)} is not {what}: write a number')
        elif word[0] == '-':
            self.wrong(line, f'{shown(word)} is negative, and {what} never is: write 0 or more')
        elif len(digits) > _MAX_DIGITS or int(digits) > MAX_NUMBER:
            self.wrong(line, f'{shown(word)} is too large for {what}: write less than 2**63')
        else:
            return int(digits)
        return None

    def read_header(self, line: int, words: list[str]) -> None:
        if words[0] in FORMS:
            found = f'{len(self.header)} of its {NR_HEADER} numbers'
            raise BadTrace(f'{self.name}:{line}: an operation within the header, of which there are {found}')
        if len(self.header) + len(words) > NR_HEADER:
            extra = shown(' '.join(words[NR_HEADER - len(self.header) :]))
            raise BadTrace(f'{self.name}:{line}: {extra} behind the header, which is {NR_HEADER} numbers')
        for word in words:
            value = self.number(line, word, 'a number of the header')
            if value is None:
                raise BadTrace(*self.defects)
            self.header.append(value)

    def read_operation(self, line: int, words: list[str]) -> None:
        self.nr_lines += 1
        letter, *rest = words
        if letter not in FORMS:
            self.wrong(line, f'{shown(" ".join(words))} is no operation: write {" or ".join(FORMS.values())}')
            return
        nr_wanted = len(FORMS[letter].split())
        if len(words) > nr_wanted:
            self.wrong(line, f'{shown(" ".join(words[nr_wanted:]))} is left over behind {FORMS[letter]}')
            return
        if len(words) < nr_wanted:
            self.wrong(line, f'{shown(" ".join(words))} is cut short: write {FORMS[letter]}')
            return
        numbers = [self.number(line, word, 'an id or a size') for word in rest]
        if None not in numbers:
            self.carry_out(line, letter, *(number for number in numbers if number is not None))

    def carry_out(self, line: int, letter: str, number: int, size: int = 0) -> None:
        if number >= self.header[1]:
            self.wrong(line, f'id {number} is out of range: the header says {count(self.header[1], "id")}, from 0 on')
        elif size > MAX_BYTES:
            self.wrong(line, f'{size} bytes are more than a process has addresses')
        elif letter == 'a':
            self.allocate(line, number, size)
        elif number in self.live:
            self.trace.add(Kind.FREE if letter == 'f' else Kind.REALLOCATE, self.last_block[number], size)
            if letter == 'f':
                self.live.remove(number)
        else:
            does = 'frees' if letter == 'f' else 'reallocates'
            how = 'was freed before' if number in self.last_block else 'was never allocated'
            self.wrong(line, f'{does} id {number}, which {how}')

    def allocate(self, line: int, number: int, size: int) -> None:
        if number in self.live:
            self.wrong(line, f'allocates id {number}, which is allocated already')
            return
        self.live.add(number)
        self.last_block[number] = self.trace.nr_blocks
        self.trace.add(Kind.ALLOCATE, self.trace.nr_blocks, size)

    def finish(self) -> None:
        """Check the counts. If lines have defects, ids that only these lines use are missing for that reason."""
        if len(self.header) < NR_HEADER:
            self.defects.append(f'{self.name} ends within its header: {len(self.header)} of {NR_HEADER} numbers')
            return
        _, nr_ids, nr_operations, _ = self.header
        if self.nr_lines != nr_operations:
            how = 'is cut short' if self.nr_lines < nr_operations else 'goes on'
            follow = 'follows' if self.nr_lines == 1 else 'follow'
            said = f'its header says {count(nr_operations, "operation")}, and {self.nr_lines:,} {follow}'
            self.defects.append(f'{self.name} {how}: {said}')
        elif not self.defects and len(self.last_block) != nr_ids:
            self.defects.append(f'{self.name} uses {count(len(self.last_block), "id")}, and its header says {nr_ids:,}')


def shown(text: str) -> str:
    """A word of the file in quotes, shortened if it is long."""
    return repr(text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + '...')
