"""A stress of the hosted heap: all that a process does around it at once, with blocks that say whose they are.

Threads begin and end, hand blocks to each other, fork, load and unload a library and change the limit of the address
space; a signal handler forks in any of them. Each word of a block is a number that no other block has, so that two
owners of a byte are seen by the one who frees it first.
"""

from pathlib import Path
from typing import Final

import pytest

from incroos.run.names import LEVELS

from ..budget import FULL
from .heap_programs import compile_program, library, run_group

NR_THREADS: Final = 400 if FULL else 24
NR_STEPS: Final = 20_000 if FULL else 6_000

STRESS: Final = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "incro_heap.h"

static void fail(const char *text)
{
    ssize_t written = write(1, text, strlen(text));
    _exit(written > 0 ? 1 : 2);
}
#define TEXT(line) #line
#define LINE(line) TEXT(line)
#define CHECK(x) do { if (!(x)) fail("line " LINE(__LINE__) ": " #x "\\n"); } while (0)

/* ------------------------------------------------------------------ blocks */
struct block {
    size_t nr_words; /* with this one */
    uint64_t words[];
};
static uint64_t nr_blocks;

static unsigned random_below(uint64_t *state, unsigned limit)
{
    *state = *state * 6364136223846793005UL + 1442695040888963407UL;
    return (unsigned)(*state >> 33) % limit;
}

static size_t a_size(uint64_t *state)
{
    unsigned kind = random_below(state, 200);
    return 2 + random_below(state, kind == 0 ? 100000 : kind < 30 ? 1000 : 40);
}

static struct block *note(struct block *block, size_t nr_words)
{
    if (block == NULL) {
        CHECK(errno == ENOMEM);
        return NULL;
    }
    uint64_t number = __atomic_add_fetch(&nr_blocks, 1, __ATOMIC_RELAXED) << 20 | (getpid() & 0xFFFFF);
    block->nr_words = nr_words;
    for (size_t at = 0; at < nr_words - 1; at++)
        block->words[at] = number;
    return block;
}

static struct block *take(uint64_t *state)
{
    size_t nr_words = a_size(state);
    void *ptr = NULL;
    switch (random_below(state, 8)) {
    case 0:
        ptr = calloc(nr_words, 8);
        for (size_t at = 0; ptr != NULL && at < nr_words; at++)
            CHECK(((uint64_t *)ptr)[at] == 0);
        break;
    case 1:
        if (posix_memalign(&ptr, (size_t)64 << random_below(state, 8), nr_words * 8) != 0)
            errno = ENOMEM;
        break;
    default:
        ptr = malloc(nr_words * 8);
    }
    return note(ptr, nr_words);
}

static void check(const struct block *block, size_t nr_words)
{
    for (size_t at = 1; at < nr_words - 1; at++)
        CHECK(block->words[at] == block->words[0]);
}

static void give(struct block *block)
{
    if (block == NULL)
        return;
    check(block, block->nr_words);
    uint64_t *words = block->words;
    words[0] = 0; /* who frees it too sees so */
    free(block);
}

static struct block *change(uint64_t *state, struct block *block)
{
    if (block == NULL)
        return NULL;
    size_t had = block->nr_words, nr_words = a_size(state);
    struct block *new = realloc(block, nr_words * 8);
    if (new == NULL) {
        CHECK(errno == ENOMEM && block->nr_words == had);
        return block;
    }
    CHECK(new->nr_words == had);
    check(new, had < nr_words ? had : nr_words);
    return note(new, nr_words);
}

/* ------------------------------------------------------------------ what threads do */
#define NR_PLACES 256
static struct block *places[NR_PLACES]; /* who finds a block here has it */
#define NR_OWN 100
struct thread {
    uint64_t random;
    struct block *own[NR_OWN];
    int is_first;
};

#define NR_AT_ONCE 5
static struct thread running[NR_AT_ONCE];

static void change_blocks(struct thread *thread, int nr_steps)
{
    for (int step = 0; step < nr_steps; step++) {
        struct block **own = &thread->own[random_below(&thread->random, NR_OWN)];
        switch (random_below(&thread->random, 8)) {
        case 0:
            own = &places[random_below(&thread->random, NR_PLACES)];
            give(__atomic_exchange_n(own, take(&thread->random), __ATOMIC_SEQ_CST));
            break;
        case 1:
            *own = change(&thread->random, *own);
            break;
        default:
            give(*own);
            *own = random_below(&thread->random, 3) > 0 ? take(&thread->random) : NULL;
        }
    }
}

static void give_all(struct thread *thread)
{
    for (int number = 0; number < NR_OWN; number++) {
        give(thread->own[number]);
        thread->own[number] = NULL;
    }
    CHECK(incro_malloc_check() == 0);
}

static pthread_key_t late;

/* Runs several times, also after the thread's heap is gone. */
static void end_late(void *ptr)
{
    struct thread *thread = ptr;
    change_blocks(thread, 20);
    if (thread->is_first++ < 3)
        CHECK(pthread_setspecific(late, thread) == 0);
    else
        for (int number = 0; number < NR_OWN; number++)
            give(thread->own[number]);
}

static void *a_short_thread(void *unused)
{
    struct thread thread = {.random = 3};
    change_blocks(&thread, 300);
    give_all(&thread);
    return unused;
}

static void set_limit(rlim_t nbytes)
{
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = nbytes;
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

static int child(struct thread *thread, int may_fork);

static void wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        CHECK(errno == EINTR);
    CHECK(status == 7 << 8);
}

static sigset_t forks;

static void fork_now(struct thread *thread, int may_fork)
{
    pthread_sigmask(SIG_BLOCK, &forks, NULL); /* the system's own fork cannot be begun in the middle of another */
    pid_t pid = fork();
    if (pid == 0)
        _exit(child(thread, may_fork));
    pthread_sigmask(SIG_UNBLOCK, &forks, NULL);
    if (pid > 0)
        wait_for(pid);
}

static int child(struct thread *thread, int may_fork)
{
    if (random_below(&thread->random, 2) == 0)
        set_limit(RLIM_INFINITY);
    change_blocks(thread, 300);
    pthread_t other;
    int has_other = pthread_create(&other, NULL, a_short_thread, NULL) == 0;
    if (may_fork)
        fork_now(thread, 0);
    for (int place = 0; place < NR_PLACES; place++)
        give(__atomic_exchange_n(&places[place], NULL, __ATOMIC_SEQ_CST));
    change_blocks(thread, 300);
    if (has_other)
        CHECK(pthread_join(other, NULL) == 0);
    give_all(thread);
    return 7;
}

static void fork_in_a_signal(int signal)
{
    int before = errno;
    pid_t pid = fork();
    if (pid == 0)
        _exit(signal == SIGALRM ? 7 : 8);
    if (pid > 0)
        wait_for(pid);
    errno = before;
}

static void set_timer(int microseconds)
{
    struct itimerval often = {{0, microseconds}, {0, microseconds}};
    setitimer(ITIMER_REAL, &often, NULL);
}

static const char *library_path;

static void load_and_unload(struct thread *thread)
{
    pthread_sigmask(SIG_BLOCK, &forks, NULL);
    void *heap = dlopen(library_path, RTLD_NOW | RTLD_LOCAL);
    if (heap != NULL) {
        void *(*its_malloc)(size_t);
        void (*its_free)(void *);
        *(void **)&its_malloc = dlsym(heap, "incro_malloc");
        *(void **)&its_free = dlsym(heap, "incro_free");
        char *ptr = its_malloc(100 + random_below(&thread->random, 5000));
        if (ptr != NULL)
            memset(ptr, 1, 100);
        its_free(ptr);
        CHECK(dlclose(heap) == 0);
    }
    pthread_sigmask(SIG_UNBLOCK, &forks, NULL);
}

static void *work(void *number)
{
    struct thread *thread = &running[(uintptr_t)number % NR_AT_ONCE];
    *thread = (struct thread){.random = (uint64_t)(uintptr_t)number};
    int has_late = pthread_setspecific(late, thread) == 0;
    for (int step = 0; step < NR_STEPS; step += 20) {
        change_blocks(thread, 20);
        switch (random_below(&thread->random, 60)) {
        case 0:
            fork_now(thread, 1);
            break;
        case 1:
            load_and_unload(thread);
            break;
        case 2:
            set_limit(random_below(&thread->random, 2) ? RLIM_INFINITY : (rlim_t)1 << 20); /* below what is in use */
            break;
        case 3:
            set_limit(RLIM_INFINITY);
            break;
        case 4:
            incro_malloc_trim();
            break;
        }
    }
    if (!has_late)
        give_all(thread);
    return NULL;
}

int main(int nr_arguments, char **arguments)
{
    pthread_t threads[NR_AT_ONCE];
    library_path = arguments[nr_arguments - 1];
    CHECK(pthread_key_create(&late, end_late) == 0);
    sigemptyset(&forks);
    sigaddset(&forks, SIGALRM);
    struct sigaction action = {.sa_handler = fork_in_a_signal, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    set_timer(1000);
    int nr_begun = 0, nr_ended = 0;
    while (nr_ended < NR_THREADS) {
        while (nr_begun < NR_THREADS && nr_begun - nr_ended < NR_AT_ONCE) {
            if (pthread_create(&threads[nr_begun % NR_AT_ONCE], NULL, work, (void *)(uintptr_t)nr_begun) == 0)
                nr_begun++;
            else
                set_limit(RLIM_INFINITY);
        }
        CHECK(pthread_join(threads[nr_ended++ % NR_AT_ONCE], NULL) == 0);
    }
    set_timer(0);
    set_limit(RLIM_INFINITY);
    for (int place = 0; place < NR_PLACES; place++)
        give(places[place]);
    CHECK(incro_malloc_check() == 0);
    return 0;
}
"""


@pytest.mark.parametrize('level', LEVELS)
def test_all_at_once(level: str, tmp_path: Path) -> None:
    source = f'#define NR_THREADS {NR_THREADS}\n#define NR_STEPS {NR_STEPS}\n{STRESS}'
    program = compile_program(tmp_path, source, library(hardening=level))
    done = run_group([str(program), str(library(is_malloc=False, hardening=level))])
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
