"""What each primitive becomes on a real processor: the lowering for bare metal and for this process's own memory.

Instructions and their effects: Intel SDM volume 2. No vector registers, no calls into a C library; a comment in the
assembly is not needed where the mnemonic says it. An entry takes the builder and the arguments as LLVM words.
"""

from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir

from .types import I8, I16, I32, I64, POINTER

Emit = Callable[[Any, list[Any]], Any]
MEMORY: Final = '~{memory}'
ZERO: Final = I64(0)


def asm(b: Any, text: str, constraints: str, result: Any, arguments: list[Any]) -> Any:
    """Inline assembly that LLVM neither moves nor drops."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return b.call(ir.InlineAsm(kind, text, constraints, side_effect=True), arguments)


def opaque(b: Any, value: Any) -> Any:
    """A copy of a pointer whose origin is hidden from the compiler.

    The address of a struct in an array then gets its own register, and loads of its fields need no index register.
    Only such loads can receive the value of a pending store without waiting for both addresses:
    docs/adr/0013-structs-in-arrays-get-a-register.md.
    """
    kind = ir.FunctionType(POINTER, [POINTER])
    return b.call(ir.InlineAsm(kind, '', '=r,0', side_effect=False), [value], attrs=('nounwind', 'readnone'))


def pointer(b: Any, addr: Any) -> Any:
    """An address as a pointer."""
    return b.inttoptr(addr, POINTER)


def load(bits: int) -> Emit:
    """A load of the given number of bits at any alignment, widened with zeros."""

    def emit(b: Any, arguments: list[Any]) -> Any:
        return load_number(b, pointer(b, arguments[0]), bits)

    return emit


def store(bits: int) -> Emit:
    """A store of the given number of bits at any alignment."""

    def emit(b: Any, arguments: list[Any]) -> Any:
        store_number(b, pointer(b, arguments[0]), bits, arguments[1])

    return emit


def load_number(b: Any, place: Any, bits: int) -> Any:
    """The number at a pointer, as a word."""
    number = b.load(place, align=1, typ=ir.IntType(bits))
    return number if bits == 64 else b.zext(number, I64)


def store_number(b: Any, place: Any, bits: int, value: Any) -> None:
    """Put the low bits of a word at a pointer."""
    b.store(value if bits == 64 else b.trunc(value, ir.IntType(bits)), place, align=1)


def fill(b: Any, arguments: list[Any]) -> Any:
    """The processor's string instructions: whole words first, then the remaining bytes."""
    addr, byte, nbytes = arguments
    pattern = b.mul(byte, I64(0x0101010101010101))
    two = ir.LiteralStructType([I64, I64])
    asm_words = '={rdi},={rcx},{rax},0,1,~{memory}'
    ends = asm(b, 'rep stosq', asm_words, two, [pattern, addr, b.lshr(nbytes, I64(3))])
    left = b.and_(nbytes, I64(7))
    with b.if_then(b.icmp_signed('!=', left, ZERO), likely=False):
        asm(b, 'rep stosb', asm_words, two, [pattern, b.extract_value(ends, 0), left])


def copy(b: Any, arguments: list[Any]) -> Any:
    """Forward, whole words first; correct also if the target begins below the source and overlaps it."""
    to, source, nbytes = arguments
    three = ir.LiteralStructType([I64, I64, I64])
    constraints = '={rdi},={rsi},={rcx},0,1,2,~{memory}'
    ends = asm(b, 'rep movsq', constraints, three, [to, source, b.lshr(nbytes, I64(3))])
    left = b.and_(nbytes, I64(7))
    with b.if_then(b.icmp_signed('!=', left, ZERO), likely=False):
        asm(b, 'rep movsb', constraints, three, [b.extract_value(ends, 0), b.extract_value(ends, 1), left])


def port_in(mnemonic: str, kind: Any, register: str) -> Emit:
    """A read from a port, widened with zeros."""

    def emit(b: Any, arguments: list[Any]) -> Any:
        text = f'{mnemonic} %dx, %{register}'
        return b.zext(asm(b, text, f'={{{register}}},{{dx}}', kind, [b.trunc(arguments[0], I16)]), I64)

    return emit


def port_out(mnemonic: str, kind: Any, register: str) -> Emit:
    """A write to a port."""

    def emit(b: Any, arguments: list[Any]) -> Any:
        value = [b.trunc(arguments[0], I16), b.trunc(arguments[1], kind)]
        asm(b, f'{mnemonic} %{register}, %dx', f'{{dx}},{{{register}}},{MEMORY}', ir.VoidType(), value)

    return emit


def in_bytes(b: Any, arguments: list[Any]) -> None:
    """The processor's string instruction."""
    port, to, nbytes = arguments
    two = ir.LiteralStructType([I64, I64])
    asm(b, 'rep insb', '={rdi},={rcx},{dx},0,1,~{memory}', two, [b.trunc(port, I16), to, nbytes])


def out_bytes(b: Any, arguments: list[Any]) -> None:
    """The processor's string instruction."""
    port, source, nbytes = arguments
    two = ir.LiteralStructType([I64, I64])
    asm(b, 'rep outsb', '={rsi},={rcx},{dx},0,1,~{memory}', two, [b.trunc(port, I16), source, nbytes])


def read_register(name: str) -> Emit:
    """Read a control register."""
    return lambda b, arguments: asm(b, f'mov %{name}, $0', f'=r,{MEMORY}', I64, [])


def write_register(name: str) -> Emit:
    """Write a control register."""
    return lambda b, arguments: asm(b, f'mov $0, %{name}', f'r,{MEMORY}', ir.VoidType(), arguments)


def pair(b: Any, low_and_high: Any) -> Any:
    """The word whose halves an instruction left in two registers of 32 bits."""
    low, high = (b.zext(b.extract_value(low_and_high, half), I64) for half in (0, 1))
    return b.or_(low, b.shl(high, I64(32)))


def read_msr(b: Any, arguments: list[Any]) -> Any:
    halves = ir.LiteralStructType([I32, I32])
    return pair(b, asm(b, 'rdmsr', '={eax},={edx},{ecx}', halves, [b.trunc(arguments[0], I32)]))


def write_msr(b: Any, arguments: list[Any]) -> Any:
    index, value = arguments
    halves = [b.trunc(index, I32), b.trunc(value, I32), b.trunc(b.lshr(value, I64(32)), I32)]
    asm(b, 'wrmsr', f'{{ecx}},{{eax}},{{edx}},{MEMORY}', ir.VoidType(), halves)


def read_tsc(b: Any, arguments: list[Any]) -> Any:
    return pair(b, asm(b, 'rdtsc', '={eax},={edx}', ir.LiteralStructType([I32, I32]), []))


def cpuid(b: Any, arguments: list[Any]) -> Any:
    four = ir.LiteralStructType([I32] * 4)
    leaf = [b.trunc(argument, I32) for argument in arguments]
    found = asm(b, 'cpuid', '={eax},={ebx},={ecx},={edx},0,2', four, leaf)
    result = ir.LiteralStructType([I64] * 4)(ir.Undefined)
    for index in range(4):
        result = b.insert_value(result, b.zext(b.extract_value(found, index), I64), index)
    return result


def descriptor_table(mnemonic: str) -> Emit:
    """The operand of these instructions is ten bytes of memory: the limit in two, the base in eight."""

    def emit(b: Any, arguments: list[Any]) -> Any:
        base, limit = arguments
        with b.goto_entry_block():
            operand = pointer(b, b.ptrtoint(b.alloca(I8, size=I64(10)), I64))
        store_number(b, operand, 16, limit)
        store_number(b, b.gep(operand, [I64(2)], source_etype=I8), 64, base)
        asm(b, f'{mnemonic} ($0)', f'r,{MEMORY}', ir.VoidType(), [operand])

    return emit


def invpcid(b: Any, arguments: list[Any]) -> Any:
    """The operand in memory is sixteen bytes: the PCID in eight, then the address."""
    kind, pcid, va = arguments
    with b.goto_entry_block():
        operand = pointer(b, b.ptrtoint(b.alloca(I8, size=I64(16)), I64))
    store_number(b, operand, 64, pcid)
    store_number(b, b.gep(operand, [I64(8)], source_etype=I8), 64, va)
    asm(b, 'invpcid ($1), $0', f'r,r,{MEMORY}', ir.VoidType(), [kind, operand])


def plain(mnemonic: str) -> Emit:
    """An instruction without operands."""
    return lambda b, arguments: asm(b, mnemonic, MEMORY, ir.VoidType(), [])


def are_interrupts_enabled(b: Any, arguments: list[Any]) -> Any:
    flags = asm(b, 'pushfq; popq $0', f'=r,{MEMORY}', I64, [])
    return b.and_(b.lshr(flags, I64(9)), I64(1))


def atomic(operation: str) -> Emit:
    """An atomic read, change and write."""
    return lambda b, arguments: b.atomic_rmw(operation, pointer(b, arguments[0]), arguments[1], 'seq_cst')


def atomic_store64(b: Any, arguments: list[Any]) -> Any:
    """An exchange, as this processor does it: llvmlite 0.50's store_atomic refuses untyped pointers."""
    b.atomic_rmw('xchg', pointer(b, arguments[0]), arguments[1], 'seq_cst')


def atomic_compare_exchange64(b: Any, arguments: list[Any]) -> Any:
    addr, expected, desired = arguments
    return b.extract_value(b.cmpxchg(pointer(b, addr), expected, desired, 'seq_cst'), 0)


def call4(b: Any, arguments: list[Any]) -> Any:
    code, *words = arguments
    kind = ir.FunctionType(I64, [I64] * 4)
    return b.call(b.inttoptr(code, kind.as_pointer()), words)


def c_call(name: str) -> Emit:
    """A call of a function of the C library that takes three words."""

    def emit(b: Any, arguments: list[Any]) -> None:
        function = b.module.globals.get(name) or ir.Function(b.module, ir.FunctionType(I64, [I64] * 3), name)
        b.call(function, arguments)

    return emit


C_CALLS: Final[dict[str, Emit]] = {'fill': c_call('memset'), 'copy': c_call('memmove')}
INSTRUCTIONS: Final[dict[str, Emit]] = {
    'load8': load(8),
    'load16': load(16),
    'load32': load(32),
    'load64': load(64),
    'store8': store(8),
    'store16': store(16),
    'store32': store(32),
    'store64': store(64),
    'fill': fill,
    'copy': copy,
    'in8': port_in('inb', I8, 'al'),
    'out8': port_out('outb', I8, 'al'),
    'in16': port_in('inw', I16, 'ax'),
    'out16': port_out('outw', I16, 'ax'),
    'in32': port_in('inl', I32, 'eax'),
    'out32': port_out('outl', I32, 'eax'),
    'in_bytes': in_bytes,
    'out_bytes': out_bytes,
    **{f'read_cr{n}': read_register(f'cr{n}') for n in (0, 2, 3, 4)},
    **{f'write_cr{n}': write_register(f'cr{n}') for n in (0, 2, 3, 4)},
    'read_msr': read_msr,
    'write_msr': write_msr,
    'invlpg': lambda b, arguments: asm(b, 'invlpg ($0)', f'r,{MEMORY}', ir.VoidType(), arguments),
    'invpcid': invpcid,
    'load_idt': descriptor_table('lidt'),
    'load_gdt': descriptor_table('lgdt'),
    'cpuid': cpuid,
    'read_tsc': read_tsc,
    'save_vector_state': lambda b, arguments: asm(b, 'fxsave64 ($0)', f'r,{MEMORY}', ir.VoidType(), arguments),
    'load_vector_state': lambda b, arguments: asm(b, 'fxrstor64 ($0)', f'r,{MEMORY}', ir.VoidType(), arguments),
    'disable_interrupts': plain('cli'),
    'enable_interrupts': plain('sti'),
    'are_interrupts_enabled': are_interrupts_enabled,
    'halt': plain('hlt'),
    'wait_for_interrupt': plain('sti; hlt; cli'),  # STI takes effect behind HLT
    'pause': plain('pause'),
    'atomic_load64': lambda b, arguments: b.load_atomic(pointer(b, arguments[0]), 'seq_cst', 8, typ=I64),
    'atomic_store64': atomic_store64,
    'atomic_exchange64': atomic('xchg'),
    'atomic_add64': atomic('add'),
    'atomic_compare_exchange64': atomic_compare_exchange64,
    'call4': call4,
}
