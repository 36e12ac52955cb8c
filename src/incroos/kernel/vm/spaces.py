"""User spaces: made, used, and given back to the last frame.

Unit: the UserSpace, in the kernel's heap. Each is of a family, by whose number the reverse map names it. Knows nothing
of tasks but how many have it.

A space that its last task leaves becomes a spare one, if it has few tables: all in it goes but those, and the nodes of
its ranges if they are few, and the next space begins with them. Programs lie alike, so it need not make tables nor zero
them. Who needs frames takes spare ones apart (give_up_pages).
"""

from typing import Final

from incroos.kernel import cpu, heap, pmm, vmm
from incroos.kernel.codes import NO_FRAME, OK, SPACE_IN_USE
from incroos.kernel.io.panic import panic
from incroos.kernel.state import NO_LIMIT, Kernel, Range, UserSpace, kernel_of
from incroos.kernel.vm import families, objects, pages, ranges, reverse_map, tree
from incroos.kernel.vm.addresses import DEFAULT_STACK_LIMIT
from incroos.kernel.vmm.pcid import flush_space
from incroos.lang import VirtAddr, fill, kernel, offset_of, word

MOST_SPARES: Final = 8
SPARE_TABLES: Final = 16  # of a space with more most would be of no use to the next one
SPARE_NODES: Final = 16  # and if it has more ranges none of their nodes


@kernel
def init(k: Kernel) -> word:
    """Prepare for user spaces: OK; NO_FRAME, and nothing was taken that a second try would not need."""
    k.vm.is_ready = 0
    k.vm.nr_frames = 0
    k.vm.reverse_map = VirtAddr(0)
    k.vm.ranges = VirtAddr(0)
    k.vm.families = VirtAddr(0)
    k.vm.contents = VirtAddr(0)
    k.vm.nr_contents = 0
    k.vm.nr_changed = 0
    k.vm.spares = VirtAddr(0)
    k.vm.nr_spares = 0
    k.vm.zero_page = pmm.alloc_page(k)
    if k.vm.zero_page < 0:
        return NO_FRAME
    if not ranges.init(k):
        pmm.free_page(k, k.vm.zero_page)
        return NO_FRAME
    if not reverse_map.init(k) or not families.init(k):
        if k.vm.reverse_map != 0:
            vmm.vfree(k, k.vm.reverse_map)
        ranges.deinit(k)
        pmm.free_page(k, k.vm.zero_page)
        return NO_FRAME
    k.vm.is_ready = 1
    return OK


@kernel
def create(k: Kernel) -> VirtAddr:
    """A space with nothing mapped, no limits but the stack's: a UserSpace's address; 0 when it cannot be had."""
    number = families.find_number(k)
    user = UserSpace(k.m, new_space(k) if number != 0 else VirtAddr(0))
    if user.addr != 0:
        families.begin(k, user, number)
        user.limit_address_space = NO_LIMIT
        user.limit_data = NO_LIMIT
        user.limit_stack = DEFAULT_STACK_LIMIT
    return VirtAddr(user.addr)


@kernel
def new_space(k: Kernel) -> VirtAddr:
    """A space of zeros but for its tables and nodes, which is of no family yet; 0 without memory."""
    if k.vm.spares != 0:
        return take_spare(k)
    user = UserSpace(k.m, heap.kzalloc(k, UserSpace.SIZE))
    if user.addr != 0 and vmm.init_space(k, user.space) != OK:
        heap.kfree(k, VirtAddr(user.addr))
        return VirtAddr(0)
    return VirtAddr(user.addr)


@kernel
def use(k: Kernel, user: UserSpace) -> None:
    """Load the space: ring 3 sees it from now on."""
    vmm.switch_to(cpu.this_cpu(k), user.space)


@kernel
def destroy(user: UserSpace) -> word:
    """Give back all that a space has, and the space: OK; SPACE_IN_USE, and nothing changed, while it is loaded."""
    if cpu.is_loaded(user.space):
        return SPACE_IN_USE
    empty(user)
    take_apart(user)
    return OK


@kernel
def empty(user: UserSpace) -> None:
    """Unmap all pages, where ranges are and not everywhere, then take out all ranges; it is of no family any more."""
    first = tree.make_row(user)
    at = first
    while at != 0:
        start = Range(user.m, at).start
        end, at = tree.row_from(user, Range(user.m, at))
        pages.clear(user, start, end)
    free_row(user, first)
    if user.nr_resident != 0:
        panic(
            kernel_of(user.space), b'vm: a space ends with pages left: pages, family', user.nr_resident, user.family, 0
        )
    families.leave(kernel_of(user.space), user)


@kernel
def take_apart(user: UserSpace) -> None:
    """Give back the tables, the nodes and the UserSpace of a space that is empty."""
    k = kernel_of(user.space)
    while user.nodes != 0:
        ranges.free_node(user, ranges.take_node(user))
    code = vmm.deinit_space(user.space)
    if code != OK:
        panic(k, b'vm: a space that is loaded is taken apart: code', code, 0, 0)
    heap.kfree(k, VirtAddr(user.addr))


@kernel
def hold(user: UserSpace) -> None:
    """One more task has the space."""
    user.nr_tasks += 1


@kernel
def drop(k: Kernel, user: UserSpace) -> None:
    """One task less has the space; with the last one it ends. It must not be loaded then."""
    if user.nr_tasks <= 0:
        panic(k, b'vm: a space is dropped that no task has: family, tasks', user.family, user.nr_tasks, 0)
    user.nr_tasks -= 1
    if user.nr_tasks == 0 and may_be_spare(k, user):
        put_spare(k, user)
    elif user.nr_tasks == 0 and destroy(user) != OK:
        panic(k, b'vm: the last task drops a space that is loaded: family', user.family, 0, 0)


@kernel
def free_row(user: UserSpace, first: VirtAddr) -> None:
    """End the ranges of a row, in which they are no more of any tree; a spare space keeps the nodes of a short one."""
    keeps = user.space.keeps_tables != 0 and user.nr_ranges <= SPARE_NODES
    at = first
    while at != 0:
        node = Range(user.m, at)
        at = node.right
        ranges.hide_content(user, node)
        if not keeps:
            ranges.free_node(user, VirtAddr(node.addr))
        elif at == 0:
            node.right = user.nodes
            user.nodes = first


# ------------------------------------------------------------------ spare ones
@kernel
def may_be_spare(k: Kernel, user: UserSpace) -> bool:
    """Whether the tables of a space that ends are worth keeping."""
    is_small = user.space.nr_tables <= SPARE_TABLES
    return is_small and k.vm.nr_spares < MOST_SPARES and not cpu.is_loaded(user.space)


@kernel
def put_spare(k: Kernel, user: UserSpace) -> None:
    """Take out all that a space has but its tables and nodes, and keep it for the next one."""
    user.space.keeps_tables = 1
    flush_space(user.space)
    empty(user)
    user.space.keeps_tables = 0
    user.next_in_family = k.vm.spares
    k.vm.spares = VirtAddr(user.addr)
    k.vm.nr_spares += 1


@kernel
def take_spare(k: Kernel) -> VirtAddr:
    """The space that was kept last, with zeros in all but its tables and nodes. PRE there is one."""
    user = UserSpace(k.m, k.vm.spares)
    k.vm.spares = user.next_in_family
    k.vm.nr_spares -= 1
    start = offset_of(UserSpace, 'root')
    fill(k.m, VirtAddr(user.addr + start), 0, UserSpace.SIZE - start)
    return VirtAddr(user.addr)


@kernel
def give_up_pages(k: Kernel) -> word:
    """Free the frames of spare spaces, and of pages of files that can be made anew and nobody maps: how many."""
    nr_pages = objects.give_up_pages(k)
    while k.vm.spares != 0:
        user = UserSpace(k.m, take_spare(k))
        nr_pages += user.space.nr_tables
        take_apart(user)
    return nr_pages
