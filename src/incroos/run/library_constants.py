"""What the C header says beside functions: constants, C's types of fields, and C's names of what docstrings name."""

from collections.abc import Iterable
from typing import Any, Final

from incroos.build.c_header import Constant
from incroos.build.c_prototypes import CFunction, prototype_of
from incroos.kernel import codes, layout
from incroos.kernel.arch import pte
from incroos.kernel.config import CLASSIC_SPACE, STARTS, KernelConfig
from incroos.kernel.pmm import memory_kinds

FLAGS: Final = (
    'PRESENT',
    'WRITABLE',
    'USER',
    'WRITE_THROUGH',
    'CACHE_DISABLE',
    'ACCESSED',
    'DIRTY',
    'PAT',
    'GLOBAL',
    'NX',
)
OWN_NAMES: Final = {  # of functions whose names are words of the language that docstrings are written in
    'free_page': 'pmm_free_page',
    'take_frame': 'pmm_take_frame',
}
CODES: Final = {name: value for name, value in vars(codes).items() if name.isupper() and not name.startswith('EXIT_')}

TYPEDEFS: Final = (
    '/* What makes a fresh object of a cache; it gets the bytes of one, too. */\n'
    'typedef void incro_constructor(void *object, size_t object_bytes);',
)
C_TYPES: Final = {
    ('Hooks', 'context'): 'void *{}',
    ('Hooks', 'write'): 'void (*{})(void *context, const char *text, size_t nbytes)',
    ('Hooks', 'panic'): 'void (*{})(void *context, const struct incro_panic_report *report)',
    ('Hooks', 'lock'): 'uint64_t (*{})(void *context)',
    ('Hooks', 'unlock'): 'void (*{})(void *context, uint64_t state)',
    ('PanicReport', 'text'): 'const char *{}',
    ('Start', 'regions'): 'const struct incro_start_info_entry *{}',
}


def constants_of(config: KernelConfig) -> dict[str, list[Constant]]:
    """The constants of a build, by the headings under which the header lists them."""
    return {
        'Codes': [Constant(f'INCRO_{name}', value) for name, value in CODES.items()],
        'Flags of a page': [Constant(f'VMM_{name}', getattr(pte, name)) for name in FLAGS],
        'Numbers of regions, those of E820 and PVH: any other than RAM is left alone': [
            Constant('INCRO_REGION_RAM', memory_kinds.E820_KINDS.index(memory_kinds.RAM)),
            Constant('INCRO_REGION_RESERVED', memory_kinds.E820_KINDS.index(memory_kinds.RESERVED, 1)),
        ],
        'Addresses that the library uses, [start, end)': ranges_of(config),
    }


def ranges_of(config: KernelConfig) -> list[Constant]:
    """Which addresses the kernel leaves to the library."""
    if config.space == CLASSIC_SPACE:
        ends = {
            'POOL': (layout.POOL_START, layout.POOL_END),
            'ZONE': (layout.ZONE_START, layout.ZONE_END),
            'HEAP': (config.heap, config.heap + config.heap_max_bytes),
        }
    else:
        ends = {
            'POOL': (layout.POOL_START, layout.POOL_END),
            'DIRECT_MAP': (config.frame_window, layout.DIRECT_MAP_END),
            'SPACE': (min(map(config.__getattribute__, STARTS)), layout.MODERN_END),
        }
    return [
        Constant(f'INCRO_{name}_{end}', value)
        for name, values in ends.items()
        for end, value in zip(('START', 'END'), values, strict=True)
    ]


def c_names(functions: Iterable[CFunction]) -> dict[str, str]:
    """What docstrings name, as C calls it: codes, flags, and functions whose names are no words of English."""
    names = {name: f'INCRO_{name}' for name in CODES} | {name: f'VMM_{name}' for name in FLAGS} | OWN_NAMES
    for each in functions:
        if '_' in each.function.__name__:
            names[each.function.__name__] = each.prototype.name
    return names


def state_bytes() -> Any:
    """How many bytes a struct incro_kernel of this library has: sizeof of it, unless the header is of another one."""


STATE_BYTES: Final = CFunction(prototype_of('size_t incro_mm_state_bytes(void)'), state_bytes)
