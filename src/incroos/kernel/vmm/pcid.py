"""PCIDs: what the TLB knows of an address space waits while another is in use, and need not be found again.

Unit: the Space, known by its root table and by a tag:

    generation << 12 | PCID         0 is no tag

A PCID is one of 1 to config.nr_pcids; 0 is of the kernel's own, before any switch. They are handed out in turn, and a
tag is good as long as its generation is the present one, in which each PCID is handed out once: so what a tag finds
under its PCID is its own. A new tag's PCID is flushed when it is first used, whatever it was before. Ending a
generation makes all tags bad at once: that is also how a change in the upper half, which all spaces share, is forgotten
by those that are not loaded (tlb.forget_elsewhere). Nothing is written down of who has which PCID.

Without PCIDs, in a build or in a processor, tags are handed out too, and every switch flushes. One processor. Written
from: Intel SDM volume 3, "Process-Context Identifiers", volume 2, "INVPCID".
"""

from typing import Final

from incroos.kernel.arch.x86 import CPUID_FEATURES, CPUID_MORE_FEATURES, CR4_PCIDE, HAS_INVPCID, HAS_PCID
from incroos.kernel.state import Kernel, Processor, Space, kernel_of
from incroos.lang import (
    VirtAddr,
    cold,
    cpuid,
    invlpg,
    invpcid,
    kernel,
    read_cr3,
    read_cr4,
    word,
    write_cr3,
    write_cr4,
)

# PCID-1  1 <= next <= nr_pcids + 1, generation >= 1
# PCID-2  CR3's PCID is 0, or that of a tag that was handed out

KEEP: Final = -1 << 63  # in what is loaded into CR3: flush nothing
PCID_BITS: Final = 12
PCID_MASK: Final = (1 << PCID_BITS) - 1

ONE_PAGE: Final = 0  # a kind of INVPCID


@kernel
def init(k: Kernel) -> None:
    """Hand out nothing yet; use PCIDs where build and processor have them. PRE the low bits of CR3 are 0."""
    k.pcids.generation = 1
    k.pcids.next = 1
    k.features.has_invpcid = 1 if k.config.nr_pcids > 0 and has_invpcid(k) else 0
    _a, _b, features, _d = cpuid(k.m, CPUID_FEATURES, 0)
    if k.config.nr_pcids > 0 and features & HAS_PCID != 0:
        write_cr4(k.m, read_cr4(k.m) | CR4_PCIDE)


@kernel
def are_in_use(k: Kernel) -> bool:
    """Whether the processor tells address spaces apart."""
    return k.config.nr_pcids > 0 and read_cr4(k.m) & CR4_PCIDE != 0


@kernel
def has_invpcid(k: Kernel) -> bool:
    """Whether another space can be flushed without going there. Slow: a hypervisor answers."""
    largest, _b, _c, _d = cpuid(k.m, 0, 0)
    if largest < CPUID_MORE_FEATURES:
        return False
    _a, features, _e, _f = cpuid(k.m, CPUID_MORE_FEATURES, 0)
    return features & HAS_INVPCID != 0


# ------------------------------------------------------------------ switching
@kernel
def switch_to(cpu: Processor, space: Space) -> None:
    """Use the tables of another space of this kernel from now on. PRE cpu is this processor."""
    k = kernel_of(space)
    tag = space.tag if is_good(space) else new_tag(k)
    cpu.space = VirtAddr(space.addr)
    if not are_in_use(k):
        write_cr3(space.m, space.root)
    elif tag == space.tag:
        write_cr3(space.m, space.root | (tag & PCID_MASK) | KEEP)
    else:
        write_cr3(space.m, space.root | (tag & PCID_MASK))
    space.tag = tag


@kernel
def is_good(space: Space) -> bool:
    """Whether what is remembered under the tag's PCID is what the space may still have remembered."""
    return space.tag >> PCID_BITS == kernel_of(space).pcids.generation


@kernel
def new_tag(k: Kernel) -> word:
    """A tag with the next PCID in turn; a new generation when all were handed out."""
    if k.pcids.next > max(k.config.nr_pcids, 1):
        k.pcids.generation += 1
        k.pcids.next = 1
    tag = k.pcids.generation << PCID_BITS | k.pcids.next
    k.pcids.next += 1
    return tag


# ------------------------------------------------------------------ flushing
@cold
@kernel
def flush_page_of(space: Space, va: VirtAddr) -> None:
    """Forget a page, and upper entries on the way to it, in a space that is not loaded."""
    if is_good(space) and are_in_use(kernel_of(space)):
        if kernel_of(space).features.has_invpcid != 0:
            invpcid(space.m, ONE_PAGE, space.tag & PCID_MASK, va)
        else:
            here = read_cr3(space.m)
            write_cr3(space.m, space.root | (space.tag & PCID_MASK) | KEEP)
            invlpg(space.m, va)
            write_cr3(space.m, here | KEEP)


@kernel
def flush_space(space: Space) -> None:
    """Forget all of a space that is not loaded, but global pages: it begins with a new tag."""
    space.tag = 0
