"""The static library: kernel functions under C names, one object in an archive, for kernels that others write.

C callers pass no Kernel struct: the library keeps the address of the one that its user provided. Each public function
is a wrapper, IR text made here, that finds the struct, takes the user's lock if there is one, and calls the kernel
function, which is inlined where there is no lock:

    incro_mm.starting    the struct, from the first step of the start on; 0 before
    incro_mm.kernel      the struct, from the last step on; while it is 0 every other function returns NOT_STARTED

The code is position-independent, so that one archive serves kernels linked anywhere. Whatever is not public is
internal, and nothing is undefined. A function with a call site gets the wrapper's return address. Knows nothing of what
the functions do.
"""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .c_prototypes import CFunction, Step
from .codegen import compile_library
from .errors import BuildError
from .stack import analyse
from .tool import output_of

ARCHIVERS: Final = ('ar', 'llvm-ar', 'x86_64-linux-gnu-ar', 'x86_64-elf-ar')
SECONDS: Final = 120
LOCK: Final = 'incro_mm.lock'  # kernel functions that the wrappers call, too: the state of the first is the second's
UNLOCK: Final = 'incro_mm.unlock'
OBJECT: Final = 'incro_mm.o'
ARCHIVE: Final = 'library.a'


@dataclass(frozen=True)
class Codes:
    """The codes that wrappers return by themselves."""

    not_started: int
    already_started: int


@dataclass(frozen=True)
class LibraryCode:
    """The object and the facts about it for the header."""

    object_bytes: bytes
    stack_bytes: int  # the deepest stack of a public function, hooks left out
    nr_functions: int


_ATTRIBUTES: Final = 'nounwind noredzone null_pointer_is_valid "no-builtins"'
_COMMON: Final = """
declare ptr @llvm.returnaddress(i32)

@"incro_mm.starting" = internal global i64 0
@"incro_mm.kernel" = internal global i64 0
"""
_CALL: Final = """
define internal {result} @"incro_mm.locked.{name}"(ptr %k{inner_parameters}) cold noinline {attributes} {{
  %state = call i64 @"{lock}"(ptr %k)
  {assign}call {result} @"{inner}"(ptr %k{arguments}) noinline
  call void @"{unlock}"(ptr %k, i64 %state)
  ret {returned}
}}
define {result} @"{name}"({parameters}) {attributes} {{
{find_site}  %word = load i64, ptr @"incro_mm.kernel"
  %is_started = icmp ne i64 %word, 0
  br i1 %is_started, label %go, label %no
no:
  ret {refusal}
go:
  %k = inttoptr i64 %word to ptr
  %lock_at = getelementptr i8, ptr %k, i64 {lock_offset}
  %lock = load i64, ptr %lock_at
  %is_free = icmp eq i64 %lock, 0
  br i1 %is_free, label %plain, label %locked
plain:
  {assign}call {result} @"{inner}"(ptr %k{arguments})
  ret {returned}
locked:
  {assign_locked}tail call {result} @"incro_mm.locked.{name}"(ptr %k{arguments})
  ret {returned_locked}
}}
"""
_FIND_SITE: Final = """\
  %return_address = call ptr @llvm.returnaddress(i32 0)
  %site = ptrtoint ptr %return_address to i64
"""
_FIRST: Final = """
define i64 @"{name}"(i64 %a0, i64 %a1) {attributes} {{
  %before = load i64, ptr @"incro_mm.starting"
  %is_first = icmp eq i64 %before, 0
  br i1 %is_first, label %go, label %no
no:
  ret i64 {already_started}
go:
  %k = inttoptr i64 %a0 to ptr
  %start = inttoptr i64 %a1 to ptr
  %code = call i64 @"{inner}"(ptr %k, ptr %start)
  %is_done = icmp eq i64 %code, 0
  br i1 %is_done, label %done, label %end
done:
  store i64 %a0, ptr @"incro_mm.starting"
{publish}  br label %end
end:
  ret i64 %code
}}
"""
_NEXT: Final = """
define i64 @"{name}"() {attributes} {{
  %word = load i64, ptr @"incro_mm.starting"
  %is_started = icmp ne i64 %word, 0
  br i1 %is_started, label %go, label %no
no:
  ret i64 {not_started}
go:
  %k = inttoptr i64 %word to ptr
  %code = call i64 @"{inner}"(ptr %k)
  %is_done = icmp eq i64 %code, 0
  br i1 %is_done, label %done, label %end
done:
{publish}  br label %end
end:
  ret i64 %code
}}
"""
_CONSTANT: Final = """
define i64 @"{name}"() {attributes} {{
  ret i64 {value}
}}
"""


def inner_name(name: str) -> str:
    """The name in the unit of compilation of the kernel function behind a public one."""
    return f'incro_mm.inner.{name}'


def wrapper(function: CFunction, lock_offset: int, codes: Codes) -> str:
    """The IR of a public function; with a site, the kernel function's last argument is the return address."""
    prototype, step, has_site = function.prototype, function.step, function.with_site is not None
    name = prototype.name
    values: dict[str, Any] = {'name': name, 'inner': inner_name(name), 'attributes': _ATTRIBUTES}
    values |= {'not_started': codes.not_started, 'already_started': codes.already_started}
    values |= {'lock': LOCK, 'unlock': UNLOCK, 'lock_offset': lock_offset}
    if step in (Step.FIRST, Step.ALL):
        store = '  store i64 %a0, ptr @"incro_mm.kernel"\n' if step is Step.ALL else ''
        return _FIRST.format(publish=store, **values)
    if step in (Step.NEXT, Step.LAST):
        store = '  store i64 %word, ptr @"incro_mm.kernel"\n' if step is Step.LAST else ''
        return _NEXT.format(publish=store, **values)
    words = [f'i64 %a{index}' for index in range(len(prototype.parameters))]
    arguments = ''.join(f', {word}' for word in [*words, *(['i64 %site'] if has_site else [])])
    values |= {'parameters': ', '.join(words), 'arguments': arguments, 'inner_parameters': arguments}
    values |= {'find_site': _FIND_SITE if has_site else ''}
    if prototype.result == 'void':
        nothing = dict.fromkeys(('result', 'refusal', 'returned', 'returned_locked'), 'void')
        return _CALL.format(assign='', assign_locked='', **nothing, **values)
    refusal = codes.not_started if prototype.result == 'int64_t' else 0
    results = {'assign': '%result = ', 'assign_locked': '%locked_result = '}
    results |= {'returned': 'i64 %result', 'returned_locked': 'i64 %locked_result'}
    return _CALL.format(result='i64', refusal=f'i64 {refusal}', **results, **values)


def wrappers(
    functions: Iterable[CFunction],
    constants: Mapping[str, int],
    lock_offset: int,
    codes: Codes,
) -> str:
    """The IR of all public functions, and of functions without parameters that return a constant.

    `lock_offset` is where the Kernel struct has the address of the user's lock, or 0.
    """
    parts = [wrapper(function, lock_offset, codes) for function in functions]
    parts += [_CONSTANT.format(name=name, value=value, attributes=_ATTRIBUTES) for name, value in constants.items()]
    return _COMMON + ''.join(parts)


def build_library(ir_text: str, public: Iterable[str]) -> LibraryCode:
    """Compile a unit with its wrappers; all that is not public becomes internal."""
    names = list(public)
    code = compile_library(ir_text, names)
    frames = analyse(code.assembly, hooks_may_be_called=True)
    return LibraryCode(code.object_bytes, max(map(frames.worst_bytes, names)), len(frames.frames))


def find_archiver() -> Path:
    """The program that makes archives. Raises BuildError if there is none."""
    for name in ARCHIVERS:
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    raise BuildError(
        f'no archiver is installed ({" or ".join(ARCHIVERS)}): install one (on Debian and Ubuntu: apt install binutils)'
    )


def archive(object_bytes: bytes) -> bytes:
    """The object as a static library, with its index."""
    command = [str(find_archiver()), 'rcsD', ARCHIVE, OBJECT]
    return output_of(command, {OBJECT: object_bytes}, ARCHIVE, SECONDS, 'archiver', why_not_archived)


def why_not_archived(status: int, messages: str) -> str:
    """What is wrong with an archiver, judged by its status and its messages."""
    reason = (messages.strip() or f'exit status {status}, and no archive').splitlines()[0]
    return f'cannot make the library ({reason}): install a working archiver'
