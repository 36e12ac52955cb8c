"""The hosted heap in a program that unloads it, and under a filter for system calls."""

import subprocess
from pathlib import Path
from typing import Final

import pytest

from incroos.run.names import LEVELS

from ..budget import SECONDS
from .heap_programs import compile_program, library, run_group

# A thread loads the library, uses it and unloads it. Its blocks stay, and it ends after that.
UNLOADING: Final = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#define CHECK(x) do { if (!(x)) { printf("line %d: %s\\n", __LINE__, #x); return NULL; } } while (0)

static char *first;

static void *work(void *path)
{
    void *heap = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CHECK(heap != NULL);
    void *(*take)(size_t) = (void *(*)(size_t))dlsym(heap, "incro_malloc");
    void (*give)(void *) = (void (*)(void *))dlsym(heap, "incro_free");
    int (*check)(void) = (int (*)(void))dlsym(heap, "incro_malloc_check");
    if (first != NULL)
        CHECK(strcmp(first, "kept") == 0);
    give(first); /* of a thread that ended after it had unloaded the library */
    first = take(100);
    strcpy(first, "kept");
    give(take(5000));
    CHECK(check() == 0);
    CHECK(dlclose(heap) == 0);
    return path;
}

int main(int nr_arguments, char **arguments)
{
    for (int round = 0; round < 5; round++) {
        pthread_t thread;
        void *answer = NULL;
        if (pthread_create(&thread, NULL, work, arguments[nr_arguments - 1]) != 0)
            return 2;
        if (pthread_join(thread, &answer) != 0 || answer == NULL)
            return 3;
        pid_t pid = fork();
        int status;
        if (pid == 0)
            _exit(7);
        if (waitpid(pid, &status, 0) != pid || status != 7 << 8)
            return 4;
    }
    return 0;
}
"""


# A filter as that of a server's child kills for all but a few system calls, of madvise for all but a few advices, once
# the first block is there. Threads need some more.
FILTERED: Final = """
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "incro_heap.h"
#define CHECK(x) do { if (!(x)) _exit(__LINE__ % 256); } while (0)

static const int allowed[] = {
    SYS_brk, SYS_clock_nanosleep, SYS_exit, SYS_exit_group, SYS_futex, SYS_getpid, SYS_getrandom, SYS_gettid,
    SYS_mremap, SYS_munmap, SYS_nanosleep, SYS_read, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_write,
    SYS_clone, 435 /* clone3 */, 334 /* rseq */, SYS_set_robust_list,
};
static const int advices[] = {MADV_NORMAL, MADV_DONTNEED, 8 /* free */, MADV_DONTFORK, MADV_DONTDUMP, 18};
static struct sock_filter filter[200];
static unsigned short nr_steps;

static void add(unsigned short code, unsigned k, unsigned char if_true, unsigned char if_false)
{
    filter[nr_steps++] = (struct sock_filter){code, if_true, if_false, k};
}

static void allow_if(unsigned short how, unsigned k)
{
    add(BPF_JMP | BPF_K | how, k, 0, 1);
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
}

static void begin_filter(void)
{
    const unsigned load = BPF_LD | BPF_W | BPF_ABS;
    add(load, offsetof(struct seccomp_data, nr), 0, 0);
    for (size_t number = 0; number < sizeof allowed / sizeof *allowed; number++)
        allow_if(BPF_JEQ, (unsigned)allowed[number]);
    add(BPF_JMP | BPF_K | BPF_JEQ, SYS_madvise, 0, 1 + 2 * sizeof advices / sizeof *advices);
    add(load, offsetof(struct seccomp_data, args[2]), 0, 0);
    for (size_t number = 0; number < sizeof advices / sizeof *advices; number++)
        allow_if(BPF_JEQ, (unsigned)advices[number]);
    add(load, offsetof(struct seccomp_data, nr), 0, 0); /* an advice is no number of one of these two */
    add(BPF_JMP | BPF_K | BPF_JEQ, SYS_mmap, 1, 0);
    add(BPF_JMP | BPF_K | BPF_JEQ, SYS_mprotect, 0, 3);
    add(load, offsetof(struct seccomp_data, args[2]), 0, 0);
    add(BPF_JMP | BPF_K | BPF_JSET, PROT_EXEC, 1, 0);
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    add(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
    struct sock_fprog program = {nr_steps, filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void *work(void *unused)
{
    enum { NR_BLOCKS = 300 };
    static char *blocks[NR_BLOCKS];
    for (size_t nbytes = 10; nbytes < 20000000; nbytes *= 3) {
        size_t most = 50000000 / nbytes, nr_blocks = most < NR_BLOCKS ? most : NR_BLOCKS;
        for (size_t number = 0; number < nr_blocks; number++) {
            char *block = number % 3 == 0 ? incro_calloc(nbytes, 1) : incro_malloc(nbytes);
            CHECK(block != NULL);
            memset(block, 1, nbytes);
            blocks[number] = incro_realloc(block, nbytes + nbytes / (number % 5 + 1));
            CHECK(blocks[number] != NULL);
        }
        for (size_t number = 0; number < nr_blocks; number++)
            incro_free(blocks[number]);
        incro_free(incro_memalign(65536, nbytes));
    }
    incro_malloc_trim();
    return incro_malloc_check() == 0 ? blocks : unused;
}

/* Runs when the heap of its thread is gone: all of them are in one heap, and wait for each other. */
static pthread_key_t late;

static void end_late(void *number)
{
    if (number < (void *)2)
        CHECK(pthread_setspecific(late, (char *)number + 1) == 0);
    else
        for (int step = 0; step < 30000; step++)
            incro_free(incro_malloc(2000));
}

static void *wait_at_the_end(void *unused)
{
    incro_free(incro_malloc(10));
    CHECK(pthread_setspecific(late, (void *)1) == 0);
    return unused;
}

int main(void)
{
    CHECK(pthread_key_create(&late, end_late) == 0);
    incro_free(incro_malloc(10));
    begin_filter();
    CHECK(work(NULL) != NULL);
    pthread_t thread;
    void *answer;
    CHECK(pthread_create(&thread, NULL, work, NULL) == 0 && pthread_join(thread, &answer) == 0 && answer != NULL);
    pthread_t threads[6];
    for (int number = 0; number < 6; number++)
        CHECK(pthread_create(&threads[number], NULL, wait_at_the_end, NULL) == 0);
    for (int number = 0; number < 6; number++)
        CHECK(pthread_join(threads[number], NULL) == 0);
    _exit(0);
}
"""


def compiled(folder: Path, source: str) -> str:
    """A program that knows nothing of the library."""
    (folder / 'program.c').write_text(source)
    command = ['cc', '-Wall', '-Werror', '-O1', '-pthread', '-fno-builtin', 'program.c', '-o', 'program', '-ldl']
    subprocess.run(command, cwd=folder, check=True, timeout=SECONDS)
    return str(folder / 'program')


@pytest.mark.parametrize('level', LEVELS)
def test_a_thread_ends_after_it_unloaded_the_library(level: str, tmp_path: Path) -> None:
    heap = library(is_malloc=False, hardening=level)
    done = run_group([compiled(tmp_path, UNLOADING), str(heap)])
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


@pytest.mark.parametrize('level', LEVELS)
def test_a_filter_kills_for_other_system_calls(level: str, tmp_path: Path) -> None:
    program = compile_program(tmp_path, FILTERED, library(is_malloc=False, hardening=level))
    done = run_group([str(program)])
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


# A thread whose first call is a free gets no heap, for the address space is at its limit.
FREEING: Final = """
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/resource.h>
#include "incro_heap.h"
#define CHECK(x) do { if (!(x)) { printf("line %d: %s\\n", __LINE__, #x); return 1; } } while (0)
#define NR_BLOCKS 100
#define NR_BYTES 200000

static char *blocks[NR_BLOCKS];
static sem_t may_free;

static void *free_all(void *answer)
{
    sem_wait(&may_free);
    if (incro_malloc(10) == NULL && errno == ENOMEM) /* there is no heap for this thread */
        *(int *)answer = 1;
    for (int number = 0; number < NR_BLOCKS; number++)
        incro_free(blocks[number]);
    return NULL;
}

int main(void)
{
    int answer = 0, nr_again = 0;
    pthread_t thread;
    struct rlimit limit;
    for (int number = 0; number < NR_BLOCKS; number++)
        blocks[number] = incro_malloc(NR_BYTES);
    CHECK(sem_init(&may_free, 0, 0) == 0 && pthread_create(&thread, NULL, free_all, &answer) == 0);
    long nr_pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%ld", &nr_pages) == 1 && fclose(file) == 0);
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = (rlim_t)nr_pages * 4096;
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0 && sem_post(&may_free) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(answer == 1);
    for (int number = 0; number < NR_BLOCKS; number++) { /* there is only the memory that was freed */
        char *block = incro_malloc(NR_BYTES);
        CHECK(block != NULL);
        for (int other = 0; other < NR_BLOCKS; other++)
            nr_again += block == blocks[other];
    }
    CHECK(nr_again > NR_BLOCKS / 2 && incro_malloc_check() == 0);
    return 0;
}
"""


@pytest.mark.parametrize('level', LEVELS)
def test_a_thread_without_a_heap_frees(level: str, tmp_path: Path) -> None:
    program = compile_program(tmp_path, FREEING, library(is_malloc=False, hardening=level))
    done = run_group([str(program)])
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
