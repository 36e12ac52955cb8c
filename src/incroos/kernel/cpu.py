"""Processors: which of them runs this code, and what it has loaded. There is one today, at a constant place."""

from incroos.kernel.state import Kernel, Processor, Space, kernel_of
from incroos.lang import VirtAddr, kernel


@kernel
def init(k: Kernel) -> None:
    """Begin with a processor that is in the kernel's own space."""
    cpu = this_cpu(k)
    cpu.kernel = VirtAddr(k.addr)
    cpu.space = VirtAddr(k.space.addr)
    cpu.nr_kernel_faults = 0


@kernel
def this_cpu(k: Kernel) -> Processor:
    """The processor that runs this code."""
    return k.processors[0]


@kernel
def is_loaded(space: Space) -> bool:
    """Whether this processor walks from the space's root."""
    return this_cpu(kernel_of(space)).space == space.addr
