"""Random programs of memory operations: a program is a number, and the same number is the same program everywhere.

Each program has a place of its own in the arena, small enough for its mappings to meet, and a mix of operations of its
own: of each kind none, some or many. The generator guesses what is mapped, so that most operations find something; it
may be wrong, since what a program does is for Linux to say.

FEATURES are what may be used. What Linux leaves open is not used at all: pages that can be executed alone (a matter of
the processor), lengths that reach from the arena to the program's stack, reading a file into its own mapping at another
offset in the page.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from .steps import ARENA, ARENA_PAGES, HEAP, PAGE, Step

MOST_STEPS: Final = 200
WORD: Final = (1 << 64) - 1
T = TypeVar('T')

READ, WRITE, EXECUTE = 1, 2, 4
SHARED, PRIVATE, SHARED_VALIDATE = 1, 2, 3
FIXED, ANONYMOUS, LOW, LOCKED = 0x10, 0x20, 0x40, 0x2000
NO_RESERVE, POPULATE, SYNC, FIXED_FREE = 0x4000, 0x8000, 0x80000, 0x10_0000
MAY_MOVE, MOVE_TO, KEEP_OLD = 1, 2, 4
CREATE, TRUNCATE_IT, APPEND, READ_WRITE, WRITE_ONLY = 0o100, 0o1000, 0o2000, 2, 1
SHARES: Final[Sequence[int]] = (0, 1, 1, 3)  # how often a kind comes in a program, times its weight
NR_SLOTS: Final = 4
NR_FILE_PAGES: Final = 12

# Lengths and addresses that are refused, or reach behind all that a program has
HUGE: Final = (1 << 47, (1 << 63) - PAGE, -PAGE, -1)
OVERFLOWING: Final = (-PAGE, -1, -2 * PAGE)
SAFE_TO_LOCK: Final = (1 << 47,)  # of others it depends on what is locked already
NOWHERE: Final = (0, 0x7FFF_FFFF_F000, -PAGE)
WILD: Final = (0, 1, PAGE - 1, 0x7FFF_FFFF_F000, 1 << 47, -PAGE, -1, -(1 << 47))

# What may be used; what our kernel does not have yet is left out of it
FEATURES: Final = frozenset(
    {
        'errors',
        'brk',
        'fork',
        'files',
        'shared files',
        'memfd',
        'holes in files',
        'mremap',
        'mlock',
        'free',
        'remove',
        'fork advice',
        'large pages',
        'mprotect',
        'mapped files',
        'odd kinds',
        'populate',
        'wild advice',
        'threads',
        'maps',
    }
)
ALL_FEATURES: Final = FEATURES | {'locked'}


class Random:
    """Numbers that are the same in all versions of Python (SplitMix64)."""

    def __init__(self, seed: int) -> None:
        self._state = seed * 0x5851_F42D_4C95_7F2D + 1 & WORD

    def next(self) -> int:
        """Any word."""
        self._state = self._state + 0x9E37_79B9_7F4A_7C15 & WORD
        value = self._state
        value = (value ^ value >> 30) * 0xBF58_476D_1CE4_E5B9 & WORD
        value = (value ^ value >> 27) * 0x94D0_49BB_1331_11EB & WORD
        return value ^ value >> 31

    def below(self, limit: int) -> int:
        """A number in [0, limit)."""
        return self.next() % limit

    def is_so(self, percent: int) -> bool:
        """True in so many of a hundred cases."""
        return self.below(100) < percent

    def pick(self, choices: Sequence[T]) -> T:
        """One of them."""
        return choices[self.below(len(choices))]


@dataclass
class Guess:
    """What the generator takes to be mapped."""

    is_mapped: list[bool]
    files: set[int] = field(default_factory=set)  # slots that are open
    heap_bytes: int = 0


class Generator:
    """Makes one program."""

    def __init__(self, number: int, features: frozenset[str]) -> None:
        self.random = Random(number)
        self.features = features
        self.size = 5 + self.random.below(MOST_STEPS - 5)
        self.nr_pages = self.random.pick((6, 16, 16, 40))
        self.base = self.random.pick((0, 100, 512 - 3, 512, ARENA_PAGES - self.nr_pages - 2))
        self.guess = Guess([False] * self.nr_pages)
        self.error_percent = self.random.pick((0, 3, 10, 30)) if 'errors' in features else 0
        self.has_heap = 'brk' in features and self.random.is_so(15)
        self.kinds = [kind for kind in KINDS for _ in range(self.weight(kind))]
        self.steps: list[Step] = []
        self.depth = 0

    def weight(self, kind: 'Kind') -> int:
        """How often a kind comes in this program."""
        if kind.feature and kind.feature not in self.features:
            return 0
        return kind.weight if kind.is_always else kind.weight * self.random.pick(SHARES)

    def make(self) -> list[Step]:
        """All steps."""
        while len(self.steps) < self.size:
            self.random.pick(self.kinds).make(self)
        return self.steps

    def put(self, name: str, *operands: int) -> None:
        """The next step."""
        self.steps.append(Step(name, operands))

    # -------------------------------------------------------------- operands
    def range_of(self, percent_mapped: int = 80) -> tuple[int, int]:
        """First page and number of pages: mostly of what is mapped."""
        first = self.random.below(self.nr_pages)
        if self.random.is_so(percent_mapped):
            mapped = [index for index, is_mapped in enumerate(self.guess.is_mapped) if is_mapped]
            first = self.random.pick(mapped) if mapped else first
        most = self.random.pick((1, 2, 4, self.nr_pages))
        return first, 1 + self.random.below(min(most, self.nr_pages - first))

    def address_of(self, first: int) -> int:
        """Of a page of this program's place."""
        return ARENA + (self.base + first) * PAGE

    def place(self, lengths: Sequence[int] = HUGE) -> tuple[int, int]:
        """Address and length of a range, now and then of one that is refused."""
        if self.has_heap and self.random.is_so(25):
            first, nr_pages = self.random.below(8), 1 + self.random.below(4)
            return HEAP + first * PAGE, nr_pages * PAGE
        first, nr_pages = self.range_of()
        at, nbytes = self.address_of(first), nr_pages * PAGE
        if self.random.is_so(20):
            nbytes -= self.random.below(PAGE)
        if self.random.is_so(self.error_percent):
            return self.wrong(at, nbytes, lengths)
        return at, nbytes

    def wrong(self, at: int, nbytes: int, lengths: Sequence[int]) -> tuple[int, int]:
        """A range that calls refuse, or that is empty."""
        which = self.random.below(4)
        if which == 0:
            return at + self.random.pick((1, 8, PAGE // 2, PAGE - 1)), nbytes
        if which == 1:
            return at, 0
        if which == 2:
            return at, self.random.pick(lengths)
        return self.random.pick(NOWHERE), self.random.pick((0, 1, PAGE))

    def byte_place(self) -> tuple[int, int]:
        """Address and length for a look or a change: anywhere in a page, into the next now and then."""
        if self.random.is_so(self.error_percent // 2):
            return self.random.pick(WILD), self.random.pick((1, 8))
        if self.has_heap and self.random.is_so(25):
            return HEAP + self.random.below(8 * PAGE), self.random.pick((1, 8, 100))
        first, nr_pages = self.range_of(92)
        at = self.address_of(first)
        if self.random.is_so(40):
            return at, nr_pages * PAGE
        return at + self.random.pick((0, 8, 100, PAGE - 8, PAGE - 1)), self.random.pick((1, 8, 16, 64))

    def rights(self) -> int:
        """Rights, writable ones mostly; never execution alone."""
        return self.random.pick((READ | WRITE,) * 6 + (READ, READ, 0, READ | EXECUTE, READ | WRITE | EXECUTE, WRITE))

    def slot(self) -> int:
        """A slot that may have a file, or no descriptor at all."""
        if self.guess.files and self.random.is_so(90):
            return self.random.pick(sorted(self.guess.files))
        return self.random.pick((0, 1, 2, 3, -1, 9))

    def offset(self) -> int:
        """Of a page of a file."""
        return self.random.below(NR_FILE_PAGES) * PAGE if self.random.is_so(60) else 0

    def note(self, at: int, nbytes: int, is_mapped: bool) -> None:
        """Remember what an operation is guessed to have done."""
        first = (at - ARENA) // PAGE - self.base
        for index in range(max(first, 0), min(first + -(-nbytes // PAGE), self.nr_pages)):
            self.guess.is_mapped[index] = is_mapped


# ------------------------------------------------------------------ mappings
def make_mmap(g: Generator) -> None:
    first, nr_pages = g.range_of(30)
    at, nbytes = g.address_of(first), nr_pages * PAGE
    flags = g.random.pick((PRIVATE, PRIVATE, PRIVATE, SHARED)) | ANONYMOUS
    flags |= g.random.pick((FIXED,) * 8 + (FIXED_FREE, FIXED_FREE | FIXED, 0))
    flags |= g.random.pick((0,) * 8 + (POPULATE, NO_RESERVE))
    if 'mlock' in g.features and g.random.is_so(3):
        flags |= LOCKED
    if g.random.is_so(g.error_percent):
        at, nbytes, flags = wrong_mmap(g, at, nbytes, flags)
    g.put('mmap', at, nbytes, g.rights(), flags, -1, 0)
    g.note(at, nbytes, True)


def wrong_mmap(g: Generator, at: int, nbytes: int, flags: int) -> tuple[int, int, int]:
    """A request that is refused."""
    which = g.random.below(6)
    if which == 0:
        return at + g.random.pick((1, 100, PAGE - 1)), nbytes, flags
    if which == 1:
        return at, 0, flags
    if which == 2:
        return at, g.random.pick(HUGE), flags
    if which == 3 and 'odd kinds' in g.features:
        return at, nbytes, flags & ~3
    if which == 4 and 'odd kinds' in g.features:
        return at, nbytes, flags | SHARED_VALIDATE
    return g.random.pick((0, 0x7FFF_FFFF_F000, 1 << 47, -PAGE, 1)), nbytes, PRIVATE | ANONYMOUS | FIXED


def make_mmap_file(g: Generator) -> None:
    first, nr_pages = g.range_of(30)
    at, nbytes = g.address_of(first), nr_pages * PAGE
    kind = g.random.pick((PRIVATE, SHARED)) if 'shared files' in g.features else PRIVATE
    flags = kind | g.random.pick((FIXED,) * 8 + (FIXED_FREE, 0)) | g.random.pick((0,) * 6 + (POPULATE,))
    offset = g.offset()
    if g.random.is_so(g.error_percent):
        offset = g.random.pick((1, PAGE - 1, -PAGE))
    if g.random.is_so(g.error_percent) and 'shared files' in g.features:
        flags |= g.random.pick((SHARED_VALIDATE, SHARED_VALIDATE | SYNC, LOW))
    g.put('mmap', at, nbytes, g.rights(), flags, g.slot(), offset)
    g.note(at, nbytes, True)


def make_munmap(g: Generator) -> None:
    at, nbytes = g.place()
    g.put('munmap', at, nbytes)
    g.note(at, nbytes, False)


def make_mprotect(g: Generator) -> None:
    rights = g.rights()
    if g.random.is_so(g.error_percent):
        rights = g.random.pick((8, 16, 0x0100_0000, 0x0300_0000, READ | 8))
    g.put('mprotect', *g.place(), rights)


def make_mremap(g: Generator) -> None:
    at, nbytes = g.place((1 << 47, (1 << 63) - PAGE, -1))
    first, nr_pages = g.range_of(40)
    wanted = g.random.pick((nbytes, nr_pages * PAGE, nbytes + PAGE, max(nbytes - PAGE, 1)))
    flags = g.random.pick((0, MAY_MOVE, MAY_MOVE, MAY_MOVE | MOVE_TO, MAY_MOVE | MOVE_TO, MAY_MOVE | KEEP_OLD))
    if g.random.is_so(10):
        flags = MAY_MOVE | MOVE_TO | KEEP_OLD
    if flags & KEEP_OLD and g.random.is_so(90):
        wanted = nbytes
    to = g.address_of(first)
    if g.random.is_so(g.error_percent):
        flags = g.random.pick((MOVE_TO, KEEP_OLD, 8, flags))
        to += g.random.pick((1, 0, 0))
        nbytes = g.random.pick((0, nbytes))
        wanted = g.random.pick((0, wanted, 1 << 47))
    g.put('mremap', at, nbytes, wanted, flags, to, g.random.below(2))
    g.note(at, nbytes, False)
    g.note(to, wanted, True)


def make_madvise(g: Generator) -> None:
    advices = [0, 1, 2, 4, 4, 4, 4]
    if 'populate' in g.features:
        advices += [22, 23]
    if 'free' in g.features:
        advices += [8]
    if 'remove' in g.features:
        advices += [9, 9]
    if 'large pages' in g.features:
        advices += [14, 15]
    if 'fork advice' in g.features:
        advices += [10, 11, 16, 17, 18, 19]
    advice = g.random.pick(advices)
    if g.random.is_so(g.error_percent // 2):
        advice = g.random.pick((5, 7, 26, 99, -1))
    at, nbytes = g.place(OVERFLOWING)
    if at == -PAGE and 'wild advice' not in g.features:
        at = 0
    g.put('madvise', at, nbytes, advice)


def make_mlock(g: Generator) -> None:
    which = g.random.below(20)
    if which == 0:
        g.put('mlockall', g.random.pick((1, 2, 3, 4, 5, 7, 0, 8)))
    elif which == 1:
        g.put('munlockall')
    elif which < 12:
        g.put('mlock', *g.place(SAFE_TO_LOCK), g.random.pick((-1, -1, 0, 1, 1, 2)))
    else:
        at, nbytes = g.place(SAFE_TO_LOCK)
        g.put('munlock', at if at < 1 << 47 else 0, nbytes)


def make_mincore(g: Generator) -> None:
    g.put('mincore', *g.place())


def make_msync(g: Generator) -> None:
    g.put('msync', *g.place(HUGE if 'wild advice' in g.features else HUGE[:3]), g.random.pick((4, 4, 1, 2, 0, 6, 5, 8)))


def make_brk(g: Generator) -> None:
    g.guess.heap_bytes = g.random.below(9) * PAGE + g.random.pick((0, 0, 1, 100))
    if g.has_heap:
        g.put('brk', g.guess.heap_bytes if not g.random.is_so(g.error_percent) else g.random.pick((-PAGE, 1 << 47)))


# ------------------------------------------------------------------ accesses
def make_load(g: Generator) -> None:
    g.put('load', *g.byte_place())


def make_store(g: Generator) -> None:
    g.put('store', *g.byte_place(), g.random.below(256))


def make_call(g: Generator) -> None:
    g.put('call', g.byte_place()[0], g.random.below(2))


def make_repair(g: Generator) -> None:
    g.put('repair', g.byte_place()[0], 1 + g.random.below(2), g.random.below(2) * 77)


# ------------------------------------------------------------------ files
def make_open(g: Generator) -> None:
    slot = g.random.below(NR_SLOTS)
    flags = g.random.pick((READ_WRITE | CREATE,) * 6 + (READ_WRITE, 0, WRITE_ONLY | CREATE, READ_WRITE | TRUNCATE_IT))
    g.put('open', slot, g.random.below(3), flags | g.random.pick((0,) * 9 + (APPEND,)))
    g.guess.files.add(slot)
    if g.random.is_so(60):
        g.put('truncate', slot, g.random.below(NR_FILE_PAGES * PAGE))


def make_memfd(g: Generator) -> None:
    slot = g.random.below(NR_SLOTS)
    g.put('memfd', slot, g.random.pick((0, 0, 1, 1, 0x40)))
    g.guess.files.add(slot)
    if g.random.is_so(80):
        g.put('truncate', slot, g.random.below(NR_FILE_PAGES * PAGE))


def make_read_write(g: Generator) -> None:
    """By the kernel's own positions or at an offset, with bytes of the interpreter or of the arena."""
    which, slot = g.random.below(8), g.slot()
    if which == 0:
        g.put('read', slot, g.random.pick((1, 100, PAGE, 3 * PAGE, 0)))
    elif which in (1, 2):
        g.put('write', slot, g.random.pick((1, 100, PAGE, 2 * PAGE + 5)), g.random.below(256))
    elif which == 3:
        g.put('seek', slot, g.random.below(NR_FILE_PAGES * PAGE), g.random.pick((0, 0, 0, 1, 2, 9)))
    else:
        at, nbytes = g.byte_place()
        offset = g.offset() + at % PAGE
        if g.random.is_so(g.error_percent // 3):
            offset = -1
        g.put('pread' if which < 6 else 'pwrite', slot, at, nbytes, offset)


def make_file_change(g: Generator) -> None:
    which, slot = g.random.below(10), g.slot()
    if which < 4:
        nbytes = g.random.below(NR_FILE_PAGES) * PAGE + g.random.pick((0, 1, 100, PAGE - 1))
        g.put('truncate', slot, nbytes if not g.random.is_so(g.error_percent // 3) else -1)
    elif which < 6:
        g.put('size', slot)
    elif which == 6:
        g.put('unlink', g.random.below(3))
    elif which == 7:
        g.put('close', slot)
        g.guess.files.discard(slot)
    else:
        make_allocate(g, slot)


def make_allocate(g: Generator, slot: int) -> None:
    mode = g.random.pick((0, 1, 3, 3, 3)) if 'holes in files' in g.features else 0
    if 'holes in files' in g.features and g.random.is_so(g.error_percent):
        mode = g.random.pick((2, 8, 0x20, 0x40, 9))
    offset = g.offset() + g.random.pick((0, 0, 0, 1, 100))
    nbytes = g.random.pick((PAGE, 2 * PAGE, 100, PAGE + 1, 4 * PAGE))
    if g.random.is_so(g.error_percent // 2):
        offset, nbytes = g.random.pick(((-1, PAGE), (0, 0), (0, -1)))
    g.put('allocate', slot, mode, offset, nbytes)


# ------------------------------------------------------------------ tasks
def make_some(g: Generator, most: int) -> None:
    """Some steps within brackets."""
    g.depth += 1
    for _ in range(g.random.below(most)):
        g.random.pick(g.kinds).make(g)
    g.depth -= 1


def make_fork(g: Generator) -> None:
    if g.depth >= 3:
        return
    before = list(g.guess.is_mapped)
    g.put('fork')
    make_some(g, g.random.pick((1, 4)))
    g.put('child')
    make_some(g, 12)
    if g.random.is_so(10):
        g.put('die', g.byte_place()[0], g.random.below(2))
    g.put('end')
    g.guess.is_mapped = before


def make_thread(g: Generator) -> None:
    if g.depth >= 3:
        return
    g.put('thread')
    make_some(g, 8)
    g.put('end')


def make_race(g: Generator) -> None:
    first, nr_pages = g.range_of(95)
    g.put('race', g.address_of(first), nr_pages)


def make_maps(g: Generator) -> None:
    g.put('maps')


def make_locked(g: Generator) -> None:
    g.put('locked')


@dataclass(frozen=True)
class Kind:
    """A kind of operation: who makes one, how often it comes, and what must be there for it."""

    make: Callable[[Generator], None]
    weight: int
    feature: str = ''
    is_always: bool = False  # in each program


KINDS: Final = (
    Kind(make_mmap, 12, is_always=True),
    Kind(make_load, 10, is_always=True),
    Kind(make_store, 12, is_always=True),
    Kind(make_munmap, 5),
    Kind(make_mprotect, 7, 'mprotect'),
    Kind(make_madvise, 6),
    Kind(make_mincore, 4),
    Kind(make_msync, 2),
    Kind(make_call, 2),
    Kind(make_repair, 3),
    Kind(make_brk, 3, 'brk'),
    Kind(make_open, 4, 'files'),
    Kind(make_mmap_file, 8, 'mapped files'),
    Kind(make_read_write, 9, 'files'),
    Kind(make_file_change, 5, 'files'),
    Kind(make_memfd, 4, 'memfd'),
    Kind(make_mremap, 8, 'mremap'),
    Kind(make_mlock, 4, 'mlock'),
    Kind(make_fork, 4, 'fork'),
    Kind(make_thread, 3, 'threads'),
    Kind(make_race, 1, 'threads'),
    Kind(make_maps, 3, 'maps'),
    Kind(make_locked, 2, 'locked'),
)


def program(number: int, features: frozenset[str] = FEATURES) -> list[Step]:
    """The steps of the program of that number."""
    return Generator(number, features).make()
