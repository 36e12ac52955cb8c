"""`python -m bench.table_access`: what each way to reach page tables costs, for docs/table-access.md.

Counted on the interpreted kernel: loads, stores and flushes of one page at a time, neighbours of one another, and of a
range. Timed on the compiled simulated computer, where an access to memory costs about as much as a TLB lookup.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import click

from incroos.guest import mailbox
from incroos.guest.dispatch import execute
from incroos.kernel.config import KernelConfig
from incroos.kernel.configs import CLASSIC, CLASSIC_FIXMAP, CLASSIC_RECURSIVE, MODERN
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.trap import faults
from incroos.kernel.vmm import NX, PRESENT, WRITABLE
from incroos.run import jit
from incroos.run.harness import DOORBELL, Call, MailboxDriver, call_of, padded
from incroos.run.sim import Sim
from incroos.run.simulated import EntryPoints

WAYS: Final[dict[str, KernelConfig]] = {
    'identity map': CLASSIC,
    'direct map': MODERN,
    'recursive slot': CLASSIC_RECURSIVE,
    'fixmap': CLASSIC_FIXMAP,
}
ENTRIES: Final = EntryPoints(mailbox.mailbox_main, faults.on_page_fault, faults.on_exception)
MEMORY_BYTES: Final = 64 << 20
PAGES: Final = 0x7000_0000_0000
MEMORY: Final = 0x40_1000  # where no large page fits
FLAGS: Final = PRESENT | WRITABLE | NX
NR_PAGES: Final = 1024
NR_ROUNDS: Final = 300  # the best of them, because two processes in turn wait for each other
COUNTED: Final = ('load64', 'store64', 'invlpg', 'write_cr3')


def singly(name: str, *rest: int) -> list[Call]:
    """The operation on each page in a row."""
    return [call_of(name, PAGES + index * PAGE_BYTES, *rest) for index in range(NR_PAGES)]


OPERATIONS: Final[dict[str, Sequence[Call]]] = {
    'map': [
        call_of('map_page', PAGES + index * PAGE_BYTES, MEMORY + index * PAGE_BYTES, FLAGS) for index in range(NR_PAGES)
    ],
    'translate': singly('get_physical'),
    'unmap': singly('unmap_page'),
    'map a range': [call_of('map_range', PAGES, MEMORY, NR_PAGES * PAGE_BYTES, FLAGS)],
    'unmap a range': [call_of('unmap_range', PAGES, NR_PAGES * PAGE_BYTES)],
}


def count(config: KernelConfig) -> dict[str, list[float]]:
    """Of each operation, per page: loads, stores and flushes."""
    sim = Sim(MEMORY_BYTES, config)
    sim.start(mailbox.start)
    machine, k = sim.machine, sim.kernel
    counts = dict.fromkeys(COUNTED, 0)

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*words: int) -> Any:
            counts[name] += 1
            return function(*words)

        return call

    for name in COUNTED:
        setattr(machine, name, counted(name, getattr(machine, name)))
    found = {}
    for name, calls in OPERATIONS.items():
        for key in counts:
            counts[key] = 0
        for call in calls:
            assert execute(k, call.code, *padded(call.words)) >= 0
        nr_flushes = counts['invlpg'] + counts['write_cr3']
        found[name] = [number / NR_PAGES for number in (counts['load64'], counts['store64'], nr_flushes)]
    return found


def clock(config: KernelConfig) -> dict[str, float]:
    """Nanoseconds per page of each operation, the best of some rounds; the host's mailbox takes part of it."""
    best = dict.fromkeys(OPERATIONS, float('inf'))
    with jit.Guest(MEMORY_BYTES, jit.cached_kernel(click.echo, ENTRIES, config)) as guest:
        driver = MailboxDriver(guest.ram, guest.is_running, config=config)
        driver.wait_until_ready()
        for _ in range(NR_ROUNDS):
            for name, calls in OPERATIONS.items():
                best[name] = min(best[name], run(driver, calls) / NR_PAGES * 1e9)
    return best


def run(driver: MailboxDriver, calls: Sequence[Call]) -> float:
    """The seconds from the ring of the doorbell to the answer: `send` would ring before a clock could be read."""
    for index, call in enumerate(calls):
        operation = driver.mailbox.operations[index]
        operation.code = call.code
        operation.a, operation.b, operation.c, operation.d = padded(call.words)
    driver.mailbox.nr_operations = len(calls)
    number = driver.mailbox.served + 1
    begin = time.perf_counter()
    driver.ram.atomic_store64(DOORBELL, number)
    while driver.mailbox.served != number:
        pass
    return time.perf_counter() - begin


@click.command(context_settings={'help_option_names': ['-h', '--help']})
def show() -> None:
    """Print the table, in Markdown."""
    click.echo('| way | operation | loads | stores | flushes | ns |\n|---|---|---|---|---|---|')
    for way, config in WAYS.items():
        times = clock(config)
        for name, (loads, stores, flushes) in count(config).items():
            click.echo(f'| {way} | {name} | {loads:.2f} | {stores:.2f} | {flushes:.3f} | {times[name]:.1f} |')


if __name__ == '__main__':
    show(prog_name='python -m bench.table_access')
