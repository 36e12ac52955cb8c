"""Linux as the model, by hand: python -m tests.run.model.

host COUNT              the answers of the host's Linux, three times: do they depend on anything?
expected COUNT          write them to expected.txt
compare PLACE FROM TO   run programs in a place, and show the shortest program of each difference
show NUMBER [PLACE]     a program, and what Linux, or a place, says of it
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from difflib import unified_diff
from pathlib import Path

from . import judge
from .programs import ALL_FEATURES, FEATURES
from .shrink import shrink
from .steps import Step, listing

MOST_SHOWN = 12


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--features', default='', help='comma separated, added to those in use; "all" for all')
    commands = parser.add_subparsers(dest='command', required=True)
    for name in ('host', 'expected'):
        commands.add_parser(name).add_argument('count', type=int)
    compare = commands.add_parser('compare')
    compare.add_argument('place')
    compare.add_argument('start', type=int)
    compare.add_argument('end', type=int)
    compare.add_argument('--shrink', type=int, default=MOST_SHOWN, help='so many differences are shrunk')
    show = commands.add_parser('show')
    show.add_argument('number', type=int)
    show.add_argument('place', nargs='?', default='host')
    return parser.parse_args()


def features_of(text: str) -> frozenset[str]:
    """Those in use and some more, or less where a name begins with a minus."""
    names = {name.strip() for name in text.split(',') if name.strip()}
    more = ALL_FEATURES if 'all' in names else names & ALL_FEATURES
    return (FEATURES | more) - {name[1:] for name in names if name.startswith('-')}


def host(programs: judge.Programs) -> judge.Answers:
    """Ask three times."""
    first = judge.host_answers(programs)
    for _ in range(2):
        unsteady = judge.differing(judge.host_answers(programs), first)
        if unsteady:
            raise SystemExit(f'the host says something else the next time, of programs {unsteady}')
    print(f'{judge.linux()}: {len(programs)} programs, three times the same')
    return first


class Comparison:
    """The host and a place."""

    def __init__(self, place: str) -> None:
        self.place = place

    def said(self, programs: judge.Programs, form: str) -> str:
        """By the place."""
        with tempfile.TemporaryDirectory() as folder:
            return judge.said_in(self.place, programs, form, Path(folder))

    def differs(self, tries: Sequence[Sequence[Step]]) -> list[bool]:
        """Of each program: do the answers differ? All if the kernel comes to no good end."""
        programs = dict(enumerate(tries))
        wanted = judge.host_answers(programs)
        try:
            found = judge.answers_of(self.said(programs, 'digest'))
        except judge.Unfinished:
            if len(tries) == 1:
                return [True]
            middle = len(tries) // 2
            return self.differs(tries[:middle]) + self.differs(tries[middle:])
        return [found[number] != wanted[number] for number in programs]

    def show(self, number: int, steps: Sequence[Step]) -> None:
        """Shrink a program, and print it with what both say."""
        shortest = shrink(steps, self.differs)
        print(f'\nprogram {number}, {len(steps)} steps, of which {len(shortest)} are left:\n{listing(shortest)}')
        wanted = judge.said_by_host({number: shortest}, 'text').splitlines()
        try:
            found = self.said({number: shortest}, 'text').splitlines()
        except judge.Unfinished as error:
            found = [str(error)[-2000:]]
        print(
            '\n'.join(unified_diff(wanted[:-1], found[:-1] or found, 'Linux', self.place, lineterm='', n=99)),
            flush=True,
        )


def compare(place: str, numbers: range, features: frozenset[str], nr_shown: int) -> int:
    """Run them, and print each difference: how many there are."""
    comparison, programs = Comparison(place), judge.programs_of(numbers, features)
    different = []
    for part in judge.batches(programs):
        wanted = judge.host_answers(part)
        try:
            found = judge.answers_of(comparison.said(part, 'digest'))
            different += judge.differing(found, wanted)
        except judge.Unfinished as error:
            print(f'programs from {min(part)} on: {str(error)[-1500:]}', flush=True)
            answers = comparison.differs(list(part.values()))
            different += [number for number, answer in zip(part, answers, strict=True) if answer]
        print(f'up to {max(part)}: {len(different)} differ', flush=True)
    print('differing:', different, flush=True)
    for number in different[:nr_shown]:
        comparison.show(number, programs[number])
    return len(different)


def main() -> int:
    """Do what is asked for."""
    wanted = parsed()
    features = features_of(wanted.features)
    if wanted.command == 'compare':
        return int(compare(wanted.place, range(wanted.start, wanted.end), features, wanted.shrink) > 0)
    if wanted.command == 'show':
        programs = judge.programs_of([wanted.number], features)
        print(listing(programs[wanted.number]))
        said = (
            judge.said_by_host(programs, 'text')
            if wanted.place == 'host'
            else Comparison(wanted.place).said(programs, 'text')
        )
        print(said, end='')
        return 0
    programs = judge.programs_of(range(wanted.count), features)
    answers = host(programs)
    if wanted.command == 'expected':
        judge.write_expected(programs, answers)
    return 0


sys.exit(main())
