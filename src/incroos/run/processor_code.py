"""The loop of ring 3 and Unicorn's callbacks, compiled: what a program in `jit` needs beside the kernel."""

import json
from collections.abc import Callable
from typing import Any, Final

from incroos.build.cache import PACKAGE, Cache, key_of
from incroos.build.codegen import compile_host, host_identity
from incroos.build.memory_code import CodeInMemory
from incroos.machine import ring3, unicorn
from incroos.machine.computer import Computer

from .outcome import Say
from .user_processor import Callbacks, UserProcessor

SOURCES: Final = [PACKAGE / 'lang', PACKAGE / 'machine', PACKAGE / 'build', PACKAGE / 'run' / 'processor_code.py']
OBJECT_FILE: Final = 'processor.o'
SITES_FILE: Final = 'sites.json'

ROOTS: Final[dict[str, Callable[..., Any]]] = {
    'run_ring3': ring3.run_ring3,
    'run_unicorn': unicorn.run,
    'save_vectors': unicorn.save_vectors,
    'load_vectors': unicorn.load_vectors,
    'fill': unicorn.fill,
    'note_system_call': unicorn.note_system_call,
    'note_interrupt': unicorn.note_interrupt,
    'note_port': unicorn.note_port,
    'answer_cpuid': unicorn.answer_cpuid,
    'note_block': unicorn.note_block,
}

# C's parameters on one side, words on the other. Unicorn's struct begins with the engine, uc_ctl, uc_emu_start,
# the place of the last address that failed, uc_hook_add and the hook of blocks.
BLOCK_ADAPTER: Final = """
define void @on_block(ptr %engine, i64 %address, i32 %nbytes, ptr %cpu) nounwind {
  %word = zext i32 %nbytes to i64
  call void @"note_block"(ptr %cpu, i64 %word)
  ret void
}
"""
ADAPTERS: Final = """
define i64 @call_count(i64 %unicorn, i64 %cpu, i64 %handle, i64) nounwind {
  %state = inttoptr i64 %unicorn to ptr
  %engine = load i64, ptr %state
  %function_place = getelementptr i64, ptr %state, i64 4
  %function = load ptr, ptr %function_place
  %hook_place = getelementptr i64, ptr %state, i64 5
  %hook = load i64, ptr %hook_place
  %error = call i32 (i64, i64, i32, i64, i64, i64, i64, ...)
      %function(i64 %engine, i64 %handle, i32 8, i64 %hook, i64 %cpu, i64 1, i64 0)
  %word = zext i32 %error to i64
  ret i64 %word
}
define i64 @call_run(i64 %cpu, i64, i64, i64) nounwind {
  %view = inttoptr i64 %cpu to ptr
  call void @"run_unicorn"(ptr %view)
  ret i64 0
}
define i64 @call_save_vectors(i64 %cpu, i64, i64, i64) nounwind {
  %view = inttoptr i64 %cpu to ptr
  call void @"save_vectors"(ptr %view)
  ret i64 0
}
define i64 @call_load_vectors(i64 %cpu, i64, i64, i64) nounwind {
  %view = inttoptr i64 %cpu to ptr
  call void @"load_vectors"(ptr %view)
  ret i64 0
}
define i64 @call_control(i64 %unicorn, i64 %control, i64 %address, i64 %count) nounwind {
  %state = inttoptr i64 %unicorn to ptr
  %engine = load i64, ptr %state
  %place = getelementptr i64, ptr %state, i64 1
  %function = load ptr, ptr %place
  %code = trunc i64 %control to i32
  %error = call i32 (i64, i32, ...) %function(i64 %engine, i32 %code, i64 %address, i64 %count)
  %word = zext i32 %error to i64
  ret i64 %word
}
define i64 @call_address(i64 %unicorn, i64, i64, i64) nounwind {
  %state = inttoptr i64 %unicorn to ptr
  %field = getelementptr i64, ptr %state, i64 3
  %place = load ptr, ptr %field
  %address = load i64, ptr %place
  ret i64 %address
}
define i64 @call_start(i64 %unicorn, i64 %rip, i64, i64) nounwind {
  %state = inttoptr i64 %unicorn to ptr
  %engine = load i64, ptr %state
  %place = getelementptr i64, ptr %state, i64 2
  %function = load ptr, ptr %place
  %error = call i32 %function(i64 %engine, i64 %rip, i64 0, i64 0, i64 0)
  %word = zext i32 %error to i64
  ret i64 %word
}
define zeroext i1 @on_fill(ptr %engine, i64 %va, i32 %kind, ptr %entry, ptr %cpu) nounwind {
  %word = zext i32 %kind to i64
  %told = call i64 @"fill"(ptr %cpu, i64 %va, i64 %word)
  %no = icmp slt i64 %told, 0
  br i1 %no, label %refuse, label %tell
refuse:
  ret i1 false
tell:
  %frame = and i64 %told, -4096
  store i64 %frame, ptr %entry
  %may = trunc i64 %told to i32
  %rights = and i32 %may, 7
  %place = getelementptr i64, ptr %entry, i64 1
  store i32 %rights, ptr %place
  ret i1 true
}
define void @on_system_call(ptr %engine, ptr %cpu) nounwind {
  call void @"note_system_call"(ptr %cpu)
  ret void
}
define void @on_interrupt(ptr %engine, i32 %number, ptr %cpu) nounwind {
  %word = zext i32 %number to i64
  call void @"note_interrupt"(ptr %cpu, i64 %word)
  ret void
}
define i32 @on_port_in(ptr %engine, i32 %port, i32 %nbytes, ptr %cpu) nounwind {
  call void @"note_port"(ptr %cpu)
  ret i32 0
}
define void @on_port_out(ptr %engine, i32 %port, i32 %nbytes, i32 %value, ptr %cpu) nounwind {
  call void @"note_port"(ptr %cpu)
  ret void
}
define void @on_sysenter(ptr %engine, ptr %cpu) nounwind {
  call void @"note_port"(ptr %cpu)
  ret void
}
define i32 @on_cpuid(ptr %engine, ptr %cpu) nounwind {
  call void @"answer_cpuid"(ptr %cpu)
  ret i32 1
}
"""


def cached_code(say: Say) -> bytes:
    """The object, from the cache where it is there."""
    return cached('processor', ROOTS, ADAPTERS + BLOCK_ADAPTER, say)


def cached_counter(say: Say) -> bytes:
    """The same of the hook of blocks alone: `sim` has it compiled, too, since no program would get on otherwise."""
    return cached('block counter', {'note_block': unicorn.note_block}, BLOCK_ADAPTER, say)


def cached(name: str, roots: dict[str, Callable[..., Any]], adapters: str, say: Say) -> bytes:
    """An object by its name."""
    cache = Cache(say)
    key = key_of(SOURCES, [name, host_identity()])
    folder = cache.fetch(key)
    if folder is not None:
        return (folder / OBJECT_FILE).read_bytes()
    from incroos.lang.frontend import RAW, compile_unit  # a warm start compiles nothing

    unit = compile_unit(roots, RAW)
    code = compile_host(unit.ir + adapters)
    cache.store(key, {OBJECT_FILE: code, SITES_FILE: json.dumps(unit.sites).encode()})
    return code


class CompiledProcessor:
    """Unicorn for a computer, with compiled callbacks; `run_ring3` never returns."""

    def __init__(self, computer: Computer, say: Say) -> None:
        self.processor = UserProcessor(computer)
        self.code = CodeInMemory(cached_code(say))
        user, state, address = computer.cpu.user, self.processor.state, self.code.address
        user.call_run = address('call_run')
        user.call_save_vectors, user.call_load_vectors = address('call_save_vectors'), address('call_load_vectors')
        state.call_start, state.call_control = address('call_start'), address('call_control')
        state.call_address, state.call_count = address('call_address'), address('call_count')
        state.count_block = address('on_block')
        names = ('fill', 'system_call', 'interrupt', 'port_in', 'port_out', 'sysenter', 'cpuid')
        self.processor.hook(Callbacks(**{name: address(f'on_{name}') for name in names}))

    def run_ring3(self, cpu: int) -> None:
        """Run programs until the computer stops."""
        self.code.function('run_ring3', 1)(cpu)
