"""The builds in which the heap is tested: each design, checked, with poison and frames that can be refused."""

from dataclasses import replace
from typing import Final

from incroos.kernel.configs import MODERN_CHECKED
from incroos.kernel.heap import chunks_alone, slabs_and_pages

from ..drivers import CHECKED, MODERN_BUILD, MODERN_FULL_BUILD, Build

CHUNKS_BUILD: Final = Build(replace(MODERN_CHECKED, objects=chunks_alone), is_checked=True)
SLABS_BUILD: Final = Build(replace(MODERN_CHECKED, objects=slabs_and_pages), is_checked=True)
HEAP_BUILDS: Final = {
    'first-fit': CHECKED,
    'kmalloc': MODERN_BUILD,
    'chunks': CHUNKS_BUILD,
    'slabs': SLABS_BUILD,
    'kmalloc, full': MODERN_FULL_BUILD,
}
