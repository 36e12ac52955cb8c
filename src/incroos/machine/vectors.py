"""The vector state of ring 3: the lowerings of its primitives. Kernel code itself has none."""

from typing import Final

from incroos.lang import VirtAddr, call4, kernel

from .cpu import Cpu
from .memory import cpu_load64, cpu_store64

VECTOR_WORDS: Final = 64


@kernel
def take_vectors(cpu: Cpu) -> None:
    """Have cpu.vector_state be what ring 3 has."""
    if cpu.user.has_vectors != 0:
        call4(cpu.m, cpu.user.call_save_vectors, cpu.addr, 0, 0, 0)


@kernel
def cpu_save_vector_state(cpu: Cpu, to: VirtAddr) -> None:
    take_vectors(cpu)
    for index in range(VECTOR_WORDS):
        cpu_store64(cpu, VirtAddr(to + 8 * index), cpu.vector_state[index])


@kernel
def cpu_load_vector_state(cpu: Cpu, source: VirtAddr) -> None:
    for index in range(VECTOR_WORDS):
        cpu.vector_state[index] = cpu_load64(cpu, VirtAddr(source + 8 * index))
    cpu.has_new_vectors = 1
