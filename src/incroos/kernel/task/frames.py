"""Frames of handlers: what a program finds on its stack when its handler begins, and what sigreturn takes back.

    rsp -> restorer      the address to which the handler returns: it calls rt_sigreturn
           ucontext      flags, stack of handlers, registers, mask
           siginfo       what is told of the signal
           vectors       at a multiple of 64: as FXSAVE64 writes them
           red zone      128 bytes below the stack pointer that was, if the handler has no stack of its own

Unit: the byte. Nothing in a frame is believed when it comes back: docs/adr/0515. Formats: Linux, `asm/ucontext.h`,
`asm/sigcontext.h`, of a processor without XSAVE; "System V Application Binary Interface, AMD64", "The Stack Frame".
"""

from typing import Annotated, Final

from incroos.kernel import vm
from incroos.kernel.arch.x86 import RING, USER_CODE, USER_DATA
from incroos.kernel.state import (
    VECTOR_STATE_BYTES,
    Kernel,
    Registers,
    Task,
    UserSpace,
    user_registers,
)
from incroos.kernel.task.actions import HAS_INFO, HAS_RESTORER, NO_DEFER, ON_STACK, UNBLOCKABLE, action_of, bit_of
from incroos.kernel.task.contexts import SSE_CONTROL, clear_vectors
from incroos.lang import (
    Array,
    Struct,
    VirtAddr,
    add_wrap,
    cold,
    fill,
    kernel,
    load32,
    load_vector_state,
    offset_of,
    save_vector_state,
    store32,
    sub_wrap,
    u16,
    u32,
    u64,
    unsigned_less,
    word,
)

FRAME_FLAGS: Final = 2 | 4  # UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS
STRICT_SS: Final = 4
RED_ZONE_BYTES: Final = 128
VECTORS_ALIGNMENT: Final = 64
STACK_ALIGNMENT: Final = 16
SELECTOR: Final = 0xFFFF
ONE_TIME: Final = 1 << 31  # SS_AUTODISARM
DISABLED: Final = 2  # SS_DISABLE
LEAST_STACK: Final = 2048

# Of RFLAGS a frame has AC, OF, DF, TF, SF, ZF, AF, PF, CF, RF; the others stay as they are.
FLAGS_OF_FRAME: Final = 0x5_0DD5
CLEARED_FLAGS: Final = 1 << 10 | 1 << 8 | 1 << 16  # DF, TF, RF: a handler begins without them

# In what FXSAVE64 writes, beside contexts.py
SSE_CONTROL_MASK: Final = 28
SSE_CONTROL_BITS: Final = 0xFFFF  # of MXCSR; to load another one is an exception
UNUSED: Final = 416  # of bytes that FXSAVE64 does not write
VECTORS_ALIGNED: Final = 16

# pop
OK: Final = 0
BAD_FRAME: Final = 1
BAD_SELECTOR: Final = 2

# set_stack
IS_HERE: Final = 1  # the task runs on the one that it has
BAD_MODE: Final = 2
TOO_SMALL: Final = 3


class Context(Struct):
    """struct ucontext, with the struct sigcontext in it."""

    flags: u64
    link: u64
    stack: u64  # stack_t
    stack_flags: u64
    stack_bytes: u64
    r8: u64
    r9: u64
    r10: u64
    r11: u64
    r12: u64
    r13: u64
    r14: u64
    r15: u64
    rdi: u64
    rsi: u64
    rbp: u64
    rbx: u64
    rdx: u64
    rax: u64
    rcx: u64
    rsp: u64
    rip: u64
    rflags: u64
    cs: u16
    gs: u16
    fs: u16
    ss: u16
    error: u64  # of the last exception that became a signal
    vector: u64
    old_mask: u64
    cr2: u64
    vectors: u64  # where they are; 0: as they are at the start
    reserved: Annotated[Array[u64], 8]
    mask: u64


class Frame(Struct):
    """struct rt_sigframe."""

    restorer: u64
    context: Context
    signal: u32  # siginfo_t
    errno: u32
    code: u32
    padding: u32
    first: u64
    second: u64
    rest: Annotated[Array[u64], 12]


VECTORS_PLACE: Final = 512  # in the kernel's buffer, behind the Frame


# ------------------------------------------------------------------ where it lies
@kernel
def is_on_stack(task: Task, rsp: word) -> bool:
    """Whether a stack pointer is on the stack for handlers. One that is given up at each handler never is."""
    return task.alternate_stack[1] & ONE_TIME == 0 and is_within(task, rsp)


@kernel
def stack_flags(task: Task, rsp: word) -> word:
    """What sigaltstack tells of the stack for handlers."""
    if task.alternate_stack[2] == 0:
        return DISABLED | task.alternate_stack[1] & ONE_TIME
    return (1 if is_on_stack(task, rsp) else 0) | task.alternate_stack[1] & ONE_TIME


@kernel
def is_within(task: Task, rsp: word) -> bool:
    """Whether a stack pointer is in the stack for handlers, or at its end."""
    below = sub_wrap(rsp, task.alternate_stack[0])
    is_above = unsigned_less(task.alternate_stack[0], rsp)
    return is_above and not unsigned_less(task.alternate_stack[2], below)


@kernel
def place_of(task: Task, rsp: word, flags: word) -> tuple[word, word]:
    """Where a frame and its vectors are to lie; an address that nobody has where they have no room."""
    top = sub_wrap(rsp, RED_ZONE_BYTES)
    has_stack = task.alternate_stack[2] != 0
    is_checked = has_stack and is_on_stack(task, rsp)
    if flags & ON_STACK != 0 and has_stack and not is_checked:
        top = add_wrap(task.alternate_stack[0], task.alternate_stack[2])
        is_checked = True
    if not VECTOR_STATE_BYTES + Frame.SIZE + VECTORS_ALIGNMENT <= top <= vm.USER_END:
        return -1, -1
    vectors = (top - VECTOR_STATE_BYTES) & -VECTORS_ALIGNMENT
    at = ((vectors - Frame.SIZE) & -STACK_ALIGNMENT) - 8
    if is_checked and not is_within(task, at):
        return -1, -1
    return at, vectors


# ------------------------------------------------------------------ before the handler
@cold
@kernel
def push(k: Kernel, task: Task, signal: word, mask: word, code: word, first: word, second: word) -> bool:
    """Let the task that runs go on in its handler; what it did until now is in a frame on its stack.

    `mask` is blocked when the handler has returned. False: it could not be written, and nothing else has changed.
    """
    regs = user_registers(k)
    action = action_of(task, signal)
    at, vectors = place_of(task, regs.rsp, action.flags)
    if at < 0 or action.flags & HAS_RESTORER == 0:
        return False
    frame = fill_in(k, task, regs, mask, vectors)
    frame.restorer = action.restorer
    if action.flags & HAS_INFO != 0:
        frame.signal = signal
        frame.errno = (code >> 32) & 0xFFFF_FFFF
        frame.code = code & 0xFFFF_FFFF
        frame.first = first
        frame.second = second
    user = UserSpace(k.m, task.space)
    if vm.copy_out(user, vectors, VirtAddr(frame.addr + VECTORS_PLACE), VECTOR_STATE_BYTES) != 0:
        return False
    if vm.copy_out(user, at, VirtAddr(frame.addr), Frame.SIZE) != 0:
        return False
    begin(k, task, regs, signal, at)
    return True


@cold
@kernel
def fill_in(k: Kernel, task: Task, regs: Registers, mask: word, vectors: word) -> Frame:
    """A frame in the kernel's buffer, without a siginfo; behind it the vector state."""
    frame = Frame(k.m, k.files.piece)
    fill(k.m, frame.addr, 0, VECTORS_PLACE)
    context = frame.context
    context.flags = FRAME_FLAGS
    context.stack = task.alternate_stack[0]
    context.stack_flags = task.alternate_stack[1]
    context.stack_bytes = task.alternate_stack[2]
    put_registers(context, regs)
    context.error = task.fault_error
    context.vector = task.fault_vector
    context.cr2 = task.fault_address
    context.old_mask = mask
    context.mask = mask
    context.vectors = vectors
    state = VirtAddr(frame.addr + VECTORS_PLACE)
    save_vector_state(k.m, state)
    store32(k.m, VirtAddr(state + SSE_CONTROL_MASK), SSE_CONTROL_BITS)
    fill(k.m, VirtAddr(state + UNUSED), 0, VECTOR_STATE_BYTES - UNUSED)
    return frame


@cold
@kernel
def put_registers(context: Context, regs: Registers) -> None:
    """The registers of ring 3, for its own eyes."""
    context.r8 = regs.r8
    context.r9 = regs.r9
    context.r10 = regs.r10
    context.r11 = regs.r11
    context.r12 = regs.r12
    context.r13 = regs.r13
    context.r14 = regs.r14
    context.r15 = regs.r15
    context.rdi = regs.rdi
    context.rsi = regs.rsi
    context.rbp = regs.rbp
    context.rbx = regs.rbx
    context.rdx = regs.rdx
    context.rax = regs.rax
    context.rcx = regs.rcx
    context.rsp = regs.rsp
    context.rip = regs.rip
    context.rflags = regs.rflags
    context.cs = regs.cs & SELECTOR
    context.ss = regs.ss & SELECTOR


@cold
@kernel
def begin(k: Kernel, task: Task, regs: Registers, signal: word, at: word) -> None:
    """The registers and the mask with which a handler begins, whose frame is at an address."""
    action = action_of(task, signal)
    regs.rdi = signal
    regs.rsi = at + offset_of(Frame, 'signal')
    regs.rdx = at + offset_of(Frame, 'context')
    regs.rax = 0
    regs.rip = action.handler
    regs.rsp = at
    regs.rflags = regs.rflags & ~CLEARED_FLAGS
    clear_vectors(k, task)
    task.blocked |= action.mask
    if action.flags & NO_DEFER == 0:
        task.blocked |= bit_of(signal)
    task.blocked &= ~UNBLOCKABLE
    if task.alternate_stack[1] & ONE_TIME != 0:
        give_up_stack(task)


@cold
@kernel
def give_up_stack(task: Task) -> None:
    """There is no stack for handlers."""
    task.alternate_stack[0] = 0
    task.alternate_stack[1] = DISABLED
    task.alternate_stack[2] = 0


# ------------------------------------------------------------------ behind it
@cold
@kernel
def pop(k: Kernel, task: Task) -> word:
    """Let the task that runs go on as a frame says, which lies where a handler left it: OK.

    BAD_FRAME: it cannot be read, or its vector state cannot be loaded. BAD_SELECTOR: no code or stack of ring 3.
    Then a part of it holds, as on Linux.
    """
    regs = user_registers(k)
    user = UserSpace(k.m, task.space)
    context = Context(k.m, k.files.piece)
    if vm.copy_in(user, VirtAddr(context.addr), regs.rsp, Context.SIZE) != 0:
        return BAD_FRAME
    task.blocked = context.mask & ~UNBLOCKABLE
    take_registers(context, regs)
    if not take_vectors(k, task, context.vectors):
        clear_vectors(k, task)
        return BAD_FRAME
    set_stack(task, regs.rsp, context.stack, context.stack_flags, context.stack_bytes)
    is_code = context.cs | RING == USER_CODE
    is_stack = context.ss | RING == USER_DATA or context.flags & STRICT_SS == 0
    return OK if is_code and is_stack else BAD_SELECTOR


@cold
@kernel
def take_registers(context: Context, regs: Registers) -> None:
    """All registers of ring 3 but selectors; of the flags those that are a program's own."""
    regs.r8 = context.r8
    regs.r9 = context.r9
    regs.r10 = context.r10
    regs.r11 = context.r11
    regs.r12 = context.r12
    regs.r13 = context.r13
    regs.r14 = context.r14
    regs.r15 = context.r15
    regs.rdi = context.rdi
    regs.rsi = context.rsi
    regs.rbp = context.rbp
    regs.rbx = context.rbx
    regs.rdx = context.rdx
    regs.rax = context.rax
    regs.rcx = context.rcx
    regs.rsp = context.rsp
    regs.rip = context.rip
    regs.rflags = (regs.rflags & ~FLAGS_OF_FRAME) | (context.rflags & FLAGS_OF_FRAME)


@cold
@kernel
def take_vectors(k: Kernel, task: Task, at: word) -> bool:
    """Load the vector state that is at an address, or that of a new program if that is 0."""
    if at == 0:
        clear_vectors(k, task)
        return True
    state = VirtAddr(k.files.piece + VECTORS_PLACE)
    user = UserSpace(k.m, task.space)
    if at & (VECTORS_ALIGNED - 1) != 0 or vm.copy_in(user, state, at, VECTOR_STATE_BYTES) != 0:
        return False
    if load32(k.m, VirtAddr(state + SSE_CONTROL)) & ~SSE_CONTROL_BITS != 0:
        return False
    load_vector_state(k.m, state)
    return True


@cold
@kernel
def set_stack(task: Task, rsp: word, start: word, flags: word, nbytes: word) -> word:
    """Have handlers run on a stack, or on none: sigaltstack. OK, IS_HERE, BAD_MODE, TOO_SMALL."""
    wanted = flags & 0xFFFF_FFFF
    mode = wanted & ~ONE_TIME
    if is_on_stack(task, rsp):
        return IS_HERE
    if mode > DISABLED:
        return BAD_MODE
    if mode == DISABLED:
        start = 0
        nbytes = 0
    elif unsigned_less(nbytes, LEAST_STACK):
        return TOO_SMALL
    task.alternate_stack[0] = start
    task.alternate_stack[1] = wanted
    task.alternate_stack[2] = nbytes
    return OK
