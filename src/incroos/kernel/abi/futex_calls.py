"""Calls about words of memory that threads wait for: futex, and the lists of locks that a thread's end gives up.

The kinds with priorities (PI) are ENOSYS.
"""

from typing import Final

from incroos.kernel import task, vm
from incroos.kernel.abi.arguments import half, int_of, task_of, user_of
from incroos.kernel.abi.errno import EAGAIN, EFAULT, EINVAL, ENOSYS, EPERM, ESRCH, ETIMEDOUT
from incroos.kernel.abi.time_calls import get_span, span_until
from incroos.kernel.abi.waiting import wait_for
from incroos.kernel.state import FUTEX, Kernel, Task
from incroos.kernel.task import ring
from incroos.kernel.task.futexes import EVERY_BIT, PRIVATE, SHARED, requeue, take_name, wake_futex
from incroos.lang import VirtAddr, apart, kernel, shl_wrap, word

WAIT: Final = 0  # operations
WAKE: Final = 1
REQUEUE: Final = 3
COMPARE_REQUEUE: Final = 4
WAKE_OPERATION: Final = 5
WAIT_SET: Final = 9  # its timeout is a time of the clock
WAKE_SET: Final = 10
OPERATION: Final = 0x7F
IS_PRIVATE: Final = 0x80  # bits beside the operation
BY_REAL_TIME: Final = 0x100

# What WAKE_OPERATION does with the second word, and how it compares what that was
SET: Final = 0
ADD: Final = 1
OR: Final = 2
AND_NOT: Final = 3
XOR: Final = 4
BY_SHIFT: Final = 8
EQUAL: Final = 0
UNEQUAL: Final = 1
LESS: Final = 2
AT_MOST: Final = 3
MORE: Final = 4
AT_LEAST: Final = 5

# How a timeout is told
RELATIVE: Final = 0
END: Final = 1  # a time of the clock that counts from the start,
REAL_END: Final = 2  # of that which counts from 1970

HEAD_BYTES: Final = 24  # struct robust_list_head


@apart
@kernel
def futex(k: Kernel, at: word, operation: word, value: word, timeout: word, other: word, bits: word) -> word:
    wanted = half(operation) & OPERATION
    how = PRIVATE if half(operation) & IS_PRIVATE != 0 else SHARED
    if half(operation) & BY_REAL_TIME != 0 and wanted != WAIT_SET:
        return -ENOSYS
    if wanted == WAIT:
        return wait(k, at, how, half(value), timeout, EVERY_BIT, RELATIVE)
    if wanted == WAIT_SET:
        kind = REAL_END if half(operation) & BY_REAL_TIME != 0 else END
        return wait(k, at, how, half(value), timeout, half(bits), kind)
    if wanted == WAKE or wanted == WAKE_SET:
        return wake(k, at, how, int_of(value), half(bits) if wanted == WAKE_SET else EVERY_BIT)
    if wanted == COMPARE_REQUEUE or wanted == REQUEUE:
        if int_of(value) < 0 or int_of(timeout) < 0:
            return -EINVAL
        code = check_two(k, at, other, how)
        if code == 0 and wanted == COMPARE_REQUEUE:
            code = compare(k, at, half(bits))
        return requeue(k, user_of(k), at, other, how, int_of(value), int_of(timeout)) if code == 0 else code
    if wanted == WAKE_OPERATION:
        return wake_two(k, at, other, how, int_of(value), int_of(timeout), half(bits))
    return -ENOSYS


@kernel
def check_word(k: Kernel, at: word, how: word) -> word:
    """0 if there can be a word at an address, -EINVAL, -EFAULT. What is shared has to be there."""
    if at % 4 != 0:
        return -EINVAL
    if not vm.is_user(at, 4):
        return -EFAULT
    if how == SHARED:
        code, _value = vm.load32(user_of(k), at)
        return 0 if code == 0 else -EFAULT
    return 0


# ------------------------------------------------------------------ waiting
@kernel
def wait(k: Kernel, at: word, how: word, value: word, timeout: word, bits: word, kind: word) -> word:
    """WAIT and WAIT_SET: until somebody names the word, at most for a time, or until one, as the kind says."""
    own = task_of(k)
    span = 0
    if timeout != 0:
        span = get_span(k, timeout)
        if span < 0:
            return span
        if kind != RELATIVE:
            span = span_until(k, span, kind == REAL_END)
    if bits == 0:
        return -EINVAL
    code = check_word(k, at, how)
    if code != 0:
        return code
    if take_name(k, at, how, bits):
        return 0
    if own.deadline != 0 and task.now(k) >= own.deadline:
        own.deadline = 0
        return -ETIMEDOUT
    code, found = vm.load32(user_of(k), at)
    if code != 0:
        return -EFAULT
    if found != value:
        return -EAGAIN
    if timeout != 0:
        return wait_for(k, span, FUTEX, -ETIMEDOUT)
    task.wait_on(k, FUTEX)
    return 0


# ------------------------------------------------------------------ waking
@kernel
def wake(k: Kernel, at: word, how: word, most: word, bits: word) -> word:
    """WAKE and WAKE_SET: at least one, as on Linux."""
    if bits == 0:
        return -EINVAL
    code = check_word(k, at, how)
    return wake_futex(k, user_of(k), at, how, max(most, 1), bits) if code == 0 else code


@kernel
def check_two(k: Kernel, at: word, other: word, how: word) -> word:
    """0 if there can be two words, -EINVAL, -EFAULT."""
    code = check_word(k, at, how)
    return check_word(k, other, how) if code == 0 else code


@kernel
def compare(k: Kernel, at: word, value: word) -> word:
    """Whether a word has a value: 0, -EAGAIN, -EFAULT."""
    code, found = vm.load32(user_of(k), at)
    if code != 0:
        return -EFAULT
    return 0 if found == value else -EAGAIN


@kernel
def wake_two(k: Kernel, at: word, other: word, how: word, most: word, most_of_other: word, plan: word) -> word:
    """WAKE_OPERATION: change the second word; wake who waits on the first, and perhaps on the second."""
    code = check_two(k, at, other, how)
    if code != 0:
        return code
    operand = sign_extended(plan >> 12)
    operation = (plan >> 28) & 15
    if operation & BY_SHIFT != 0:
        operand = shl_wrap(1, operand & 31)
    code, before = vm.load32(user_of(k), other)
    if code != 0:
        return -EFAULT
    if operation & ~BY_SHIFT > XOR or (plan >> 24) & 15 > AT_LEAST:
        return -ENOSYS
    if vm.store32(user_of(k), other, changed(operation & ~BY_SHIFT, before, operand)) != 0:
        return -EFAULT
    nr_woken = wake_futex(k, user_of(k), at, how, max(most, 1), EVERY_BIT)
    if is_so((plan >> 24) & 15, int_of(before), sign_extended(plan)):
        nr_woken += wake_futex(k, user_of(k), other, how, max(most_of_other, 1), EVERY_BIT)
    return nr_woken


@kernel
def sign_extended(value: word) -> word:
    """The low 12 bits, with their sign."""
    return ((value & 0xFFF) ^ 0x800) - 0x800


@kernel
def changed(operation: word, before: word, operand: word) -> word:
    """What the second word becomes."""
    if operation == SET:
        return operand
    if operation == ADD:
        return before + operand
    if operation == OR:
        return before | operand
    return before & ~operand if operation == AND_NOT else before ^ operand


@kernel
def is_so(comparison: word, before: word, value: word) -> bool:
    """Whether the second word was as it is compared."""
    if comparison == EQUAL:
        return before == value
    if comparison == UNEQUAL:
        return before != value
    if comparison == LESS:
        return before < value
    if comparison == AT_MOST:
        return before <= value
    return before > value if comparison == MORE else before >= value


# ------------------------------------------------------------------ robust lists
@apart
@kernel
def set_robust_list(k: Kernel, head: word, nbytes: word) -> word:
    if nbytes != HEAD_BYTES:
        return -EINVAL
    task_of(k).robust = VirtAddr(head)
    return 0


@apart
@kernel
def get_robust_list(k: Kernel, number: word, to: word, to_bytes: word) -> word:
    at = task_of(k).addr
    if int_of(number) != 0:
        at = ring.find(k, int_of(number))
    if at == 0:
        return -ESRCH
    if vm.store64(user_of(k), to_bytes, HEAD_BYTES) != 0:
        return -EFAULT
    return 0 if vm.store64(user_of(k), to, Task(k.m, at).robust) == 0 else -EFAULT


# ------------------------------------------------------------------ order of memory
QUERY: Final = 0  # commands of membarrier
GLOBAL: Final = 1
NOW_GLOBAL: Final = 2
REGISTER_GLOBAL: Final = 4
NOW_PRIVATE: Final = 8
REGISTER_PRIVATE: Final = 16
KNOWN_BARRIERS: Final = GLOBAL | NOW_GLOBAL | REGISTER_GLOBAL | NOW_PRIVATE | REGISTER_PRIVATE


@apart
@kernel
def membarrier(k: Kernel, command: word, flags: word) -> word:
    """There is one processor: nothing has to be done, but to ask for a kind of barrier before it is used."""
    leader = Task(k.m, task_of(k).leader)
    if half(flags) != 0:
        return -EINVAL
    wanted = half(command)
    if wanted == QUERY:
        return KNOWN_BARRIERS
    if wanted == REGISTER_PRIVATE:
        leader.has_barriers = 1
    elif wanted == NOW_PRIVATE:
        return 0 if leader.has_barriers != 0 else -EPERM
    elif wanted != GLOBAL and wanted != NOW_GLOBAL and wanted != REGISTER_GLOBAL:
        return -EINVAL
    return 0
