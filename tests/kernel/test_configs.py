"""Configurations that make no sense are refused where they are made, each with a sentence."""

import re
from dataclasses import replace
from typing import Any, Final

import pytest

from incroos.hosted import configs as hosted_configs
from incroos.kernel import configs
from incroos.kernel.config import CHEAP, DIRECT_MAP, IDENTITY, NR_QUARANTINED, KernelConfig
from incroos.kernel.configs import CLASSIC, MODERN, MODERN_RECURSIVE
from incroos.kernel.heap import chunks_alone, size_classes, slabs_and_pages
from incroos.kernel.layout import DIRECT_MAP_START, IMAGE_WINDOW
from incroos.lang import ConfigError

REFUSED: Final[tuple[tuple[KernelConfig, dict[str, Any], str], ...]] = (
    (CLASSIC, {'poison': 2}, 'poison=2: a switch is 0 or 1'),
    (CLASSIC, {'space': 2}, 'space=2: name CLASSIC_SPACE or MODERN_SPACE'),
    (CLASSIC, {'table_access': 4}, 'table_access=4: name one of config.py'),
    (CLASSIC, {'levels': 3}, 'levels=3: page tables have four or five'),
    (MODERN, {'nr_pcids': 4096}, 'nr_pcids=4096: a processor has 4095 besides the first'),
    (MODERN, {'flush_threshold': -1}, 'flush_threshold=-1: it is a number of pages'),
    (CLASSIC, {'table_access': DIRECT_MAP}, 'table_access=DIRECT_MAP: the space classic has no direct map'),
    (CLASSIC, {'nr_pcids': 1}, 'nr_pcids: the space classic is the only one, and has no PCIDs'),
    (CLASSIC, {'image_window': IMAGE_WINDOW}, 'in the space classic memory is at its own address'),
    (CLASSIC, {'frame_window': DIRECT_MAP_START}, 'in the space classic memory is at its own address'),
    (MODERN, {'table_access': IDENTITY}, 'table_access=IDENTITY: the space modern has no identity map'),
    (MODERN, {'frame_window': 0}, 'frame_window=0: the space modern sees frames through its direct map'),
    (CLASSIC, {'objects': size_classes}, 'objects: the design size_classes.py has its ranges in the space modern'),
    (CLASSIC, {'objects': chunks_alone}, 'objects: the design chunks_alone.py has its ranges in the space modern'),
    (
        CLASSIC,
        {'objects': slabs_and_pages},
        'objects: the design slabs_and_pages.py has its ranges in the space modern',
    ),
    (CLASSIC, {'hardening': 3}, 'hardening=3: name NO_HARDENING, CHEAP or FULL'),
    (CLASSIC, {'heap': 0x1000_0010}, 'heap=0x10000010: give it a multiple of 4096'),
    (MODERN, {'slabs': MODERN.slabs + 64}, 'give it a multiple of 4096'),
    (MODERN, {'slab_records': MODERN.slab_records + 64}, 'give it a multiple of 4096'),
    (CLASSIC, {'heap_initial_bytes': 100}, 'heap_initial_bytes=0x64: give it a multiple of 4096'),
    (CLASSIC, {'heap_max_bytes': 4096}, 'heap_max_bytes=0x1000: from heap_initial_bytes up to 0x10000000000'),
    (MODERN, {'heap_max_bytes': 1 << 41}, 'heap_max_bytes=0x20000000000: from heap_initial_bytes up to 0x10000000000'),
    (MODERN, {'slab_bytes': 0}, 'slab_bytes=0: give it a multiple of 16 up to 4096'),
    (MODERN, {'slab_bytes': 1000}, 'slab_bytes=1000: give it a multiple of 16 up to 4096'),
    (MODERN, {'slab_bytes': 8192}, 'slab_bytes=8192: give it a multiple of 16 up to 4096'),
    (MODERN, {'quarantine_blocks': NR_QUARANTINED + 1}, f'the quarantine has {NR_QUARANTINED} places'),
    (MODERN, {'quarantine_bytes': -1}, 'quarantine_bytes=-1: it is never negative'),
    (MODERN, {'spare_bytes': -1}, 'spare_bytes=-1: it is never negative'),
    (MODERN, {'empty_slabs': -1}, 'empty_slabs=-1: it is never negative'),
    (MODERN, {'heap': 1 << 70}, 'heap=0x400000000000000000: it is no word'),
    (MODERN, {'slabs': MODERN.heap}, 'slabs=-0x38000000000: it lies in the range of heap'),
    (MODERN, {'vmalloc': MODERN.frame_records}, 'vmalloc=-0x80000000000: it lies in the range of frame_records'),
    (MODERN, {'vmalloc': 1 << 30}, 'beyond -0x10000000000'),
    (MODERN, {'frame_records': DIRECT_MAP_START}, 'frame_records: the direct map ends at -0x400000000000'),
    (MODERN_RECURSIVE, {'embedded': 1}, 'a library reaches tables by identity or through the direct map'),
)


@pytest.mark.parametrize(('base', 'changes', 'sentence'), REFUSED, ids=[sentence for _, _, sentence in REFUSED])
def test_a_configuration_without_sense_is_refused(base: KernelConfig, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        replace(base, **changes)


def test_no_configuration_with_a_name_is_a_heap_in_a_process_or_the_other_way_round() -> None:
    """A kernel's heap has frames, and a process has none."""
    kernels = [value for value in vars(configs).values() if isinstance(value, KernelConfig)]
    processes = [value for value in vars(hosted_configs).values() if isinstance(value, KernelConfig)]
    assert len(kernels) > 20
    assert all(config.pages.HAS_FRAMES for config in kernels)
    assert not any(config.pages.HAS_FRAMES for config in processes)
    assert replace(hosted_configs.HOSTED, hardening=CHEAP).objects is size_classes
