"""Runs: entries in a row of one table, at the address where the table is open.

Unit: the entry. Knows nothing of walks, flushes or counts. The loops take four or eight entries a round: what the
rounds themselves cost would be as much as the work.
"""

from typing import Final

from incroos.kernel.arch.pte import HUGE, PRESENT
from incroos.kernel.state import Space
from incroos.lang import VirtAddr, kernel, load64, store64, word

ROUND: Final = 4
BYTES: Final = 8  # of an entry


@kernel
def write_run(space: Space, entries: VirtAddr, nr_entries: word, leaf: word, step: word) -> None:
    """Write leaves in a row, each `step` above the one before."""
    at = entries
    entry = leaf
    for _ in range(nr_entries // ROUND):
        store64(space.m, at, entry)
        store64(space.m, VirtAddr(at + BYTES), entry + step)
        store64(space.m, VirtAddr(at + 2 * BYTES), entry + 2 * step)
        store64(space.m, VirtAddr(at + 3 * BYTES), entry + 3 * step)
        at = VirtAddr(at + ROUND * BYTES)
        entry += ROUND * step
    for _ in range(nr_entries % ROUND):
        store64(space.m, at, entry)
        at = VirtAddr(at + BYTES)
        entry += step


@kernel
def survey_run(space: Space, entries: VirtAddr, most: word, level: word) -> tuple[word, word]:
    """How many of so many entries of a table of the level are leaves, up to the first that is none, and their bits."""
    needed = PRESENT if level == 1 else PRESENT | HUGE
    bits = 0
    index = 0
    while index + 2 * ROUND <= most:
        common, some = bits_of_four(space, VirtAddr(entries + BYTES * index))
        other_common, other_some = bits_of_four(space, VirtAddr(entries + BYTES * (index + ROUND)))
        if common & other_common & needed != needed:
            break
        bits |= some | other_some
        index += 2 * ROUND
    while index < most:
        entry = load64(space.m, VirtAddr(entries + BYTES * index))
        if entry & needed != needed:
            break
        bits |= entry
        index += 1
    return index, bits


@kernel
def trim_run(space: Space, entries: VirtAddr, nr_entries: word) -> tuple[VirtAddr, VirtAddr]:
    """Where entries in a row begin and end without those that are 0 at both ends; twice the same if all are."""
    start = entries
    end = VirtAddr(entries + BYTES * nr_entries)
    while start + ROUND * BYTES <= end and any_of_four(space, start) == 0:
        start = VirtAddr(start + ROUND * BYTES)
    while start < end and load64(space.m, start) == 0:
        start = VirtAddr(start + BYTES)
    while start + ROUND * BYTES <= end and any_of_four(space, VirtAddr(end - ROUND * BYTES)) == 0:
        end = VirtAddr(end - ROUND * BYTES)
    while start < end and load64(space.m, VirtAddr(end - BYTES)) == 0:
        end = VirtAddr(end - BYTES)
    return start, end


@kernel
def any_of_four(space: Space, at: VirtAddr) -> word:
    """The bits that any of four entries has."""
    return (
        load64(space.m, at)
        | load64(space.m, VirtAddr(at + BYTES))
        | load64(space.m, VirtAddr(at + 2 * BYTES))
        | load64(space.m, VirtAddr(at + 3 * BYTES))
    )


@kernel
def bits_of_four(space: Space, at: VirtAddr) -> tuple[word, word]:
    """The bits that each of four entries has, and those that any of them has."""
    first = load64(space.m, at)
    second = load64(space.m, VirtAddr(at + BYTES))
    third = load64(space.m, VirtAddr(at + 2 * BYTES))
    fourth = load64(space.m, VirtAddr(at + 3 * BYTES))
    return first & second & third & fourth, first | second | third | fourth


@kernel
def rewrite_run(space: Space, entries: VirtAddr, nr_entries: word, kept: word, added: word) -> None:
    """Keep some bits of each entry and add others."""
    for index in range(nr_entries):
        at = VirtAddr(entries + BYTES * index)
        store64(space.m, at, (load64(space.m, at) & kept) | added)
