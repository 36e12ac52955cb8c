"""Ring 3 of the booted kernel: each test hands a program of a few instructions to a small kernel in QEMU."""

import contextlib
import io
import re
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import llvmlite.binding as llvm
import pytest
from elftools.elf.elffile import ELFFile

from incroos.build.image import Image, build_image
from incroos.kernel.configs import MODERN_CHECKED
from incroos.lang.frontend import BARE, compile_unit
from incroos.run import images, places
from incroos.run.images import KernelImage
from incroos.run.outcome import Outcome, Status
from incroos.run.qemu_guest import Guest
from incroos.run.qemu_monitor import MonitorError

from ...budget import SECONDS
from . import ring3_kernel as ring3

MEMORY: Final = 64 << 20
MODULE_BYTES: Final = 4096  # more than the boot code copies
ROOTS: Final[dict[str, Callable[..., Any]]] = {
    'kmain': ring3.start_program,
    'on_syscall': ring3.on_syscall,
    'on_trap': ring3.on_trap,
    'on_kernel_trap': ring3.on_kernel_trap,
}


@pytest.fixture(scope='module')
def image() -> Image:
    """The kernel, with its checks."""
    return built(checked=True)


def built(*, checked: bool, debug: bool = False) -> Image:
    unit = compile_unit(ROOTS, target=BARE, config=MODERN_CHECKED, checked=checked, debug=debug)
    return build_image(unit.ir, unit.sites, images.boot_layout(MODERN_CHECKED, has_ring3=True), debug=debug)


def assembled(text: str) -> bytes:
    """The instructions of a text, which stands at CODE."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple('x86_64-unknown-none-elf').create_target_machine(reloc='static')
    quoted = ''.join(f'module asm "{line}"\n' for line in text.splitlines())
    module = llvm.parse_assembly(f'target triple = "x86_64-unknown-none-elf"\n{quoted}')
    section = ELFFile(io.BytesIO(machine.emit_object(module))).get_section_by_name('.text')
    assert section is not None
    return bytes(section.data())


def call(number: int, argument: str = '') -> str:
    """A system call, which leaves rax, rcx and r11 changed, and rdi if there is an argument."""
    return (f'mov {argument}, %rdi\n' if argument else '') + f'mov ${number}, %eax\nsyscall\n'


PASS: Final = call(ring3.END, '$0')
FAIL: Final = f'fail:\n{call(ring3.END, "$1")}'


def guest_with(folder: Path, image: Image, text: str, *extra: str) -> Guest:
    """A guest with the kernel and a program."""
    kernel, module = folder / 'ring3.elf', folder / 'program'
    kernel.write_bytes(image.elf)
    module.write_bytes(assembled(text).ljust(MODULE_BYTES, b'\xcc'))
    return Guest(kernel, MEMORY, extra=('-initrd', str(module), *extra))


def run(folder: Path, image: Image, text: str, *extra: str) -> tuple[Outcome, str]:
    """How a program ends in QEMU, and what came from the serial port."""
    with guest_with(folder, image, text, *extra) as guest:
        return guest.wait(SECONDS), guest.console().decode()


def words(text: str) -> list[int]:
    return [int(line, 16) for line in text.split()]


def trap_of(folder: Path, image: Image, text: str, *extra: str) -> tuple[int, ...]:
    """Vector, error code, instruction from CODE on, address of the last page fault, and flags of a program's end."""
    outcome, console = run(folder, image, text, *extra)
    assert outcome.status == Status.PASSED, console
    vector, error, rip, va, flags = words(console)
    return vector, error, rip - ring3.CODE, va, flags


# ------------------------------------------------------------------ system calls
NAMES: Final = ('rbx', 'rbp', 'rsi', 'rdx', 'r8', 'r9', 'r10', 'r12')
KEPT: Final = {name: 0x1111_0000_1111 * (index + 1) for index, name in enumerate(NAMES)}
KEPT_TOO: Final = {'r13': 0x1357_9BDF_0246, 'r14': -5, 'r15': 1 << 63, 'rdi': 7}


@pytest.mark.parametrize('number', [ring3.TRIVIAL, ring3.NR_NMIS])
@pytest.mark.parametrize('processor', ['max', 'qemu64'])
def test_system_call_keeps_all_registers_but_three(tmp_path: Path, image: Image, number: int, processor: str) -> None:
    """rax is the result, rcx the instruction behind the call, r11 the flags."""
    kept = {**KEPT, **KEPT_TOO}
    text = ''.join(f'movabs ${value}, %{name}\n' for name, value in kept.items())
    text += f'mov ${number}, %eax\nsyscall\nbehind:\ntest %rax, %rax\njne fail\n'
    text += 'lea behind(%rip), %rax\ncmp %rax, %rcx\njne fail\ncmp $0x202, %r11\njne fail\n'
    text += ''.join(f'movabs ${value}, %rax\ncmp %rax, %{name}\njne fail\n' for name, value in kept.items())
    text += f'cmp ${ring3.STACK_END}, %rsp\njne fail\n{PASS}{FAIL}'
    assert run(tmp_path, image, text, '-cpu', processor) == (Outcome(Status.PASSED, ''), '')


AC, NT, DF, TF, IOPL = 1 << 18, 1 << 14, 1 << 10, 1 << 8, 3 << 12


@pytest.mark.parametrize('number', [ring3.COPY, ring3.TRIVIAL])
def test_flags_that_a_program_set_are_off_in_the_kernel_and_on_again_behind(
    tmp_path: Path, image: Image, number: int
) -> None:
    """IOPL is none of those that a program can set."""
    text = f'pushf\norl ${AC | NT | DF | IOPL}, (%rsp)\npopf\n{call(number)}'
    text += f'pushf\npop %rdi\ncld\nmov %rax, %rbx\n{call(ring3.PUT)}test %rbx, %rbx\njne fail\n'
    text += f'cmp ${0x202 | AC | NT | DF}, %r11\nje fail\n{PASS}{FAIL}'
    outcome, console = run(tmp_path, image, text)
    assert outcome.status == Status.PASSED
    assert words(console)[0] & ~0xD5 == 0x202 | AC | NT | DF  # 0xD5: what comparisons leave


def test_single_step_over_a_system_call(tmp_path: Path, image: Image) -> None:
    """The trap comes behind it, in ring 3."""
    text = f'pushf\norl ${TF}, (%rsp)\npopf\n{call(ring3.TRIVIAL)}behind:\nnop\n{PASS}'
    vector, error, rip, _, flags = trap_of(tmp_path, image, text)
    assert (vector, error, flags & TF) == (1, 0, TF)
    assert 0 < rip <= text_bytes(text.partition('nop')[0])


def text_bytes(text: str) -> int:
    return len(assembled(text))


def test_processor_is_ready(tmp_path: Path, image: Image) -> None:
    """Intel SDM volume 3, "Control Registers"."""
    outcome, console = run(tmp_path, image, call(ring3.TELL) + PASS)
    cr0, cr4, efer, fs, gs, user_gs = words(console)
    assert outcome.status == Status.PASSED
    assert cr0 == 0x8001_0033  # PG, WP, NE, ET, MP, PE
    assert cr4 & ~(1 << 17) == 0x30_0EE0  # SMAP, SMEP, UMIP, OSXMMEXCPT, OSFXSR, PGE, MCE, PAE; PCIDE where it is
    assert efer == 0xD01  # NXE, LMA, LME, SCE
    assert (fs, user_gs) == (0, 0)
    assert gs > 1 << 63


def test_an_old_processor_lacks_the_protections(tmp_path: Path, image: Image) -> None:
    outcome, console = run(tmp_path, image, call(ring3.TELL) + PASS, '-cpu', 'qemu64')
    assert outcome.status == Status.PASSED
    assert words(console)[1] == 0x6E0


def test_gs_of_a_program_is_its_own(tmp_path: Path, image: Image) -> None:
    base = ring3.STACK_END - 64
    text = f'movabs $0x1234, %rax\nmov %rax, -56(%rsp)\n{call(ring3.SET_GS, f"${base}")}'
    text += f'mov %gs:8, %rdi\n{call(ring3.PUT)}int3\n'
    outcome, console = run(tmp_path, image, text)
    assert (outcome.status, words(console)[:2]) == (Status.PASSED, [0x1234, 3])


# ------------------------------------------------------------------ exceptions
EXCEPTIONS: Final = {
    'hlt': (13, 0, 0),
    'cli': (13, 0, 0),
    'swapgs': (13, 0, 0),
    'out %al, $0xF4': (13, 0, 0),
    'rdmsr': (13, 0, 0),
    'mov %rax, %cr3': (13, 0, 0),
    'sysretq': (13, 0, 0),
    'sgdt (%rsp)': (13, 0, 0),
    'ud2': (6, 0, 0),
    'rdfsbase %rax': (6, 0, 0),
    'xgetbv': (6, 0, 0),
    'int3': (3, 0, 1),
    'int $0x80': (13, 0x80 << 4 | 2, 0),  # hardware says 0x80 << 3 | 2: the gate's index; QEMU takes its offset for it
    'int $2': (13, 2 << 4 | 2, 0),
    'int $14': (13, 14 << 4 | 2, 0),
    'int $255': (13, 255 << 4 | 2, 0),
    'div %ecx': (0, 0, 0),
    'mov $8, %eax\nmov %eax, %ss': (13, 8, 5),
    'push $0x23\npush $0\nlretq': (
        14,
        1,
        4,
    ),  # hardware says 13, 0x20; QEMU reads the stack as ring 0, which SMAP forbids
    'movabs $1 << 47, %rax\nmov (%rax), %rax': (13, 0, 10),
    'movabs $1 << 47, %rax\njmp *%rax': (13, 0, (1 << 47) - ring3.CODE),  # hardware says so at the jump
}


@pytest.mark.parametrize('text', EXCEPTIONS)
def test_exception_of_a_program(tmp_path: Path, image: Image, text: str) -> None:
    """With its vector, its error code, and the instruction."""
    found = trap_of(tmp_path, image, text)
    assert found[:3] == EXCEPTIONS[text]
    assert found[4] & ~0xD5 & ~(1 << 16) == 0x202


PAGES: Final = {
    'mov 0x10, %eax': (0x10, 4),
    f'mov {ring3.CODE - 8}(%rip), %rax': (None, 4),
    'mov $0xFFFFFFFF80100000, %rax\nmov (%rax), %rax': (0xFFFF_FFFF_8010_0000, 5),
    'mov $0xFFFFFFFF801E0000, %rax\nmov %eax, (%rax)': (0xFFFF_FFFF_801E_0000, 7),
    'movabs $0xFFFF800000100000, %rax\nmov %eax, (%rax)': (0xFFFF_8000_0010_0000, 7),
    'mov $0xFFFFFFFF80100000, %rax\njmp *%rax': (0xFFFF_FFFF_8010_0000, 0x15),
    'jmp *%rsp': (ring3.STACK_END, 0x14),
    'sub $8, %rsp\njmp *%rsp': (ring3.STACK_END - 8, 0x15),
    f'mov %eax, {ring3.CODE}': (ring3.CODE, 7),
}


@pytest.mark.parametrize('text', PAGES)
def test_page_fault_of_a_program(tmp_path: Path, image: Image, text: str) -> None:
    vector, error, _, va, _ = trap_of(tmp_path, image, text)
    wanted, wanted_error = PAGES[text]
    assert (vector, error) == (14, wanted_error)
    assert wanted in (None, va)


def test_page_fault_returns_to_the_access_with_all_registers(tmp_path: Path, image: Image) -> None:
    kept = {**KEPT, **KEPT_TOO, 'rcx': 0x77, 'r11': 0x1177}
    text = ''.join(f'movabs ${value}, %{name}\n' for name, value in kept.items())
    text += f'movb $9, {ring3.FRESH + 5000}\ncmpb $9, {ring3.FRESH + 5000}\njne fail\n'
    text += ''.join(f'movabs ${value}, %rax\ncmp %rax, %{name}\njne fail\n' for name, value in kept.items())
    assert run(tmp_path, image, text + PASS + FAIL) == (Outcome(Status.PASSED, ''), '')


def test_flags_that_a_program_set_are_off_in_a_trap(tmp_path: Path, image: Image) -> None:
    """The kernel's string instructions go up, and it may not touch a page of ring 3, whatever AC is."""
    text = f'pushf\norl ${AC | NT | DF}, (%rsp)\npopf\nmov ${ring3.TOUCHING}, %eax\nmov ${ring3.CODE}, %edi\nint3\n'
    outcome, console = run(tmp_path, image, text)
    assert outcome.status == Status.PANIC
    assert 'PANIC: page fault, read of a protected page' in console


# ------------------------------------------------------------------ ways back
THERE: Final = ring3.CODE + 0x80
BAD_RIPS: Final = {'1 << 47': (13, 0), '-1 << 48': (13, 0), '0x7FFFFFFFF000': (14, 0x14), '-1 << 47': (14, 0x14)}


@pytest.mark.parametrize('rip', BAD_RIPS)
def test_a_bad_instruction_pointer_faults_in_ring_3(tmp_path: Path, image: Image, rip: str) -> None:
    """On the way back by IRET."""
    text = f'movabs ${rip}, %rdi\n{call(ring3.RETURN_TO)}'
    vector, error, found, _, _ = trap_of(tmp_path, image, text)
    assert (vector, error) == BAD_RIPS[rip]
    assert (found + ring3.CODE - eval(rip)) % (1 << 64) == 0


def test_return_by_iret(tmp_path: Path, image: Image) -> None:
    text = f'{call(ring3.RETURN_TO, f"${THERE}")}{FAIL}.org {THERE - ring3.CODE}\nud2\n'
    assert trap_of(tmp_path, image, text)[:3] == (6, 0, THERE - ring3.CODE)


@pytest.mark.parametrize('number', [ring3.TOUCH, ring3.ENTER])
def test_kernel_neither_touches_nor_executes_pages_of_ring_3(tmp_path: Path, image: Image, number: int) -> None:
    """SMAP, also where the program set AC before the call, and SMEP."""
    text = f'pushf\norl ${AC}, (%rsp)\npopf\n{call(number, f"${THERE}")}{PASS}.org {THERE - ring3.CODE}\n{PASS}'
    outcome, console = run(tmp_path, image, text)
    assert outcome.status == Status.PANIC
    what = 'execution of a page that is not executable' if number == ring3.ENTER else 'read of a protected page'
    assert f'PANIC: page fault, {what}: address, error code, instruction 0x0000000000400080' in console
    assert re.search('level 1: .* executable, user <- fault here\n', console)
    without = '-smep' if number == ring3.ENTER else '-smap'
    assert run(tmp_path, image, text, '-cpu', f'max,{without}')[0].status != Status.PANIC


@pytest.mark.parametrize('debug', [False, True])
def test_panic_tells_all_that_is_known(tmp_path: Path, debug: bool) -> None:
    """Registers, entries, return addresses; and the host says in which functions it was, or at which lines."""
    image = built(checked=False, debug=debug)
    text = f'mov $0x1234567, %r12d\n{call(ring3.TOUCH, f"${THERE}")}'
    outcome, console = run(tmp_path, image, text)
    assert outcome.status == Status.PANIC
    rows = console.splitlines()
    assert [row.split()[0] for row in rows[:6]] == ['rax', 'rsi', 'r8', 'r12', 'rip', 'vec']
    assert f'cr2 {THERE:016X}' in rows[5]
    assert debug or f'rdi {THERE:016X}' not in rows[1]
    assert [row[:8] for row in rows[6:10]] == ['level 4:', 'level 3:', 'level 2:', 'level 1:']
    assert [row.endswith(' <- fault here') for row in rows[6:10]] == [False, False, False, True]
    assert rows[-1].startswith('PANIC: page fault, read of a protected page: ')
    facts = KernelImage(tmp_path / 'ring3.elf', asdict(image.facts))
    remark = places.with_place_of_trap(outcome, facts, console.encode()).remark
    where = [part.partition(', ')[::2] for part in remark.partition('; in ')[2].split(', called by ')]
    functions = [function.rpartition('.')[2] for function, _ in where]
    assert functions == (['serve', 'on_syscall', 'syscall'] if debug else ['serve', 'syscall'])
    lines = Path(ring3.__file__).read_text().splitlines()
    file, line = where[0][1].rsplit(':', 1) if debug else ('ring3_kernel.py', '0')
    assert file == 'ring3_kernel.py'
    assert not debug or 'load64(k.m, VirtAddr(regs.rdi))' in lines[int(line) - 1]


def test_a_lost_stack_is_told_of(tmp_path: Path, image: Image) -> None:
    """A double fault has a stack of its own. Here the kernel returns to ring 0 with a stack where nothing is."""
    text = f'{call(ring3.ENTER_WITHOUT_STACK, f"${THERE}")}'
    outcome, console = run(tmp_path, image, text)
    assert outcome.status == Status.PANIC
    assert 'PANIC: double fault' in console
    assert 'vec 0000000000000008' in console


# ------------------------------------------------------------------ what comes at any time
NR_STORMY: Final = 300


@pytest.mark.parametrize('kind', ['calls', 'stack of the kernel'])
def test_nmis_at_any_instruction(tmp_path: Path, image: Image, kind: str) -> None:
    """Also where RSP and GS are still, or again, the program's, and RSP is an address of the kernel's."""
    stack = 'mov $0xFFFFFFFF801D8000, %rsp\n' if kind != 'calls' else ''
    text = f'{call(ring3.PUT, "$1")}{stack}mov $0x5A5A, %ebx\n1:\n{call(ring3.NR_NMIS)}cmp $0x5A5A, %rbx\njne fail\n'
    text += f'cmp ${NR_STORMY}, %rax\njb 1b\n{PASS}{FAIL}'
    with guest_with(tmp_path, image, text) as guest:
        while guest.is_running() and not guest.console():  # until the boot code has come to its end, an NMI kills
            time.sleep(0.01)
        with contextlib.suppress(MonitorError):
            while guest.is_running():
                guest.ask('nmi')
        assert guest.wait(SECONDS) == Outcome(Status.PASSED, ''), guest.console()
        assert words(guest.console().decode()) == [1]  # and no exception


FATAL: Final = 1 << 63 | 1 << 61 | 1 << 60 | 1 << 57  # valid, not corrected, enabled, context corrupt
IN_PROGRESS: Final = 1 << 2


def test_a_machine_check_is_told_of(tmp_path: Path, image: Image) -> None:
    """An error of the hardware while a program runs; without CR4.MCE the machine would reset."""
    with guest_with(tmp_path, image, f'{call(ring3.PUT, "$1")}jmp .\n') as guest:
        while guest.is_running() and not guest.console():
            time.sleep(0.01)
        guest.ask(f'mce 0 1 {FATAL:#x} {IN_PROGRESS:#x} 0 0')
        assert guest.wait(SECONDS).status == Status.PANIC
        assert 'PANIC: machine check: instruction' in guest.console().decode()


MOST_INSTRUCTIONS: Final = 60  # of a system call that does nothing, there and back
NR_CALLS: Final = 1000


def test_instructions_of_a_system_call(tmp_path: Path) -> None:
    """Counted by QEMU, which lets the time stamp be the number of instructions; those of the loop left out."""
    text = f'mov ${NR_CALLS}, %ebx\nrdtsc\nmov %eax, %ebp\n1:\n{call(ring3.TRIVIAL)}dec %ebx\njnz 1b\n'
    text += f'rdtsc\nsub %ebp, %eax\nmov %rax, %rdi\n{call(ring3.PUT)}{PASS}'
    outcome, console = run(tmp_path, built(checked=False), text, '-icount', 'shift=0,sleep=off')
    assert outcome.status == Status.PASSED
    assert words(console)[0] // NR_CALLS - 2 <= MOST_INSTRUCTIONS
