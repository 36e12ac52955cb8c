"""The hosted heap in the address space: what it maps, and that limits, locks and neighbours of it do no harm."""

from pathlib import Path
from typing import Final

import pytest

from incroos.run.names import LEVELS

from .heap_programs import compile_library, compile_program, library, run
from .test_shared_library import HEAD

SPACE: Final = (
    """
#define _GNU_SOURCE
"""
    + HEAD
    + """
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static __attribute__((unused)) long kib_of(const char *name)
{
    char line[256];
    long found = -1;
    FILE *status = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            found = atol(line + strlen(name) + 1);
    fclose(status);
    return found;
}

static __attribute__((unused)) int set_limit(int which, rlim_t nbytes)
{
    struct rlimit limit;
    if (getrlimit(which, &limit) != 0)
        return -1;
    limit.rlim_cur = nbytes;
    if (limit.rlim_max < nbytes)
        limit.rlim_max = nbytes; /* which root may */
    return setrlimit(which, &limit);
}

static __attribute__((unused)) void *a_block(void *unused)
{
    (void)unused;
    return incro_malloc(100);
}
"""
)

# What is not mapped is in no core dump, is not locked, and counts for no limit.
MAPPED: Final = (
    SPACE
    + """
int main(void)
{
    void *block = incro_malloc(1000);
    CHECK(block != NULL && kib_of("VmSize") < 16 << 10);
    void *large = incro_malloc(64 << 20);
    CHECK(large != NULL && kib_of("VmSize") < 80 << 10);
    incro_free(large);
    incro_malloc_trim();
    CHECK(kib_of("VmSize") < 16 << 10);
    return 0;
}
"""
)

LOCKED: Final = (
    SPACE
    + """
int main(void)
{
    CHECK(set_limit(RLIMIT_MEMLOCK, 8 << 20) == 0);
    CHECK(geteuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0)); /* root has no limit */
    void *first = incro_malloc(100);
    CHECK(first != NULL && mlockall(MCL_CURRENT | MCL_FUTURE) == 0);
    char *more = incro_malloc(1 << 20);
    CHECK(more != NULL);
    memset(more, 1, 1 << 20);
    CHECK(kib_of("VmLck") < 8 << 10);
    CHECK(incro_malloc(16 << 20) == NULL && incro_malloc(1 << 20) != NULL);
    return 0;
}
"""
)

# Where little may be mapped from the start, each thread has a heap of its own, too.
SMALL: Final = (
    SPACE
    + """
int main(void)
{
    char *mine = incro_malloc(100), *other;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, a_block, NULL) == 0 && pthread_join(thread, (void **)&other) == 0);
    CHECK(mine != NULL && other != NULL && labs(other - mine) > 1L << 30);
    return 0;
}
"""
)

# A limit that is set while the process runs leaves room for threads, each with a heap of its own, and is kept.
LIMITED: Final = (
    SPACE
    + """
int main(void)
{
    char *mine = incro_malloc(100), *blocks[2];
    CHECK(set_limit(RLIMIT_AS, (rlim_t)kib_of("VmSize") * 1024 + (48 << 20)) == 0);
    pthread_t threads[2];
    for (int number = 0; number < 2; number++)
        CHECK(pthread_create(&threads[number], NULL, a_block, NULL) == 0);
    for (int number = 0; number < 2; number++)
        CHECK(pthread_join(threads[number], (void **)&blocks[number]) == 0 && blocks[number] != NULL);
    CHECK(labs(blocks[0] - mine) > 1L << 30);
    void *page = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    int nr_blocks = 0;
    while (incro_malloc(1 << 20) != NULL)
        CHECK(++nr_blocks < 48);
    CHECK(nr_blocks > 16 && errno == ENOMEM && incro_malloc_check() == 0);
    CHECK(set_limit(RLIMIT_AS, RLIM_INFINITY) == 0);
    CHECK(incro_malloc(100 << 20) != NULL);
    return 0;
}
"""
)

# Somebody maps pages where the heap was about to grow: there is memory all the same, and it is apart from theirs.
NEIGHBOURS: Final = (
    SPACE
    + """
int main(void)
{
    char *blocks[64], *first = incro_malloc(2 << 20);
    CHECK(first != NULL);
    memset(first, 1, 2 << 20);
    char *foreign = (char *)((uintptr_t)first & ~(uintptr_t)4095) + (64 << 20);
    CHECK(mmap(foreign, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == foreign);
    memset(foreign, 2, 8192);
    for (int number = 0; number < 64; number++) {
        blocks[number] = incro_calloc(1, 10 << 20);
        CHECK(blocks[number] != NULL && (blocks[number] + (10 << 20) <= foreign || blocks[number] >= foreign + 8192));
        CHECK(blocks[number][5 << 20] == 0);
        memset(blocks[number] + (5 << 20), 3, 100);
    }
    CHECK((first = incro_realloc(first, 3 << 20)) != NULL && first[0] == 1 && first[(2 << 20) - 1] == 1);
    for (int number = 0; number < 64; number++)
        incro_free(blocks[number]);
    incro_free(first);
    CHECK(incro_malloc_check() == 0 && foreign[0] == 2 && foreign[8191] == 2);
    return 0;
}
"""
)

# Zeros that the system gives are not written again; what was used is zero all the same, locked or not.
ZEROS: Final = (
    SPACE
    + """
static int is_zero(const char *block, size_t nbytes)
{
    return block[0] == 0 && memcmp(block, block + 1, nbytes - 1) == 0;
}

static int are_zero(int round)
{
    enum { NBYTES = 5 << 20 };
    char *low = incro_malloc(NBYTES), *middle = incro_malloc(NBYTES), *high = incro_malloc(NBYTES);
    memset(low, 1, NBYTES);
    memset(middle, 2, NBYTES);
    memset(high, 3, NBYTES);
    incro_free(middle);
    for (size_t nbytes = NBYTES; nbytes > 10; nbytes /= 3) {
        middle = incro_calloc(1, nbytes);
        CHECK(is_zero(middle, nbytes));
        memset(middle, 4, nbytes);
        incro_free(middle);
    }
    incro_free(high);
    if (round % 2)
        incro_malloc_trim();
    for (size_t nbytes = 3 * NBYTES; nbytes > 10; nbytes /= 3) {
        high = incro_calloc(nbytes, 1);
        CHECK(is_zero(high, nbytes));
        memset(high, 5, nbytes / 2);
        incro_free(high);
    }
    for (size_t at = 0; at < NBYTES; at++)
        CHECK(low[at] == 1);
    incro_free(low);
    return incro_malloc_check();
}

int main(void)
{
    char *sparse = incro_calloc(256, 1 << 20);
    CHECK(sparse != NULL && kib_of("VmRSS") < 16 << 10);
    sparse[5] = 1;
    incro_free(sparse);
    for (int round = 0; round < 20; round++) {
        CHECK((sparse = incro_calloc(1, 64 << 20)) != NULL && kib_of("VmRSS") < 16 << 10 && sparse[32 << 20] == 0);
        sparse[1] = 2;
        incro_free(sparse);
    }
    CHECK(kib_of("VmHWM") < 16 << 10);
    CHECK(are_zero(0) == 0 && are_zero(1) == 0);
    CHECK(mlockall(MCL_CURRENT | MCL_FUTURE) == 0 || geteuid() != 0);
    CHECK(are_zero(2) == 0 && are_zero(3) == 0);
    return 0;
}
"""
)

# Two blocks that are in each other's way: their pages are moved, and neither copied nor touched.
GROWTH: Final = (
    SPACE
    + """
enum { MIB = 1 << 20, NR_STEPS = 64 };

static int nr_mappings(void)
{
    int count = 0, c;
    FILE *maps = fopen("/proc/self/maps", "r");
    while ((c = getc(maps)) != EOF)
        count += c == '\\n';
    fclose(maps);
    return count;
}

static void *grow(void *block)
{
    return incro_realloc(*(char **)block, incro_malloc_usable_size(*(char **)block) + 9 * MIB);
}

static long nr_faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

int main(int nr_arguments, char **arguments)
{
    (void)arguments;
    char *blocks[2] = {incro_malloc(MIB), incro_memalign(1 << 13, MIB)};
    int before = nr_mappings();
    if (nr_arguments == 1) { /* not with full hardening, which fills what is new */
        for (int step = 1; step <= NR_STEPS; step++)
            for (int which = 0; which < 2; which++) {
                CHECK((blocks[which] = incro_realloc(blocks[which], (size_t)step * MIB)) != NULL);
                blocks[which][(size_t)step * MIB - 1] = (char)step;
            }
        CHECK(kib_of("VmHWM") < 16 << 10);
        for (int step = 1; step <= NR_STEPS; step++)
            for (int which = 0; which < 2; which++)
                CHECK(blocks[which][(size_t)step * MIB - 1] == step);
        for (int number = 0; number < 5; number++) { /* threads that have other heaps */
            pthread_t thread;
            CHECK(pthread_create(&thread, NULL, grow, &blocks[0]) == 0);
            CHECK(pthread_join(thread, (void **)&blocks[0]) == 0 && blocks[0] != NULL);
        }
        for (int step = 1; step <= NR_STEPS; step++)
            CHECK(blocks[0][(size_t)step * MIB - 1] == step);
        CHECK(kib_of("VmHWM") < 16 << 10);
    }
    for (int which = 0; which < 2; which++)
        CHECK((blocks[which] = incro_realloc(blocks[which], MIB)) != NULL);
    long faults = nr_faults();
    for (int step = 1; step <= NR_STEPS; step++)
        for (int which = 0; which < 2; which++) {
            CHECK((blocks[which] = incro_realloc(blocks[which], (size_t)step * MIB)) != NULL);
            memset(blocks[which] + (size_t)(step - 1) * MIB, step + which, MIB);
        }
    CHECK((uintptr_t)blocks[1] % (1 << 13) == 0);
    CHECK(nr_faults() - faults < 3L * NR_STEPS * MIB / 4096);
    CHECK(kib_of("VmHWM") < (2 * NR_STEPS + 16) * (MIB >> 10));
    for (int which = 0; which < 2; which++)
        for (size_t at = 0; at < (size_t)NR_STEPS * MIB; at++)
            CHECK(blocks[which][at] == (char)(at / MIB + 1 + (size_t)which));
    CHECK(incro_malloc_check() == 0);
    incro_free(blocks[0]);
    incro_free(blocks[1]);
    CHECK(incro_malloc_check() == 0 && nr_mappings() < before + 10);
    return 0;
}
"""
)


@pytest.mark.parametrize('level', LEVELS)
def test_large_blocks_are_not_copied_to_grow(level: str, tmp_path: Path) -> None:
    program = compile_program(tmp_path, GROWTH, library(is_malloc=False, hardening=level))
    done = run([str(program), *(['dense'] if level == 'full' else [])])
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


# A block that was moved by its pages, and is freed where the limit lets nothing be mapped: its frames go back.
FREED_UNDER_A_LIMIT: Final = (
    SPACE
    + """
#include <fcntl.h>

static long resident_kib(void) /* without malloc, which the limit refuses */
{
    char text[128] = "";
    int file = open("/proc/self/statm", O_RDONLY);
    long length = read(file, text, sizeof text - 1);
    close(file);
    return length > 0 ? atol(strchr(text, ' ')) * 4 : -1;
}

int main(void)
{
    char *block = incro_malloc(1 << 20);
    for (size_t nbytes = 2 << 20; nbytes <= 64 << 20; nbytes += 2 << 20) {
        char *behind = incro_malloc(1 << 20); /* so that it cannot grow where it is */
        CHECK((block = incro_realloc(block, nbytes)) != NULL && behind != NULL);
        memset(block, 1, nbytes);
        incro_free(behind);
    }
    CHECK(set_limit(RLIMIT_AS, 20 << 20) == 0);
    incro_free(block);
    incro_malloc_trim();
    CHECK(resident_kib() < 16 << 10);
    CHECK(set_limit(RLIMIT_AS, RLIM_INFINITY) == 0);
    CHECK((block = incro_calloc(1, 60 << 20)) != NULL && block[30 << 20] == 0);
    memset(block, 1, 60 << 20);
    CHECK(resident_kib() < 80 << 10);
    CHECK(incro_malloc_check() == 0);
    return 0;
}
"""
)

PROGRAMS: Final = {
    'zeros': ZEROS,
    'mapped': MAPPED,
    'locked': LOCKED,
    'limited': LIMITED,
    'neighbours': NEIGHBOURS,
    'freed under a limit': FREED_UNDER_A_LIMIT,
}


@pytest.mark.parametrize('level', LEVELS)
@pytest.mark.parametrize('name', PROGRAMS)
def test_address_space(name: str, level: str, tmp_path: Path) -> None:
    done = run([str(compile_program(tmp_path, PROGRAMS[name], library(is_malloc=False, hardening=level)))])
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


@pytest.mark.parametrize('level', LEVELS)
def test_each_thread_has_a_heap_under_a_small_limit(level: str, tmp_path: Path) -> None:
    program = compile_program(tmp_path, SMALL, library(is_malloc=False, hardening=level))
    done = run(['sh', '-c', f'ulimit -v 30000 && exec {program}'])
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


# ------------------------------------------------------------------ a mmap in front of the system's
HUGE_PAGES: Final = """
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
void *mmap(void *at, size_t nbytes, int how, int flags, int fd, off_t offset)
{
    void *found = (void *)syscall(SYS_mmap, at, nbytes, how, flags, fd, offset);
    if (found != MAP_FAILED && (flags & MAP_ANONYMOUS) && !(flags & MAP_STACK))
        madvise(found, nbytes, MADV_HUGEPAGE);
    return found;
}
"""
NO_AREA: Final = """
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
void *mmap(void *at, size_t nbytes, int how, int flags, int fd, off_t offset)
{
    if ((uintptr_t)at >= 1UL << 44 && (uintptr_t)at < 3UL << 44) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, at, nbytes, how, flags, fd, offset);
}
"""

# Linux before 4.17 does not know a flag, and takes the address for a hint.
OLD_LINUX: Final = """
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
void *mmap(void *at, size_t nbytes, int how, int flags, int fd, off_t offset)
{
    return (void *)syscall(SYS_mmap, at, nbytes, how, flags & ~0x100000, fd, offset);
}
"""

IDLE: Final = (
    SPACE
    + """
#define THREADS 40
static pthread_barrier_t all;

static void *idle(void *unused)
{
    void *small = incro_malloc(100), *large = incro_malloc(5000);
    pthread_barrier_wait(&all);
    pthread_barrier_wait(&all);
    incro_free(small);
    incro_free(large);
    return unused;
}

int main(void)
{
    pthread_t threads[THREADS];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 << 10);
    pthread_barrier_init(&all, NULL, THREADS + 1);
    long before = kib_of("VmRSS");
    for (int number = 0; number < THREADS; number++)
        CHECK(pthread_create(&threads[number], &attributes, idle, NULL) == 0);
    pthread_barrier_wait(&all);
    CHECK(kib_of("VmRSS") - before < THREADS * 300);
    pthread_barrier_wait(&all);
    for (int number = 0; number < THREADS; number++)
        CHECK(pthread_join(threads[number], NULL) == 0);
    return 0;
}
"""
)

WORK: Final = (
    SPACE
    + """
static char done;

static void *work(void *unused)
{
    (void)unused;
    for (size_t nbytes = 1; nbytes < 3 << 20; nbytes += nbytes / 3 + 1) {
        char *block = incro_malloc(nbytes);
        if (block == NULL)
            return NULL;
        memset(block, 1, nbytes);
        incro_free(block);
    }
    return &done;
}

int main(void)
{
    for (int number = 0; number < 5; number++) {
        pthread_t thread;
        void *answer;
        CHECK(pthread_create(&thread, NULL, work, NULL) == 0 && pthread_join(thread, &answer) == 0);
        CHECK(answer == &done && work(NULL) == &done);
    }
    return incro_malloc_check();
}
"""
)


@pytest.mark.parametrize('level', LEVELS)
@pytest.mark.parametrize(
    ('front', 'program'),
    [(HUGE_PAGES, IDLE), (NO_AREA, WORK), (OLD_LINUX, NEIGHBOURS)],
    ids=['huge', 'no area', 'old'],
)
def test_address_space_behind_another_mmap(front: str, program: str, level: str, tmp_path: Path) -> None:
    (tmp_path / 'front').mkdir()
    other = compile_library(tmp_path / 'front', front)
    built = compile_program(tmp_path, program, library(is_malloc=False, hardening=level), libraries=(other,))
    done = run([str(built)], preload=other)
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
