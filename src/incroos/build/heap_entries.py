"""The two calls of the hosted heap in which every instruction counts, as text for LLVM.

The kernel functions behind them are compiled into them. They know only three things: the variable of the C shim that
holds the thread's heap, where a thread without a heap goes, and the return address.
"""

import re
from typing import Final

ENTRIES: Final = """
@incro_own = external hidden thread_local(initialexec) global ptr
declare hidden ptr @incro_malloc_rarely(i64, i64) nounwind cold
declare hidden void @incro_free_rarely(ptr, i64) nounwind cold
declare ptr @llvm.returnaddress(i32 immarg)

define ptr @incro_malloc(i64 %nbytes) nounwind noredzone {
  %where = call ptr @llvm.returnaddress(i32 0)
  %site = ptrtoint ptr %where to i64
  %heap = load ptr, ptr @incro_own
  %has_none = icmp eq ptr %heap, null
  br i1 %has_none, label %rarely, label %often, !prof !{!"branch_weights", i32 1, i32 1000}
rarely:
  %slow = tail call ptr @incro_malloc_rarely(i64 %nbytes, i64 %site)
  ret ptr %slow
often:
  %word = tail call i64 @incro_k_malloc(ptr %heap, i64 %nbytes, i64 %site)
  %ptr = inttoptr i64 %word to ptr
  ret ptr %ptr
}

define void @incro_free(ptr %ptr) nounwind noredzone {
  %where = call ptr @llvm.returnaddress(i32 0)
  %site = ptrtoint ptr %where to i64
  %heap = load ptr, ptr @incro_own
  %has_none = icmp eq ptr %heap, null
  br i1 %has_none, label %rarely, label %often, !prof !{!"branch_weights", i32 1, i32 1000}
rarely:
  tail call void @incro_free_rarely(ptr %ptr, i64 %site)
  ret void
often:
  %word = ptrtoint ptr %ptr to i64
  tail call void @incro_k_free(ptr %heap, i64 %word, i64 %site)
  ret void
}
"""
HOT: Final = re.compile(r'^(define [^\n]*@"incro_k_(?:malloc|free)"\([^\n]*)', re.MULTILINE)
MALLOC_NAMES: Final = """
@malloc = alias ptr (i64), ptr @incro_malloc
@free = alias void (ptr), ptr @incro_free
@__libc_malloc = alias ptr (i64), ptr @incro_malloc
@__libc_free = alias void (ptr), ptr @incro_free
@cfree = alias void (ptr), ptr @incro_free
"""


def with_entries(kernel: str, is_malloc: bool) -> str:
    """The kernel functions, including incro_k_malloc and incro_k_free, and the IR that is compiled with them.

    These two are aligned on a cache line. Without that, a replay of nginx's recording took a tenth longer, and five
    recordings 4 % in the mean.
    """
    aligned, nr_aligned = HOT.subn(r'\1 align 64', kernel)
    assert nr_aligned == 2
    return aligned + ENTRIES + (MALLOC_NAMES if is_malloc else '')
