"""From LLVM IR to machine code: for bare metal, for a shared library, or for the processor that this process runs on.

The module is optimised once, as a whole, without the vectorisers: kernel code must not touch vector registers, because
exception handlers do not save them. The front end marks its functions `noredzone` and `no-builtins`; the latter keeps
LLVM from making calls of memset and memcpy, which do not exist here.

A quick build is of a unit that nobody runs for long, as a checked one: each function is simplified by itself, and its
code is what comes first. It is made in an eighth of the time.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import llvmlite.binding as llvm

BARE_TRIPLE: Final = 'x86_64-unknown-none-elf'
SHARED_TRIPLE: Final = 'x86_64-unknown-linux-gnu'
BARE_PROCESSOR: Final = 'x86-64'
LOW_CODE: Final = 'small'  # LLVM's names of code models: in the lowest 2 GiB of the address space, or the highest
HIGH_CODE: Final = 'kernel'
BARE_FEATURES: Final = '-mmx,-sse,-sse2,-avx,+soft-float'  # no vector and no x87 registers
LLVM_VERSION: Final = '.'.join(map(str, llvm.llvm_version_info))

_NO_EXECUTABLE_STACK: Final = '.section .note.GNU-stack,"",@progbits'

# What a checked unit calls where it stops becomes a call through a word that CodeInMemory sets. So an object calls
# nothing outside itself, and LLVM's loader can put all of it into one block of memory.
TRAP_SLOT: Final = 'incroos_trap_address'
TRAP_DECLARATION: Final = r'(?m)^declare void @"incroos_trap"\(i64[^)]*\).*$'
TRAP_DEFINITION: Final = f"""
@{TRAP_SLOT} = dso_local global ptr null
define internal void @incroos_trap(i64 %site) noinline noreturn cold nounwind {{
  %trap = load ptr, ptr @{TRAP_SLOT}
  call void %trap(i64 %site)
  unreachable
}}
"""


@dataclass(frozen=True)
class BareCode:
    """An object file for bare metal and the assembly text that it was made from, which build/stack.py reads."""

    object_bytes: bytes
    assembly: str


def compile_bare(
    ir_text: str, boot_assembly: str, debug: bool, code_model: str = LOW_CODE, *, is_quick: bool = False
) -> BareCode:
    """Compile a unit together with its boot code. A debug build is not optimised, so that each line has its code."""
    _initialize()
    level = 0 if debug or is_quick else 2
    machine = llvm.Target.from_triple(BARE_TRIPLE).create_target_machine(
        cpu=BARE_PROCESSOR, features=BARE_FEATURES, opt=level, reloc='static', codemodel=code_model
    )
    module = _parse(ir_text, BARE_TRIPLE, machine, boot_assembly)
    if not debug:
        _optimise(module, machine, is_quick)
    return _assembled(module, machine)


def compile_shared(ir_text: str) -> bytes:
    """Compile a unit for any process on x86-64 Linux: an object for a shared library."""
    _initialize()
    machine = llvm.Target.from_triple(SHARED_TRIPLE).create_target_machine(
        cpu=BARE_PROCESSOR, opt=2, reloc='pic', codemodel=LOW_CODE
    )
    module = _parse(ir_text, SHARED_TRIPLE, machine, '')
    _optimise(module, machine)
    return bytes(machine.emit_object(module))


def compile_library(ir_text: str, public: Iterable[str]) -> BareCode:
    """Compile a unit for a library that is linked into any kernel, anywhere; only public functions are visible."""
    _initialize()
    machine = llvm.Target.from_triple(BARE_TRIPLE).create_target_machine(
        cpu=BARE_PROCESSOR, features=BARE_FEATURES, opt=2, reloc='pic', codemodel=LOW_CODE
    )
    module = _parse(ir_text, BARE_TRIPLE, machine, _NO_EXECUTABLE_STACK)
    for function in module.functions:
        if not function.is_declaration and function.name not in public:
            function.linkage = 'internal'
    _optimise(module, machine)
    return _assembled(module, machine)


def compile_host(ir_text: str, *, is_quick: bool = False) -> bytes:
    """Compile a unit for this process: an object for CodeInMemory (build/memory_code.py)."""
    _initialize()
    machine = host_machine(0 if is_quick else 2)
    module = _parse(re.sub(TRAP_DECLARATION, TRAP_DEFINITION, ir_text), llvm.get_process_triple(), machine, '')
    _optimise(module, machine, is_quick)
    return bytes(machine.emit_object(module))


def host_machine(level: int = 2) -> Any:
    """Code for exactly this processor, to be placed by LLVM's loader; LLVM's level of effort."""
    _initialize()
    return llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=level,
        jit=True,
        reloc='pic',
        codemodel='small',
    )


def host_identity() -> str:
    """What compiled code for this process depends on besides its source; for the key of a cache."""
    features = llvm.get_host_cpu_features().flatten()
    return f'{LLVM_VERSION} {llvm.get_process_triple()} {llvm.get_host_cpu_name()} {features}'


@cache
def _initialize() -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.initialize_native_target()
    llvm.initialize_native_asmparser()  # without it, inline assembly aborts the process


def _parse(ir_text: str, triple: str, machine: Any, assembly: str) -> Any:
    """The module for a target, with module-level assembly behind it."""
    lines = [line for line in ir_text.splitlines() if not line.startswith('target ')]
    quoted = (line.replace('\\', r'\5c').replace('"', r'\22') for line in assembly.splitlines())
    head = [f'target datalayout = "{machine.target_data}"', f'target triple = "{triple}"']
    module = llvm.parse_assembly('\n'.join([*head, *lines, *(f'module asm "{line}"' for line in quoted), '']))
    module.verify()
    return module


def _assembled(module: Any, machine: Any) -> BareCode:
    """The object is made from the text: to generate the code again takes long, and gives other code."""
    text = machine.emit_assembly(module)
    return BareCode(machine.emit_object(_parse('', machine.triple, machine, text)), text)


def _optimise(module: Any, machine: Any, is_quick: bool = False) -> None:
    """Two rounds: only the second sees a function that was inlined late with the constants of its caller."""
    if is_quick:
        _simplify(module, machine)
        return
    tuning = llvm.create_pipeline_tuning_options(speed_level=2)
    tuning.loop_vectorization = tuning.slp_vectorization = False
    for _ in range(2):
        builder = llvm.create_pass_builder(machine, tuning)
        builder.getModulePassManager().run(module, llvm.create_pass_builder(machine, tuning))


def _simplify(module: Any, machine: Any) -> None:
    """The three passes that shrink the text most, in a fifth of the time of LLVM's pipeline of the lowest level.

    They take the locals out of memory, shorten expressions, and drop what cannot be reached. The code is as small.
    """
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=1))
    passes = llvm.create_new_function_pass_manager()
    passes.add_sroa_pass()
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    for function in module.functions:
        if not function.is_declaration:
            passes.run(function, builder)
