"""`python -m bench.flushes`: what it costs to flush a page, and to flush all, for config.flush_threshold.

A kernel of its own measures on the processor, in QEMU with KVM, in steps of its time stamp counter. To flush all is
cheap by itself; then each page in use has to be walked to again. How many single flushes cost as much depends on how
many pages are in use, so the table has a row for each of some numbers.
"""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from incroos.build.image import build_image
from incroos.guest import mailbox
from incroos.kernel import vmm
from incroos.kernel.codes import EXIT_PASSED
from incroos.kernel.configs import CLASSIC
from incroos.kernel.io import console
from incroos.kernel.io.panic import end_machine
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Kernel
from incroos.kernel.trap import faults
from incroos.lang import (
    Machine,
    PhysAddr,
    VirtAddr,
    invlpg,
    kernel,
    load64,
    read_cr3,
    read_tsc,
    store64,
    word,
    write_cr3,
)
from incroos.lang.frontend import BARE, compile_unit
from incroos.run import images, qemu
from incroos.run.boot import Boot

PAGES: Final = 0x7000_0000_0000
MEMORY: Final = 0x40_1000  # where no large page fits
FLAGS: Final = vmm.PRESENT | vmm.WRITABLE | vmm.NX
STRIDE: Final = PAGE_BYTES + 64  # so that the lines do not all fall into the same set of the cache
MAX_PAGES: Final = 1024
NR_FLUSHED: Final = 128
NR_ROUNDS: Final = 200
SCRATCH: Final = PAGES + (MAX_PAGES + 32) * STRIDE
NEVER: Final = 1 << 40

MEMORY_BYTES: Final = 64 << 20
TIMEOUT: Final = 120.0
LINE: Final = re.compile(r'(\d+) pages: warm (\d+), flush all (\d+), cold (\d+), flush each (\d+)')


# ------------------------------------------------------------------ the kernel
@kernel
def measure(k: Kernel, start_info: PhysAddr) -> None:
    """Start the memory manager, put a line for each number of pages, and end the machine."""
    mailbox.start(k, start_info)
    vmm.map_range(k, VirtAddr(PAGES), PhysAddr(MEMORY), 2 * MAX_PAGES * PAGE_BYTES, FLAGS)
    nr_pages = 16
    while nr_pages <= MAX_PAGES:
        measure_with(k, nr_pages)
        nr_pages *= 4
    end_machine(k.m, EXIT_PASSED)


@kernel
def measure_with(k: Kernel, nr_pages: word) -> None:
    """Put the quickest of some rounds with so many pages in use."""
    warm = NEVER
    full = NEVER
    cold = NEVER
    single = NEVER
    for _ in range(NR_ROUNDS):
        touch(k.m, nr_pages)
        warm = min(warm, touch(k.m, nr_pages))
        full = min(full, flush_all(k.m))
        cold = min(cold, touch(k.m, nr_pages))
        single = min(single, flush_each(k.m))
    put_figure(k, b'', nr_pages)
    put_figure(k, b' pages: warm ', warm)
    put_figure(k, b', flush all ', full)
    put_figure(k, b', cold ', cold)
    put_figure(k, b', flush each ', single)
    console.put_text(k, b'\n')


@kernel
def touch(m: Machine, nr_pages: word) -> word:
    """Load a word of each of so many pages; how long it took."""
    begin = read_tsc(m)
    total = 0
    for index in range(nr_pages):
        total |= load64(m, VirtAddr(PAGES + index * STRIDE))
    store64(m, VirtAddr(SCRATCH), total)  # so that the loads are not left out
    return read_tsc(m) - begin


@kernel
def flush_all(m: Machine) -> word:
    """Flush all; how long it took."""
    begin = read_tsc(m)
    write_cr3(m, read_cr3(m))
    return read_tsc(m) - begin


@kernel
def flush_each(m: Machine) -> word:
    """Touch NR_FLUSHED pages that are not in use, and flush each; how long the flushes took."""
    start = PAGES + (MAX_PAGES + 64) * PAGE_BYTES
    for index in range(NR_FLUSHED):
        load64(m, VirtAddr(start + index * PAGE_BYTES))
    begin = read_tsc(m)
    for index in range(NR_FLUSHED):
        invlpg(m, VirtAddr(start + index * PAGE_BYTES))
    return read_tsc(m) - begin


@kernel
def put_figure(k: Kernel, name: bytes, figure: word) -> None:
    """Put a name and a number."""
    console.put_text(k, name)
    console.put_decimal(k, figure)


# ------------------------------------------------------------------ the host
def run(accel: str) -> str:
    """What the kernel prints."""
    entries: dict[str, Callable[..., Any]] = {
        'kmain': measure,
        'on_page_fault': faults.on_page_fault,
        'on_exception': faults.on_exception,
    }
    unit = compile_unit(entries, target=BARE, config=CLASSIC)
    image = build_image(unit.ir, unit.sites, images.boot_layout(CLASSIC), debug=False)
    printed = bytearray()
    with tempfile.TemporaryDirectory(prefix='incroos-bench-') as folder:
        path = Path(folder) / images.ELF
        path.write_bytes(image.elf)
        end = qemu.boot(Boot(MEMORY_BYTES, TIMEOUT, printed.extend, accel=accel), path)
    if not LINE.search(printed.decode()):
        raise click.ClickException(f'the kernel measured nothing: {end}')
    return printed.decode()


@click.command(context_settings={'help_option_names': ['-h', '--help']})
@click.option('--accel', type=click.Choice(['kvm', 'tcg']), default='kvm')
def show(accel: str) -> None:
    """Print the table, in Markdown; times are in steps of the time stamp counter."""
    click.echo('| pages in use | flush a page | flush all | walk to each again | as many single flushes cost as much |')
    click.echo('|---|---|---|---|---|')
    for line in LINE.findall(run(accel)):
        nr_pages, warm, full, cold, single = map(int, line)
        each, again = single / NR_FLUSHED, max(0, cold - warm) / nr_pages
        click.echo(f'| {nr_pages:,} | {each:.0f} | {full} | {again:.1f} | {(full + again * nr_pages) / each:.0f} |')


if __name__ == '__main__':
    show(prog_name='python -m bench.flushes')
