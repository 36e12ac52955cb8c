"""Objects of caches: constructed when their slab is made, and as they were constructed whenever they are taken.

Unit: the slot. Objects of different caches, and blocks of kmalloc, are taken back by nobody but their own.
"""

from typing import Final

from incroos.guest.soak.generator import draw
from incroos.guest.soak.slots import (
    LOST,
    NR_CACHES,
    OBJECT,
    WRONG_ANSWER,
    Slot,
    Soak,
    expect,
    keep,
    refused,
    stamp,
)
from incroos.kernel import heap
from incroos.kernel.codes import BAD_FREE, CACHE_IN_USE, NO_FRAME, OK
from incroos.kernel.config import FULL
from incroos.kernel.state import Kernel, ObjectCache
from incroos.lang import PhysAddr, VirtAddr, kernel, load64, store64, word

SMALLEST_BYTES: Final = 40  # the first and the last word are stamped; those between stay as they were constructed
CONSTRUCTED: Final = 0x436F_6E73_7472_7563


@kernel
def object_bytes(number: word) -> word:
    """The size of the objects of a cache: the larger ones have a template, but for the largest."""
    return SMALLEST_BYTES << 3 * number


@kernel
def has_template(number: word) -> bool:
    """Whether the objects of a cache are constructed."""
    return 0 < number < NR_CACHES - 1


@kernel
def make_caches(k: Kernel, soak: Soak) -> bool:
    """Make the caches, or none in heaps that have none; False, and nothing changed, where there is no room."""
    for number in range(NR_CACHES):
        soak.caches[number] = VirtAddr(0)
    for number in range(NR_CACHES):
        template = VirtAddr(0)
        if has_template(number):
            template = heap.kzalloc(k, object_bytes(number))
            if template == 0:
                unmake_caches(k, soak)
                return False
            store64(k.m, VirtAddr(template + 8), CONSTRUCTED)
        cache = heap.cache_create(k, b'soak', object_bytes(number), 16 << number, template, VirtAddr(0))
        soak.caches[number] = cache.addr
        heap.kfree(k, template)
    return True


@kernel
def unmake_caches(k: Kernel, soak: Soak) -> word:
    """End the caches, which have no objects any more: 0, or what is wrong."""
    for number in range(NR_CACHES):
        if soak.caches[number] != 0 and heap.cache_destroy(k, ObjectCache(k.m, soak.caches[number])) != OK:
            return WRONG_ANSWER
    return OK


@kernel
def take_object(k: Kernel, soak: Soak, slot: Slot) -> word:
    """An object of one of the caches."""
    number = draw(soak.generator, NR_CACHES)
    cache = ObjectCache(k.m, soak.caches[number])
    if cache.addr == 0:
        return OK
    ptr = heap.cache_alloc(k, cache)
    if ptr == 0:
        return refused(soak, NO_FRAME)
    if has_template(number) and load64(k.m, VirtAddr(ptr + 8)) != CONSTRUCTED:
        return LOST
    keep(slot, OBJECT, ptr, object_bytes(number), PhysAddr(0))
    slot.cache = cache.addr
    stamp(k, soak, slot, ptr)
    return OK


@kernel
def give_object(k: Kernel, soak: Soak, slot: Slot) -> word:
    """Give an object back; now and then after others refused it, and more pages than it needed."""
    cache = ObjectCache(k.m, slot.cache)
    what = draw(soak.generator, 8)
    if what == 0 and heap.cache_destroy(k, cache) != CACHE_IN_USE:
        return WRONG_ANSWER
    if what == 1 and k.config.hardening != FULL and heap.kfree(k, slot.start) != BAD_FREE:
        return WRONG_ANSWER
    if heap.cache_free(k, cache, slot.start) != OK:
        return WRONG_ANSWER
    if what == 2:
        return expect(heap.cache_free(k, cache, slot.start), BAD_FREE)
    if what == 3 and heap.cache_shrink(k, cache) < 0:
        return WRONG_ANSWER
    return OK
