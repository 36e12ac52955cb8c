"""The hosted heap with threads and forks: C programs that free across threads, end threads, and fork among them."""

from pathlib import Path
from typing import Final

import pytest

from incroos.run.names import HEAPS

from .heap_programs import compile_program, library, run
from .test_shared_library import HEAD

THREADS: Final = (
    HEAD
    + """
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned long random_of(unsigned long *state)
{
    *state = *state * 6364136223846793005UL + 1442695040888963407UL;
    return *state >> 33;
}

/* Each block says its size, and is full of a byte that depends on its address. */
static unsigned char byte_of(void *ptr)
{
    return (unsigned char)((uintptr_t)ptr >> 4 | 1);
}

static void *make(size_t nbytes)
{
    size_t *ptr = incro_malloc(nbytes);
    if (ptr == NULL)
        abort();
    ptr[0] = nbytes;
    memset(ptr + 1, byte_of(ptr), nbytes - sizeof *ptr);
    return ptr;
}

static __attribute__((unused)) void take(void *block)
{
    size_t *ptr = block, nbytes = ptr[0];
    unsigned char *bytes = block;
    for (size_t at = sizeof *ptr; at < nbytes; at++)
        if (bytes[at] != byte_of(block)) {
            printf("a byte of a block changed\\n");
            exit(1);
        }
    incro_free(block);
}

static __attribute__((unused)) size_t a_size(unsigned long *state)
{
    unsigned long kind = random_of(state) % 100;
    if (kind == 0)
        return 8 + random_of(state) % 200000;
    return 8 + random_of(state) % (kind < 20 ? 5000 : 300);
}
"""
)

# Threads exchange blocks through a table: who finds one in a place takes it and frees it.
EXCHANGE: Final = (
    THREADS
    + """
#define PLACES 512
static void *places[PLACES];

static void *work(void *seed)
{
    unsigned long state = (unsigned long)(uintptr_t)seed;
    for (int step = 0; step < 60000; step++) {
        void *mine = random_of(&state) % 2 ? make(a_size(&state)) : NULL;
        void *found = __atomic_exchange_n(&places[random_of(&state) % PLACES], mine, __ATOMIC_SEQ_CST);
        if (found != NULL && random_of(&state) % 8 == 0) {
            size_t nbytes = a_size(&state), had = *(size_t *)found;
            unsigned char byte = byte_of(found), *more = incro_realloc(found, nbytes);
            for (size_t at = 8; at < had && at < nbytes; at++)
                if (more[at] != byte)
                    abort();
            incro_free(more);
        } else if (found != NULL) {
            take(found);
        }
    }
    return NULL;
}

int main(void)
{
    for (int round = 0; round < 3; round++) {
        pthread_t threads[6];
        for (long number = 0; number < 6; number++)
            CHECK(pthread_create(&threads[number], NULL, work, (void *)(number + 10 * round + 1)) == 0);
        for (int number = 0; number < 6; number++)
            CHECK(pthread_join(threads[number], NULL) == 0);
        CHECK(incro_malloc_check() == 0);
    }
    for (int place = 0; place < PLACES; place++)
        if (places[place] != NULL)
            take(places[place]);
    return 0;
}
"""
)

# One thread after the other, more than there are slots: each gets the heap that the last one left, and its blocks.
ADOPTION: Final = (
    THREADS
    + """
static void *kept[100];

static void *work(void *number)
{
    for (int index = 0; index < 100; index++) {
        if (kept[index] != NULL)
            take(kept[index]);
        kept[index] = make(100 + (size_t)(uintptr_t)number % 900);
    }
    return kept[0];
}

int main(void)
{
    void *first = NULL;
    for (long number = 0; number < 3000; number++) {
        pthread_t thread;
        void *place;
        CHECK(pthread_create(&thread, NULL, work, (void *)number) == 0 && pthread_join(thread, &place) == 0);
        if (number == 0)
            first = place;
        CHECK((uintptr_t)place - (uintptr_t)first + (1 << 29) < 1 << 30); /* the same slot each time */
    }
    return 0;
}
"""
)

# More threads at a time than there are slots: the others share a heap.
SHARING: Final = (
    THREADS
    + """
#define THREADS 700
static pthread_barrier_t all_have_one;

static void *work(void *number)
{
    unsigned long state = (unsigned long)(uintptr_t)number;
    void *blocks[20];
    for (int index = 0; index < 20; index++)
        blocks[index] = make(a_size(&state));
    pthread_barrier_wait(&all_have_one);
    for (int index = 0; index < 20; index++)
        take(blocks[index]);
    return make(40);
}

int main(void)
{
    static pthread_t threads[THREADS];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 << 10);
    pthread_barrier_init(&all_have_one, NULL, THREADS);
    for (long number = 0; number < THREADS; number++)
        CHECK(pthread_create(&threads[number], &attributes, work, (void *)number) == 0);
    for (int number = 0; number < THREADS; number++) {
        void *block;
        CHECK(pthread_join(threads[number], &block) == 0);
        take(block);
    }
    return 0;
}
"""
)

# Forks while other threads are in the middle of calls: the child uses and frees what was there.
FORKS: Final = (
    THREADS
    + """
static void *others[64];
static volatile int is_over;

static void *work(void *seed)
{
    unsigned long state = (unsigned long)(uintptr_t)seed;
    while (!is_over) {
        void *found = __atomic_exchange_n(&others[random_of(&state) % 64], make(a_size(&state)), __ATOMIC_SEQ_CST);
        if (found != NULL)
            take(found);
    }
    return NULL;
}

static void *a_thread_of_the_child(void *unused)
{
    unsigned long state = 7;
    for (int step = 0; step < 1000; step++)
        take(make(a_size(&state)));
    return unused;
}

static int child(void *mine)
{
    unsigned long state = 5;
    take(mine);
    for (int step = 0; step < 1000; step++)
        take(make(a_size(&state)));
    for (int index = 0; index < 64; index++)
        incro_free(others[index]); /* of heaps that are lost; some may be half made, so none is looked at */
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, a_thread_of_the_child, NULL) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(incro_malloc_check() == 0);
    return 0;
}

int main(void)
{
    pthread_t threads[3];
    void *mine = make(1000);
    for (long number = 0; number < 3; number++)
        CHECK(pthread_create(&threads[number], NULL, work, (void *)(number + 1)) == 0);
    for (int round = 0; round < 60; round++) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            alarm(20);
            exit(child(mine));
        }
        int status;
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    }
    is_over = 1;
    for (int number = 0; number < 3; number++)
        CHECK(pthread_join(threads[number], NULL) == 0);
    return 0;
}
"""
)

PROGRAMS: Final = {'exchange': EXCHANGE, 'adoption': ADOPTION, 'sharing': SHARING, 'forks': FORKS}


@pytest.mark.parametrize('name', PROGRAMS)
def test_threads_in_c(name: str, tmp_path: Path) -> None:
    done = run([str(compile_program(tmp_path, PROGRAMS[name], library(is_malloc=False)))])
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


@pytest.mark.parametrize('design', [design for design in HEAPS if design != 'kmalloc'])
def test_blocks_change_hands_in_each_design(design: str, tmp_path: Path) -> None:
    done = run([str(compile_program(tmp_path, EXCHANGE, library(design, is_malloc=False)))])
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


@pytest.mark.parametrize('when', ['at once', 'later'])
def test_a_block_that_two_threads_free_ends_the_process(when: str, tmp_path: Path) -> None:
    source = (
        THREADS
        + """
static void *work(void *block)
{
    incro_free(block);
    return block;
}

int main(void)
{
    void *block = make(64), *other = make(64);
    for (int number = 0; number < 3; number++) {
        pthread_t thread;
        pthread_create(&thread, NULL, work, number != OTHER ? block : other);
        pthread_join(thread, NULL);
    }
    for (int number = 0; number < 1000; number++)
        make(64);
    return 0;
}
"""
    ).replace('OTHER', '1' if when == 'later' else '2')
    done = run([str(compile_program(tmp_path, source, library(is_malloc=False)))])
    assert done.returncode == -6
    assert 'freed twice' in done.stderr


def test_memory_that_runs_out_is_enomem(tmp_path: Path) -> None:
    source = (
        HEAD
        + """
#include <sys/resource.h>
int main(void)
{
    size_t total = 0;
    void *last = NULL, *block;
    errno = 0;
    for (size_t nbytes = 100000; nbytes >= 10; nbytes /= 10)
        while ((block = incro_malloc(nbytes)) != NULL) {
            *(void **)block = last;
            last = block;
            total += nbytes;
        }
    CHECK(errno == ENOMEM && total > 10000000 && incro_malloc_check() == 0);
    for (; last != NULL; last = block) {
        block = *(void **)last;
        incro_free(last);
    }
    CHECK((block = incro_malloc(1000000)) != NULL && incro_malloc_check() == 0);
    incro_free(block);
    return 0;
}
"""
    )
    program = compile_program(tmp_path, source, library(is_malloc=False))
    done = run(['sh', '-c', f'ulimit -v 200000 && exec {program}'])
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
