"""A kernel that goes to and fro between address spaces, and proves that each sees its own memory and what all share.

Whoever is wrong panics with what was wanted, what was found, and in which step.
"""

from typing import Final

from incroos.guest import mailbox
from incroos.kernel import heap, pmm, vmm
from incroos.kernel.codes import EXIT_PASSED, OK
from incroos.kernel.cpu import this_cpu
from incroos.kernel.io.panic import end_machine, panic
from incroos.kernel.state import Kernel, Space
from incroos.kernel.vmm import DATA, NX, PRESENT
from incroos.lang import PhysAddr, VirtAddr, kernel, load64, store64, word

READ_ONLY: Final = PRESENT | NX
VA: Final = VirtAddr(0x40_0000_0000)  # where each space has a page of its own
NR_ROUNDS: Final = 9


@kernel
def prove_spaces(k: Kernel, start_info: PhysAddr) -> None:
    """All steps."""
    mailbox.start(k, start_info)
    shared = vmm.vmalloc(k, 4096)
    store64(k.m, shared, 70)
    second = make_space(k)
    third = make_space(k)
    go_to_new(k, k.space, 1)
    go_to_new(k, second, 2)
    go_to_and_fro(k, second, shared)
    change_from_afar(k, second)
    change_what_all_share(k, second, shared)
    use_three(k, second, third)
    end_machine(k.m, EXIT_PASSED)


@kernel
def expect(k: Kernel, wanted: word, found: word, step: word) -> None:
    if found != wanted:
        panic(k, b'spaces: wanted, found, step', wanted, found, step)


@kernel
def make_space(k: Kernel) -> Space:
    """A space with an empty lower half."""
    space = Space(k.m, heap.kmalloc(k, Space.SIZE))
    expect(k, OK, vmm.init_space(k, space), 1)
    return space


@kernel
def go_to(k: Kernel, space: Space) -> None:
    """Use a space from now on."""
    vmm.switch_to(this_cpu(k), space)


@kernel
def go_to_new(k: Kernel, space: Space, content: word) -> None:
    """Go to a space that was never used, and give it a page of its own."""
    go_to(k, space)
    expect(k, OK, vmm.map_in(space, VA, frame_with(k, content), DATA), 2)
    expect(k, content, load64(k.m, VA), 3)


@kernel
def frame_with(k: Kernel, content: word) -> PhysAddr:
    """A frame that begins with a word, mapped where all RAM is and nowhere else."""
    frame = pmm.alloc_page(k)
    store64(k.m, pmm.address_of(k, frame), content)
    return frame


@kernel
def go_to_and_fro(k: Kernel, second: Space, shared: VirtAddr) -> None:
    """Nothing changes, and the tags stay good from the second round on."""
    for number in range(NR_ROUNDS):
        tag = second.tag
        go_to(k, k.space)
        expect(k, 1, load64(k.m, VA), 10)
        expect(k, 70, load64(k.m, shared), 11)
        go_to(k, second)
        expect(k, 2, load64(k.m, VA), 12)
        if number > 0 and k.config.nr_pcids > 1:
            expect(k, tag, second.tag, 13)


@kernel
def change_from_afar(k: Kernel, second: Space) -> None:
    """The page of a space that is not loaded gets another frame: as a page, as a range, and then where it is loaded."""
    go_to(k, k.space)
    expect(k, 1, 1 if vmm.unmap_in(second, VA) > 0 else 0, 20)
    expect(k, OK, vmm.map_in(second, VA, frame_with(k, 3), DATA), 21)
    expect(k, 1, load64(k.m, VA), 22)
    go_to(k, second)
    expect(k, 3, load64(k.m, VA), 23)
    go_to(k, k.space)
    expect(k, OK, vmm.unmap_range_in(second, VA, 4096), 24)
    expect(k, OK, vmm.map_range_in(second, VA, frame_with(k, 4), 4096, DATA), 25)
    go_to(k, second)
    expect(k, 4, load64(k.m, VA), 26)
    expect(k, 1, 1 if vmm.unmap_page(k, VA) > 0 else 0, 27)
    expect(k, OK, vmm.map_page(k, VA, frame_with(k, 1), DATA), 28)
    expect(k, 4, load64(k.m, VA), 29)


@kernel
def change_what_all_share(k: Kernel, second: Space, shared: VirtAddr) -> None:
    """A page of the upper half gets another frame, then other rights: what the other space knew of it is no good."""
    go_to(k, k.space)
    old = vmm.unmap_page(k, shared)
    expect(k, OK, vmm.map_page(k, shared, frame_with(k, 71), DATA), 30)
    go_to(k, second)
    expect(k, 71, load64(k.m, shared), 31)
    go_to(k, k.space)
    expect(k, OK, vmm.unmap_range(k, shared, 4096), 32)
    expect(k, OK, vmm.map_range(k, shared, PhysAddr(old), 4096, DATA), 33)
    go_to(k, second)
    expect(k, 70, load64(k.m, shared), 34)
    store64(k.m, shared, 70)
    go_to(k, k.space)
    expect(k, 70, load64(k.m, shared), 35)


@kernel
def use_three(k: Kernel, second: Space, third: Space) -> None:
    """Three spaces in turn: more than there are PCIDs, if the build has two."""
    go_to_new(k, third, 5)
    for _ in range(NR_ROUNDS):
        go_to(k, k.space)
        expect(k, 1, load64(k.m, VA), 40)
        go_to(k, second)
        expect(k, 4, load64(k.m, VA), 41)
        go_to(k, third)
        expect(k, 5, load64(k.m, VA), 42)


# ------------------------------------------------------------------ rights that all share
@kernel
def protect_page(k: Kernel, start_info: PhysAddr) -> None:
    """A page of the upper half becomes read-only: the end is a page fault in the space that has written to it."""
    shared, second = share_page(k, start_info)
    expect(k, OK, vmm.protect(k, shared, READ_ONLY), 50)
    write_in_vain(k, shared, second)


@kernel
def protect_range(k: Kernel, start_info: PhysAddr) -> None:
    """A range of one such page does."""
    shared, second = share_page(k, start_info)
    expect(k, OK, vmm.protect_range(k, shared, 4096, READ_ONLY), 51)
    write_in_vain(k, shared, second)


@kernel
def unmap_beside_another(k: Kernel, start_info: PhysAddr) -> None:
    """The page goes, and its table stays."""
    shared, second = share_page(k, start_info)
    expect(k, OK, vmm.map_page(k, VirtAddr(shared + 4096), PhysAddr(0), DATA), 53)
    expect(k, 1, 1 if vmm.unmap_page(k, shared) > 0 else 0, 54)
    write_in_vain(k, shared, second)


@kernel
def unmap_with_its_table(k: Kernel, start_info: PhysAddr) -> None:
    """The page goes with its table of level 1; those above stay, which the other space has too."""
    shared, second = share_page(k, start_info)
    expect(k, OK, vmm.map_page(k, VirtAddr(shared + (2 << 20)), PhysAddr(0), DATA), 55)
    expect(k, 1, 1 if vmm.unmap_page(k, shared) > 0 else 0, 56)
    write_in_vain(k, shared, second)


@kernel
def share_page(k: Kernel, start_info: PhysAddr) -> tuple[VirtAddr, Space]:
    """Start, and write to a page of the upper half in another space: the page and that space."""
    mailbox.start(k, start_info)
    shared = vmm.vmalloc(k, 4096)
    second = make_space(k)
    go_to(k, second)
    store64(k.m, shared, 70)
    go_to(k, k.space)  # which leaves the page alone: a small TLB still has the other's translation
    return shared, second


@kernel
def write_in_vain(k: Kernel, shared: VirtAddr, second: Space) -> None:
    """Go to the other space and write to the page, which faults; PASSED is wrong."""
    go_to(k, second)
    store64(k.m, shared, 71)
    end_machine(k.m, EXIT_PASSED)
