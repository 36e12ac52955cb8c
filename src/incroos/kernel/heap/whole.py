"""The heap as a whole: the design that serves kmalloc, and the caches beside it.

Unit: the byte. Knows nothing of what a design is made of.
"""

from incroos.kernel.codes import OK
from incroos.kernel.heap import caches, caches_check, designs
from incroos.kernel.state import Kernel
from incroos.lang import kernel, word


@kernel
def init(k: Kernel) -> None:
    """Begin with an empty heap that owns addresses and no frame."""
    designs.init(k)
    caches.init(k)


@kernel
def shrink(k: Kernel) -> word:
    """Give back frames that nothing lies in; how many bytes. First fit keeps them."""
    nbytes = caches.shrink(k) if caches.can_have_caches(k) else 0
    return nbytes + designs.shrink(k)


@kernel
def check(k: Kernel) -> word:
    """0, or the number of the first invariant that does not hold."""
    code = designs.check(k)
    if code == OK and caches.can_have_caches(k):
        code = caches_check.check(k)
    return code
