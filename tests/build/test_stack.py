"""The stack analysis: on assembly whose answer is known, and against what a kernel used in fact."""

import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from incroos.build.errors import BuildError
from incroos.build.image import ROOTS, check_stack
from incroos.build.stack import analyse
from incroos.run.images import boot_layout, kernel_image
from incroos.run.outcome import Status
from incroos.run.qemu_guest import Guest

from ..budget import SECONDS
from .small_kernels import LAYOUT


def function(name: str, body: str) -> str:
    """A function as LLVM prints it."""
    return f'\t.type\t{name},@function\n{name}:\n{textwrap.indent(textwrap.dedent(body), chr(9))}.Lfunc_end0:\n'


LEAF = function('leaf', 'retq\n')


def test_leaf_takes_its_return_address() -> None:
    assert analyse(LEAF).worst_bytes('leaf') == 8


def test_pushes_and_locals_count_and_what_is_given_back_does_not() -> None:
    body = """
        pushq %rbx
        pushq %r14
        subq $40, %rsp
        addq $-128, %rsp
        callq leaf
        subq $-128, %rsp
        addq $40, %rsp
        popq %r14
        popq %rbx
        retq
        """
    assert analyse(LEAF + function('root', body)).worst_bytes('root') == 8 + 16 + 40 + 128 + 8


def test_deepest_chain_counts_tail_calls_and_quoted_names_included() -> None:
    text = (
        LEAF
        + function('"deep\'"', 'subq $1000, %rsp\ncallq leaf\nretq\n')
        + function('middle', 'jmp "deep\'" # TAILCALL\n')
        + function('root', 'callq leaf\nje middle # TAILCALL\nretq\n')
    )
    frames = analyse(text)
    assert frames.worst_bytes('root') == 8 + 8 + 1008 + 8
    assert frames.deepest_chain('root') == ['root', 'middle', "deep'", 'leaf']


def test_jump_table_is_no_call() -> None:
    assert analyse(function('root', 'jmpq *%rax\n.LBB0_1:\nretq\n')).worst_bytes('root') == 8


@pytest.mark.parametrize(
    ('instruction', 'reason'),
    [
        ('callq *%rax', 'calls through a pointer'),
        ('jmpq *%rax # TAILCALL', 'calls through a pointer'),
        ('subq %rax, %rsp', 'variable size'),
    ],
)
def test_what_has_no_bound_is_refused(instruction: str, reason: str) -> None:
    with pytest.raises(BuildError, match=f'^root .*{reason}'):
        analyse(function('root', instruction))


def test_stack_that_does_not_fit_is_refused() -> None:
    text = LEAF + ''.join(function(root, 'callq leaf\n') for root in ROOTS if root != 'kmain')
    room = LAYOUT.stack_bytes - 1000
    check_stack(analyse(text + function('kmain', f'subq ${room}, %rsp\ncallq leaf\n')), LAYOUT)
    with pytest.raises(BuildError, match='kmain calls leaf'):
        check_stack(analyse(text + function('kmain', f'subq ${room + 1000}, %rsp\ncallq leaf\n')), LAYOUT)


def test_stack_of_a_kernel_that_runs_programs() -> None:
    """What ring 3 begins or enters, under its registers, an interrupt, and a fault of the kernel, twice."""
    sizes = {'kmain': 4000, 'on_syscall': 6100, 'on_trap': 5000, 'on_kernel_trap': 800}
    frames = analyse(''.join(function(name, f'subq ${nbytes}, %rsp\n') for name, nbytes in sizes.items()))
    figures = check_stack(frames, replace(LAYOUT, has_ring3=True))
    assert figures['stack'] == 22 * 8 + (6100 + 8) + 3 * (8 + 22 * 8 + 800 + 8)
    assert figures['fault_stack'] == 2 * (8 + 22 * 8 + 800 + 8)
    small = replace(LAYOUT, has_ring3=True, guard_page=LAYOUT.stack_top - 0x3000)
    with pytest.raises(BuildError, match=r'has 8,192: .*: on_syscall$'):
        check_stack(frames, small)


@pytest.mark.parametrize('checked', [False, True])
def test_bound_holds_for_the_kernel_and_is_no_wild_guess(checked: bool) -> None:
    """The deepest word of the stack that the self-test left its mark on; the deepest way of all ends in a panic."""
    image = kernel_image(print, checked=checked)
    layout = boot_layout()
    with Guest(image.path, 64 << 20) as guest:
        assert guest.wait(SECONDS).status == Status.PASSED
        stack = bytes(guest.ram[layout.guard_page + 0x1000 : layout.stack_top])
    used = len(stack.lstrip(b'\0'))
    assert image.facts['stack']['kmain'] / 3 < used <= image.facts['stack']['kmain']


def test_frames_of_an_image_are_those_of_its_file(tmp_path: Path) -> None:
    """All functions that the image has symbols for were analysed."""
    image = kernel_image(print)
    symbols = image.facts['symbols']
    assert image.facts['nr_functions'] >= sum(name.startswith('kernel.') for name in symbols)
    assert set(ROOTS) <= set(symbols)
