"""The boot code's further page tables, after the four that map the first 2 MiB: for the upper half and for five levels.

32-bit assembly for boot_pvh.py, which clears the tables' memory. From `tables` on lie those of level 4, 3, 2 and 1;
behind them another one of level 3, and one of level 5.
"""

from typing import Final

PAGE_BYTES: Final = 4096

# The first 2 MiB once more, at the window and at the start of the upper half, by the tables that are there.
_UPPER_ENTRIES: Final = """\
    movl ${upper3:#x} + 3, {level4:#x} + {window_index4} * 8
    movl ${level2:#x} + 3, {upper3:#x} + {window_index3} * 8
    movl ${level3:#x} + 3, {level4:#x} + 256 * 8
"""

# A root above the root, where the processor has five levels: "CPUID" in the Intel SDM, volume 2.
_FIND_LEVELS: Final = """\
    xor %eax, %eax
    cpuid                                   # eax is the largest leaf
    cmp $7, %eax
    jb 1f
    mov $7, %eax
    xor %ecx, %ecx
    cpuid
    bt $16, %ecx                            # LA57
    jnc 1f
    movl ${level4:#x} + 3, {level5:#x}
{upper_half}    mov ${level5:#x}, %esi
    or $0x1000, %edi                        # LA57
1:
"""

_UPPER_HALF: Final = """\
    movl ${level4:#x} + 3, {level5:#x} + 511 * 8
"""


def upper_entries(tables: int, window: int) -> str:
    """Code that maps the first 2 MiB for a kernel that sees physical address 0 at `window`; nothing if that is 0."""
    if not window:
        return ''
    return _UPPER_ENTRIES.format(
        level4=tables,
        level3=tables + PAGE_BYTES,
        level2=tables + 2 * PAGE_BYTES,
        upper3=tables + 4 * PAGE_BYTES,
        window_index4=window >> 39 & 511,
        window_index3=window >> 30 & 511,
    )


def find_levels(tables: int, window: int, levels: int) -> str:
    """Code that puts the fifth-level root into esi, and LA57 into edi for CR4, if the processor has five levels."""
    if levels == 4:
        return ''
    place = {'level4': tables, 'level5': tables + 5 * PAGE_BYTES}
    return _FIND_LEVELS.format(**place, upper_half=_UPPER_HALF.format(**place) if window else '')
