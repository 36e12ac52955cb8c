"""Families: all spaces that descend from one by fork, in a ring, under one number.

    k.vm.families   a word for each number, 0 or any space of the family
    UserSpace       family, next_in_family, previous_in_family

Unit: the space. A program that is loaded begins a family; forks go on with it, until the last one ends. The lowest free
number is given.
"""

from incroos.kernel import vmm
from incroos.kernel.state import MAX_FAMILIES, Kernel, UserSpace
from incroos.lang import VirtAddr, fill, kernel, load64, store64, word

# FAMILY-1  the links of a ring agree, and all in it have its number
# FAMILY-2  no number below free_family is free, none from end_family on is taken


@kernel
def init(k: Kernel) -> bool:
    """No number is taken, unless there is no memory."""
    k.vm.free_family = 1
    k.vm.end_family = 1
    k.vm.families = vmm.vmalloc(k, 8 * MAX_FAMILIES)
    if k.vm.families == 0:
        return False
    fill(k.m, k.vm.families, 0, 8 * MAX_FAMILIES)
    return True


@kernel
def member_of(k: Kernel, family: word) -> VirtAddr:
    """A space of the family; 0: the number is free."""
    return VirtAddr(load64(k.m, VirtAddr(k.vm.families + 8 * family)))


@kernel
def name_member(k: Kernel, family: word, user: VirtAddr) -> None:
    """Let the number lead to this space; 0: it is free."""
    store64(k.m, VirtAddr(k.vm.families + 8 * family), user)


@kernel
def find_number(k: Kernel) -> word:
    """The lowest free number; 0: there is none."""
    number = k.vm.free_family
    while number < MAX_FAMILIES and member_of(k, number) != 0:
        number += 1
    k.vm.free_family = number
    return number if number < MAX_FAMILIES else 0


@kernel
def begin(k: Kernel, user: UserSpace, number: word) -> None:
    """Let a space be a family by itself, under a free number."""
    user.family = number
    user.next_in_family = VirtAddr(user.addr)
    user.previous_in_family = VirtAddr(user.addr)
    k.vm.end_family = max(k.vm.end_family, number + 1)
    name_member(k, number, VirtAddr(user.addr))


@kernel
def join(user: UserSpace, child: UserSpace) -> None:
    """Put a space into the family of another one, behind it."""
    child.family = user.family
    child.previous_in_family = VirtAddr(user.addr)
    child.next_in_family = user.next_in_family
    UserSpace(user.m, user.next_in_family).previous_in_family = VirtAddr(child.addr)
    user.next_in_family = VirtAddr(child.addr)


@kernel
def leave(k: Kernel, user: UserSpace) -> None:
    """Take a space out; with the last one the number is free."""
    if user.next_in_family == user.addr:
        name_member(k, user.family, VirtAddr(0))
        k.vm.free_family = min(k.vm.free_family, user.family)
    else:
        UserSpace(k.m, user.next_in_family).previous_in_family = user.previous_in_family
        UserSpace(k.m, user.previous_in_family).next_in_family = user.next_in_family
        name_member(k, user.family, user.next_in_family)


@kernel
def nr_large(k: Kernel) -> word:
    """How many large pages all spaces have. Looks at each space."""
    nr_pages = 0
    for number in range(1, k.vm.end_family):
        first = member_of(k, number)
        at = first
        while at != 0:
            user = UserSpace(k.m, at)
            nr_pages += user.space.nr_large
            at = user.next_in_family if user.next_in_family != first else VirtAddr(0)
    return nr_pages


@kernel
def check(k: Kernel) -> word:
    """0, or the number of the first FAMILY invariant that does not hold."""
    for number in range(1, MAX_FAMILIES):
        first = member_of(k, number)
        if first == 0 and number < k.vm.free_family:
            return 2
        if number >= k.vm.end_family:
            return 2 if first != 0 else 0
        at = first
        while at != 0:
            user = UserSpace(k.m, at)
            if user.family != number or UserSpace(k.m, user.next_in_family).previous_in_family != at:
                return 1
            at = user.next_in_family if user.next_in_family != first else VirtAddr(0)
    return 0
