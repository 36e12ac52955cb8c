"""Processors: what each of them is at."""

from incroos.kernel.config import KernelConfig
from incroos.lang import Struct, VirtAddr, u64


class Processor(Struct):
    """A processor. Owner: cpu, and vmm.pcid for the space."""

    config: KernelConfig
    kernel: VirtAddr  # the Kernel struct
    space: VirtAddr  # the Space whose root it walks from
    nr_kernel_faults: u64  # in ring 0: one tells all, a second one in it less (trap/kernel_faults.py)


class Features(Struct):
    """What the processor can do, asked once: with cpuid, which a hypervisor answers. Owner: vmm.pcid."""

    has_invpcid: u64
