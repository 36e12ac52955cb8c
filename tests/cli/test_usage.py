"""Wrong usage: status 2, one sentence that says what to write instead, and nothing started."""

import sys
from collections.abc import Callable
from typing import Final

import pytest

from incroos.cli import commands
from incroos.run.outcome import Status

from .command import run

Refuse = Callable[..., str]

MEMORY: Final = {
    '1M': '1M is too little for the kernel and a frame to manage: give it 3M or more',
    '0M': '0M is too little for the kernel and a frame to manage: give it 3M or more',
    '1028K': '1028K is too little for the kernel and a frame to manage: give it 3M or more',
    '2M': '2M is too little for the kernel and a frame to manage: give it 3M or more',
    '3064K': '3064K is too little for the kernel and a frame to manage: give it 3M or more',
    '5004K': '5004K is not a multiple of 8K: give it 5008K',
    '999999G': '999999G is more than the processor can address: give it 64T or less',
    f'{10**40}G': f'{10**40}G is more than the processor can address: give it 64T or less',
    '65T': '65T is more than the processor can address: give it 64T or less',
}
NO_MEMORY: Final = [
    'banana',
    '',
    '0',
    '-5',
    '64',
    '1e9G',
    '64X',
    ' 64M',
    '6.5M',
    '0x10M',
    '٣M',
    '64M\n',
    'M',
]
NO_TIME: Final = ['0', '-1', 'nan', 'inf', '-inf', '1e9', '86401', '-0.0']


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Refuse:
    """Says what the command answers to arguments that it refuses."""

    def refuse(*arguments: str) -> str:
        monkeypatch.setattr(sys, 'argv', ['incroos', *arguments])
        assert commands.run() == Status.WRONG_USAGE
        written = capfd.readouterr()
        assert written.out == ''
        assert written.err.startswith('incroos: ')
        return written.err.removeprefix('incroos: ').removesuffix('\n')

    return refuse


@pytest.mark.parametrize(('memory', 'sentence'), MEMORY.items())
def test_memory_that_no_machine_has(refusal: Refuse, memory: str, sentence: str) -> None:
    assert refusal('boot', '--memory', memory) == (
        f"invalid value for '--memory': {sentence} (incroos boot --help says more)"
    )


@pytest.mark.parametrize('memory', NO_MEMORY)
def test_what_is_no_amount_of_memory(refusal: Refuse, memory: str) -> None:
    sentence = refusal('boot', f'--memory={memory}')
    assert f'{memory!r} is not an amount of memory: write a number with K, M, G or T, as 64M' in sentence
    assert '\n' not in sentence


@pytest.mark.parametrize('seconds', NO_TIME)
def test_no_time_to_boot_in(refusal: Refuse, seconds: str) -> None:
    sentence = refusal('boot', '--timeout', seconds)
    assert f'{seconds} s is no time to boot in: write more than 0 and at most 86400' in sentence


def test_what_is_no_number_of_seconds(refusal: Refuse) -> None:
    assert "'banana' is not a number of seconds: write one, as 30" in refusal('boot', '--timeout', 'banana')


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['bot'], "no such command 'bot'. Did you mean 'boot'"),
        (['--bogus'], "no such option '--bogus'"),
        (['boot', '--bogus'], "no such option '--bogus'"),
        (['boot', 'kernel.elf'], 'got unexpected extra argument (kernel.elf)'),
        (['boot', '--on', 'mars'], "'mars' is not one of 'auto', 'qemu', 'jit', 'sim'"),
        (['boot', '--on'], "option '--on' requires an argument"),
        (['boot', '--accel', 'xen'], "'xen' is not one of 'auto', 'kvm', 'tcg'"),
        (['boot', '--on', 'jit', '--accel', 'kvm'], '--accel kvm is for QEMU, and this boot is on jit: leave it away'),
        (
            ['boot', '--on', 'sim', '--firmware', 'bios'],
            '--firmware bios is for QEMU, and this boot is on sim',
        ),
        (['boot', '--firmware', 'amiga'], "'amiga' is not one of 'pvh', 'bios'"),
        (['build', '-o', 'x', '--format', 'com'], "'com' is not one of 'elf', 'bios'"),
        (['build'], "missing option '-o'"),
        (['build', '-o', '/'], "'/' is a directory"),
        (['build', '-o', 'x', '--run', ''], "invalid value for '--run': it names no program"),
        (['build', '-o', 'x', '--run', '/bin/sh "'], 'cannot be taken apart (no closing quotation)'),
        (['build', '-o', 'x', '--run', '/sh', '--config', 'classic'], '--config classic runs no programs: take modern'),
        (['build', '-o', 'x', '--run', '/sh', '--format', 'library'], '--run is not for --format library'),
        (['build', '-o', 'x', '--root', '/', '--format', 'shared'], '--root is not for --format shared'),
        (['build', '-o', 'x', '--root', '/'], '--root is for a program: name one with --run'),
        (['build', '-o', 'x', '--env', 'A=b'], '--env is for a program: name one with --run'),
        (['build', '-o', 'x', '--run', '/sh', '--env', 'A'], "'A' is no variable"),
        (['build', '-o', '-', '--json'], 'the image and --json cannot both go to standard output: name a file'),
        (['gdb', '--memory', '1M'], '1M is too little for the kernel and a frame to manage: give it 3M or more'),
        (['check', 'extra'], 'got unexpected extra argument (extra)'),
    ],
    ids=' '.join,
)
def test_wrong_usage(refusal: Refuse, arguments: list[str], words: str) -> None:
    sentence = refusal(*arguments)
    assert words in sentence
    assert '--help says more)' in sentence
    assert '\n' not in sentence


def test_no_command(refusal: Refuse) -> None:
    help_text = refusal()
    assert help_text.startswith('name a command\n')
    for command in ('boot', 'build', 'check', 'gdb'):
        assert f'\n  {command} ' in help_text


# ------------------------------------------------------------------ the help
@pytest.mark.parametrize('columns', ['20', '80'])
@pytest.mark.parametrize('command', commands.cli.commands)
def test_help_names_every_option(command: str, columns: str) -> None:
    done = run(command, '--help', environment={'COLUMNS': columns})
    assert (done.status, done.remarks) == (0, '')
    named = set(done.output.replace(',', ' ').split())
    for option in commands.cli.commands[command].params:
        assert set(option.opts) <= named
    assert {'-h', '--help'} <= named
    assert '\x1b' not in done.output


def test_the_options_of_boot_that_users_rely_on() -> None:
    options = {option.opts[-1]: option for option in commands.cli.commands['boot'].params}
    assert {'--on', '--memory', '--accel', '--timeout', '--checked'} <= set(options)
    defaults = [options[name].default for name in ('--on', '--memory', '--accel', '--timeout')]
    assert defaults == ['auto', '64M', 'auto', 120.0]


def test_version() -> None:
    assert run('--version').output.startswith('incroos, version ')
