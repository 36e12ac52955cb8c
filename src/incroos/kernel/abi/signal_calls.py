"""Calls about signals: what a program says it will do with them, how it waits for them, and how a handler returns."""

from typing import Final

from incroos.kernel import task, vm
from incroos.kernel.abi.arguments import half, task_of, user_of
from incroos.kernel.abi.errno import EAGAIN, EFAULT, EINVAL, ENOMEM, EPERM, result_of
from incroos.kernel.abi.time_calls import get_span
from incroos.kernel.abi.waiting import NO_TIME, SET_BYTES, block_given, wait_for
from incroos.kernel.arch.x86 import GENERAL_PROTECTION
from incroos.kernel.state import (
    HAS_NEW_REGISTERS,
    NOBODY,
    NR_SIGNALS,
    WAITING,
    Kernel,
    SignalAction,
    Task,
    leader_of,
    user_registers,
)
from incroos.kernel.task import frames
from incroos.kernel.task.actions import SIGKILL, SIGSEGV, SIGSTOP, UNBLOCKABLE, bit_of, is_ignored, open_action
from incroos.kernel.task.sending import first_of, take, take_back
from incroos.lang import VirtAddr, apart, copy, fill, kernel, load64, store32, store64, word

BLOCK: Final = 0  # of rt_sigprocmask
UNBLOCK: Final = 1
SET: Final = 2
STACK_BYTES: Final = 24  # stack_t
INFO_BYTES: Final = 128  # siginfo_t


@apart
@kernel
def rt_sigaction(k: Kernel, signal: word, source: word, to: word, set_bytes: word) -> word:
    number = half(signal)
    if set_bytes != SET_BYTES or not 1 <= number <= NR_SIGNALS:
        return -EINVAL
    if source != 0 and (number == SIGKILL or number == SIGSTOP):
        return -EINVAL
    action = open_action(k, task_of(k), number)
    fresh = k.files.piece
    if source != 0 and vm.copy_in(user_of(k), fresh, source, SignalAction.SIZE) != 0:
        return -EFAULT
    if to != 0 and vm.copy_out(user_of(k), to, VirtAddr(action.addr), SignalAction.SIZE) != 0:
        return -EFAULT
    if source != 0:
        copy(k.m, VirtAddr(action.addr), fresh, SignalAction.SIZE)
        action.mask = action.mask & ~UNBLOCKABLE
        if is_ignored(task_of(k), number):
            take_back(k, leader_of(task_of(k)), bit_of(number))
    return 0


@apart
@kernel
def rt_sigprocmask(k: Kernel, how: word, source: word, to: word, set_bytes: word) -> word:
    own = task_of(k)
    if set_bytes != SET_BYTES:
        return -EINVAL
    before = own.blocked
    if source != 0:
        code, given = vm.load64(user_of(k), source)
        if code != 0:
            return -EFAULT
        wanted = given & ~UNBLOCKABLE
        if half(how) > SET:
            return -EINVAL
        if half(how) == BLOCK:
            wanted = before | wanted
        elif half(how) == UNBLOCK:
            wanted = before & ~given
        own.blocked = wanted
    if to != 0 and vm.store64(user_of(k), to, before) != 0:
        return -EFAULT
    task.notice(k, own)
    task.notice_others(k, own)
    return 0


@kernel
def waiting_of(own: Task) -> word:
    """The signals that wait for a thread or its process."""
    return own.pending.signals | leader_of(own).shared.signals


@apart
@kernel
def rt_sigpending(k: Kernel, to: word, set_bytes: word) -> word:
    if not 0 <= set_bytes <= SET_BYTES:
        return -EINVAL
    at = k.files.piece
    store64(k.m, at, waiting_of(task_of(k)) & task_of(k).blocked)
    return result_of(vm.copy_out(user_of(k), to, at, set_bytes))


@apart
@kernel
def sigaltstack(k: Kernel, source: word, to: word) -> word:
    own = task_of(k)
    rsp = user_registers(k).rsp
    fresh = k.files.piece
    before = VirtAddr(fresh + STACK_BYTES)
    if source != 0 and vm.copy_in(user_of(k), fresh, source, STACK_BYTES) != 0:
        return -EFAULT
    copy(k.m, before, VirtAddr(own.alternate_stack.addr), STACK_BYTES)
    store64(k.m, VirtAddr(before + 8), frames.stack_flags(own, rsp))
    if source != 0:
        flags = load64(k.m, VirtAddr(fresh + 8))
        code = frames.set_stack(own, rsp, load64(k.m, fresh), flags, load64(k.m, VirtAddr(fresh + 16)))
        if code != frames.OK:
            return error_of_stack(code)
    return result_of(vm.copy_out(user_of(k), to, before, STACK_BYTES)) if to != 0 else 0


@kernel
def error_of_stack(code: word) -> word:
    """What the call answers where a stack is refused."""
    if code == frames.IS_HERE:
        return -EPERM
    return -EINVAL if code == frames.BAD_MODE else -ENOMEM


@apart
@kernel
def rt_sigreturn(k: Kernel) -> word:
    """Go on where a handler interrupted the program, as its frame says; RAX is the frame's."""
    own = task_of(k)
    regs = user_registers(k)
    code = frames.pop(k, own)
    k.tasks.attention |= HAS_NEW_REGISTERS
    if code == frames.BAD_SELECTOR:
        own.fault_vector = GENERAL_PROTECTION
        own.fault_error = 0
    if code != frames.OK:
        task.force(k, SIGSEGV)
    return regs.rax


# ------------------------------------------------------------------ waiting
@apart
@kernel
def rt_sigsuspend(k: Kernel, source: word, set_bytes: word) -> word:
    code = block_given(k, source, set_bytes) if source != 0 else -EFAULT
    if code == 0:
        task.wait_once(k, NOBODY)
    return code


@apart
@kernel
def pause(k: Kernel) -> word:
    task.wait_once(k, NOBODY)
    return 0


@apart
@kernel
def rt_sigtimedwait(k: Kernel, source: word, to: word, timeout: word, set_bytes: word) -> word:
    if set_bytes != SET_BYTES:
        return -EINVAL
    own = task_of(k)
    code, given = vm.load64(user_of(k), source)
    if code != 0:
        return -EFAULT
    span = get_span(k, timeout) if timeout != 0 else NO_TIME
    if timeout != 0 and span < 0:
        return span
    wanted = given & ~UNBLOCKABLE
    ready = waiting_of(own) & wanted
    if ready == 0:
        result = wait_for(k, span, NOBODY, -EAGAIN)
        own.awaited = wanted if own.state == WAITING else 0
        return result
    own_ready = own.pending.signals & wanted
    signal = first_of(own_ready if own_ready != 0 else ready)
    first_code, first, second = take(k, own, signal)
    if to != 0 and put_info(k, to, signal, first_code, first, second) != 0:
        return -EFAULT
    return signal


@kernel
def put_info(k: Kernel, to: word, signal: word, code: word, first: word, second: word) -> word:
    """Give the program a siginfo_t: 0 or -EFAULT."""
    info = k.files.piece
    fill(k.m, info, 0, INFO_BYTES)
    store32(k.m, info, signal)
    store32(k.m, VirtAddr(info + 4), (code >> 32) & 0xFFFF_FFFF)
    store32(k.m, VirtAddr(info + 8), code & 0xFFFF_FFFF)
    store64(k.m, VirtAddr(info + 16), first)
    store64(k.m, VirtAddr(info + 24), second)
    return result_of(vm.copy_out(user_of(k), to, info, INFO_BYTES))
