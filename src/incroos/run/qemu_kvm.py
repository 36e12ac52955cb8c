"""Does KVM work here, and does it run a PC's firmware at a bearable speed? Asked of KVM itself, each time.

/dev/kvm may exist and be of no use: no permission, no virtualization below it, or one nested so that it interprets
real mode instruction by instruction, where a PC's firmware takes seconds. So the probe makes a virtual machine of one
page and times a loop in real mode. It runs in a process of its own that is killed when it takes too long. Nothing is
remembered: the answer may be another one after the next change to the host.

The calls: "The Definitive KVM API Documentation" of the Linux kernel, chapter 4.
"""

import os
import struct
import subprocess
import sys
import time
from typing import Final

KVM: Final = '/dev/kvm'
PROBE_SECONDS: Final = 2.0

# 20,000 turns of the loop take 0.05 ms where the processor runs it and 14 ms where KVM interprets it.
NR_TURNS: Final = 20_000
BEARABLE_SECONDS: Final = 0.003
NR_TRIES: Final = 3  # the quickest counts: another process may have had the processor

KVM_CREATE_VM: Final = 0xAE01
KVM_GET_VCPU_MMAP_SIZE: Final = 0xAE04
KVM_CREATE_VCPU: Final = 0xAE41
KVM_SET_USER_MEMORY_REGION: Final = 0x4020AE46
KVM_RUN: Final = 0xAE80
KVM_SET_REGS: Final = 0x4090AE82
KVM_GET_SREGS: Final = 0x8138AE83
KVM_SET_SREGS: Final = 0x4138AE84
SREGS_BYTES: Final = 0x138
EXIT_REASON_OFFSET: Final = 8  # in struct kvm_run
EXIT_HALT: Final = 5

# mov cx, NR_TURNS; loop to itself; hlt
CODE: Final = b'\xb9' + struct.pack('<H', NR_TURNS) + b'\xe2\xfe\xf4'
REGISTERS: Final = struct.pack('<18Q', *[0] * 17, 2)  # all zero; bit 1 of rflags is always set


def why_not_kvm() -> str:
    """Why KVM is not worth taking, in words that follow "because"; empty where it is."""
    if not os.path.exists(KVM):
        return f'there is no {KVM}'
    if not os.access(KVM, os.R_OK | os.W_OK):
        return f'{KVM} may not be opened by this user'
    try:
        probe = subprocess.run(
            [sys.executable, '-I', __file__], capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return 'KVM does not answer'
    if probe.returncode != 0:
        return 'KVM cannot run a virtual machine here'
    if float(probe.stdout) > BEARABLE_SECONDS:
        return 'KVM interprets real mode on this host, which makes the start take seconds'
    return ''


def probe_seconds() -> float:
    """Run the loop in a virtual machine; the time of the quickest try. Raises OSError where KVM does not work."""
    import ctypes
    import fcntl
    import mmap

    kvm = os.open(KVM, os.O_RDWR | os.O_CLOEXEC)
    machine = fcntl.ioctl(kvm, KVM_CREATE_VM, 0)
    memory = mmap.mmap(-1, mmap.PAGESIZE)
    memory[: len(CODE)] = CODE
    host_addr = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    fcntl.ioctl(machine, KVM_SET_USER_MEMORY_REGION, struct.pack('<IIQQQ', 0, 0, 0, mmap.PAGESIZE, host_addr))
    processor = fcntl.ioctl(machine, KVM_CREATE_VCPU, 0)
    shared = mmap.mmap(processor, fcntl.ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0))

    segments = bytearray(SREGS_BYTES)
    fcntl.ioctl(processor, KVM_GET_SREGS, segments)
    struct.pack_into('<Q', segments, 0, 0)  # cs.base
    struct.pack_into('<H', segments, 12, 0)  # cs.selector
    fcntl.ioctl(processor, KVM_SET_SREGS, bytes(segments))

    times = []
    for _ in range(NR_TRIES):
        fcntl.ioctl(processor, KVM_SET_REGS, REGISTERS)
        start = time.perf_counter()
        fcntl.ioctl(processor, KVM_RUN, 0)
        times.append(time.perf_counter() - start)
        (reason,) = struct.unpack_from('<I', shared, EXIT_REASON_OFFSET)
        if reason != EXIT_HALT:
            raise OSError(f'the virtual machine ended for reason {reason}')
    return min(times)


if __name__ == '__main__':
    print(probe_seconds())
