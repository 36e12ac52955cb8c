"""Words: the only integer of kernel Python, its names, and the operations that Python's operators do not have.

Unit: the signed word of 64 bits. Addresses are canonical, so those of the higher half are negative; bit 63 is `-1 <<
63`. A `NewType` of int names what a word means, at no cost; mypy and the front end keep the names apart.
"""

from typing import Annotated, Final, NewType, TypeAlias

word: TypeAlias = int
VirtAddr = NewType('VirtAddr', int)
PhysAddr = NewType('PhysAddr', int)
Pfn = NewType('Pfn', int)  # physical address >> 12
Vpn = NewType('Vpn', int)  # virtual address >> 12
Order = NewType('Order', int)  # a block of 2**order frames

WORD_BITS: Final = 64
WORD_MIN: Final = -1 << 63
WORD_MAX: Final = (1 << 63) - 1
_MASK: Final = (1 << 64) - 1


class Width:
    """How a number lies in memory: little-endian, `bits` wide; 64 bits are read as a signed word."""

    def __init__(self, bits: int, c_name: str) -> None:
        self.bits = bits
        self.nbytes = bits // 8
        self.c_name = c_name

    def fits(self, value: int) -> bool:
        """Whether a word survives a store and a load in this width."""
        if self.bits == WORD_BITS:
            return WORD_MIN <= value <= WORD_MAX
        return 0 <= value < 1 << self.bits

    def __repr__(self) -> str:
        return self.c_name


U8: Final = Width(8, 'uint8_t')
U16: Final = Width(16, 'uint16_t')
U32: Final = Width(32, 'uint32_t')
U64: Final = Width(64, 'uint64_t')
I64: Final = Width(64, 'int64_t')

u8: TypeAlias = Annotated[int, U8]
u16: TypeAlias = Annotated[int, U16]
u32: TypeAlias = Annotated[int, U32]
u64: TypeAlias = Annotated[int, U64]
i64: TypeAlias = Annotated[int, I64]


def signed(value: int) -> int:
    """The word that has the low 64 bits of value."""
    value &= _MASK
    return value - (1 << 64) if value >> 63 else value


def unsigned(value: int) -> int:
    """The 64 bits of a word as a number from 0 to 2**64 - 1; for printing on the host, not kernel Python."""
    return value & _MASK


def add_wrap(a: word, b: word) -> word:
    """a + b, wrapping at 64 bits."""
    return signed(a + b)


def sub_wrap(a: word, b: word) -> word:
    """a - b, wrapping at 64 bits."""
    return signed(a - b)


def mul_wrap(a: word, b: word) -> word:
    """a * b, wrapping at 64 bits."""
    return signed(a * b)


def shl_wrap(a: word, count: word) -> word:
    """a << count, dropping what leaves the word; count is 0 to 63."""
    _check_count(count)
    return signed(a << count)


def shr_logical(a: word, count: word) -> word:
    """The 64 bits of a shifted right, zeros coming in from the left; count is 0 to 63."""
    _check_count(count)
    return signed((a & _MASK) >> count)


def count_trailing_zeros(a: word) -> word:
    """How many zero bits stand below the lowest set bit; 64 when no bit is set."""
    return ((a & -a).bit_length() - 1) if a & _MASK else WORD_BITS


def count_leading_zeros(a: word) -> word:
    """How many zero bits stand above the highest set bit; 64 when no bit is set."""
    return WORD_BITS - (a & _MASK).bit_length()


def count_ones(a: word) -> word:
    """How many bits are set."""
    return (a & _MASK).bit_count()


def unsigned_less(a: word, b: word) -> bool:
    """a < b, both taken as numbers from 0 to 2**64 - 1."""
    return (a & _MASK) < (b & _MASK)


def _check_count(count: int) -> None:
    if not 0 <= count < WORD_BITS:
        raise OverflowError(f'a shift by {count}: a word has 64 bits, shift by 0 to 63')
