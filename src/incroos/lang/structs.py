"""Struct views: a class with annotated fields is a typed view of memory.

    class Block(Struct):
        size: u64                               # a number of 8 to 64 bits
        owner: PhysAddr                         # any NewType of int: 64 bits
        order: Annotated[Order, U8]             # a NewType of int in 8 bits
        zone: Zone                              # a struct inside the struct
        links: Annotated[Array[u64], 4]         # four numbers in a row

`Block(m, addr)` is a view of the bytes from addr on, accessed through the machine m. The layout is that of C: fields in
order, each aligned on its own size, the whole padded to its alignment. One declaration serves CPython, the compiler,
the C header and the inspector. A view owns nothing and stores only m and addr.
"""

import inspect
import sys
from collections.abc import Iterator
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    Generic,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

from .config import Config
from .machine import Machine
from .words import U64, WORD_MAX, VirtAddr, Width

T = TypeVar('T')

MAX_BYTES: Final = 1 << 47  # of a struct: a half of the addresses that a walk of four levels knows


class NumberField:
    """A field that is a number: its offset and width; `kind` is the NewType or int that it is to the type checks."""

    def __init__(self, offset: int, width: Width, kind: Any) -> None:
        self.offset, self.width, self.kind = offset, width, kind
        self.is_word = width.bits == 64  # as most are, which are the faster for it
        self.load = f'load{width.bits}'
        self.store = f'store{width.bits}'

    def __get__(self, view: 'Struct | None', owner: type | None = None) -> Any:
        if view is None:
            return self
        if self.is_word:
            return view.m.load64(view.addr + self.offset)  # type: ignore[arg-type]
        return getattr(view.m, self.load)(view.addr + self.offset)

    def __set__(self, view: 'Struct', value: int) -> None:
        if self.is_word:
            view.m.store64(view.addr + self.offset, value)  # type: ignore[arg-type]
        else:
            getattr(view.m, self.store)(view.addr + self.offset, value)


class StructField:
    """A field that is a struct: reading it returns a view."""

    def __init__(self, offset: int, kind: 'type[Struct]') -> None:
        self.offset, self.kind = offset, kind

    def __get__(self, view: 'Struct | None', owner: type | None = None) -> Any:
        if view is None:
            return self
        return self.kind(view.m, VirtAddr(view.addr + self.offset))

    def __set__(self, view: 'Struct', value: object) -> None:
        raise TypeError('a struct inside a struct cannot be assigned: assign its fields')


class ArrayField:
    """A field that is an array: reading it returns a view; `length` 0 is a flexible array, the last field."""

    def __init__(self, offset: int, element: 'Width | type[Struct]', kind: Any, length: int) -> None:
        self.offset, self.element, self.kind, self.length = offset, element, kind, length
        self.stride = element.nbytes if isinstance(element, Width) else element.SIZE  # from one to the next
        self.load = f'load{element.bits}' if isinstance(element, Width) else ''
        self.store = f'store{element.bits}' if isinstance(element, Width) else ''

    @property
    def most(self) -> int:
        """The highest number of elements at which the offset of the last byte still fits a word."""
        return (WORD_MAX + 1) // max(self.stride, 1)

    def __get__(self, view: 'Struct | None', owner: type | None = None) -> Any:
        if view is None:
            return self
        return Array(view.m, VirtAddr(view.addr + self.offset), self)

    def __set__(self, view: 'Struct', value: object) -> None:
        raise TypeError('an array cannot be assigned: assign its elements')


class ConfigField:
    """A field of a Config type: no bytes, the constants of the build."""

    def __init__(self, kind: type[Config]) -> None:
        self.kind = kind

    def __get__(self, view: 'Struct | None', owner: type | None = None) -> Any:
        return self if view is None else view.m.config


Field = NumberField | StructField | ArrayField | ConfigField


class Array(Generic[T]):
    """View of consecutive elements. An index is never negative, and below the length if the array has one.

    All elements lie in the half of the address space, negative or not, in which the array begins.
    """

    __slots__ = ('addr', 'field', 'm')

    def __init__(self, m: Machine, addr: VirtAddr, field: ArrayField) -> None:
        self.m, self.addr, self.field = m, addr, field

    def _at(self, index: int) -> VirtAddr:
        length, stride = self.field.length, self.field.stride
        if 0 <= index < length:
            return VirtAddr(self.addr + index * stride)
        if index < 0 or length:
            raise IndexError(f'index {index} of an array of {length or "any number of"} elements')
        addr = self.addr + index * stride
        if not self.addr <= addr + stride - 1 <= (-1 if self.addr < 0 else WORD_MAX):
            raise IndexError(f'index {index} of an array at {self.addr:#x}: the addresses end before it')
        return VirtAddr(addr)

    def __getitem__(self, index: int) -> T:
        at, field = self._at(index), self.field
        if field.load:
            value: T = getattr(self.m, field.load)(at)
            return value
        return field.element(self.m, at)  # type: ignore[return-value, operator]

    def __setitem__(self, index: int, value: T) -> None:
        if not self.field.store:
            raise TypeError('a struct in an array cannot be assigned: assign its fields')
        getattr(self.m, self.field.store)(self._at(index), value)

    def __iter__(self) -> Iterator[T]:
        """For the host: kernel Python counts with range."""
        return (self[index] for index in range(self.field.length))


class StructType(type):
    """The type of structs: a view has only its fields, so that a misspelt name is an error."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> 'StructType':
        return super().__new__(cls, name, bases, {'__slots__': (), **namespace})


class Struct(metaclass=StructType):
    """Base of all struct views; see the head of this file."""

    __slots__ = ('addr', 'm')
    SIZE: ClassVar[int] = 0
    ALIGN: ClassVar[int] = 1
    FIELDS: ClassVar[dict[str, Field]] = {}

    m: Machine
    addr: VirtAddr

    def __init__(self, m: Machine, addr: VirtAddr) -> None:
        self.m, self.addr = m, addr

    def __init_subclass__(cls) -> None:
        if cls.__bases__ != (Struct,):
            raise TypeError(f'{cls.__name__}: a struct derives from Struct alone; put one struct into the other')
        end, align, fields, is_closed = 0, 1, dict[str, Field](), False
        for name, hint in _own_hints(cls).items():
            if name in vars(cls):
                raise TypeError(f'{cls.__name__}.{name}: a field has no default; assign it where one is made')
            if hasattr(Struct, name):
                raise TypeError(f'{cls.__name__}.{name}: every view has a {name} of its own; use another name')
            field, size, alignment = _make_field(cls, name, hint)
            if not isinstance(field, ConfigField):
                if is_closed:
                    raise TypeError(f'{cls.__name__}.{name}: a flexible array is the last field')
                is_closed = isinstance(field, ArrayField) and field.length == 0
                end = -(-end // alignment) * alignment
                field.offset = end
                end, align = end + size, max(align, alignment)
                if end > MAX_BYTES:
                    raise TypeError(f'{cls.__name__}.{name}: ends too far on; a struct has at most {MAX_BYTES} bytes')
            fields[name] = field
            setattr(cls, name, field)
        cls.SIZE, cls.ALIGN, cls.FIELDS = -(-end // align) * align, align, fields

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.addr:#x})'


def is_word(kind: Any) -> bool:
    """Whether an annotation names words: int, or a NewType that ends in it."""
    while hasattr(kind, '__supertype__'):
        kind = kind.__supertype__
    return kind is int


@overload
def number_kind(hint: Any) -> tuple[Width, Any] | None: ...
@overload
def number_kind(hint: Any, where: str) -> tuple[Width, Any]: ...
def number_kind(hint: Any, where: str = '') -> tuple[Width, Any] | None:
    """Width and meaning (int or a NewType) of a number's annotation; for others None, or an error that says where."""
    width, kind = U64, hint
    if get_origin(hint) is Annotated:
        kind, *notes = get_args(hint)
        widths = [note for note in notes if isinstance(note, Width)]
        width = widths[-1] if widths else U64
    if is_word(kind):
        return width, kind
    if where:
        wanted = 'u8, u16, u32, u64, i64, a NewType of int, a Struct or an Array'
        raise TypeError(f'{where}: {hint!r} is not a field: write {wanted}')
    return None


def offset_of(struct: type[Struct], name: str) -> int:
    """Bytes from the start of the struct to the field; a constant to the front end."""
    field = struct.FIELDS[name]
    if isinstance(field, ConfigField):
        raise TypeError(f'{struct.__name__}.{name} takes no bytes')
    return field.offset


def address_of(view: Struct, name: str) -> VirtAddr:
    """The address of a field of the view: for atomic primitives, and for lists that link fields."""
    return VirtAddr(view.addr + offset_of(type(view), name))


def _own_hints(cls: type[Struct]) -> dict[str, Any]:
    module = sys.modules[cls.__module__]
    return {name: _own_hint(cls, name, hint, vars(module)) for name, hint in inspect.get_annotations(cls).items()}


def _own_hint(cls: type[Struct], name: str, hint: Any, names: dict[str, Any]) -> Any:
    """The meaning of a field's annotation, even if it or a part of it is a string."""
    holder = type('holder', (), {'__annotations__': {name: hint}})
    where = f'{cls.__name__}.{name}'
    try:
        return get_type_hints(holder, globalns=names, include_extras=True)[name]
    except NameError as error:
        if error.name == cls.__name__:
            instead = f'write VirtAddr, and {cls.__name__}(m, addr) where it is followed'
            raise TypeError(f'{where}: a struct is not inside itself; {instead}') from None
        raise TypeError(f'{where}: the module has no {error.name} before this struct; define it above') from None
    except (AttributeError, SyntaxError):
        raise TypeError(f'{where}: {hint!r} is not a type; write it without quotes') from None


def _make_field(cls: type[Struct], name: str, hint: Any) -> tuple[Any, int, int]:
    """The field (with offset 0 for now), its bytes and its alignment."""
    where = f'{cls.__name__}.{name}'
    if isinstance(hint, type) and issubclass(hint, Config):
        return ConfigField(hint), 0, 1
    if isinstance(hint, type) and issubclass(hint, Struct) and hint is not Struct:
        return StructField(0, hint), hint.SIZE, hint.ALIGN
    arguments = get_args(hint)
    if get_origin(hint) is Annotated and get_origin(arguments[0]) is Array:
        (of,), length = get_args(arguments[0]), arguments[1]
        if type(length) is not int or length < 0:
            raise TypeError(f'{where}: the length of an array is a number, found {length!r}')
        if isinstance(of, type) and issubclass(of, Struct) and of is not Struct:
            return ArrayField(0, of, of, length), of.SIZE * length, of.ALIGN
        width, kind = number_kind(of, where)
        return ArrayField(0, width, kind, length), width.nbytes * length, width.nbytes
    if hint is Array or get_origin(hint) is Array:
        raise TypeError(
            f'{where}: an array says how long it is: write Annotated[Array[...], 4]; 0 for a flexible one, at the end'
        )
    width, kind = number_kind(hint, where)
    return NumberField(0, width, kind), width.nbytes, width.nbytes
