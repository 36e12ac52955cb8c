"""Kernels that start a program by themselves, on a PC: by a loader of virtual machines, by a BIOS, by UEFI firmware."""

import hashlib
import io
import random
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

import pytest
from elftools.elf.elffile import ELFFile

from incroos.build.errors import BuildError
from incroos.build.fat_volume import volume_with
from incroos.build.own_module import with_module
from incroos.inspect.ram import RamMachine
from incroos.kernel import layout
from incroos.kernel.state.run_info import CLOCK_IS_TSC, ON_PC, RUN_MAGIC, RunInfo
from incroos.lang import VirtAddr
from incroos.run import pc_program, qemu
from incroos.run.boot import Boot
from incroos.run.firmware import FORMATS, UEFI, image_options
from incroos.run.images import RUN, kernel_image
from incroos.run.names import named_kernel
from incroos.run.outcome import Outcome, Status, Unusable
from incroos.run.pc_program import NoCommand, OnPc, artefact_of, words_of
from incroos.run.qemu_guest import Guest
from incroos.run.qemu_process import EXIT_OPTIONS, PROGRAM, machine_options

from ..budget import SECONDS
from ..kernel.io.screens import picture_of, picture_of_ppm
from .tasks_lab import busybox
from .tiny_program import program_that_prints, tiny_program

MIB: Final = 1 << 20
MANY_BYTES: Final = 40 * MIB + 12_345
MODERN: Final = named_kernel('modern')


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a shell, a few of its applets and a file."""
    folder = tmp_path_factory.mktemp('root')
    (folder / 'bin').mkdir()
    (folder / 'bin/busybox').write_bytes(busybox().read_bytes())
    (folder / 'bin/busybox').chmod(0o755)
    for name in ('sh', 'ls', 'cat', 'wc', 'sleep', 'stty'):
        (folder / 'bin' / name).symlink_to('busybox')
    (folder / 'text').write_bytes(b'a line of text\n' * 30)
    (folder / 'go').write_bytes(GO + b'\n')
    return folder


def built(program: OnPc, image_format: str) -> tuple[bytes, dict[str, Any]]:
    return artefact_of(program, image_format, print, config=MODERN, checked=False, debug=False)


def file_with(folder: Path, content: bytes, image_format: str) -> Path:
    """What QEMU gets."""
    file = folder / 'artefact'
    file.write_bytes(volume_with(content) if FORMATS[image_format] == UEFI else content)
    return file


def boot(folder: Path, program: OnPc, image_format: str, megabytes: int = 0) -> tuple[Outcome, str]:
    """How a PC ends on which a program starts, by default the smallest that is promised; and its serial port's text."""
    content, facts = built(program, image_format)
    return boot_content(folder, content, image_format, megabytes * MIB or facts['memory_bytes'])


def boot_content(folder: Path, content: bytes, image_format: str, memory_bytes: int) -> tuple[Outcome, str]:
    """The same of what was built."""
    console = bytearray()
    wanted = Boot(memory_bytes, SECONDS, console.extend, accel='tcg', firmware=FORMATS[image_format])
    outcome = qemu.boot(wanted, file_with(folder, content, image_format))
    return outcome, console.decode('ascii').replace('\r\n', '\n')


def program_file(folder: Path, content: bytes) -> str:
    path = folder / 'program'
    path.write_bytes(content)
    return str(path)


# ------------------------------------------------------------------ what the program writes
@pytest.mark.parametrize('image_format', FORMATS)
def test_output_is_the_host_s(tmp_path: Path, root: Path, image_format: str) -> None:
    outcome, text = boot(tmp_path, OnPc('/bin/busybox ls -1 /bin /text', root), image_format)
    expected = subprocess.run(
        [busybox(), 'ls', '-1', 'bin', 'text'], cwd=root, capture_output=True, text=True, check=True
    )
    assert outcome.status == Status.PASSED
    assert text == expected.stdout.replace('bin:', '/bin:').replace('text\n', '/text\n', 1) + (
        'the program exited with status 0\n'
    )


@pytest.mark.parametrize('image_format', FORMATS)
def test_forty_megabytes_of_files(tmp_path: Path, root: Path, image_format: str) -> None:
    """They arrive whole on the smallest PC that is promised."""
    content = random.Random(40).randbytes(MANY_BYTES)
    (tmp_path / 'root').mkdir()
    (tmp_path / 'root/md5sum').write_bytes(busybox().read_bytes())
    (tmp_path / 'root/much').write_bytes(content)
    outcome, text = boot(tmp_path, OnPc('/md5sum much', tmp_path / 'root'), image_format)
    assert outcome.status == Status.PASSED
    assert text.splitlines() == [f'{hashlib.md5(content).hexdigest()}  much', 'the program exited with status 0']


def test_arguments_and_environment(tmp_path: Path, root: Path) -> None:
    program = OnPc("/bin/sh -c 'echo \"$0|$1|$A\"' 'two words' \"it's\"", root, (b'A=value of it',))
    assert boot(tmp_path, program, 'elf')[1] == "two words|it's|value of it\nthe program exited with status 0\n"


def test_program_alone(tmp_path: Path) -> None:
    path = program_file(tmp_path, program_that_prints(b'no end of line', 7))
    outcome, text = boot(tmp_path, OnPc(path), 'elf')
    assert outcome.status == Status.PASSED
    assert text == 'no end of line\nthe program exited with status 7\n'


def test_error_output_is_the_console_s_too(tmp_path: Path) -> None:
    path = program_file(tmp_path, program_that_prints(b'to 2\n', channel=2))
    assert boot(tmp_path, OnPc(path), 'elf')[1] == 'to 2\nthe program exited with status 0\n'


def test_fault_is_told_with_its_place(tmp_path: Path) -> None:
    """mov %eax, 0x1234; the code begins behind the headers."""
    path = program_file(tmp_path, tiny_program(b'\x89\x04\x25\x34\x12\0\0'))
    outcome, text = boot(tmp_path, OnPc(path), 'elf')
    assert outcome.status == Status.PASSED
    assert text == (
        'the program was ended by signal 11 (SIGSEGV) at address 0x0000000000001234, instruction 0x0000000000400078\n'
    )


def test_fault_without_an_address(tmp_path: Path) -> None:
    """hlt is not for programs."""
    path = program_file(tmp_path, tiny_program(b'\xf4'))
    text = boot(tmp_path, OnPc(path), 'elf')[1]
    assert text == 'the program was ended by signal 11 (SIGSEGV), instruction 0x0000000000400078\n'


def test_signal_is_told(tmp_path: Path, root: Path) -> None:
    text = boot(tmp_path, OnPc('/bin/sh -c "kill -TERM $$"', root), 'elf')[1]
    assert text == 'the program was ended by signal 15 (SIGTERM)\n'


def test_program_that_cannot_be_started(tmp_path: Path) -> None:
    """A segment of more bytes than there are."""
    path = program_file(tmp_path, tiny_program(b'\xf4', bss_bytes=1 << 47))
    outcome, text = boot(tmp_path, OnPc(path), 'elf')
    assert outcome.status == Status.PASSED
    assert text.startswith('the program cannot be started: error ')


@pytest.mark.parametrize('image_format', ['bios', 'uefi'])
def test_screen(tmp_path: Path, root: Path, image_format: str) -> None:
    """It shows what went to the serial port: as VGA text, or as a picture."""
    content, facts = built(OnPc('/bin/busybox cat /text', root), image_format)
    rows = b'a line of text\n' * 30 + b'the program exited with status 0\n'
    file, by = file_with(tmp_path, content, image_format), FORMATS[image_format]
    with Guest(file, facts['memory_bytes'], can_exit=False, firmware=by) as guest:
        until(lambda: guest.console().replace(b'\r', b'').endswith(rows))
        if by == UEFI:
            found = picture_of_ppm(guest.screen())
            assert found == picture_of(rows, len(found[0]) // 4, len(found))
        else:
            assert guest.screen_text() == [*rows.decode().splitlines()[-24:], '']


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


# ------------------------------------------------------------------ a session
class Session:
    """Somebody at the serial port of a PC: types a line when the prompt is there."""

    def __init__(self, file: Path, image_format: str, memory_bytes: int) -> None:
        ours, its = socket.socketpair()
        self._port = ours
        self.text = b''
        serial = ('-chardev', f'socket,id=serial,fd={its.fileno()}', '-serial', 'chardev:serial')
        machine = [part for part in machine_options(memory_bytes, 'tcg', None) if part != '-S']
        image = image_options(FORMATS[image_format], file)
        command = [PROGRAM, *machine, *image, *EXIT_OPTIONS, *serial]
        with its:
            self.process = subprocess.Popen(command, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._port.close()

    def expect(self, text: bytes) -> bytes:
        """Wait for a text: what came before it."""
        self._port.settimeout(SECONDS)
        while text not in self.text:
            data = self._port.recv(4096)
            assert data, self.text
            self.text += data
        before, _, self.text = self.text.partition(text)
        return before

    def type(self, keys: bytes) -> None:
        self._port.sendall(keys)

    def start(self, line: bytes) -> None:
        """Have a shell start something that writes what is in /go: from then on the terminal is its own."""
        self.type(line + b'\r')
        self.expect(b'\r\n' + GO + b'\r\n')

    def answer(self, line: bytes) -> bytes:
        """What a shell writes when it is told a line: the next prompt ends it."""
        self.type(line + b'\r')
        self.expect(line + b'\r\n')
        return self.expect(PROMPT).replace(b'\r\n', b'\n')


PROMPT: Final = b'prompt> '
GO: Final = b'go on'
LONG: Final = b'sh -c "cat /go; sleep 1000"'


@pytest.mark.parametrize('image_format', FORMATS)
def test_session(tmp_path: Path, root: Path, image_format: str) -> None:
    """A shell at the serial port: pipes, editing of a line, Ctrl-C, Ctrl-Z, Ctrl-D, and its own end."""
    environment = (b'PATH=/bin', b'PS1=' + PROMPT, b'TERM=dumb')
    content, facts = built(OnPc('/bin/sh', root, environment), image_format)
    with Session(file_with(tmp_path, content, image_format), image_format, facts['memory_bytes']) as session:
        session.expect(PROMPT)
        assert session.answer(b'cat /text | wc -l') == b'30\n'
        session.start(b'cat /go -')
        session.type(b'words\x7fk\r')
        session.expect(b'\nwordk\r\n')
        session.type(b'\x04')
        session.expect(PROMPT)
        session.start(LONG)
        session.type(b'\x03')
        session.expect(PROMPT)
        assert session.answer(b'echo $?') == b'130\n'
        session.start(LONG)
        session.type(b'\x1a')
        session.expect(PROMPT)
        assert b'Stopped' in session.answer(b'jobs')
        session.type(b'exec /bin/busybox sh -c "exit 9"\r')
        session.expect(b'the program exited with status 9\n')
        assert session.process.wait(SECONDS) == 0x10 << 1 | 1


# ------------------------------------------------------------------ too little RAM
@pytest.mark.parametrize(
    ('image_format', 'megabytes', 'sentence'),
    [
        ('elf', 3, 'PANIC: run: too little RAM for the program and its files: their start and end 0x0000000000200000'),
        ('bios', 3, 'This PC has too little RAM: the program and its files reach up to 4 MiB.'),
    ],
)
def test_too_little_ram(tmp_path: Path, root: Path, image_format: str, megabytes: int, sentence: str) -> None:
    outcome, text = boot(tmp_path, OnPc('/bin/sh', root), image_format, megabytes)
    assert outcome.status == Status.PANIC
    assert text.startswith(sentence)


def test_uefi_without_room_below_4_gib(tmp_path: Path) -> None:
    """The firmware can load the program, but has no room for a second copy of what it carries."""
    module = bytes(150 * MIB)
    elf = kernel_image(print, entry=RUN, config=MODERN).path.read_bytes()
    content = pc_program.ARTEFACTS[UEFI](elf, module)
    console = bytearray()
    outcome = qemu.boot(
        Boot(512 * MIB, SECONDS, console.extend, accel='tcg', firmware=UEFI), file_with(tmp_path, content, 'uefi')
    )
    assert outcome.status == Status.PANIC
    assert console.decode('ascii').startswith(
        'This PC has too little free memory below 4 GiB for the program and its files: 150 MiB.'
    )


# ------------------------------------------------------------------ what is built
def test_head_of_the_module(tmp_path: Path) -> None:
    path = program_file(tmp_path, program_that_prints(b''))
    module = OnPc(f'{path} one "two three"', None, (b'A=b',)).module(print)
    info = RunInfo(RamMachine(bytearray(module[: RunInfo.SIZE])), VirtAddr(0))
    assert (info.magic, info.flags) == (RUN_MAGIC, ON_PC | CLOCK_IS_TSC)
    assert module[info.strings : info.strings + info.strings_bytes] == f'{path}\0one\0two three\0A=b\0'.encode()
    assert [(file.is_terminal, file.rdev) for file in (info.files[index] for index in range(3))] == [(1, 0x440)] * 3


def test_elf_image_has_the_module_as_a_segment() -> None:
    elf = kernel_image(print, entry=RUN, config=MODERN).path.read_bytes()
    module = bytes(range(256)) * 33
    file = ELFFile(io.BytesIO(with_module(elf, module, layout.BOOT_MAP_END)))
    *kernel, own = file.iter_segments('PT_LOAD')
    assert (own['p_paddr'], own['p_filesz'], own['p_memsz'], own.data()) == (2 * MIB, 8448, 8448, module)
    assert own['p_offset'] % 4096 == 0
    table: Any = file.get_section_by_name('.symtab')
    (symbol,) = table.get_symbol_by_name('pvh.own_module')
    data = next(part for part in kernel if 0 <= symbol['st_value'] - part['p_vaddr'] < part['p_filesz'])
    words = struct.unpack_from('<QQ', data.data(), symbol['st_value'] - data['p_vaddr'])
    assert words == (2 * MIB, 8448)
    others = [part.data() for part in ELFFile(io.BytesIO(elf)).iter_segments('PT_LOAD')]
    assert [len(part) for part in others] == [len(part.data()) for part in kernel]


def test_module_that_reaches_beyond_4_gib() -> None:
    with pytest.raises(BuildError, match='does not fit below 4 GiB'):
        with_module(kernel_image(print, entry=RUN, config=MODERN).path.read_bytes(), b'x', (1 << 32) - 1)


def test_module_that_firmware_has_written_over(tmp_path: Path, root: Path) -> None:
    """One byte of the last file is another one: the kernel sees it."""
    content, facts = built(OnPc('/bin/sh', root), 'elf')
    at = content.rindex(b'a line of text')
    outcome, text = boot_content(tmp_path, content[:at] + b'A' + content[at + 1 :], 'elf', facts['memory_bytes'])
    assert outcome.status == Status.PANIC
    assert text.startswith('PANIC: run: the program and its files are damaged, as with too little RAM: found, wanted ')


@pytest.mark.parametrize('command', ['', '   ', "''"])
def test_no_command(command: str) -> None:
    with pytest.raises(NoCommand, match='names no program'):
        words_of(command)


def test_command_with_an_open_quote() -> None:
    with pytest.raises(NoCommand, match='cannot be taken apart \\(no closing quotation\\)'):
        words_of("/bin/sh -c 'ls")


def test_more_than_an_image_has_room_for(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pc_program, 'MOST_BYTES', MIB)
    for program in (OnPc('/bin/sh', root), OnPc(str(busybox()))):
        with pytest.raises(Unusable, match='so leave something away'):
            program.module(print)
