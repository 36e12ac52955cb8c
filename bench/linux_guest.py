"""Linux under the same QEMU as our kernel: a static program as its init, another beside it, and what it wrote.

The kernel is that of Debian's linux-image-cloud-amd64, downloaded and unpacked into build/, not installed. Where it
cannot be had, `stored` has what was measured before, with the kernel's version and the date.
"""

import datetime
import json
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from bench.executable import CannotBench
from incroos.build.whole_file import write_whole
from incroos.run.archive import Entry, archive_of
from incroos.run.qemu_process import find_qemu

META_PACKAGE: Final = 'linux-image-cloud-amd64'
FOLDER: Final = Path('build/linux')
STORED: Final = Path(__file__).parent / 'linux_figures.json'
SECONDS: Final = 600
MEMORY_BYTES: Final = 512 << 20
# Without the two features Linux zeroes and copies in loops as we do: one `rep stosb` would count as an instruction.
PROCESSOR: Final = 'max,-erms,-fsrm'
COUNTING: Final = ('-icount', 'shift=0,sleep=off')  # one instruction is one nanosecond of the guest's time
MACHINE: Final = (
    *('-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-machine', 'pc', '-accel', 'tcg'),
    *('-m', f'{MEMORY_BYTES >> 20}M', '-cpu', PROCESSOR, *COUNTING),
)
# Left out: the cost of mitigations, of control groups, and of huge pages where nobody asks for them. Its panic, when
# init ends, ends QEMU.
KERNEL_OPTIONS: Final = (
    'console=ttyS0 quiet mitigations=off cgroup_disable=memory transparent_hugepage=never panic=-1 printk.devkmsg=off'
)
RANGES: Final = re.compile(r'(?m)^ranges (\d+)\r?$')
MANY_RANGES: Final = 100_000
LINE: Final = re.compile(r'(?m)^figure (\S+) (-?\d+)\r?$')


@dataclass(frozen=True)
class Measured:
    """Instructions by operation, and on what. `date` is empty when it was just now."""

    kernel: str
    qemu: str
    date: str
    figures: dict[str, float]

    def words(self) -> str:
        """For people."""
        return f'Linux {self.kernel}, {self.qemu}' + (f', stored on {self.date}' if self.date else '')


def output_of(command: list[str], cwd: Path | None = None) -> str:
    """What a command wrote; CannotBench where it fails."""
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotBench(f'{command[0]} does not work: {error}') from error
    if done.returncode != 0:
        words = done.stderr.strip().splitlines() or ['it said nothing']
        raise CannotBench(f'{" ".join(command)} ended with {done.returncode}: {words[-1]}')
    return done.stdout


def qemu_version() -> str:
    """Of the QEMU that is installed."""
    return output_of([find_qemu(), '--version']).partition('\n')[0].replace(' emulator version', '').split(' (')[0]


def kernel_package() -> str:
    """The package that the meta-package stands for today."""
    found = re.search(r'Depends: (linux-image-\S+)', output_of(['apt-cache', 'depends', META_PACKAGE]))
    if found is None:
        raise CannotBench(f'{META_PACKAGE} is in no list of packages')
    return found.group(1)


def linux() -> tuple[Path, str]:
    """The kernel, downloaded once, and its version."""
    package = kernel_package()
    version = output_of(['apt-cache', 'show', '--no-all-versions', package])
    version = next(line.split()[1] for line in version.splitlines() if line.startswith('Version:'))
    folder = (FOLDER / f'{package}_{version}').resolve()
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as own:
            output_of(['apt-get', 'download', package], Path(own))
            (archive,) = Path(own).glob('*.deb')
            output_of(['dpkg-deb', '-x', str(archive), f'{own}/unpacked'])
            Path(own, 'unpacked').rename(folder)
    (kernel,) = folder.glob('boot/vmlinuz-*')
    return kernel, version


@contextmanager
def temporary_file(content: bytes) -> Iterator[Path]:
    """A file with a name for as long as it is needed."""
    with tempfile.NamedTemporaryFile(prefix='incroos-bench-') as file:
        file.write(content)
        file.flush()
        yield Path(file.name)


def run_as_init(program: Path, beside: Path) -> tuple[str, str]:
    """What a static program writes as the init of Linux, and the version of Linux; it may start the one beside it."""
    kernel, version = linux()
    files = {b'init': program, os.fsencode(beside.name): beside}
    entries = [Entry(name, stat.S_IFREG | 0o755, 0, path.read_bytes()) for name, path in files.items()]
    with temporary_file(archive_of(entries)) as initrd:
        images = ['-kernel', str(kernel), '-initrd', str(initrd)]
        text = output_of([find_qemu(), *MACHINE, '-serial', 'stdio', *images, '-append', KERNEL_OPTIONS])
    return text, version


def figures_in(text: str) -> dict[str, float]:
    """The lines of bench/c/counted.h, in instructions; all must be there, and a nop must have been one."""
    found = {name: int(hundredths) / 100 for name, hundredths in LINE.findall(text)}
    if not 0.99 <= found.get('nop', 0) <= 1.01:
        raise CannotBench(f'an instruction did not come to a nanosecond: {text[-300:]!r}')
    for nr_ranges in map(int, RANGES.findall(text)):
        if nr_ranges != MANY_RANGES:
            raise CannotBench(f'there were {nr_ranges} ranges in the place of {MANY_RANGES}')
    return found


def measure(programs: Sequence[Path], beside: Path) -> Measured:
    """Now, on this machine."""
    figures: dict[str, float] = {}
    version = ''
    for program in programs:
        text, version = run_as_init(program, beside)
        figures |= figures_in(text)
    return Measured(version, qemu_version(), '', figures)


def stored() -> Measured:
    """What was measured before."""
    return Measured(**json.loads(STORED.read_text()))


def measured_or_stored(programs: Sequence[Path], beside: Path, say: Callable[[str], None]) -> Measured:
    """Linux beside ours, whatever the machine has."""
    try:
        return measure(programs, beside)
    except CannotBench as error:
        say(f'Linux cannot be measured here, its stored figures are taken: {error}')
        return stored()


def store(measured: Measured) -> None:
    """Keep it for machines that cannot."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    write_whole(STORED, (json.dumps(asdict(replace(measured, date=today)), indent=2) + '\n').encode())


def compiled(source: Path, folder: Path) -> Path:
    """A static program of a source; CannotBench where musl is missing."""
    if shutil.which('musl-gcc') is None:
        raise CannotBench('musl-gcc is not installed: make setup should have done it')
    program = folder / source.stem
    output_of(['musl-gcc', '-static', '-no-pie', '-O1', '-Wall', '-Wextra', '-Werror', str(source), '-o', str(program)])
    return program
