"""What a machine must provide to kernel code: the methods behind the primitives.

Knows no particular machine. The simulated computer, the memory of this process and the RAM of a guest are machines;
each supplies what it can; a primitive that it does not supply is refused by name.
"""

from typing import Any

from .words import VirtAddr, word


class Machine:
    """The memory and the processor that a kernel function receives, as the interpreter uses them.

    A method has the contract that the primitive of the same name states in primitives.py. `config` holds the
    constants of the build for the kernel that runs on this machine.
    """

    config: Any = None

    def load8(self, addr: VirtAddr) -> word:
        raise missing(self, 'load8')

    def load16(self, addr: VirtAddr) -> word:
        raise missing(self, 'load16')

    def load32(self, addr: VirtAddr) -> word:
        raise missing(self, 'load32')

    def load64(self, addr: VirtAddr) -> word:
        raise missing(self, 'load64')

    def store8(self, addr: VirtAddr, value: word) -> None:
        raise missing(self, 'store8')

    def store16(self, addr: VirtAddr, value: word) -> None:
        raise missing(self, 'store16')

    def store32(self, addr: VirtAddr, value: word) -> None:
        raise missing(self, 'store32')

    def store64(self, addr: VirtAddr, value: word) -> None:
        raise missing(self, 'store64')

    def fill(self, addr: VirtAddr, byte: word, nbytes: word) -> None:
        raise missing(self, 'fill')

    def copy(self, to: VirtAddr, source: VirtAddr, nbytes: word) -> None:
        raise missing(self, 'copy')

    def in8(self, port: word) -> word:
        raise missing(self, 'in8')

    def out8(self, port: word, value: word) -> None:
        raise missing(self, 'out8')

    def in16(self, port: word) -> word:
        raise missing(self, 'in16')

    def out16(self, port: word, value: word) -> None:
        raise missing(self, 'out16')

    def in32(self, port: word) -> word:
        raise missing(self, 'in32')

    def out32(self, port: word, value: word) -> None:
        raise missing(self, 'out32')

    def in_bytes(self, port: word, to: VirtAddr, nbytes: word) -> None:
        raise missing(self, 'in_bytes')

    def out_bytes(self, port: word, source: VirtAddr, nbytes: word) -> None:
        raise missing(self, 'out_bytes')

    def read_cr0(self) -> word:
        raise missing(self, 'read_cr0')

    def write_cr0(self, value: word) -> None:
        raise missing(self, 'write_cr0')

    def read_cr2(self) -> VirtAddr:
        raise missing(self, 'read_cr2')

    def write_cr2(self, value: VirtAddr) -> None:
        raise missing(self, 'write_cr2')

    def read_cr3(self) -> word:
        raise missing(self, 'read_cr3')

    def write_cr3(self, value: word) -> None:
        raise missing(self, 'write_cr3')

    def read_cr4(self) -> word:
        raise missing(self, 'read_cr4')

    def write_cr4(self, value: word) -> None:
        raise missing(self, 'write_cr4')

    def read_msr(self, index: word) -> word:
        raise missing(self, 'read_msr')

    def write_msr(self, index: word, value: word) -> None:
        raise missing(self, 'write_msr')

    def invlpg(self, va: VirtAddr) -> None:
        raise missing(self, 'invlpg')

    def invpcid(self, kind: word, pcid: word, va: VirtAddr) -> None:
        raise missing(self, 'invpcid')

    def load_idt(self, base: VirtAddr, limit: word) -> None:
        raise missing(self, 'load_idt')

    def load_gdt(self, base: VirtAddr, limit: word) -> None:
        raise missing(self, 'load_gdt')

    def cpuid(self, leaf: word, subleaf: word) -> tuple[word, word, word, word]:
        raise missing(self, 'cpuid')

    def read_tsc(self) -> word:
        raise missing(self, 'read_tsc')

    def save_vector_state(self, to: VirtAddr) -> None:
        raise missing(self, 'save_vector_state')

    def load_vector_state(self, source: VirtAddr) -> None:
        raise missing(self, 'load_vector_state')

    def disable_interrupts(self) -> None:
        raise missing(self, 'disable_interrupts')

    def enable_interrupts(self) -> None:
        raise missing(self, 'enable_interrupts')

    def are_interrupts_enabled(self) -> bool:
        raise missing(self, 'are_interrupts_enabled')

    def halt(self) -> None:
        raise missing(self, 'halt')

    def wait_for_interrupt(self) -> None:
        raise missing(self, 'wait_for_interrupt')

    def pause(self) -> None:
        raise missing(self, 'pause')

    def atomic_load64(self, addr: VirtAddr) -> word:
        raise missing(self, 'atomic_load64')

    def atomic_store64(self, addr: VirtAddr, value: word) -> None:
        raise missing(self, 'atomic_store64')

    def atomic_exchange64(self, addr: VirtAddr, value: word) -> word:
        raise missing(self, 'atomic_exchange64')

    def atomic_add64(self, addr: VirtAddr, value: word) -> word:
        raise missing(self, 'atomic_add64')

    def atomic_compare_exchange64(self, addr: VirtAddr, expected: word, desired: word) -> word:
        raise missing(self, 'atomic_compare_exchange64')

    def call4(self, code: word, a: word, b: word, c: word, d: word) -> word:
        raise missing(self, 'call4')


def missing(machine: Machine, primitive: str) -> NotImplementedError:
    """The error for a primitive that a machine does not supply."""
    return NotImplementedError(f'{type(machine).__name__} has no primitive {primitive}')
