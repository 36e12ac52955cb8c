"""The mailbox: operations that the host writes into memory, the kernel executes, and whose results the host reads.

    layout.MAILBOX      ready      READY once the kernel looks at the doorbell
                        doorbell   the number of the last batch that is complete; only the host writes it
                        served     the number of the last batch whose results are complete; only the kernel writes it
                        outcome    of the last batch that was served: OK, or why nothing of it was done
                        nr_operations, operations: the batch

Host: write operations and their number, then the doorbell; wait until served equals it; read the outcome and the
results. Whoever has not the turn leaves the batch alone. The Kernel struct knows nothing of the mailbox, so that the
same operations after the same start leave the same memory in every place, however they were cut into batches.
"""

from typing import Annotated, Final

from incroos.guest.dispatch import execute
from incroos.guest.services import UNKNOWN
from incroos.kernel import heap, pmm, vmm
from incroos.kernel.codes import OK
from incroos.kernel.io import console
from incroos.kernel.layout import MAILBOX, MAILBOX_END
from incroos.kernel.state import Kernel
from incroos.lang import (
    Array,
    PhysAddr,
    Struct,
    VirtAddr,
    atomic_load64,
    atomic_store64,
    i64,
    kernel,
    offset_of,
    pause,
    u64,
)

READY: Final = 0x0058_4F42_4C49_414D  # 'MAILBOX'
BATCH_TOO_LONG: Final = UNKNOWN + 1  # the outcome of a batch for which the mailbox has no room


class Operation(Struct):
    """One call, by its code in calls.py, and its result."""

    code: i64
    a: i64
    b: i64
    c: i64
    d: i64
    result: i64


HEAD_BYTES: Final = 5 * 8  # in front of the operations
NR_OPERATIONS_MAX: Final = (MAILBOX_END - MAILBOX - HEAD_BYTES) // Operation.SIZE


class Mailbox(Struct):
    """See the head of this file."""

    ready: u64
    doorbell: u64
    served: u64
    outcome: i64
    nr_operations: u64
    operations: Annotated[Array[Operation], NR_OPERATIONS_MAX]


@kernel
def mailbox_main(k: Kernel, start_info: PhysAddr) -> None:
    """Start the memory manager and execute batches until an operation is `stop`."""
    start(k, start_info)
    open_mailbox(k)
    while True:
        serve(k)
        pause(k.m)


@kernel
def start(k: Kernel, start_info: PhysAddr) -> None:
    """Start the memory manager as kmain does, in silence."""
    console.init(k, start_info)
    pmm.init(k, start_info)
    vmm.init(k)
    heap.init(k)


@kernel
def open_mailbox(k: Kernel) -> None:
    """Say that no batch was served yet and the host may ring."""
    mailbox = mailbox_of(k)
    mailbox.doorbell = 0
    mailbox.served = 0
    mailbox.outcome = OK
    mailbox.nr_operations = 0
    atomic_store64(k.m, VirtAddr(mailbox.addr + offset_of(Mailbox, 'ready')), READY)


@kernel
def mailbox_of(k: Kernel) -> Mailbox:
    """Where the host writes."""
    return Mailbox(k.m, VirtAddr(k.config.image_window + MAILBOX))


@kernel
def serve(k: Kernel) -> None:
    """Execute the batch in the mailbox if the doorbell says that there is a new one."""
    mailbox = mailbox_of(k)
    doorbell = atomic_load64(k.m, VirtAddr(mailbox.addr + offset_of(Mailbox, 'doorbell')))
    if doorbell == mailbox.served:
        return
    nr_operations = mailbox.nr_operations
    mailbox.outcome = OK if 0 <= nr_operations <= NR_OPERATIONS_MAX else BATCH_TOO_LONG
    for index in range(nr_operations if mailbox.outcome == OK else 0):
        operation = mailbox.operations[index]
        operation.result = execute(k, operation.code, operation.a, operation.b, operation.c, operation.d)
    atomic_store64(k.m, VirtAddr(mailbox.addr + offset_of(Mailbox, 'served')), doorbell)
