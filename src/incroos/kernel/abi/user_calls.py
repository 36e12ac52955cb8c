"""Calls about users and groups: for whom a task acts. A task whose effective user is 0 may become anybody.

The words are numbers of 32 bits; SAME leaves one as it is.
"""

from typing import Final

from incroos.kernel import vm
from incroos.kernel.abi.arguments import half, task_of, user_of
from incroos.kernel.abi.errno import EFAULT, EINVAL, EPERM, result_of
from incroos.kernel.files.rights import is_root
from incroos.kernel.state import MOST_GROUPS, Credentials, Ids, Kernel
from incroos.lang import VirtAddr, apart, kernel, load32, store32, word

SAME: Final = 0xFFFF_FFFF


@kernel
def own(k: Kernel) -> Credentials:
    """Those of the task that calls."""
    return task_of(k).credentials


# ------------------------------------------------------------------ told
@kernel
def getuid(k: Kernel) -> word:
    return own(k).user.real


@kernel
def geteuid(k: Kernel) -> word:
    return own(k).user.effective


@kernel
def getgid(k: Kernel) -> word:
    return own(k).group.real


@kernel
def getegid(k: Kernel) -> word:
    return own(k).group.effective


@apart
@kernel
def getresuid(k: Kernel, real: word, effective: word, saved: word) -> word:
    return put_three(k, own(k).user, real, effective, saved)


@apart
@kernel
def getresgid(k: Kernel, real: word, effective: word, saved: word) -> word:
    return put_three(k, own(k).group, real, effective, saved)


@kernel
def put_three(k: Kernel, ids: Ids, real: word, effective: word, saved: word) -> word:
    """Tell three numbers."""
    user = user_of(k)
    code = vm.store32(user, real, ids.real)
    if code == 0:
        code = vm.store32(user, effective, ids.effective)
    return result_of(vm.store32(user, saved, ids.saved) if code == 0 else code)


# ------------------------------------------------------------------ one number
@apart
@kernel
def setuid(k: Kernel, number: word) -> word:
    return set_one(own(k), own(k).user, half(number))


@apart
@kernel
def setgid(k: Kernel, number: word) -> word:
    return set_one(own(k), own(k).group, half(number))


@kernel
def set_one(by: Credentials, ids: Ids, number: word) -> word:
    """Root becomes that for good; others go back to what they were before."""
    if number == SAME:
        return -EINVAL
    if is_root(by):
        ids.real = number
        ids.saved = number
    elif number != ids.real and number != ids.saved:
        return -EPERM
    ids.effective = number
    return 0


# ------------------------------------------------------------------ two and three
@apart
@kernel
def setreuid(k: Kernel, real: word, effective: word) -> word:
    return set_two(own(k), own(k).user, half(real), half(effective))


@apart
@kernel
def setregid(k: Kernel, real: word, effective: word) -> word:
    return set_two(own(k), own(k).group, half(real), half(effective))


@kernel
def set_two(by: Credentials, ids: Ids, real: word, effective: word) -> word:
    """Set the real and the effective number; the saved one follows where one could not go back."""
    may_all = is_root(by)
    if not may_all and real != SAME and real != ids.real and real != ids.effective:
        return -EPERM
    if not may_all and effective != SAME and not is_one_of(ids, effective):
        return -EPERM
    follows = real != SAME or (effective != SAME and effective != ids.real)
    if real != SAME:
        ids.real = real
    if effective != SAME:
        ids.effective = effective
    if follows:
        ids.saved = ids.effective
    return 0


@apart
@kernel
def setresuid(k: Kernel, real: word, effective: word, saved: word) -> word:
    return set_three(own(k), own(k).user, half(real), half(effective), half(saved))


@apart
@kernel
def setresgid(k: Kernel, real: word, effective: word, saved: word) -> word:
    return set_three(own(k), own(k).group, half(real), half(effective), half(saved))


@kernel
def set_three(by: Credentials, ids: Ids, real: word, effective: word, saved: word) -> word:
    """Set all three numbers."""
    if not is_root(by) and not (may_take(ids, real) and may_take(ids, effective) and may_take(ids, saved)):
        return -EPERM
    if real != SAME:
        ids.real = real
    if effective != SAME:
        ids.effective = effective
    if saved != SAME:
        ids.saved = saved
    return 0


@kernel
def is_one_of(ids: Ids, number: word) -> bool:
    """Is it the real, effective or saved number?"""
    return number == ids.real or number == ids.effective or number == ids.saved


@kernel
def may_take(ids: Ids, number: word) -> bool:
    """Is it one of them, or none?"""
    return number == SAME or is_one_of(ids, number)


# ------------------------------------------------------------------ further groups
@apart
@kernel
def getgroups(k: Kernel, nr_most: word, to: word) -> word:
    by = own(k)
    wanted = half(nr_most)
    if wanted >= 0x8000_0000 or 0 < wanted < by.nr_groups:
        return -EINVAL
    if wanted != 0:
        for index in range(by.nr_groups):
            store32(k.m, VirtAddr(k.files.piece + 4 * index), by.groups[index])
        if vm.copy_out(user_of(k), to, k.files.piece, 4 * by.nr_groups) != 0:
            return -EFAULT
    return by.nr_groups


@apart
@kernel
def setgroups(k: Kernel, nr_groups: word, source: word) -> word:
    by = own(k)
    if not is_root(by):
        return -EPERM
    if half(nr_groups) > MOST_GROUPS:
        return -EINVAL
    if vm.copy_in(user_of(k), k.files.piece, source, 4 * half(nr_groups)) != 0:
        return -EFAULT
    by.nr_groups = half(nr_groups)
    for index in range(by.nr_groups):
        by.groups[index] = load32(k.m, VirtAddr(k.files.piece + 4 * index))
    return 0
