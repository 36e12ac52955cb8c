"""The hosted heap as a shared library: C programs, wrong pointers, and real programs whose output must not change."""

import re
from pathlib import Path
from typing import Final

import pytest

from incroos.run.names import HEAPS

from .heap_programs import compile_program, library, run

HEAD: Final = """
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "incro_heap.h"
#define CHECK(x) do { if (!(x)) { printf("line %d: %s\\n", __LINE__, #x); return 1; } } while (0)
"""

CALLS: Final = (
    HEAD
    + """
int main(void)
{
    void *one = incro_malloc(0), *two = incro_malloc(0);
    CHECK(one != NULL && two != NULL && one != two);
    incro_free(one);
    incro_free(two);
    incro_free(NULL);
    for (size_t nbytes = 1; nbytes < 3000000; nbytes += nbytes / 7 + 1) {
        unsigned char *ptr = incro_malloc(nbytes);
        CHECK(ptr != NULL && (uintptr_t)ptr % 16 == 0 && incro_malloc_usable_size(ptr) >= nbytes);
        memset(ptr, 0x5A, incro_malloc_usable_size(ptr));
        incro_free(ptr);
        ptr = incro_calloc(nbytes, 1);
        for (size_t at = 0; at < nbytes; at++)
            CHECK(ptr[at] == 0);
        memset(ptr, 0xA5, nbytes);
        unsigned char *more = incro_realloc(ptr, nbytes * 2);
        for (size_t at = 0; at < nbytes; at++)
            CHECK(more[at] == 0xA5);
        more = incro_realloc(more, nbytes / 2 + 1);
        for (size_t at = 0; at < nbytes / 2 + 1; at++)
            CHECK(more[at] == 0xA5);
        CHECK(incro_realloc(more, 0) == NULL);
    }
    for (size_t alignment = 1; alignment <= 1 << 21; alignment *= 2) {
        void *ptr = incro_memalign(alignment, 1000);
        CHECK(ptr != NULL && (uintptr_t)ptr % alignment == 0);
        incro_free(ptr);
    }
    errno = 0;
    CHECK(incro_malloc(SIZE_MAX) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(incro_malloc((size_t)1 << 62) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(incro_calloc(SIZE_MAX / 2, 3) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(incro_calloc((size_t)1 << 33, (size_t)1 << 33) == NULL && errno == ENOMEM);
    char *kept = incro_malloc(100);
    strcpy(kept, "kept");
    errno = 0;
    CHECK(incro_realloc(kept, SIZE_MAX - 7) == NULL && errno == ENOMEM && strcmp(kept, "kept") == 0);
    errno = 0;
    CHECK(incro_memalign(24, 8) == NULL && errno == EINVAL);
    CHECK(incro_malloc_usable_size(NULL) == 0);
    return 0;
}
"""
)

NAMES: Final = (
    """
#define _GNU_SOURCE
"""
    + HEAD
    + """
#include <malloc.h>
int main(void)
{
    void *ptr = &ptr;
    errno = 5;
    CHECK(posix_memalign(&ptr, 3, 8) == EINVAL && posix_memalign(&ptr, 4, 8) == EINVAL && ptr == &ptr);
    CHECK(posix_memalign(&ptr, 4096, SIZE_MAX / 2) == ENOMEM && errno == 5 && ptr == &ptr);
    CHECK(posix_memalign(&ptr, 256, 0) == 0 && (uintptr_t)ptr % 256 == 0);
    free(ptr);
    ptr = aligned_alloc(64, 640);
    CHECK((uintptr_t)ptr % 64 == 0 && malloc_usable_size(ptr) >= 640);
    ptr = reallocarray(ptr, 1000, 10);
    CHECK(malloc_usable_size(ptr) >= 10000);
    CHECK(incro_malloc_usable_size(ptr) == malloc_usable_size(ptr)); /* one heap, two names */
    errno = 0;
    volatile size_t many = SIZE_MAX / 4;
    CHECK(reallocarray(ptr, many, 5) == NULL && errno == ENOMEM);
    incro_free(ptr);
    ptr = valloc(1);
    CHECK((uintptr_t)ptr % 4096 == 0);
    free(ptr);
    ptr = pvalloc(4097);
    CHECK((uintptr_t)ptr % 4096 == 0 && malloc_usable_size(ptr) >= 8192);
    free(ptr);
    CHECK(pvalloc(many * 4 + 3) == NULL);
    free(memalign(32, 32));
    CHECK(strcmp(strdup("a copy"), "a copy") == 0);
    return 0;
}
"""
)

# A wrong pointer, and what has happened to it before.
WRONG: Final = {
    'a small block twice': 'char *p = incro_malloc(40); incro_free(p); incro_free(p);',
    'a chunk twice': 'char *p = incro_malloc(4000); incro_malloc(4000); incro_free(p); incro_free(p);',
    'inside a small block': 'char *p = incro_malloc(40); incro_free(p + 16);',
    'inside a chunk': 'char *p = incro_malloc(4000); incro_free(p + 64);',
    'the stack': 'char p[64]; incro_free(p);',
    'no address': 'incro_free((void *)0x1234);',
    'kernel space': 'incro_free((void *)-4096);',
    'far above': 'char *p = incro_malloc(40); incro_free(p + ((size_t)1 << 34));',
    'realloc twice': 'char *p = incro_malloc(40); incro_free(p); incro_realloc(p, 50);',
    'usable size': 'char *p = incro_malloc(40); incro_free(p); incro_malloc_usable_size(p);',
}


@pytest.mark.parametrize('design', HEAPS)
def test_the_calls_in_c(design: str, tmp_path: Path) -> None:
    if design == 'first-fit':
        source = re.sub(r'for \(size_t alignment.*?\n    }\n', '', CALLS, flags=re.DOTALL)  # it has no alignment
    else:
        source = CALLS
    done = run([str(compile_program(tmp_path, source, library(design, is_malloc=False)))])
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


@pytest.mark.parametrize('design', [design for design in HEAPS if design != 'first-fit'])  # no alignment beyond 16
def test_the_names_of_malloc(design: str, tmp_path: Path) -> None:
    done = run([str(compile_program(tmp_path, NAMES, library(design)))])
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


def test_the_header_in_cpp(tmp_path: Path) -> None:
    source = '#include "incro_heap.h"\nint main() { incro_free(incro_malloc(10)); return 0; }\n'
    program = compile_program(tmp_path, source, library(is_malloc=False), compiler='g++', name='program.cc')
    assert run([str(program)]).returncode == 0


@pytest.mark.parametrize('what', WRONG)
def test_a_wrong_pointer_ends_the_process_with_a_sentence(what: str, tmp_path: Path) -> None:
    source = HEAD + f'int main(void)\n{{\n    setbuf(stdout, NULL);\n    {WRONG[what]}\n    return 0;\n}}\n'
    done = run([str(compile_program(tmp_path, source, library(is_malloc=False)))])
    assert done.returncode == -6
    sentence = r'incro_heap: free or realloc of a pointer that is not allocated \(.*\): 0x[0-9a-f]+\n'
    assert re.fullmatch(sentence, done.stderr)


def test_full_hardening_names_the_calls(tmp_path: Path) -> None:
    """Each call is in a function of its own, and the report's addresses lie in these functions."""
    source = (
        HEAD
        + """
__attribute__((noinline)) static char *taken(void) { char *p = incro_malloc(40); *(volatile char *)p = 1; return p; }
__attribute__((noinline)) static void given(char *p) { incro_free(p); *(volatile char *)&p; __asm__ volatile(""); }
int main(void)
{
    setbuf(stdout, NULL);
    char *p = taken();
    printf("%lx %lx %lx\\n", (unsigned long)p, (unsigned long)taken, (unsigned long)given);
    given(p);
    given(p);
    return 0;
}
"""
    )
    program = compile_program(tmp_path, source, library(is_malloc=False, hardening='full'))
    done = run([str(program)])
    assert done.returncode == -6
    ptr, taken, given = (int(word, 16) for word in done.stdout.split())
    words = {int(word, 16) for word in re.findall(r'0x([0-9A-Fa-f]+)', done.stderr)}
    assert ptr in words
    assert any(taken < word < taken + 64 for word in words)
    assert any(given < word < given + 64 for word in words)
