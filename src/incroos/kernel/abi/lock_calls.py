"""Calls that keep memory: mlock and its kin."""

from incroos.kernel import vm
from incroos.kernel.abi.advice_calls import is_covered
from incroos.kernel.abi.arguments import user_of
from incroos.kernel.abi.errno import EINVAL, ENOMEM
from incroos.kernel.layout import PAGE_BYTES
from incroos.kernel.state import Kernel
from incroos.lang import apart, kernel, word


@apart
@kernel
def mlock(k: Kernel, start: word, nbytes: word) -> word:
    """mlock, mlock2, munlock: a page that is there stays."""
    first = start & -PAGE_BYTES
    if not vm.is_user(start, nbytes):
        return -ENOMEM if start >= 0 and nbytes >= 0 else -EINVAL
    return 0 if is_covered(user_of(k), first, start + nbytes) else -ENOMEM
