"""User spaces: made, used, and given back to the last frame.

Unit: the UserSpace, in the kernel's heap. Each is of a family, by whose number the reverse map names it. Knows nothing
of tasks but how many have it.
"""

from incroos.kernel import cpu, heap, pmm, vmm
from incroos.kernel.codes import NO_FRAME, OK, SPACE_IN_USE
from incroos.kernel.io.panic import panic
from incroos.kernel.state import NO_LIMIT, Kernel, Range, UserSpace, kernel_of
from incroos.kernel.vm import families, pages, ranges, reverse_map, tree
from incroos.kernel.vm.addresses import DEFAULT_STACK_LIMIT
from incroos.lang import VirtAddr, kernel, word


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
    """A space of zeros but for its root, which is of no family yet; 0 without memory."""
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
    k = kernel_of(user.space)
    if cpu.is_loaded(user.space):
        return SPACE_IN_USE
    clear_all(user)
    free_ranges(user)
    code = vmm.deinit_space(user.space)
    if code != OK or user.nr_resident != 0:
        panic(k, b'vm: a space ends with pages left: code, pages, family', code, user.nr_resident, user.family)
    families.leave(k, user)
    heap.kfree(k, user.addr)
    return OK


@kernel
def clear_all(user: UserSpace) -> None:
    """Unmap all pages: where ranges are, and not everywhere."""
    at = tree.lowest_under(user, user.root)
    while at != 0:
        start = Range(user.m, at).start
        end, at = tree.span_from(user, Range(user.m, at))
        pages.clear(user, start, end)


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
    if user.nr_tasks == 0 and destroy(user) != OK:
        panic(k, b'vm: the last task drops a space that is loaded: family', user.family, 0, 0)


@kernel
def free_ranges(user: UserSpace) -> None:
    """Take all ranges out: the tree is no tree meanwhile, leaves go first."""
    at = user.root
    while at != 0:
        node = Range(user.m, at)
        if node.left != 0:
            at = node.left
        elif node.right != 0:
            at = node.right
        else:
            at = node.parent
            tree.put_in_place(user, node, VirtAddr(0))
            ranges.hide_content(user, node)
            ranges.free_node(user, node.addr)
    user.last_found = VirtAddr(0)
