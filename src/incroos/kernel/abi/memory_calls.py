"""Calls on memory: mmap and its kin, brk."""

from typing import Final

from incroos.kernel import vm
from incroos.kernel.abi.arguments import file_of, user_of
from incroos.kernel.abi.errno import EACCES, EBADF, EFAULT, EINVAL, ENODEV, ENOMEM, EPERM, result_of
from incroos.kernel.arch.x86 import FAULT_USER, FAULT_WRITE
from incroos.kernel.codes import NO_ROOM
from incroos.kernel.files import seals
from incroos.kernel.files.flags import PATH_ONLY
from incroos.kernel.files.reading import is_readable
from incroos.kernel.files.writing import is_writable
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import (
    CONTENT_KIND,
    IS_SHARED,
    NEVER_WRITABLE,
    WRITE,
    ZERO_KIND,
    Content,
    File,
    Kernel,
    Node,
    UserSpace,
)
from incroos.lang import VirtAddr, apart, kernel, word

KNOWN_RIGHTS: Final = 7
ATOMIC: Final = 8  # PROT_SEM: says nothing here
LOW_END: Final = 1 << 31
KNOWN_MOVES: Final = 7  # flags of mremap
MOVE_TO: Final = 2  # MREMAP_FIXED
SHARED: Final = 1  # flags of mmap
PRIVATE: Final = 2
SHARED_CHECKED: Final = 3
KIND: Final = 0xF
LOW: Final = 0x40  # MAP_32BIT
FIXED: Final = 0x10
ANONYMOUS: Final = 0x20
POPULATE: Final = 0x8000
HUGE_PAGES: Final = 0x4_0000
FIXED_FREE: Final = 0x10_0000

WRITE_FAULT: Final = FAULT_USER | FAULT_WRITE


@apart
@kernel
def mmap(k: Kernel, hint: word, nbytes: word, rights: word, flags: word, descriptor: word, offset: word) -> word:
    at = file_of(k, descriptor) if flags & ANONYMOUS == 0 else VirtAddr(0)
    if offset % PAGE_BYTES != 0:
        return -EINVAL
    if flags & ANONYMOUS == 0 and (at == 0 or File(k.m, at).flags & PATH_ONLY != 0):
        return -EBADF
    if nbytes == 0:
        return -EINVAL
    if flags & KIND != PRIVATE and flags & KIND != SHARED and flags & KIND != SHARED_CHECKED:
        return -EINVAL
    if nbytes < 0 or offset < 0 or flags & HUGE_PAGES != 0:
        return -ENOMEM
    if flags & ANONYMOUS != 0:
        return map_zeros(k, hint, nbytes, rights, flags)
    return map_file(k, hint, nbytes, rights, flags, File(k.m, at), offset)


@kernel
def map_file(k: Kernel, hint: word, nbytes: word, rights: word, flags: word, file: File, offset: word) -> word:
    """Map pages of an open file, privately or shared; that of zeros as none."""
    is_shared = flags & KIND != PRIVATE
    if (is_shared and rights & WRITE != 0 and not is_writable(file)) or not is_readable(file):
        return -EACCES
    if file.kind == ZERO_KIND:
        return map_zeros(k, hint, nbytes, rights, flags)
    if file.kind != CONTENT_KIND:
        return -ENODEV
    kind = 0
    if is_shared:
        sealed = Node(k.m, file.node).seals & seals.NO_WRITE if is_writable(file) else seals.LATER_WRITE
        if sealed != 0 and rights & WRITE != 0:
            return -EPERM
        kind = IS_SHARED if sealed == 0 else IS_SHARED | NEVER_WRITABLE
    return map_content(k, hint, nbytes, rights, flags, kind, file.content, offset)


@kernel
def map_zeros(k: Kernel, hint: word, nbytes: word, rights: word, flags: word) -> word:
    """Map zeros: private ones, or memory that stays shared over fork."""
    if flags & KIND == PRIVATE:
        return map_content(k, hint, nbytes, rights, flags, 0, VirtAddr(0), 0)
    memory = vm.create_shared(k, min(nbytes, vm.USER_END))
    if memory == 0:
        return -ENOMEM
    result = map_content(k, hint, nbytes, rights, flags, IS_SHARED, memory, 0)
    if result < 0:
        vm.destroy_shared(k, Content(k.m, memory))
    return result


@kernel
def map_content(
    k: Kernel, hint: word, nbytes: word, rights: word, flags: word, kind: word, content: VirtAddr, offset: word
) -> word:
    """Map pages of a content or shared memory, or zeros where it is 0. `kind` is what Range.flags is to be."""
    user = user_of(k)
    wanted = rights & KNOWN_RIGHTS
    if flags & (FIXED | FIXED_FREE | LOW) == LOW:
        found = map_low(user, nbytes, wanted, kind, content, offset)
    elif flags & (FIXED | FIXED_FREE) == 0:
        found = vm.map_anywhere(user, max(hint, 0), nbytes, wanted, kind, content, offset)
    elif hint % PAGE_BYTES != 0:
        return -EINVAL
    elif flags & FIXED_FREE != 0:
        found = vm.map_at_free(user, hint, nbytes, wanted, kind, content, offset)
    else:
        found = vm.map_at(user, hint, nbytes, wanted, kind, content, offset)
    if found > 0 and flags & POPULATE != 0:
        populate(user, found, nbytes, wanted)
    return result_of(found)


@kernel
def map_low(user: UserSpace, nbytes: word, rights: word, kind: word, content: VirtAddr, offset: word) -> word:
    """Map pages in the lowest 2 GiB, where an int can hold their addresses: MAP_32BIT."""
    if not 0 < nbytes < LOW_END:
        return NO_ROOM
    start = vm.find_gap(user, vm.page_up(nbytes), VirtAddr(LOW_END))
    return vm.map_at_free(user, start, nbytes, rights, kind, content, offset) if start != 0 else NO_ROOM


@kernel
def populate(user: UserSpace, start: word, nbytes: word, rights: word) -> None:
    """Touch all pages, as far as there are frames."""
    at = start
    error = WRITE_FAULT if rights & WRITE != 0 else FAULT_USER
    while at < start + nbytes and rights != 0:
        at = at + PAGE_BYTES if vm.fault(user, VirtAddr(at), error) == 0 else start + nbytes


@apart
@kernel
def munmap(k: Kernel, start: word, nbytes: word) -> word:
    return result_of(vm.unmap(user_of(k), start, nbytes))


@apart
@kernel
def mprotect(k: Kernel, start: word, nbytes: word, rights: word) -> word:
    return result_of(vm.protect(user_of(k), start, nbytes, rights & ~ATOMIC))


@apart
@kernel
def brk(k: Kernel, wanted: word) -> word:
    return vm.set_break(user_of(k), wanted)


@apart
@kernel
def mremap(k: Kernel, start: word, nbytes: word, wanted: word, flags: word) -> word:
    """What becomes smaller stays where it is; whoever asks for more copies instead."""
    if flags & ~KNOWN_MOVES != 0 or start % PAGE_BYTES != 0 or wanted == 0:
        return -EINVAL
    if not vm.is_user(start, nbytes) or nbytes == 0 or not 0 < wanted <= nbytes or flags & MOVE_TO != 0:
        return -ENOMEM
    if vm.find_range(user_of(k), VirtAddr(start)) == 0:
        return -EFAULT
    end = start + vm.page_up(nbytes)
    behind = start + vm.page_up(wanted)
    code = vm.unmap(user_of(k), behind, end - behind) if behind < end else 0
    return start if code == 0 else result_of(code)
