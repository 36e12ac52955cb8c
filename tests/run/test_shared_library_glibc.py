"""The rest of malloc.h: one program with glibc's heap and with ours, and both say the same."""

import re
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import pytest

from .heap_programs import WARNINGS, compile_program, library, run
from .test_shared_library import HEAD
from .test_shared_library_memory import LEVELS

SAME: Final = (
    """
#define _GNU_SOURCE
"""
    + HEAD
    + """
#include <malloc.h>
#define SHOW(x) printf("%d: %s is %ld\\n", __LINE__, #x, (long)(x))
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#pragma GCC diagnostic ignored "-Wpedantic"

void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t), *__libc_valloc(size_t), *__libc_pvalloc(size_t);
void __libc_free(void *), old_cfree(void *);
__asm__(".symver old_cfree, cfree@GLIBC_2.2.5");
int __libc_mallopt(int, int);
struct mallinfo __libc_mallinfo(void);

static void show_alignments(void)
{
    static const size_t alignments[] = {
        0, 1, 3, 8, 16, 17, 24, 33, 100, 4096, 5000, (size_t)1 << 62, (size_t)1 << 63, ((size_t)1 << 63) + 1, SIZE_MAX};
    for (size_t at = 0; at < sizeof alignments / sizeof *alignments; at++) {
        size_t alignment = alignments[at], power = 1;
        while (power < alignment && power < (size_t)1 << 40)
            power *= 2;
        void *ptr = (errno = 0, memalign(alignment, 10));
        printf("memalign(%zu): %d %d %d\\n", alignment, ptr != NULL, (uintptr_t)ptr % power == 0, errno);
        free(ptr);
        ptr = (errno = 0, aligned_alloc(alignment, 10));
        printf("aligned_alloc(%zu): %d %d %d\\n", alignment, ptr != NULL, (uintptr_t)ptr % power == 0, errno);
        free(ptr);
        ptr = NULL;
        int code = posix_memalign(&ptr, alignment, 10); /* glibc sets errno too, ours does not */
        printf("posix_memalign(%zu): %d %d\\n", alignment, code, ptr != NULL);
        free(ptr);
    }
}

static void *blocks[10000];

static void show_info(void)
{
    struct mallinfo2 before = mallinfo2();
    for (int at = 0; at < 10000; at++)
        blocks[at] = memset(malloc(1000), 1, 1000);
    struct mallinfo2 full = mallinfo2();
    struct mallinfo narrow = mallinfo();
    SHOW(full.arena == full.uordblks + full.fordblks);
    SHOW(full.arena >= 10000000);
    SHOW((full.uordblks - before.uordblks) / 2000000);
    SHOW(full.ordblks >= 1);
    SHOW(full.keepcost <= full.fordblks);
    SHOW(full.hblks + full.hblkhd + full.usmblks);
    SHOW((size_t)narrow.arena == full.arena && (size_t)narrow.uordblks == full.uordblks);
    SHOW((size_t)__libc_mallinfo().uordblks == full.uordblks);
    for (int at = 0; at < 10000; at++)
        free(blocks[at]);
    SHOW((mallinfo2().uordblks - before.uordblks) / 100000);
    SHOW(malloc_trim(0));
    SHOW(mallinfo2().arena < 5000000);
}

static void show_others(void)
{
    old_cfree(malloc(10));
    free(__libc_malloc(10));
    __libc_free(malloc(10));
    free(__libc_calloc(10, 10));
    free(__libc_realloc(malloc(10), 20));
    free(__libc_memalign(64, 10));
    free(__libc_valloc(10));
    free(__libc_pvalloc(10));
    SHOW(malloc_usable_size(NULL));
    volatile size_t many = SIZE_MAX / 2;
    SHOW((errno = 0, reallocarray(NULL, many, 3) == NULL) && errno == ENOMEM);
    SHOW(pvalloc(0) != NULL && valloc(0) != NULL);
    SHOW(malloc_info(1, stdout));
    SHOW(malloc_info(0, stdout));
}

static void show_options(void)
{
    static const int values[] = {0, 1, -1, 160, 161, 65536};
    for (int what = -9; what <= 5; what++)
        for (int at = 0; at < 6; at++)
            printf("mallopt(%d, %d): %d\\n", what, values[at], mallopt(what, values[at]));
    SHOW(__libc_mallopt(M_MXFAST, 161));
}

int main(void)
{
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    show_alignments();
    show_info();
    show_others();
    malloc_stats();
    show_options();
    return 0;
}
"""
)


def without_figures(text: str) -> str:
    """The lines but for figures, sizes that occur, and all heaps but one."""
    text = re.sub(r'<sizes>.*?</sizes>', '<sizes/>', text, flags=re.DOTALL)
    text = re.sub(r'(=|size="|count=") *\d+', r'\1N', text)
    text = re.sub(r'(Arena \d+:\n[^A-Z]*?)(?:Arena \d+:\n[^A-Z]*)*Total', r'\1Total', text)
    return re.sub(r'(<heap nr="0">.*?</heap>\n)(?:<heap.*?</heap>\n)*', r'\1', text, flags=re.DOTALL)


@pytest.mark.parametrize('hardening', LEVELS)
def test_the_rest_of_malloc_h_answers_as_glibc(hardening: str, tmp_path: Path) -> None:
    (tmp_path / 'same.c').write_text(SAME.replace('#include "incro_heap.h"', ''))
    command = ['cc', *WARNINGS, '-fno-builtin', '-O1', str(tmp_path / 'same.c'), '-o', str(tmp_path / 'same')]
    done = run(command)
    assert done.returncode == 0, done.stderr
    expected = run([str(tmp_path / 'same')])
    assert expected.returncode == 0
    found = run([str(tmp_path / 'same')], library(hardening=hardening))
    assert found.returncode == 0
    assert without_figures(found.stdout) == without_figures(expected.stdout)
    assert without_figures(found.stderr) == without_figures(expected.stderr)


def test_malloc_info_is_xml_and_its_sums_are_right(tmp_path: Path) -> None:
    source = '#include <malloc.h>\n#include <stdio.h>\nint main(void)\n{\n    return malloc_info(0, stdout);\n}\n'
    done = run([str(compile_program(tmp_path, source, library()))])
    info = ElementTree.fromstring(done.stdout)
    heaps = info.findall('heap')
    assert heaps
    for path in ("system[@type='current']", "total[@type='rest']"):
        of_heaps = [heap.find(path) for heap in heaps]
        total = info.find(path)
        assert total is not None
        assert int(total.get('size', '')) == sum(int(each.get('size', '')) for each in of_heaps if each is not None)


# ------------------------------------------------------------------ libraries that are bound deeply
DEEP: Final = """
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef EXTENSION
void *of_extension(void) { return malloc(10); }
#else
int main(int nr_words, char **words)
{
    void *library = dlopen(words[nr_words - 1], RTLD_NOW | RTLD_DEEPBIND);
    void *(*of_extension)(void) = (void *(*)(void))dlsym(library, "of_extension");
    free(of_extension());
    return 0;
}
#endif
"""


def test_what_the_manual_says_of_deeply_bound_libraries(tmp_path: Path) -> None:
    manual = (Path(__file__).parents[2] / 'docs/shared-heap.md').read_text()
    (tmp_path / 'shallow.c').write_text(manual.split('```c\n')[1].split('```')[0])
    (tmp_path / 'deep.c').write_text('#define _GNU_SOURCE\n' + DEEP)
    shared = ['cc', '-shared', '-fPIC', '-fno-builtin']
    for command in (
        [*shared, 'shallow.c', '-o', 'shallow.so'],
        [*shared, '-DEXTENSION', 'deep.c', '-o', 'extension.so'],
        ['cc', '-fno-builtin', 'deep.c', '-o', 'deep'],
    ):
        assert run(command, cwd=tmp_path).returncode == 0
    command = [str(tmp_path / 'deep'), str(tmp_path / 'extension.so')]
    assert run(command).returncode == 0
    found = run(command, library())
    assert (found.returncode, 'a pointer that is not allocated' in found.stderr) == (-6, True)
    found = run(command, Path(f'{tmp_path / "shallow.so"}:{library()}'))
    assert (found.returncode, found.stderr) == (0, '')
