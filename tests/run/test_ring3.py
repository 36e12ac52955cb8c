"""Ring 3 on the simulated computer: what is not allowed there, faults, and what its processor must not remember."""

from typing import Any, Final

import pytest

from incroos.machine import cpu as machine_cpu
from incroos.machine.cpu import ALL_FEATURES
from incroos.run.outcome import Outcome, Status

from . import ring3_kernel as mini
from .ring3_kernel import USER
from .ring3_lab import (
    ACCESSED,
    CODE,
    DATA,
    DIRTY,
    NX,
    PLACES,
    PRESENT,
    RWX,
    WRITABLE,
    assembled,
    frame,
    page,
    run,
)

PASSED: Final = Outcome(Status.PASSED)
USER_BIT: Final = 4
DIVIDE_ERROR, DEBUG, BREAKPOINT, OVERFLOW, INVALID_OPCODE, GENERAL_PROTECTION, PAGE_FAULT = 0, 1, 3, 4, 6, 13, 14
END: Final = 'mov eax, 0; syscall'
STACK_END: Final = page(mini.NR_PAGES)
SLOT_BYTES: Final = 64


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_halt_is_a_general_protection_fault(place: str) -> None:
    ran = run(place, 'mov eax, 7; hlt; mov eax, 8')
    assert ran.outcome == PASSED
    assert (ran.end.vector, ran.end.error, ran.end.rip, ran.end.rax) == (GENERAL_PROTECTION, 0, USER + 5, 7)


def test_a_system_call_is_answered(place: str) -> None:
    ran = run(place, f'mov eax, {mini.ADD}; mov edi, 30; mov esi, 12; syscall; mov rbx, rax; {END}')
    assert ran.outcome == PASSED
    assert (ran.end.vector, ran.end.rbx, ran.end.cs, ran.end.ss) == (256, 42, 0x33, 0x2B)


# ---------------------------------------------------------------- instructions that ring 3 must not execute
# Instruction -> vector, error code, and bytes from its start to the RIP that the kernel finds. Before each R15 says
# where to go on.
REFUSED: Final = {
    **dict.fromkeys(
        (
            *('hlt', 'cli', 'sti', 'clts', 'invd', 'wbinvd', 'wrmsr', 'rdmsr', 'swapgs'),
            *('in al, 0x60', 'in eax, dx', 'out 0xF4, al', 'out dx, eax'),
            *('mov cr3, rax', 'mov rax, cr3', 'mov cr0, rax', 'mov cr4, rax', 'mov dr7, rax', 'lmsw ax'),
            *('lgdt [rsp - 16]', 'lidt [rsp - 16]', 'lldt ax', 'ltr ax', 'invlpg [rsp]', 'sysenter'),
            *('jmp fword ptr [rsp - 32]', 'call fword ptr [rsp - 32]', 'iretq'),
        ),
        (GENERAL_PROTECTION, 0, 0),
    ),
    **dict.fromkeys(
        ('ud2', 'xgetbv', 'rdfsbase rax', 'wrfsbase rax', 'wrgsbase rax', 'stac', 'clac', '.byte 0xCE', '.byte 0x9A'),
        (INVALID_OPCODE, 0, 0),
    ),
    **{
        f'int {vector}': (GENERAL_PROTECTION, vector * 8 + 2, 0)
        for vector in (0, 1, 2, 5, 6, 8, 13, 14, 17, 0x20, 0x80, 255)
    },
    'int3': (BREAKPOINT, 0, 1),
    '.byte 0xCD, 3': (BREAKPOINT, 0, 2),
    'int 4': (OVERFLOW, 0, 2),
    '.byte 0xF1': (DEBUG, 0, 1),  # INT1
    'xor ecx, ecx; div ecx': (DIVIDE_ERROR, 0, 2),
    # Hardware says that the selector is the error code: Unicorn does not tell. A waiver.
    'mov eax, 0x77; mov ds, ax': (GENERAL_PROTECTION, 0, 5),
    'xor eax, eax; mov ss, ax': (GENERAL_PROTECTION, 0, 2),
    'push 0x23; push 0; retfq': (GENERAL_PROTECTION, 0, 4),  # to 32-bit code
    'mov rax, 1 << 47; mov rbx, [rax]': (GENERAL_PROTECTION, 0, 10),
    'mov rax, 1 << 47; mov [rax], rbx': (GENERAL_PROTECTION, 0, 10),
    'mov rax, -1 << 47; mov rbx, [rax - 8]': (GENERAL_PROTECTION, 0, 10),
}


def test_what_ring_3_must_not_execute(place: str) -> None:
    text = ''.join(
        f'.balign {SLOT_BYTES}, 0x90; lea r15, [rip + 2f]; {instruction}; jmp 2f; .balign {SLOT_BYTES}, 0x90; 2:\n'
        for instruction in REFUSED
    )
    ran = run(place, text + END, goes_on=True, first={1: CODE})
    assert ran.outcome == PASSED
    behind_lea = 7
    found = {(event.rip - USER) // SLOT_BYTES: event for event in ran.events[:-1]}
    wrong: dict[str, Any] = {}
    for index, (instruction, wanted) in enumerate(REFUSED.items()):
        event = found.get(index)
        seen = event and (event.vector, event.error, (event.rip - USER) % SLOT_BYTES - behind_lea)
        if seen != wanted:
            wrong[instruction] = seen, wanted
    assert wrong == {}


def test_a_jump_to_an_address_that_is_not_canonical(place: str) -> None:
    """Hardware says so at the jump; here RIP is there. A waiver."""
    ran = run(place, 'mov rax, 1 << 47; jmp rax')
    assert (ran.outcome, ran.end.vector, ran.end.error) == (PASSED, GENERAL_PROTECTION, 0)


@pytest.mark.parametrize('instruction', ['in al, dx', 'out dx, al'])
def test_a_port_is_refused_but_the_block_runs_on(place: str, instruction: str) -> None:
    """A waiver: hardware executes nothing behind it. RIP is right, and the device sees nothing."""
    ran = run(place, f'mov edx, 0xE9; {instruction}; mov ebx, 9; jmp 1f; 1: mov ebx, 8; {END}')
    assert (ran.end.vector, ran.end.rip, ran.end.rbx) == (GENERAL_PROTECTION, USER + 5, 9)


def test_waivers(place: str) -> None:
    """What hardware refuses and Unicorn does not. None of it tells or changes anything of the kernel.

    UMIP: SGDT, SIDT, SLDT, STR, SMSW are #GP; here they give zeros, and SMSW constant bits. AC, with CR0.AM clear as
    here, is no exception on hardware either. A misaligned MOVAPS is #GP. An unmasked exception of SSE is #XM.
    """
    ran = run(
        place,
        f"""
        lea rdi, [rsp - 256]
        mov qword ptr [rdi], -1; mov qword ptr [rdi + 8], -1
        sgdt [rdi]; mov rbx, [rdi + 2]
        sidt [rdi]; or rbx, [rdi + 2]
        xor eax, eax; str ax; or rbx, rax; sldt ax; or rbx, rax
        pushfq; or qword ptr [rsp], 1 << 18; popfq; mov rax, [rdi + 1]
        pushfq; and qword ptr [rsp], ~(1 << 18); popfq
        movaps xmm0, [rdi + 1]
        mov dword ptr [rdi], 0; ldmxcsr [rdi]; xorps xmm0, xmm0; divss xmm0, xmm0
        {END}""",
        cr4=1 << 11,
    )
    assert (ran.outcome, ran.end.vector, ran.end.rbx) == (PASSED, 256, 0)


def test_exceptions_one_after_the_other(place: str) -> None:
    """Unicorn took the second for a double fault, and the third for the end of the machine."""
    text = ''.join(f'lea r15, [rip + 2f]; {what}; 2: ' for what in ('hlt', 'cli', 'mov ebx, [0x1000]', 'hlt', 'hlt'))
    ran = run(place, text + END, goes_on=True)
    assert [event.vector for event in ran.events] == [13, 13, 14, 13, 13, 256]


def test_registers_are_kept_over_exceptions(place: str) -> None:
    set_all = '; '.join(f'mov r{index}, {index}' for index in range(8, 15))
    test_all = '; '.join(f'cmp r{index}, {index}; jne 9f' for index in range(8, 15))
    ran = run(
        place,
        f"""
        mov ebp, 5; mov edx, 6; mov esi, 7; mov edi, 8; movq xmm7, rsp; fninit; fld1; fldpi
        mov eax, {mini.WRITE_MSR}; mov edi, 0xC0000100; lea rsi, [rsp - 64]; mov qword ptr [rsi], 77; syscall
        mov edi, 8; mov esi, 7; {set_all}
        lea r15, [rip + 2f]; hlt; 2: lea r15, [rip + 2f]; mov ecx, [0x1000]; 2:
        {test_all}; cmp ebp, 5; jne 9f; cmp edx, 6; jne 9f; cmp esi, 7; jne 9f; cmp edi, 8; jne 9f
        cmp qword ptr fs:[0], 77; jne 9f
        movq rax, xmm7; sub rax, {STACK_END} & 0xFFFFFFFF; fstp st; fistp qword ptr [rsp - 8]; mov rbx, [rsp - 8]
        {END}
        9: mov ebx, 99; {END}""",
        goes_on=True,
    )
    assert [event.vector for event in ran.events] == [13, 14, 256]
    assert ran.end.rbx == 1


def test_a_system_call_leaves_what_syscall_leaves(place: str) -> None:
    ran = run(place, 'std; stc; mov rcx, 5; mov r11, 6; mov eax, 0; syscall')
    event = ran.end
    assert event.rcx == event.rip == USER + len(assembled('std; stc; mov rcx, 5; mov r11, 6; mov eax, 0; syscall'))
    assert event.r11 == event.rflags
    assert event.rflags & 0x400 != 0
    assert event.rflags & 1 != 0


def test_one_step_by_the_trap_flag(place: str) -> None:
    text = 'pushfq; or qword ptr [rsp], 0x100; popfq; nop'
    ran = run(place, f'{text}; hlt')
    assert (ran.end.vector, ran.end.rip) == (DEBUG, USER + len(assembled(text)))


def test_flags_that_ring_3_cannot_set(place: str) -> None:
    """IOPL and IF stay."""
    ran = run(place, f'pushfq; or qword ptr [rsp], 0x3000; and qword ptr [rsp], ~0x200; popfq; {END}')
    assert ran.end.rflags & 0x3200 == 0x200


# ---------------------------------------------------------------- page faults
@pytest.mark.parametrize(
    ('access', 'error', 'offset'),
    [
        ('mov ebx, [{va} + 0x123]', 4, 0x123),
        ('mov [{va} + 0xFFF], bl', 6, 0xFFF),
        ('mov rsp, {va} + 0x128; push rax', 6, 0x120),
        ('mov rax, {va} + 0x77; jmp rax', 0x14, 0x77),
        ('mov rax, {va} - 3; mov rbx, [rax]', 4, 0),
        ('mov rax, {va} + 8; movups [rax], xmm1', 6, 8),
        ('mov rax, {va} + 8; lock add qword ptr [rax], 1', 6, 8),
    ],
)
def test_a_page_that_is_absent_comes_by_a_fault(place: str, access: str, error: int, offset: int) -> None:
    text = access.format(va='rax' if access.startswith(('mov ebx', 'mov [')) else page(5))
    ran = run(place, f'mov rax, {page(5)}; {text}; nop; {END}', first={4: DATA}, later={5: RWX}, frames={5: END_CODE})
    assert ran.outcome == PASSED
    first = ran.events[0]
    assert (first.vector, first.address) == (PAGE_FAULT, page(5) + offset)
    assert first.error & ~2 == error & ~2  # Unicorn reads before an atomic write: the kernel hears of a read first
    assert ran.end.vector == 256


END_CODE: Final = assembled(END).rjust(0x77 + len(assembled(END)), b'\x90')


def test_dirty_and_accessed(place: str) -> None:
    """A page that was only read is not dirty, and its first write marks it."""
    text = f'mov rax, {page(4)}; mov rbx, [rax]; mov rax, {page(5)}; mov rbx, [rax]; mov [rax], rbx; {END}'
    ran = run(place, text, first={4: DATA, 5: DATA, 6: DATA})
    assert [ran.entry(index) & (ACCESSED | DIRTY) for index in (0, 4, 5, 6)] == [
        ACCESSED,
        ACCESSED,
        ACCESSED | DIRTY,
        0,
    ]


def test_rights(place: str) -> None:
    """Read-only, not executable, and the kernel's own."""
    accesses = (
        f'mov rax, {page(4)}; mov rbx, [rax]; mov [rax + 16], rbx',
        f'mov rax, {page(5)}; mov [rax], rbx; call rax',
        f'mov rax, {page(6)}; mov rbx, [rax + 24]',
        f'mov rax, {page(6)}; mov [rax + 32], rbx',
        f'mov rax, {page(6)}; call rax',
        'mov ebx, [0x100000]',
        'mov rax, -1 << 47; mov rbx, [rax + 0x150000]',
    )
    text = ''.join(f'lea r15, [rip + 2f]; {access}; 2: ' for access in accesses)
    pages = {4: PRESENT | USER_BIT | NX, 5: DATA, 6: PRESENT | WRITABLE}
    ran = run(place, text + END, goes_on=True, first=pages)
    assert [(event.error, event.address) for event in ran.events[:-1]] == [
        (7, page(4) + 16),
        (0x15, page(5)),
        (5, page(6) + 24),
        (7, page(6) + 32),
        (0x15, page(6)),
        (5, 0x100000),
        (5, (-1 << 47) + 0x150000),
    ]


def test_an_access_to_two_pages_of_which_one_is_absent(place: str) -> None:
    ran = run(
        place,
        f'mov rax, {page(5)}; mov rbx, -1; mov [rax - 4], rbx; mov rbx, [rax - 4]; {END}',
        first={4: DATA},
        later={5: DATA},
    )
    assert [(event.vector, event.address) for event in ran.events[:-1]] == [(PAGE_FAULT, page(5))]
    assert ran.end.rbx == -1
    assert ran.content(4)[-4:] + ran.content(5)[:5] == b'\xff' * 8 + b'\0'


def test_a_string_instruction_goes_on_where_it_faulted(place: str) -> None:
    text = f'cld; mov rdi, {page(4)} + 0xF00; mov ecx, 0x200; mov al, 7; rep stosb; {END}'
    ran = run(place, text, first={4: DATA}, later={5: DATA})
    assert [(event.vector, event.address) for event in ran.events[:-1]] == [(PAGE_FAULT, page(5))]
    assert ran.content(4)[0xF00:] + ran.content(5)[:0x101] == b'\7' * 0x200 + b'\0'


# ---------------------------------------------------------------- fetches across the end of a page
def at_end_of_page(text: str, nr_bytes_left: int = 0) -> int:
    """Where a program begins that ends so many bytes before the end of page 0."""
    return 4096 - nr_bytes_left - len(assembled(text))


def test_a_fetch_ahead_is_no_fault_yet(place: str) -> None:
    """The page behind is absent for ever, and execution never gets there."""
    text = f'mov ebx, 3; mov [rsp - 8], rbx; add rbx, [rsp - 8]; {END}'
    ran = run(place, text, start=at_end_of_page(text))
    assert (ran.outcome, ran.end.vector, ran.end.rbx, len(ran.events)) == (PASSED, 256, 6, 1)


def test_a_data_fault_before_the_fetch_comes_first(place: str) -> None:
    text = f'mov rax, {page(5)}; mov rbx, [rax + 8]; nop; nop'
    ran = run(place, text, start=at_end_of_page(text), later={5: DATA})
    assert [(event.error, event.address) for event in ran.events] == [(4, page(5) + 8), (0x14, page(1))]
    assert ran.end.rip == page(1)


@pytest.mark.parametrize('nr_bytes_behind', [1, 3, 4])
def test_an_instruction_that_goes_on_in_the_next_page(place: str, nr_bytes_behind: int) -> None:
    before, straddling = 'mov ecx, 5; mov edx, 6', 'mov ebx, 0x01020304'
    text = f'{before}; {straddling}; {END}'
    start = 4096 - len(assembled(before)) - 5 + nr_bytes_behind
    code = assembled(text)[4096 - start :]
    ran = run(place, text, start=start, first={1: 0}, later={1: CODE}, frames={1: code})
    assert [(event.vector, event.error, event.address) for event in ran.events[:-1]] == [(PAGE_FAULT, 0x14, page(1))]
    assert ran.events[0].rip == page(1) - 5 + nr_bytes_behind
    assert (ran.end.rbx, ran.end.rcx) == (0x01020304, ran.end.rip)


def test_steps_end_behind_the_page(place: str) -> None:
    """A loop over the page's end, whose second page comes late."""
    text = 'mov ebx, 0; 1: inc ebx; nop; nop; nop; nop; nop; nop; cmp ebx, 1000; jne 1b; ' + END
    start = 4096 - 12
    code = assembled(text)[12:]
    ran = run(place, text, start=start, first={1: 0}, later={1: CODE}, frames={1: code})
    assert (ran.outcome, ran.end.rbx, ran.notes.nr_faults) == (PASSED, 1000, 1)


# ---------------------------------------------------------------- code that changes
def returning(number: int) -> bytes:
    return assembled(f'mov eax, {number}; ret')


def word_of(code: bytes) -> int:
    return int.from_bytes(code.ljust(8, b'\x90'), 'little')


def test_a_program_that_writes_its_own_code(place: str) -> None:
    """By the page itself, and by another page of the same frame."""
    alias = frame(5) | DATA
    text = f"""
        mov rbp, {page(5)}; mov r12, {page(6)}; mov rdx, {word_of(returning(1))}; mov [rbp], rdx; call rbp; mov ebx, eax
        mov rdx, {word_of(returning(20))}; mov [rbp], rdx; call rbp; add ebx, eax
        mov rdx, {word_of(returning(300))}; mov [r12], rdx; call rbp; add ebx, eax
        {END}"""
    ran = run(place, text, first={5: RWX, 6: alias})
    assert (ran.outcome, ran.end.rbx) == (PASSED, 321)


def test_code_that_the_kernel_writes_over(place: str) -> None:
    """Three times: the kernel's own translation must not become a fast one that nobody sees."""
    change = f"""
        mov eax, {mini.WRITE_PHYSICAL}; mov edi, {frame(5)}; mov rsi, {{word}}; syscall; call rbp; add ebx, eax"""
    changes = ''.join(change.format(word=word_of(returning(number))) for number in (20, 300, 4000))
    text = f'mov rbp, {page(5)}; call rbp; mov ebx, eax; {changes}; {END}'
    ran = run(place, text, first={5: CODE}, frames={5: returning(1)})
    assert (ran.outcome, ran.end.rbx) == (PASSED, 4321)


def test_a_frame_that_gets_other_code_under_another_address(place: str) -> None:
    """It was handed out again: the code that ran at the first address is not what runs at the second."""
    text = f"""
        mov rbp, {page(5)}; call rbp; mov ebx, eax
        mov eax, {mini.WRITE_ENTRY}; mov edi, 5; mov esi, 0; mov edx, 1; syscall
        mov eax, {mini.WRITE_PHYSICAL}; mov edi, {frame(5)}; mov rsi, {word_of(returning(20))}; syscall
        mov eax, {mini.WRITE_ENTRY}; mov edi, 5; mov esi, {frame(5) | CODE}; syscall
        call rbp; add ebx, eax; {END}"""
    ran = run(place, text, first={5: CODE}, frames={5: returning(1)})
    assert (ran.outcome, ran.end.rbx) == (PASSED, 21)


# ---------------------------------------------------------------- translations that change
def changing(entry: int, flush: bool, access: str) -> str:
    return f"""
        mov rbp, {page(5)}; mov rbx, [rbp]; mov [rbp + 8], rbx
        mov eax, {mini.WRITE_ENTRY}; mov edi, 5; mov rsi, {entry}; mov edx, {int(flush)}; syscall
        {access}; {END}"""


CHANGES: Final = {
    'another frame': (frame(6) | DATA, 'mov rbx, [rbp]', 'physical 0x176000'),
    'read-only': (frame(5) | DATA & ~WRITABLE, 'mov [rbp], rbx', 'no right to write'),
    'absent': (0, 'mov rbx, [rbp]', 'a page fault'),
    "the kernel's": (frame(5) | DATA & ~USER_BIT, 'mov rbx, [rbp]', 'a page fault'),
}


@pytest.mark.parametrize('change', CHANGES)
def test_a_change_that_is_flushed_is_seen(place: str, change: str) -> None:
    entry, access, _ = CHANGES[change]
    ran = run(place, changing(entry, True, access), first={5: DATA}, frames={5: b'\5', 6: b'\6'})
    assert ran.outcome == PASSED
    if change == 'another frame':
        assert ran.end.rbx == 6
    else:
        assert (ran.end.vector, ran.end.address) == (PAGE_FAULT, page(5))


@pytest.mark.parametrize('change', CHANGES)
def test_a_change_that_is_not_flushed_is_named(change: str) -> None:
    entry, access, words = CHANGES[change]
    ran = run('sim', changing(entry, False, access), first={5: DATA})
    assert ran.outcome.status is Status.PANIC
    assert 'stale translation' in ran.outcome.remark
    assert f'{page(5):#x}' in ran.outcome.remark
    assert words in ran.outcome.remark


def test_a_right_that_is_added_needs_no_flush(place: str) -> None:
    text = changing(frame(5) | DATA, False, 'mov [rbp], rbx').replace('mov [rbp + 8], rbx', '')
    ran = run(place, text, first={5: DATA & ~WRITABLE})
    assert (ran.outcome, ran.end.vector) == (PASSED, 256)


def test_a_frame_that_nobody_cleared_is_named() -> None:
    """What ring 3 can read must have been written by somebody: else it is another's secret."""
    unwritten = 0x1A_0000
    ran = run('sim', f'mov rax, {page(5)}; mov rbx, [rax]; {END}', first={5: unwritten | DATA})
    assert ran.outcome.status is Status.PANIC
    assert 'was never written' in ran.outcome.remark


# ---------------------------------------------------------------- SMAP
READ_USER: Final = f'mov eax, {mini.READ_USER}; mov rdi, {page(4)}; syscall; mov rbx, rax; {END}'
SMAP: Final = 1 << 21


def test_the_kernel_must_not_touch_a_page_of_ring_3(place: str) -> None:
    ran = run(place, READ_USER, first={4: DATA}, frames={4: b'\7'}, cr4=SMAP)
    assert ran.outcome.status is Status.PANIC
    assert (ran.end.vector, ran.end.error, ran.end.address, ran.end.cs) == (PAGE_FAULT, 1, page(4), 8)


def test_without_smap_it_may(place: str) -> None:
    ran = run(place, READ_USER, first={4: DATA}, frames={4: b'\7'})
    assert (ran.outcome, ran.end.rbx) == (PASSED, 7)


def test_a_translation_from_before_smap_is_forgotten(place: str) -> None:
    text = f"""
        mov eax, {mini.READ_USER}; mov rdi, {page(4)}; syscall
        mov eax, {mini.SET_CR4}; mov edi, {SMAP}; syscall
        {READ_USER}"""
    ran = run(place, text, first={4: DATA})
    assert (ran.outcome.status, ran.end.address) == (Status.PANIC, page(4))


@pytest.mark.parametrize(('bit', 'feature'), [(20, 'HAS_SMEP'), (21, 'HAS_SMAP'), (11, 'HAS_UMIP')])
def test_a_processor_without_refuses_the_bit(place: str, bit: int, feature: str) -> None:
    features = ALL_FEATURES & ~int(getattr(machine_cpu, feature))
    assert run(place, END, cr4=1 << bit).outcome == PASSED
    assert run(place, END, cr4=1 << bit, features=features).outcome.status is Status.PANIC


# ---------------------------------------------------------------- vector state
CLEAN: Final = (0x37F).to_bytes(24, 'little') + (0x1F80).to_bytes(488, 'little')


def test_vector_state_at_the_start_is_clean(place: str) -> None:
    ran = run(place, f'mov eax, {mini.SAVE_VECTORS}; syscall; {END}')
    assert ran.ram[mini.SCRATCH :][:512].tobytes() == CLEAN


def test_vector_state_is_saved_and_loaded(place: str) -> None:
    """What FXSAVE writes in ring 3 is what the kernel gets, and what it loads is there."""
    text = f"""
        mov rbp, {page(4)}; mov rax, 0x1122334455667788; movq xmm3, rax; movq xmm15, rsp
        fninit; fldpi; fld1; mov dword ptr [rbp], 0x1FC0; ldmxcsr [rbp]; fxsave64 [rbp]
        mov eax, {mini.SAVE_VECTORS}; syscall
        xorps xmm3, xmm3; fninit; mov dword ptr [rbp + 512], 0x1F80; ldmxcsr [rbp + 512]
        mov eax, {mini.LOAD_VECTORS}; syscall; fxsave64 [rbp + 1024]; {END}"""
    ran = run(place, text, first={4: DATA})
    wanted, saved, loaded = ran.content(4)[:512], ran.ram[mini.SCRATCH :][:512].tobytes(), ran.content(4)[1024:1536]
    compared = [*range(6), *range(24, 28), *(32 + 16 * i + j for i in range(8) for j in range(10)), *range(160, 416)]
    for found in (saved, loaded):
        assert [found[at] for at in compared] == [wanted[at] for at in compared]
    assert wanted[4] == 0xC0
    assert wanted[208:216] == bytes.fromhex('8877665544332211')


# ---------------------------------------------------------------- the time stamp counter, and FS and GS
def test_the_time_stamp_counter_is_this_computers(place: str) -> None:
    text = f'rdtsc; mov ebx, eax; rdtscp; sub eax, ebx; mov ebx, eax; {END}'
    first, second = run(place, text), run(place, text)
    assert (first.outcome, first.end.vector, first.end.rbx) == (PASSED, 256, second.end.rbx)
    assert first.end.rbx > 0


def test_the_kernel_may_forbid_the_time_stamp_counter(place: str) -> None:
    ran = run(place, 'rdtsc', cr4=1 << 2)
    assert (ran.end.vector, ran.end.error, ran.end.rip) == (GENERAL_PROTECTION, 0, USER)


def test_bases_of_fs_and_gs(place: str) -> None:
    write = f'mov eax, {mini.WRITE_MSR}; mov edi, {{msr}}; mov rsi, {{base}}; syscall'
    text = f"""
        mov rbp, {page(4)}; mov qword ptr [rbp + 8], 30; mov qword ptr [rbp + 16], 12
        {write.format(msr=0xC0000100, base=page(4) + 8)}; {write.format(msr=0xC0000102, base=page(4) + 16)}
        mov rbx, fs:[0]; add rbx, gs:[0]; {END}"""
    assert run(place, text, first={4: DATA}).end.rbx == 42
