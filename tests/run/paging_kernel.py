"""A kernel that makes the accesses that the host asks for, and notes the page fault that each one meets.

The host lays two trees of tables: the one under test, and the rescue, in which every asked address can be read and
written. The handler notes the fault and switches to the rescue, where the access succeeds when it is retried.
"""

from typing import Annotated, Final

from incroos.lang import (
    Array,
    PhysAddr,
    Struct,
    VirtAddr,
    atomic_load64,
    atomic_store64,
    i64,
    kernel,
    load64,
    offset_of,
    pause,
    read_cr2,
    store64,
    u64,
    word,
    write_cr3,
)

from ..build.small_kernels import State, put

MAX_ACCESSES: Final = 1000


class Access(Struct):
    """One access: 8 bytes, read or written. What it met: nr_faults, and of the last one address and error code."""

    va: VirtAddr
    is_write: u64
    value: i64
    nr_faults: u64
    fault_va: VirtAddr
    error: u64


class Request(Struct):
    """What the host asks for, in the mailbox page."""

    turn: u64  # the host counts up when a request is complete
    done: u64  # the kernel follows when it is served
    root: u64
    rescue: u64
    current: u64
    nr_accesses: u64
    accesses: Annotated[Array[Access], MAX_ACCESSES]


REQUEST: Final = VirtAddr(0x1D_0000)


@kernel
def serve_accesses(k: State, start_info: PhysAddr) -> None:
    """Serve requests without an end."""
    request = Request(k.m, REQUEST)
    request.done = 0
    atomic_store64(k.m, VirtAddr(REQUEST + offset_of(Request, 'turn')), 0)
    put(k.m, b'ready\n')
    while True:
        turn = atomic_load64(k.m, VirtAddr(REQUEST + offset_of(Request, 'turn')))
        if turn != request.done:
            for index in range(request.nr_accesses):
                serve_access(k, request, index)
            atomic_store64(k.m, VirtAddr(REQUEST + offset_of(Request, 'done')), turn)
        pause(k.m)


@kernel
def serve_access(k: State, request: Request, index: word) -> None:
    """One access, with nothing cached of the accesses before it."""
    access = request.accesses[index]
    request.current = index
    write_cr3(k.m, request.root)
    if access.is_write != 0:
        store64(k.m, access.va, access.value)
    else:
        access.value = load64(k.m, access.va)


@kernel
def note_page_fault(k: State, error: word, ip: VirtAddr) -> None:
    """Note the fault, and let the retry succeed."""
    request = Request(k.m, REQUEST)
    access = request.accesses[request.current]
    access.nr_faults += 1
    access.fault_va = read_cr2(k.m)
    access.error = error
    write_cr3(k.m, request.rescue)
