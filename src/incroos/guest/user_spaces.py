"""User spaces, as the host asks for them: kernel.vm with at most four words a call, on a UserSpace by its address.

A build without `modern`'s space has none of it, and answers UNKNOWN.
"""

from typing import Final

from incroos.guest.services import UNKNOWN
from incroos.kernel import vm, vmm
from incroos.kernel.codes import NO_ROOM, OK
from incroos.kernel.config import MODERN_SPACE
from incroos.kernel.cpu import this_cpu
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import GROWS_DOWN, IS_SHARED, READ, WRITE, Content, Kernel, TaskState, UserSpace
from incroos.lang import VirtAddr, fill, kernel, word

MASK: Final = 0xFFFF


@kernel
def init(k: Kernel) -> word:
    """vm.init, without tasks: their clock, which pages of files ask for, stands."""
    if k.config.space != MODERN_SPACE:
        return UNKNOWN
    fill(k.m, VirtAddr(k.tasks.addr), 0, TaskState.SIZE)
    return vm.init(k)


@kernel
def check(k: Kernel) -> word:
    """vm.check."""
    return vm.check(k) if k.config.space == MODERN_SPACE else UNKNOWN


@kernel
def create(k: Kernel) -> word:
    """vm.create."""
    return vm.create(k) if k.config.space == MODERN_SPACE else UNKNOWN


@kernel
def destroy(k: Kernel, user: UserSpace) -> word:
    """vm.destroy."""
    return vm.destroy(user) if k.config.space == MODERN_SPACE else UNKNOWN


@kernel
def fork(k: Kernel, user: UserSpace) -> word:
    """vm.fork."""
    return vm.fork(k, user) if k.config.space == MODERN_SPACE else UNKNOWN


@kernel
def use(k: Kernel, user: VirtAddr) -> None:
    """vm.use; 0 is the kernel's own space."""
    if k.config.space == MODERN_SPACE:
        if user == 0:
            vmm.switch_to(this_cpu(k), k.space)
        else:
            vm.use(k, UserSpace(k.m, user))


# ------------------------------------------------------------------ ranges
@kernel
def map_anywhere(k: Kernel, user: UserSpace, hint: word, nbytes: word, rights: word) -> word:
    """vm.map_anywhere of zeros."""
    if k.config.space == MODERN_SPACE:
        return vm.map_anywhere(user, hint, nbytes, rights, 0, VirtAddr(0), 0)
    return UNKNOWN


@kernel
def map_at(k: Kernel, user: UserSpace, start: word, nbytes: word, rights: word) -> word:
    """vm.map_at of zeros."""
    if k.config.space == MODERN_SPACE:
        return vm.map_at(user, start, nbytes, rights, 0, VirtAddr(0), 0)
    return UNKNOWN


@kernel
def map_stack(k: Kernel, user: UserSpace, start: word, nbytes: word) -> word:
    """vm.map_at_free of a range that grows down."""
    if k.config.space == MODERN_SPACE:
        return vm.map_at_free(user, start, nbytes, READ | WRITE, GROWS_DOWN, VirtAddr(0), 0)
    return UNKNOWN


@kernel
def map_shared(k: Kernel, user: UserSpace, start: word, nbytes: word, rights: word) -> word:
    """vm.map_at of shared memory of that size; NO_ROOM also without memory for it."""
    if k.config.space != MODERN_SPACE:
        return UNKNOWN
    memory = vm.create_shared(k, min(max(nbytes, 1), vm.USER_END))
    if memory == 0:
        return NO_ROOM
    code = vm.map_at(user, start, nbytes, rights, IS_SHARED, memory, 0)
    if code < 0:
        vm.destroy_shared(k, Content(k.m, memory))
    return code


@kernel
def unmap(k: Kernel, user: UserSpace, start: word, nbytes: word) -> word:
    """vm.unmap."""
    return vm.unmap(user, start, nbytes) if k.config.space == MODERN_SPACE else UNKNOWN


@kernel
def protect(k: Kernel, user: UserSpace, start: word, nbytes: word, rights: word) -> word:
    """vm.protect."""
    return vm.protect(user, start, nbytes, rights) if k.config.space == MODERN_SPACE else UNKNOWN


@kernel
def advise(k: Kernel, user: UserSpace, start: word, end: word, advice: word) -> word:
    """vm.advise."""
    return vm.advise(user, VirtAddr(start), VirtAddr(end), advice) if k.config.space == MODERN_SPACE else UNKNOWN


@kernel
def lock(k: Kernel, user: UserSpace, start: word, end: word, flags: word) -> word:
    """vm.lock; with flags 0 the locks go."""
    return vm.lock(user, VirtAddr(start), VirtAddr(end), flags) if k.config.space == MODERN_SPACE else UNKNOWN


@kernel
def remap(k: Kernel, user: UserSpace, start: word, lengths: word, place: word) -> word:
    """vm.remap: in `lengths` 16 bits each are the pages that there are, those that are wanted, and the flags."""
    if k.config.space != MODERN_SPACE:
        return UNKNOWN
    nbytes = (lengths & MASK) * PAGE_BYTES
    wanted = (lengths >> 16 & MASK) * PAGE_BYTES
    return vm.remap(user, VirtAddr(start), nbytes, wanted, lengths >> 32, place)


@kernel
def populate(k: Kernel, user: UserSpace, start: word, end: word) -> word:
    """vm.populate, as far as there are frames."""
    if k.config.space != MODERN_SPACE:
        return UNKNOWN
    vm.populate(user, VirtAddr(start), VirtAddr(end))
    return OK


@kernel
def begin_heap(k: Kernel, user: UserSpace, start: VirtAddr) -> None:
    """Let the heap begin there, with nothing."""
    user.brk_start = start
    user.brk = start


@kernel
def set_break(k: Kernel, user: UserSpace, wanted: word) -> word:
    """vm.set_break."""
    return vm.set_break(user, wanted) if k.config.space == MODERN_SPACE else UNKNOWN


# ------------------------------------------------------------------ pages
@kernel
def fault(k: Kernel, user: UserSpace, va: VirtAddr, error: word) -> word:
    """vm.fault."""
    return vm.fault(user, va, error) if k.config.space == MODERN_SPACE else UNKNOWN


@kernel
def load64(k: Kernel, user: UserSpace, va: word) -> word:
    """What vm.load64 loads, or its code."""
    if k.config.space != MODERN_SPACE:
        return UNKNOWN
    code, value = vm.load64(user, va)
    return value if code == 0 else code


@kernel
def store64(k: Kernel, user: UserSpace, va: word, value: word) -> word:
    """vm.store64."""
    return vm.store64(user, va, value) if k.config.space == MODERN_SPACE else UNKNOWN


@kernel
def copy_out(k: Kernel, user: UserSpace, to: word, source: VirtAddr, nbytes: word) -> word:
    """vm.copy_out_some."""
    return vm.copy_out_some(user, to, source, nbytes) if k.config.space == MODERN_SPACE else UNKNOWN


@kernel
def copy_in(k: Kernel, user: UserSpace, to: VirtAddr, source: word, nbytes: word) -> word:
    """vm.copy_in_some."""
    return vm.copy_in_some(user, to, source, nbytes) if k.config.space == MODERN_SPACE else UNKNOWN
