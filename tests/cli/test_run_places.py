"""The command `incroos run` with the real kernel, in all places: programs of raw bytes and of the C compiler."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from incroos.run.outcome import Status
from incroos.run.program import TIME_OVER
from incroos.run.records import STATISTICS_NAMES

from ..run.tiny_program import BASE, EXIT_GROUP, HEADERS, READ, WRITE, call, program_that_prints, tiny_program
from .command import COMMAND, Running, run

BINARY: Final = bytes(range(256)) * 20
JUMP_TO_ITSELF: Final = b'\xeb\xfe'
STORE_TO_RAX: Final = b'\x48\x89\x00'
ARGUMENTS: Final = r"""
#include <stdio.h>
extern char **environ;
int main(int argc, char **argv) {
    for (int i = 0; i < argc; i++) printf("%s\n", argv[i]);
    for (char **name = environ; *name; name++) printf("%s\n", *name);
    FILE *file = fopen("/folder/text", "r");
    for (int c; file && (c = getc(file)) != EOF;) putchar(c);
    return argc;
}
"""


def echo_program() -> bytes:
    """Reads 64 bytes at a time into its own memory and writes them, until nothing comes."""
    buffer = BASE + 0x800
    read = call(READ, 0, buffer, 64)
    end = call(EXIT_GROUP, 5)
    # test rax, rax; jle end; mov rdx, rax; write; jmp start
    write = call(WRITE, 1, buffer)
    body = b'\x48\x89\xc2' + write
    back = len(read) + 3 + 6 + len(body) + 5
    leave = b'\x48\x85\xc0' + b'\x0f\x8e' + (len(body) + 5).to_bytes(4, 'little')
    return tiny_program(read + leave + body + b'\xe9' + (-back).to_bytes(4, 'little', signed=True) + end, 0x1000)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Where a test puts its program."""
    return tmp_path / 'program'


def run_bytes(place: str, *arguments: str, data: bytes = b'') -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end, with an input; what it wrote is not decoded."""
    return subprocess.run([*COMMAND, 'run', '--on', place, *arguments], input=data, capture_output=True, check=False)


def test_one_file_for_both_outputs_keeps_the_order(place: str, program: Path) -> None:
    letters = BASE + 1  # ELF
    code = (call(WRITE, 1, letters, 3) + call(WRITE, 2, letters, 1)) * 50 + call(EXIT_GROUP, 0)
    program.write_bytes(tiny_program(code))
    command = [*COMMAND, 'run', '--on', place, str(program)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
    assert done.stdout == b'ELFE' * 50


def test_output_and_status(place: str, program: Path) -> None:
    program.write_bytes(program_that_prints(BINARY, 42))
    done = run_bytes(place, str(program))
    assert (done.returncode, done.stdout, done.stderr) == (42, BINARY, b'')


def test_memory_of_a_terabyte(program: Path) -> None:
    program.write_bytes(program_that_prints(BINARY, 42))
    done = run_bytes('jit', '--memory', '1T', str(program))  # of which the kernel fills 2G
    assert (done.returncode, done.stdout, done.stderr) == (42, BINARY, b'')


def test_memory_of_which_the_kernel_fills_more_than_is_free(program: Path) -> None:
    program.write_bytes(program_that_prints(BINARY))
    done = run_bytes('jit', '--memory', '64T', str(program))
    assert (done.returncode, done.stdout) == (Status.UNUSABLE, b'')
    assert b'the kernel fills 131,072M by itself' in done.stderr
    assert done.stderr.count(b'\n') == 1


def test_standard_error(place: str, program: Path) -> None:
    program.write_bytes(program_that_prints(b'no\r\n\0', 0, channel=2))
    done = run_bytes(place, str(program))
    assert (done.returncode, done.stdout, done.stderr) == (0, b'', b'no\r\n\0')


def test_input(place: str, program: Path) -> None:
    program.write_bytes(echo_program())
    done = run_bytes(place, str(program), data=BINARY)
    assert (done.returncode, done.stdout, done.stderr) == (5, BINARY, b'')


def test_closed_input(place: str, program: Path) -> None:
    program.write_bytes(echo_program())
    command = [*COMMAND, 'run', '--on', place, str(program)]
    done = subprocess.run(['sh', '-c', '"$@" <&-', 'sh', *command], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (5, b'', b'')


def test_a_fault(place: str, program: Path) -> None:
    program.write_bytes(tiny_program(b'\x31\xc0' + STORE_TO_RAX))  # xor eax, eax
    done = run('run', '--on', place, str(program))
    assert (done.status, done.output) == (128 + signal.SIGSEGV, '')
    assert done.sentence == (
        f'SIGSEGV ended the program: it wrote to 0x0, where nothing is mapped, at {BASE + HEADERS + 2:#x}'
    )


def test_a_right_that_is_missing(place: str, program: Path) -> None:
    program.write_bytes(tiny_program(b'\xb8' + BASE.to_bytes(4, 'little') + STORE_TO_RAX, rights=5))
    done = run('run', '--on', place, str(program))
    assert done.status == 128 + signal.SIGSEGV
    assert done.sentence == (
        f'SIGSEGV ended the program: it wrote to {BASE:#x}, in the range {BASE:#x}-{BASE + 0x1000:#x} r-x, which may '
        f'not be written, at {BASE + HEADERS + 5:#x}'
    )


def test_a_privileged_instruction(place: str, program: Path) -> None:
    program.write_bytes(tiny_program(b'\xf4'))  # hlt
    done = run('run', '--on', place, str(program))
    assert done.status == 128 + signal.SIGSEGV
    assert done.sentence == (
        'SIGSEGV ended the program: the instruction is privileged, or its address is one that no processor has, at '
        f'{BASE + HEADERS:#x}'
    )


def test_time_is_over(place: str, program: Path) -> None:
    program.write_bytes(tiny_program(call(WRITE, 1, BASE, 4) + JUMP_TO_ITSELF))
    seconds, output = 2.0, ''
    while not output:  # until there was time to begin
        done = run('run', '--on', place, '--timeout', f'{seconds:g}', str(program))
        assert done.status == TIME_OVER
        assert done.sentence == f'the program had not ended after {seconds:g} s and was stopped'
        seconds, output = seconds * 2, done.output
    assert output == '\x7fELF'


def test_nobody_reads(place: str, program: Path) -> None:
    write = call(WRITE, 1, BASE, 64)
    program.write_bytes(tiny_program(write + b'\xeb' + (-len(write) - 2).to_bytes(1, 'little', signed=True)))
    with Running('run', '--on', place, str(program)) as running:
        running.wait_for(b'\x7fELF', running.process.stdout)
        assert running.process.stdout is not None
        running.process.stdout.close()
        running.process.stdout = None
        assert running.end().status == 128 + signal.SIGPIPE
        assert running.is_gone()


def test_calls(place: str, program: Path) -> None:
    program.write_bytes(program_that_prints(b'hello\n', 3))
    done = run('run', '--on', place, '--calls', str(program))
    assert (done.status, done.output) == (3, 'hello\n')
    assert done.remarks.splitlines() == [
        'write(1, "hello\\n", 6)                  = 6',
        'exit_group(3)                           = ?',
        '+++ exited with 3 +++',
    ]


def test_unknown_calls_are_named_once(place: str, program: Path) -> None:
    program.write_bytes(tiny_program(call(250, 0, 0) * 3 + call(500) + call(EXIT_GROUP, 0)))
    done = run('run', '--on', place, str(program))
    assert done.remarks.splitlines() == [
        'incroos: the program asks for keyctl, a system call that is not there (ENOSYS)',
        'incroos: the program asks for syscall_0x1f4, a system call that is not there (ENOSYS)',
    ]


def test_figures(place: str, program: Path) -> None:
    program.write_bytes(program_that_prints(b'hello\n'))
    done = run('run', '--on', place, '--stats', '--json', str(program))
    figures = json.loads(done.remarks)
    assert tuple(figures) == STATISTICS_NAMES
    assert figures['system_calls'] == 2
    assert figures['free_frames_before'] == figures['free_frames_after']
    table = run('run', '--on', place, '--stats', str(program)).remarks.splitlines()
    assert [line.split()[-1].replace(',', '') for line in table] == [str(value) for value in figures.values()]


def test_figures_are_equal_in_all_places(program: Path) -> None:
    program.write_bytes(program_that_prints(b'hello\n'))
    sim, jit, qemu = (run('run', '--on', at, '--stats', str(program)).remarks for at in ('sim', 'jit', 'qemu'))
    assert sim == jit == qemu


@pytest.fixture(scope='module')
def arguments_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A C program that prints what it was given."""
    folder = tmp_path_factory.mktemp('arguments')
    (folder / 'arguments.c').write_text(ARGUMENTS)
    subprocess.run(['cc', '-static', '-o', folder / 'arguments', folder / 'arguments.c'], check=True)
    return folder / 'arguments'


def test_arguments_and_environment(place: str, arguments_program: Path) -> None:
    options = ('--env', 'A=1', '--env', 'B==')
    done = run('run', '--on', place, *options, str(arguments_program), '--stats', '', 'ä b', '--', '-x')
    assert done.output == f'{arguments_program}\n--stats\n\nä b\n--\n-x\nA=1\nB==\n'
    assert (done.status, done.remarks) == (6, '')


def test_a_root(place: str, arguments_program: Path, tmp_path: Path) -> None:
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'folder/text').write_text('text in a file\n')
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin/arguments').write_bytes(arguments_program.read_bytes())
    (tmp_path / 'bin/link').symlink_to('/bin/arguments')
    done = run('run', '--on', place, '--root', str(tmp_path), '/bin/link')
    assert (done.status, done.output, done.remarks) == (1, '/bin/link\ntext in a file\n', '')


def test_a_program_whose_headers_are_wrong(place: str, program: Path) -> None:
    elf = bytearray(program_that_prints(b'hello\n'))
    elf[64 + 16 : 64 + 24] = (-1 & (1 << 64) - 1).to_bytes(8, 'little')  # the segment's address
    program.write_bytes(elf)
    done = run('run', '--on', place, str(program))
    assert done.status == Status.UNUSABLE
    assert done.sentence.startswith('the kernel does not start the program: ')


# ------------------------------------------------------------------ pdb
def test_stops_in_pdb(program: Path) -> None:
    program.write_bytes(program_that_prints(b'hello\n', 3))
    commands = b'args\nreturn\ncontinue\n' + b'continue\n' * 100
    done = run_bytes('sim', '--break', 'vm.fault', str(program), data=commands)
    assert (done.returncode, done.stdout) == (3, b'hello\n')
    words = done.stderr.decode()
    assert 'kernel/vm/fault.py' in words
    assert 'error = ' in words
    assert '(Pdb)' in words


def test_stops_at_system_calls(program: Path) -> None:
    program.write_bytes(program_that_prints(b'hello\n', 3))
    done = run_bytes('sim', '--break', 'abi.entry.on_syscall', str(program), data=b'p regs.rax\nc\np regs.rax\nc\n')
    assert (done.returncode, done.stdout) == (3, b'hello\n')
    assert [number in done.stderr for number in (b'(Pdb) 1\n', b'(Pdb) 231\n')] == [True, True]


def test_shows_a_page_in_pdb(program: Path) -> None:
    program.write_bytes(program_that_prints(b'hello\n', 3))
    commands = b'page regs.rip\npage 0x1000\npage -1\npage regs.rip / 2\npage nothing\n' + b'c\n' * 100
    done = run_bytes('sim', '--break', 'abi.entry.on_syscall', str(program), data=commands)
    assert (done.returncode, done.stdout) == (3, b'hello\n')
    words = done.stderr.decode()
    assert words.count('task 2: frame 0x') == 1
    assert words.count('task 2: nothing is there') == 2
    assert 'page takes an address' in words
    assert "name 'nothing' is not defined" in words


@pytest.mark.parametrize('commands', [b'q\n', b'exit\n', b''])
def test_leaving_pdb(program: Path, commands: bytes) -> None:
    program.write_bytes(program_that_prints(b'hello\n', 3))
    done = run_bytes('sim', '--break', 'vm.fault', str(program), data=commands)
    assert (done.returncode, done.stdout) == (Status.INTERRUPTED, b'')
    assert done.stderr.splitlines()[-1].endswith(b'incroos: pdb was left before the program ended')


def test_functions_that_are_not_there(program: Path) -> None:
    program.write_bytes(program_that_prints(b'hello\n'))
    done = run('run', '--on', 'sim', '--break', 'vm.falt', str(program))
    assert done.status == Status.WRONG_USAGE
    assert 'vm.falt is no function of the kernel: near it are ' in done.sentence
    assert 'vm.fault' in done.sentence


# ------------------------------------------------------------------ what is missing
WITHOUT_UNICORN: Final = """
import sys
sys.modules['unicorn'] = None
from incroos.cli import main
main()
"""


@pytest.mark.parametrize('at', ['sim', 'jit'])
def test_without_unicorn(program: Path, at: str) -> None:
    program.write_bytes(program_that_prints(b'hello\n'))
    done = run('run', '--on', at, str(program), prefix=[sys.executable, '-c', WITHOUT_UNICORN])
    assert (done.status, done.output) == (Status.UNUSABLE, '')
    assert 'Unicorn' in done.sentence
    assert '--on qemu' in done.sentence


def test_without_qemu(program: Path, programs: Path) -> None:
    program.write_bytes(program_that_prints(b'hello\n'))
    done = run('run', '--on', 'qemu', str(program), environment={'PATH': str(programs)})
    assert done.status == Status.UNUSABLE
    assert 'qemu-system-x86_64 is not installed' in done.sentence
