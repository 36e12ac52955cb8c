"""Processors: what each of them is at."""

from incroos.kernel.config import KernelConfig
from incroos.lang import Struct, VirtAddr


class Processor(Struct):
    """A processor. Owner: cpu, and vmm.pcid for the space."""

    config: KernelConfig
    kernel: VirtAddr  # the Kernel struct
    space: VirtAddr  # the Space whose root it walks from
