"""The processor as ring 3 needs it: what a program may not do is switched off, what it may is switched on.

On: SSE (no program of today runs without it), and against mistakes of the kernel SMEP and SMAP, where the processor has
them: ring 0 neither executes nor touches a page of ring 3. Off: UMIP hides the addresses of descriptor tables; FSGSBASE
would let a program choose a GS base by which the NMI's entry code takes it for the kernel (build/boot_ring3.py);
OSXSAVE, so that there is no vector state but what FXSAVE saves. No interrupt is let through yet: the firmware left both
interrupt controllers at vectors 8 and 0x70, the first of them an exception's, and unmasked (devices/interrupts.py).
Written from: Intel SDM volume 3, "Control Registers".
"""

from incroos.kernel.arch.x86 import (
    CPUID_FEATURES,
    CPUID_MORE_FEATURES,
    CR0_EM,
    CR0_MP,
    CR0_NE,
    CR0_TS,
    CR0_WP,
    CR4_FSGSBASE,
    CR4_MCE,
    CR4_OSFXSR,
    CR4_OSXMMEXCPT,
    CR4_OSXSAVE,
    CR4_PCE,
    CR4_SMAP,
    CR4_SMEP,
    CR4_TSD,
    CR4_UMIP,
    HAS_MCE,
    HAS_SMAP,
    HAS_SMEP,
    HAS_UMIP,
)
from incroos.kernel.devices import interrupts, timer
from incroos.kernel.state import Kernel
from incroos.lang import Machine, cpuid, kernel, read_cr0, read_cr4, word, write_cr0, write_cr4


@kernel
def init(k: Kernel) -> None:
    """Prepare this processor for ring 3. PRE the kernel runs in its own space."""
    write_cr0(k.m, (read_cr0(k.m) & ~(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE | CR0_WP)
    off = CR4_TSD | CR4_PCE | CR4_FSGSBASE | CR4_OSXSAVE
    write_cr4(k.m, (read_cr4(k.m) & ~off) | CR4_OSFXSR | CR4_OSXMMEXCPT | protections(k.m))
    interrupts.init(k)
    timer.init(k)


@kernel
def protections(m: Machine) -> word:
    """The bits of CR4 that protect the kernel, as far as the processor has them."""
    largest, _b, _c, _d = cpuid(m, 0, 0)
    _f, _g, _h, basic = cpuid(m, CPUID_FEATURES, 0)
    cr4 = CR4_MCE if basic & HAS_MCE != 0 else 0
    if largest < CPUID_MORE_FEATURES:
        return cr4
    _a, features, more, _e = cpuid(m, CPUID_MORE_FEATURES, 0)
    if features & HAS_SMEP != 0:
        cr4 |= CR4_SMEP
    if features & HAS_SMAP != 0:
        cr4 |= CR4_SMAP
    if more & HAS_UMIP != 0:
        cr4 |= CR4_UMIP
    return cr4
