"""A kernel that goes to and fro between address spaces, and proves that each sees its own memory and what all share.

Whoever is wrong panics with what was wanted, what was found, and in which step.
"""

from typing import Final

from incroos.guest import mailbox
from incroos.kernel import pmm, vmm
from incroos.kernel.codes import EXIT_PASSED, OK
from incroos.kernel.config import RECURSIVE
from incroos.kernel.io.panic import end_machine, panic
from incroos.kernel.state import Kernel
from incroos.kernel.vmm import NX, PRESENT, WRITABLE, windows
from incroos.kernel.vmm.levels import root_level
from incroos.kernel.vmm.pcid import flush_page_of, flush_space, switch_root
from incroos.lang import PhysAddr, VirtAddr, kernel, load64, store64, word

DATA: Final = PRESENT | WRITABLE | NX
READ_ONLY: Final = PRESENT | NX
VA: Final = VirtAddr(0x40_0000_0000)  # where each space has a page of its own
SCRATCH: Final = VirtAddr(0x50_0000_0000)
NR_ROUNDS: Final = 9


@kernel
def prove_spaces(k: Kernel, start_info: PhysAddr) -> None:
    """All steps."""
    mailbox.start(k, start_info)
    shared = vmm.vmalloc(k, 4096)
    vmm.vmalloc(k, 4096)  # so that the root's entry stays when the other is unmapped: all roots have it
    store64(k.m, shared, 70)
    first = k.pages.root
    second = make_space(k)
    third = make_space(k)
    first_tag = switch_to_new(k, first, 1)
    second_tag = switch_to_new(k, second, 2)
    first_tag, second_tag = go_to_and_fro(k, first, first_tag, second, second_tag, shared)
    if k.config.table_access != RECURSIVE:  # by which only the tables in use are seen
        second_tag = change_from_afar(k, first, first_tag, second, second_tag)
    change_what_all_share(k, first, first_tag, second, second_tag, shared)
    use_three(k, first, second, third)
    end_machine(k.m, EXIT_PASSED)


@kernel
def expect(k: Kernel, wanted: word, found: word, step: word) -> None:
    if found != wanted:
        panic(k, b'spaces: wanted, found, step', wanted, found, step)


@kernel
def make_space(k: Kernel) -> PhysAddr:
    """A root table that has the upper half of the present one, and nothing else."""
    root = windows.alloc_table(k, root_level(k))
    expect(k, 1, 1 if root > 0 else 0, 1)
    for index in range(256, 512):
        entry = windows.load_entry(k, PhysAddr(k.pages.root + 8 * index))
        if k.config.table_access == RECURSIVE and index == windows.RECURSIVE_INDEX:
            entry = root | windows.RECURSIVE_FLAGS
        windows.store_entry(k, PhysAddr(root + 8 * index), entry)
    return root


@kernel
def switch_to_new(k: Kernel, root: PhysAddr, content: word) -> word:
    """Go to a space that was never used, and give it a page of its own."""
    tag = switch_root(k, root, 0)
    expect(k, OK, vmm.map_page(k, VA, frame_with(k, content), DATA), 2)
    expect(k, content, load64(k.m, VA), 3)
    return tag


@kernel
def frame_with(k: Kernel, content: word) -> PhysAddr:
    """A frame that begins with a word, mapped nowhere."""
    frame = pmm.alloc_page(k)
    expect(k, OK, vmm.map_page(k, SCRATCH, frame, DATA), 4)
    store64(k.m, SCRATCH, content)
    expect(k, frame, vmm.unmap_page(k, SCRATCH), 5)
    return frame


@kernel
def go_to_and_fro(
    k: Kernel, first: PhysAddr, first_tag: word, second: PhysAddr, second_tag: word, shared: VirtAddr
) -> tuple[word, word]:
    """Nothing changes, and the tags stay good from the second round on."""
    one, two = first_tag, second_tag
    for number in range(NR_ROUNDS):
        one = switch_root(k, first, one)
        expect(k, 1, load64(k.m, VA), 10)
        expect(k, 70, load64(k.m, shared), 11)
        again = switch_root(k, second, two)
        expect(k, 2, load64(k.m, VA), 12)
        if number > 0 and k.config.nr_pcids > 1:
            expect(k, two, again, 13)
        two = again
    return one, two


@kernel
def change_from_afar(k: Kernel, first: PhysAddr, first_tag: word, second: PhysAddr, second_tag: word) -> word:
    """The page of a space that is not in use gets another frame, twice, and is flushed in two ways."""
    switch_root(k, first, first_tag)
    redirect(k, first, second, 3)
    flush_page_of(k, second, second_tag, VA)
    expect(k, 1, load64(k.m, VA), 20)
    tag = switch_root(k, second, second_tag)
    expect(k, 3, load64(k.m, VA), 21)
    switch_root(k, first, first_tag)
    redirect(k, first, second, 4)
    flush_space(k, second, tag)
    tag = switch_root(k, second, tag)
    expect(k, 4, load64(k.m, VA), 22)
    redirect(k, second, second, 2)
    flush_page_of(k, second, tag, VA)
    expect(k, 2, load64(k.m, VA), 23)
    return tag


@kernel
def redirect(k: Kernel, present: PhysAddr, root: PhysAddr, content: word) -> None:
    """Let the page that a space has at VA be another frame. Flushes nothing."""
    frame = frame_with(k, content)
    k.pages.root = root  # for a walk that nobody remembers
    code, _level, slot, _entry = vmm.walk(k, VA)
    expect(k, OK, code, 6)
    k.pages.root = present
    windows.store_entry(k, slot, frame | DATA)


@kernel
def change_what_all_share(
    k: Kernel, first: PhysAddr, first_tag: word, second: PhysAddr, second_tag: word, shared: VirtAddr
) -> None:
    """A page of the upper half gets another frame, then other rights: what the other space knew of it is no good."""
    switch_root(k, first, first_tag)
    old = vmm.unmap_page(k, shared)
    expect(k, OK, vmm.map_page(k, shared, frame_with(k, 71), DATA), 30)
    tag = switch_root(k, second, second_tag)
    expect(k, 71, load64(k.m, shared), 31)
    one = switch_root(k, first, first_tag)
    expect(k, OK, vmm.unmap_range(k, shared, 4096), 32)
    expect(k, OK, vmm.map_range(k, shared, PhysAddr(old), 4096, DATA), 33)
    switch_root(k, second, tag)
    expect(k, 70, load64(k.m, shared), 34)
    store64(k.m, shared, 70)
    switch_root(k, first, one)
    expect(k, 70, load64(k.m, shared), 35)


@kernel
def use_three(k: Kernel, first: PhysAddr, second: PhysAddr, third: PhysAddr) -> None:
    """Three spaces in turn: more than there are PCIDs, if the build has two."""
    c = switch_to_new(k, third, 5)
    a = switch_root(k, first, 0)
    b = switch_root(k, second, 0)
    for _ in range(NR_ROUNDS):
        a = switch_root(k, first, a)
        expect(k, 1, load64(k.m, VA), 40)
        b = switch_root(k, second, b)
        expect(k, 2, load64(k.m, VA), 41)
        c = switch_root(k, third, c)
        expect(k, 5, load64(k.m, VA), 42)


# ------------------------------------------------------------------ rights that all share
@kernel
def protect_page(k: Kernel, start_info: PhysAddr) -> None:
    """A page of the upper half becomes read-only: the end is a page fault in the space that has written to it."""
    shared, second, tag = share_page(k, start_info)
    expect(k, OK, vmm.protect(k, shared, READ_ONLY), 50)
    write_in_vain(k, shared, second, tag)


@kernel
def protect_range(k: Kernel, start_info: PhysAddr) -> None:
    """The same of a range."""
    shared, second, tag = share_page(k, start_info)
    expect(k, OK, vmm.protect_range(k, shared, 4096, READ_ONLY), 51)
    write_in_vain(k, shared, second, tag)


@kernel
def unmap_beside_another(k: Kernel, start_info: PhysAddr) -> None:
    """The page goes, and its table stays."""
    shared, second, tag = share_page(k, start_info)
    expect(k, OK, vmm.map_page(k, VirtAddr(shared + 4096), PhysAddr(0), DATA), 53)
    expect(k, 1, 1 if vmm.unmap_page(k, shared) > 0 else 0, 54)
    write_in_vain(k, shared, second, tag)


@kernel
def unmap_with_its_table(k: Kernel, start_info: PhysAddr) -> None:
    """The page goes with its table of level 1; those above stay, which the other space has too."""
    shared, second, tag = share_page(k, start_info)
    expect(k, OK, vmm.map_page(k, VirtAddr(shared + (2 << 20)), PhysAddr(0), DATA), 55)
    expect(k, 1, 1 if vmm.unmap_page(k, shared) > 0 else 0, 56)
    write_in_vain(k, shared, second, tag)


@kernel
def share_page(k: Kernel, start_info: PhysAddr) -> tuple[VirtAddr, PhysAddr, word]:
    """Start, and write to a page of the upper half in another space: the page, root and tag of that space."""
    mailbox.start(k, start_info)
    shared = vmm.vmalloc(k, 4096)
    first = k.pages.root
    second = make_space(k)
    first_tag = switch_root(k, first, 0)
    tag = switch_root(k, second, 0)
    store64(k.m, shared, 70)
    switch_root(k, first, first_tag)  # which leaves the page alone: a small TLB still has the other's translation
    return shared, second, tag


@kernel
def write_in_vain(k: Kernel, shared: VirtAddr, root: PhysAddr, tag: word) -> None:
    """Go to the other space and write to the page, which faults; PASSED is wrong."""
    switch_root(k, root, tag)
    store64(k.m, shared, 71)
    end_machine(k.m, EXIT_PASSED)
