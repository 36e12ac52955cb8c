"""The header of a chunk of the first-fit heap: what is in it, and how it is sealed.

Unit: the byte. A used chunk and a free one. A chunk's address is 8 modulo 16, so that its payload's is 0 modulo 16:
```
 chunk          +---------------------------------+---------------------------------+
   header       | tag, 32 bits | chunk's bytes, flags in the low four bits          |
 payload        +---------------------------------+---------------------------------+
   used: the caller's bytes                       | free: next chunk on the list    |
   (to the end of the chunk)                      |       previous chunk            |
                                                  |       what was there before     |
                                                  |       bytes, the boundary tag   |
 next chunk     +---------------------------------+---------------------------------+
```
The tag is a hash of the chunk's address, bytes and flags with the heap's secret, and the header of a chunk that ends is
erased. So a header that was moved, partly overwritten or left over is not taken for one: kfree refuses every pointer
that is not the payload of a used chunk. What it cannot see is a payload in which somebody put the very header that
belongs there, written back from a copy. Without hardening the tag is 0, and a header is believed.
"""

from typing import Final

from incroos.kernel.config import NO_HARDENING
from incroos.kernel.state import Heap
from incroos.lang import VirtAddr, add_wrap, kernel, mul_wrap, shl_wrap, word

BYTES_MASK: Final = 0xFFFF_FFF0  # the rest of its low half
HEAD_MASK: Final = 0xFFFF_FFFF  # bytes and flags
# 1, so that the low half of a product is the other factor; above it 2**32 divided by the golden ratio, which spreads
# what it multiplies: Knuth, volume 3, section 6.4.
SEAL: Final = -0x61C8_8646_FFFF_FFFF


@kernel
def sealed(heap: Heap, chunk: VirtAddr, head: word) -> word:
    """The header that belongs at this address for these bytes and flags."""
    if heap.config.hardening == NO_HARDENING:
        return head
    return add_wrap(shl_wrap(chunk ^ heap.hardening.secret, 32), mul_wrap(head, SEAL))
