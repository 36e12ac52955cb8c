"""Each struct of the heap names the lock that it is under, for the day when there is a second processor."""

import re

import pytest

from incroos.kernel import sync
from incroos.kernel.state import Cache, Heap, HostedHeap, Kernel, SlabState, chunks, heap, slabs
from incroos.lang import Struct, offset_of

STRUCTS = [
    struct
    for module in (chunks, heap, slabs)
    for struct in vars(module).values()
    if isinstance(struct, type) and issubclass(struct, Struct) and struct.__module__ == module.__name__
]


@pytest.mark.parametrize('struct', STRUCTS, ids=lambda struct: struct.__name__)
def test_a_struct_names_a_lock_that_there_is(struct: type[Struct]) -> None:
    known = re.findall(r'^    Lock: (\w+) ', sync.__doc__ or '', re.MULTILINE)
    named = re.findall(r'Lock: (\w+)', struct.__doc__ or '')
    assert len(named) == 1
    assert named[0] in known


@pytest.mark.parametrize('place', [Kernel, HostedHeap])
def test_the_caches_of_size_classes_begin_with_a_line_of_the_processors_cache(place: type[Struct]) -> None:
    assert (offset_of(place, 'heap') + offset_of(Heap, 'slabs') + offset_of(SlabState, 'caches')) % 64 == 0
    assert offset_of(Cache, 'top') == 64
