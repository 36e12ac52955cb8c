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

from incroos.guest import soak
from incroos.guest.soak import Soak, block_calls
from incroos.kernel import heap, pmm, statistics, vmm
from incroos.kernel.boot import report
from incroos.kernel.codes import OK
from incroos.kernel.heap.report import leaks, walk
from incroos.kernel.io import console
from incroos.kernel.io.panic import end_machine, panic
from incroos.kernel.layout import MAILBOX, MAILBOX_END
from incroos.kernel.pmm import memory_map
from incroos.kernel.state import Kernel, ObjectCache
from incroos.lang import (
    Array,
    PhysAddr,
    Struct,
    VirtAddr,
    atomic_load64,
    atomic_store64,
    fill,
    i64,
    kernel,
    load8,
    load64,
    offset_of,
    pause,
    shr_logical,
    store64,
    u64,
    word,
)

READY: Final = 0x0058_4F42_4C49_414D  # 'MAILBOX'
NR_OPERATIONS_MAX: Final = (MAILBOX_END - MAILBOX - 40) // 48

# What an operation asks for; a, b, c, d are its words, and the result is what the function of that name answers.
ALLOC_PAGE: Final = 1
FREE_PAGE: Final = 2  # a frame
NR_TOTAL_FRAMES: Final = 3
NR_FREE_FRAMES: Final = 4
NR_TOTAL_POOL_FRAMES: Final = 5
NR_FREE_POOL_FRAMES: Final = 6
CHECK_PMM: Final = 7
REFUSE_AT: Final = 8  # the a-th request for a frame from now on, counting from 1, is refused; 0: none is
ALLOC_TABLE: Final = 9  # level
FREE_TABLE: Final = 10  # a frame
READ_MEMORY_MAP: Final = 11  # start information; what check says then. Nothing else may be asked afterwards
ZERO_AHEAD: Final = 12  # frames

MAP_PAGE: Final = 16  # address, frame, flags
UNMAP_PAGE: Final = 17  # address
PROTECT: Final = 18  # address, flags
GET_PHYSICAL: Final = 19  # address
CHECK_VMM: Final = 20
MAP_LEAF: Final = 21  # address, memory, flags, level
UNMAP_LEAF: Final = 22  # address, level
PROTECT_LEAF: Final = 23  # address, flags, level
MAP_RANGE: Final = 24  # address, memory, bytes, flags
UNMAP_RANGE: Final = 25  # address, bytes
PROTECT_RANGE: Final = 26  # address, bytes, flags
MERGE: Final = 27  # address, bytes
CHECK_SPACE: Final = 28

KMALLOC: Final = 32  # bytes
KFREE: Final = 33  # address
USED_BYTES: Final = 34
FREE_BYTES: Final = 35
CHECK_HEAP: Final = 36
KZALLOC: Final = 37  # bytes
KCALLOC: Final = 38  # items, bytes of one
KREALLOC: Final = 39  # address, bytes
KMEMALIGN: Final = 40  # alignment, bytes
KMALLOC_USABLE_SIZE: Final = 41  # address
SHRINK: Final = 42
COMMITTED_BYTES: Final = 43
VMALLOC: Final = 44  # bytes
VFREE: Final = 45  # address
CHECK_VMALLOC: Final = 46

LOAD: Final = 48  # address; the word there
STORE: Final = 49  # address, word
FILL: Final = 50  # address, byte, bytes
COUNT_OTHER: Final = 51  # address, byte, bytes; how many of the bytes differ from it

PANIC: Final = 64  # three words
SPIN: Final = 65  # never ends
STOP: Final = 66  # exit code; ends the machine
COLLECT_STATISTICS: Final = 67
PUT_STATISTICS: Final = 68

SOAK_BEGIN: Final = 80  # seed; an address
SOAK_RUN: Final = 81  # that address, operations
SOAK_CHECK: Final = 82  # that address
SOAK_FINISH: Final = 83  # that address
BLOCK_SOAK_BEGIN: Final = 84  # the same four for blocks of the heap alone: soak/block_calls.py
BLOCK_SOAK_RUN: Final = 85
BLOCK_SOAK_CHECK: Final = 86
BLOCK_SOAK_FINISH: Final = 87

CACHE_CREATE: Final = 96  # bytes of an object, alignment, template, a word with the first eight bytes of the name
CACHE_ALLOC: Final = 97  # a cache
CACHE_FREE: Final = 98  # a cache, address
CACHE_DESTROY: Final = 99  # a cache
CACHE_SHRINK: Final = 100  # a cache
CACHE_KEEP: Final = 101  # a cache, slabs

KMALLOC_AT: Final = 112  # bytes, call site
KFREE_AT: Final = 113  # address, call site
KREALLOC_AT: Final = 114  # address, bytes, call site
KMEMALIGN_AT: Final = 115  # alignment, bytes, call site
KZALLOC_AT: Final = 116  # bytes, call site
KCALLOC_AT: Final = 117  # items, bytes of one, call site
FIND_DAMAGE: Final = 118

VISITED_BYTES: Final = 128  # a state of walk.py: bytes that a walk over the heap visits
NEXT_VISIT: Final = 129  # an address; where the first visit at or behind it ends, 0 when there is none
SNAPSHOT: Final = 130
LEAKED_BLOCKS: Final = 131  # a snapshot
LEAKED_BYTES: Final = 132  # a snapshot
PUT_LEAKS: Final = 133  # a snapshot

UNKNOWN: Final = -1 << 63  # the result of an operation that is none of these
BATCH_TOO_LONG: Final = UNKNOWN + 1  # the outcome of a batch for which the mailbox has no room


class Operation(Struct):
    """One call and its result."""

    code: i64
    a: i64
    b: i64
    c: i64
    d: i64
    result: i64


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
    """Start the memory manager and execute batches until an operation says STOP."""
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


@kernel
def execute(k: Kernel, code: word, a: word, b: word, c: word, d: word) -> word:
    """Do one operation; UNKNOWN when the code is none."""
    if code < MAP_PAGE:
        return execute_pmm(k, code, a)
    if code < KMALLOC:
        return execute_vmm(k, code, VirtAddr(a), b, c, d)
    if code < LOAD:
        return execute_heap(k, code, a, b) if code < VMALLOC else execute_vmalloc(k, code, a)
    if code < PANIC:
        return execute_memory(k, code, VirtAddr(a), b, c)
    if code < SOAK_BEGIN:
        return execute_control(k, code, a, b, c)
    if code < CACHE_CREATE:
        return execute_soak(k, code, a, b)
    if code < KMALLOC_AT:
        return execute_caches(k, code, a, b, c, d)
    return execute_heap_at(k, code, a, b, c) if code < VISITED_BYTES else execute_visits(k, code, a)


@kernel
def execute_pmm(k: Kernel, code: word, a: word) -> word:
    """Operations on frames."""
    if code == ALLOC_PAGE:
        return pmm.alloc_page(k)
    if code == FREE_PAGE:
        return pmm.free_page(k, PhysAddr(a))
    if code == ALLOC_TABLE:
        return pmm.alloc_table(k, a)
    if code == FREE_TABLE:
        return pmm.free_table(k, PhysAddr(a))
    if code == ZERO_AHEAD:
        return pmm.zero_ahead(k, a)
    if code == NR_TOTAL_FRAMES:
        return pmm.nr_total_frames(k)
    if code == NR_FREE_FRAMES:
        return pmm.nr_free_frames(k)
    if code == NR_TOTAL_POOL_FRAMES:
        return pmm.nr_total_pool_frames(k)
    if code == NR_FREE_POOL_FRAMES:
        return pmm.nr_free_pool_frames(k)
    if code == CHECK_PMM:
        return pmm.check(k)
    if code == READ_MEMORY_MAP:
        memory_map.read(k, PhysAddr(a))
        return memory_map.check(k.memory_map)
    if code == REFUSE_AT:
        k.frames.requests = 0
        k.frames.refuse_at = a
        return 0
    return UNKNOWN


@kernel
def execute_vmm(k: Kernel, code: word, va: VirtAddr, b: word, c: word, d: word) -> word:
    """Operations on pages."""
    if code == MAP_PAGE:
        return vmm.map_page(k, va, PhysAddr(b), c)
    if code == UNMAP_PAGE:
        return vmm.unmap_page(k, va)
    if code == PROTECT:
        return vmm.protect(k, va, b)
    if code == GET_PHYSICAL:
        return vmm.get_physical(k, va)
    if code == MAP_LEAF:
        return vmm.map_leaf(k, va, PhysAddr(b), c, d)
    if code == UNMAP_LEAF:
        return vmm.unmap_leaf(k, va, b)
    if code == PROTECT_LEAF:
        return vmm.protect_leaf(k, va, b, c)
    if code == CHECK_VMM:
        return vmm.check(k)
    return execute_ranges(k, code, va, b, c, d)


@kernel
def execute_ranges(k: Kernel, code: word, va: VirtAddr, b: word, c: word, d: word) -> word:
    """Operations on pages in a row."""
    if code == MAP_RANGE:
        return vmm.map_range(k, va, PhysAddr(b), c, d)
    if code == UNMAP_RANGE:
        return vmm.unmap_range(k, va, b)
    if code == PROTECT_RANGE:
        return vmm.protect_range(k, va, b, c)
    if code == MERGE:
        return vmm.merge(k, va, b)
    if code == CHECK_SPACE:
        return vmm.check_space(k)
    return UNKNOWN


@kernel
def execute_heap(k: Kernel, code: word, a: word, b: word) -> word:
    """Operations on the heap."""
    if code == KMALLOC:
        return heap.kmalloc(k, a)
    if code == KFREE:
        return heap.kfree(k, VirtAddr(a))
    if code == USED_BYTES:
        return heap.used_bytes(k)
    if code == FREE_BYTES:
        return heap.free_bytes(k)
    if code == CHECK_HEAP:
        return heap.check(k)
    if code == KZALLOC:
        return heap.kzalloc(k, a)
    if code == KCALLOC:
        return heap.kcalloc(k, a, b)
    if code == KREALLOC:
        return heap.krealloc(k, VirtAddr(a), b)
    if code == KMEMALIGN:
        return heap.kmemalign(k, a, b)
    if code == KMALLOC_USABLE_SIZE:
        return heap.kmalloc_usable_size(k, VirtAddr(a))
    if code == COMMITTED_BYTES:
        return heap.committed_bytes(k)
    if code == SHRINK:
        return heap.shrink(k)
    return UNKNOWN


@kernel
def execute_heap_at(k: Kernel, code: word, a: word, b: word, c: word) -> word:
    """Operations on the heap that tell a call site."""
    if code == KMALLOC_AT:
        return heap.kmalloc_at(k, a, b)
    if code == KFREE_AT:
        return heap.kfree_at(k, VirtAddr(a), b)
    if code == KREALLOC_AT:
        return heap.krealloc_at(k, VirtAddr(a), b, c)
    if code == KMEMALIGN_AT:
        return heap.kmemalign_at(k, a, b, c)
    if code == KZALLOC_AT:
        return heap.kzalloc_at(k, a, b)
    if code == KCALLOC_AT:
        return heap.kcalloc_at(k, a, b, c)
    if code == FIND_DAMAGE:
        return heap.find_damage(k)
    return UNKNOWN


@kernel
def execute_vmalloc(k: Kernel, code: word, a: word) -> word:
    """Operations on ranges of pages."""
    if code == VMALLOC:
        return vmm.vmalloc(k, a)
    if code == VFREE:
        return vmm.vfree(k, VirtAddr(a))
    if code == CHECK_VMALLOC:
        return vmm.check_vmalloc(k)
    return UNKNOWN


@kernel
def execute_memory(k: Kernel, code: word, va: VirtAddr, b: word, c: word) -> word:
    """Accesses to any address: what is not mapped faults, as it would anywhere in the kernel."""
    if code == LOAD:
        return load64(k.m, va)
    if code == STORE:
        store64(k.m, va, b)
        return 0
    if code == FILL:
        fill(k.m, va, b, c)
        return 0
    if code == COUNT_OTHER:
        return count_other(k, va, b, c)
    return UNKNOWN


@kernel
def count_other(k: Kernel, va: VirtAddr, byte: word, nbytes: word) -> word:
    """How many of the bytes from va on are not the byte."""
    count = 0
    for at in range(nbytes):
        if load8(k.m, VirtAddr(va + at)) != byte:
            count += 1
    return count


@kernel
def execute_control(k: Kernel, code: word, a: word, b: word, c: word) -> word:
    """The ways in which a kernel can end, or fail to."""
    if code == PANIC:
        panic(k, b'the host asked for it', a, b, c)
    if code == STOP:
        end_machine(k.m, a)
    if code == COLLECT_STATISTICS and statistics.can_collect(k):
        return statistics.collect(k).nr_collected
    if code == PUT_STATISTICS and statistics.can_collect(k):
        report.put_statistics(k)
        return 0
    while code == SPIN:
        pause(k.m)
    return UNKNOWN


@kernel
def execute_soak(k: Kernel, code: word, a: word, b: word) -> word:
    """Operations that the kernel makes up by itself."""
    if code == SOAK_BEGIN:
        return soak.begin(k, a)
    if code == SOAK_RUN:
        return soak.run(k, Soak(k.m, VirtAddr(a)), b)
    if code == SOAK_CHECK:
        return soak.check(k, Soak(k.m, VirtAddr(a)))
    if code == SOAK_FINISH:
        return soak.finish(k, Soak(k.m, VirtAddr(a)))
    return block_calls.execute(k, code - BLOCK_SOAK_BEGIN, a, b)


@kernel
def execute_caches(k: Kernel, code: word, a: word, b: word, c: word, d: word) -> word:
    """Operations on caches of objects."""
    if code == CACHE_CREATE:
        return create_cache(k, a, b, VirtAddr(c), d)
    cache = ObjectCache(k.m, VirtAddr(a))
    if code == CACHE_ALLOC:
        return heap.cache_alloc(k, cache)
    if code == CACHE_FREE:
        return heap.cache_free(k, cache, VirtAddr(b))
    if code == CACHE_DESTROY:
        return heap.cache_destroy(k, cache)
    if code == CACHE_SHRINK:
        return heap.cache_shrink(k, cache)
    if code == CACHE_KEEP:
        return heap.cache_keep(k, cache, b)
    return UNKNOWN


@kernel
def create_cache(k: Kernel, object_bytes: word, alignment: word, template: VirtAddr, name: word) -> word:
    """A cache whose name comes in a word, its first byte lowest."""
    cache = heap.cache_create(k, b'', object_bytes, alignment, template, VirtAddr(0))
    for index in range(8 if cache.addr != 0 else 0):
        cache.name[index] = shr_logical(name, 8 * index) & 0xFF
    return cache.addr


@kernel
def execute_visits(k: Kernel, code: word, a: word) -> word:
    """Operations that look at all blocks of the heap."""
    if code == VISITED_BYTES:
        return walk.visited_bytes(k, a)
    if code == NEXT_VISIT:
        start, nbytes, _kind, _state = walk.find_next(k, VirtAddr(a))
        return start + nbytes
    if code == SNAPSHOT:
        return leaks.snapshot(k)
    if code == LEAKED_BLOCKS or code == LEAKED_BYTES:
        nr_blocks, nbytes = leaks.count(k, a)
        return nr_blocks if code == LEAKED_BLOCKS else nbytes
    if code == PUT_LEAKS:
        leaks.put_report(k, a)
        return 0
    return UNKNOWN
