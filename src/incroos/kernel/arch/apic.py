"""APIC ID: the number by which interrupts, and so the hardware, name a processor.

Written from: Intel SDM volume 2, "CPUID", leaves 1 and 0BH.
"""

from incroos.kernel.arch.x86 import APIC_ID_SHIFT, CPUID_FEATURES, CPUID_TOPOLOGY
from incroos.lang import Machine, cpuid, kernel, word


@kernel
def read_apic_id(m: Machine) -> word:
    """The number of the processor that runs this code. Slow: a hypervisor answers."""
    largest, _b, _c, _d = cpuid(m, 0, 0)
    if largest >= CPUID_TOPOLOGY:
        _a, nr_logical, _e, apic_id = cpuid(m, CPUID_TOPOLOGY, 0)
        if nr_logical != 0:
            return apic_id
    _f, features, _g, _h = cpuid(m, CPUID_FEATURES, 0)
    return features >> APIC_ID_SHIFT
