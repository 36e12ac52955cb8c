"""PCIDs: what the TLB knows of an address space waits while another is in use, and need not be found again.

Unit: the address space, known by its root table and by a tag, a word that its owner keeps and gives back each time:

    generation << 12 | PCID         0 is no tag

A PCID is one of 1 to config.nr_pcids; 0 is of the first root, before any switch. They are handed out in turn, and a
tag is good as long as its generation is the present one, in which each PCID is handed out once: so what a tag finds
under its PCID is its own. A new tag's PCID is flushed when it is first used, whatever it was before. Ending a
generation makes all tags bad at once: that is also how a change in the upper half, which all spaces share, is forgotten
by those that are not in use (tlb.forget_elsewhere). Nothing is written down of who has which PCID.

Without PCIDs, in a build or in a processor, tags are handed out too, and every switch flushes. One processor. Written
from: Intel SDM volume 3, "Process-Context Identifiers", volume 2, "INVPCID".
"""

from typing import Final

from incroos.kernel.arch.pte import table_of
from incroos.kernel.arch.x86 import CPUID_FEATURES, CPUID_MORE_FEATURES, CR4_PCIDE, HAS_INVPCID, HAS_PCID
from incroos.kernel.state import Kernel
from incroos.kernel.vmm.tables import plant
from incroos.kernel.vmm.tlb import flush_page
from incroos.lang import (
    PhysAddr,
    VirtAddr,
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

ONE_PAGE: Final = 0  # kinds of INVPCID
ONE_SPACE: Final = 1


@kernel
def init(k: Kernel) -> None:
    """Hand out nothing yet; use PCIDs where build and processor have them. PRE the low bits of CR3 are 0."""
    k.pcids.generation = 1
    k.pcids.next = 1
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
def switch_root(k: Kernel, root: PhysAddr, tag: word) -> word:
    """Use the tables under another root from now on: the tag to come back with, the same one if it is still good.

    PRE the entries of the upper half are those of the present root, and stay; `tag` is what the last switch to this
    root returned, or 0.
    """
    good = tag if is_good(k, tag) else new_tag(k)
    plant(k, root, k.pages.nr_tables)
    if not are_in_use(k):
        write_cr3(k.m, root)
    elif good == tag:
        write_cr3(k.m, root | (good & PCID_MASK) | KEEP)
    else:
        write_cr3(k.m, root | (good & PCID_MASK))
    return good


@kernel
def is_good(k: Kernel, tag: word) -> bool:
    """Whether what is remembered under the tag's PCID is what its space may still have remembered."""
    return tag >> PCID_BITS == k.pcids.generation


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
@kernel
def flush_page_of(k: Kernel, root: PhysAddr, tag: word, va: VirtAddr) -> None:
    """Forget a page of the lower half, and upper entries on the way to it, in the space that has root and tag."""
    if is_present_root(k, root):
        flush_page(k, va)
    elif is_good(k, tag) and are_in_use(k):
        if has_invpcid(k):
            invpcid(k.m, ONE_PAGE, tag & PCID_MASK, va)
        else:
            here = read_cr3(k.m)
            write_cr3(k.m, root | (tag & PCID_MASK) | KEEP)
            invlpg(k.m, va)
            write_cr3(k.m, here | KEEP)


@kernel
def flush_space(k: Kernel, root: PhysAddr, tag: word) -> None:
    """Forget all of a space but global pages."""
    here = read_cr3(k.m)
    if is_present_root(k, root):
        write_cr3(k.m, here)
    elif is_good(k, tag) and are_in_use(k):
        if has_invpcid(k):
            invpcid(k.m, ONE_SPACE, tag & PCID_MASK, VirtAddr(0))
        else:
            write_cr3(k.m, root | (tag & PCID_MASK))
            write_cr3(k.m, here | KEEP)


@kernel
def is_present_root(k: Kernel, root: PhysAddr) -> bool:
    """Whether the processor walks from this root."""
    return table_of(read_cr3(k.m)) == root
