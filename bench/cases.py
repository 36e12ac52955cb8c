"""The cases: what is timed in one process, against which twin. Each names its pattern."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from bench.drivers import accesses, frames, objects, pages, ranges

Function = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """One figure: nanoseconds an operation, of ours and of the twin.

    Each round runs `before`, `timed` and `after` with n operations; only `timed` is timed. `setup` runs once, and
    then `setup_here`, on the simulated computer where the case is one of its. The twin of f is `twin_f` in bench/c.
    """

    name: str
    pattern: str
    n: int
    setup: Function
    timed: Function
    setup_here: Function | None = None
    before: Function | None = None
    after: Function | None = None
    at_most: float | None = None  # nanoseconds that are required
    ambition: float | None = None
    is_simulated: bool = False

    def steps(self) -> tuple[Function | None, ...]:
        """In the order of struct side in bench/c/host.c."""
        return self.setup, self.setup_here, self.before, self.timed, self.after


def accesses_case(name: str, pattern: str, timed: Function, **rest: float) -> Case:
    """A case on the simulated computer."""
    return Case(
        name,
        pattern,
        n=100_000,
        setup=accesses.computer_setup,
        setup_here=accesses.chain_setup,
        timed=timed,
        is_simulated=True,
        **rest,  # type: ignore[arg-type]
    )


CASES: Final = (
    Case(
        'frames-fill',
        'take all 8,192 frames, not zeroed',
        n=8192,
        setup=frames.frames_setup,
        timed=frames.frames_take,
        after=frames.frames_free,
        at_most=3.0,
    ),
    Case(
        'frames-fill-zeroed',
        'alloc_page of all 8,192 frames',
        n=8192,
        setup=frames.frames_setup,
        timed=frames.frames_alloc,
        after=frames.frames_free,
    ),
    Case(
        'frames-bulk',
        'take 8,192 frames, then free all; per frame',
        n=8192,
        setup=frames.frames_setup,
        timed=frames.frames_bulk,
    ),
    Case(
        'frames-repeat',
        'take one frame, free it, again',
        n=100_000,
        setup=frames.frames_setup,
        timed=frames.frames_repeat,
    ),
    Case(
        'frames-random',
        'take and free at random, half of the frames taken',
        n=65_536,
        setup=frames.frames_random_setup,
        timed=frames.frames_random,
    ),
    Case(
        'pages-map',
        'map_page, 4,096 in a row, tables included',
        n=4096,
        setup=pages.pages_setup,
        timed=pages.pages_map,
        after=pages.pages_unmap,
        ambition=2.0,
    ),
    Case(
        'pages-translate',
        'get_physical, 4,096 in a row',
        n=4096,
        setup=pages.pages_setup,
        before=pages.pages_map,
        timed=pages.pages_translate,
        after=pages.pages_unmap,
        ambition=2.0,
    ),
    Case(
        'pages-translate-random',
        'get_physical, 4,096 at random out of 4,096',
        n=4096,
        setup=pages.pages_random_setup,
        before=pages.pages_map,
        timed=pages.pages_translate_random,
        after=pages.pages_unmap,
        ambition=2.0,
    ),
    Case(
        'pages-unmap',
        'unmap_page, 4,096 in a row, tables included',
        n=4096,
        setup=pages.pages_setup,
        before=pages.pages_map,
        timed=pages.pages_unmap,
    ),
    Case(
        'ranges-map',
        'map_range of 4,096 pages of 4 KiB, tables included; per page',
        n=4096,
        setup=pages.pages_setup,
        timed=ranges.ranges_map,
        after=ranges.ranges_unmap,
        ambition=0.3,
    ),
    Case(
        'ranges-protect',
        'protect_range of 4,096 pages of 4 KiB; per page',
        n=4096,
        setup=pages.pages_setup,
        before=ranges.ranges_map,
        timed=ranges.ranges_protect,
        after=ranges.ranges_unmap,
        ambition=0.3,
    ),
    Case(
        'ranges-unmap',
        'unmap_range of 4,096 pages of 4 KiB, tables included; per page',
        n=4096,
        setup=pages.pages_setup,
        before=ranges.ranges_map,
        timed=ranges.ranges_unmap,
        ambition=0.3,
    ),
    Case(
        'ranges-map-huge',
        'map_range of 4,096 pages of 2 MiB, tables included; per page',
        n=4096,
        setup=pages.pages_setup,
        timed=ranges.ranges_map_huge,
        after=ranges.ranges_unmap_huge,
        ambition=0.3,
    ),
    Case(
        'ranges-protect-huge',
        'protect_range of 4,096 pages of 2 MiB; per page',
        n=4096,
        setup=pages.pages_setup,
        before=ranges.ranges_map_huge,
        timed=ranges.ranges_protect_huge,
        after=ranges.ranges_unmap_huge,
        ambition=0.3,
    ),
    Case(
        'ranges-unmap-huge',
        'unmap_range of 4,096 pages of 2 MiB, tables included; per page',
        n=4096,
        setup=pages.pages_setup,
        before=ranges.ranges_map_huge,
        timed=ranges.ranges_unmap_huge,
        ambition=0.3,
    ),
    Case(
        'heap-pair',
        'kmalloc(100), kfree, nothing else live',
        n=100_000,
        setup=objects.heap_setup,
        timed=objects.heap_pair,
    ),
    Case(
        'heap-pair-100',
        'kmalloc(100), kfree, 100 blocks live',
        n=100_000,
        setup=objects.heap_setup_few,
        timed=objects.heap_pair,
    ),
    Case(
        'heap-pair-10000',
        'kmalloc(100), kfree, 10,000 blocks live',
        n=100_000,
        setup=objects.heap_setup_many,
        timed=objects.heap_pair,
    ),
    Case(
        'heap-mix-100',
        'kfree and kmalloc of 16 to 527 bytes at random, 100 live',
        n=20_000,
        setup=objects.heap_setup_few,
        timed=objects.heap_mix,
    ),
    Case(
        'heap-mix-10000',
        'kfree and kmalloc of 16 to 527 bytes at random, 10,000 live',
        n=20_000,
        setup=objects.heap_setup_many,
        timed=objects.heap_mix,
    ),
    accesses_case(
        'load-hit', 'simulated load64, TLB hits, 128 pages, independent', accesses.loads_hit, at_most=4.0, ambition=2.0
    ),
    accesses_case('store-hit', 'simulated store64, TLB hits, 128 pages', accesses.stores_hit),
    accesses_case('load-chain', 'simulated load64, TLB hits, each waits for the last', accesses.loads_chained),
    accesses_case('load-walk', 'simulated load64, each walks from its last table', accesses.loads_walk),
    accesses_case('load-walk-all', 'simulated load64, each walks from the root', accesses.loads_walk_all),
)
