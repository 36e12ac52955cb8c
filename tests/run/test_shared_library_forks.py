"""The hosted heap where processes fork: in signal handlers, while threads begin and end, with other fork handlers."""

import subprocess
from pathlib import Path
from typing import Final

import pytest

from incroos.run.names import LEVELS

from ..budget import FULL, SECONDS
from .heap_programs import compile_program, library, run_group

NR_FORKS: Final = 3000 if FULL else 300

HEAD: Final = """
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#define CHECK(x) do { if (!(x)) { printf("line %d: %s\\n", __LINE__, #x); fflush(stdout); _exit(1); } } while (0)
"""

# Forks of which each child ends as it should; in a signal handler every 300 microseconds, in whichever thread.
SIGNALS: Final = (
    HEAD
    + """
static volatile int nr_forks, nr_wrong;

static void fork_now(int signal)
{
    int before = errno, status = 1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(signal == SIGALRM ? 7 : 8);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    nr_wrong += status != 7 << 8;
    nr_forks++;
    errno = before;
}

static void set_timer(int microseconds)
{
    struct itimerval often = {{0, microseconds}, {0, microseconds}};
    setitimer(ITIMER_REAL, &often, NULL);
}

static void begin_forks(void)
{
    struct sigaction action = {.sa_handler = fork_now, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    set_timer(300);
}
"""
)

BLOCKS: Final = """
#define NR_BLOCKS 2000
static uint64_t *blocks[NR_BLOCKS];

static void change_blocks(int nr_steps)
{
    static unsigned random = 1;
    while (nr_steps-- > 0) {
        random = random * 1103515245 + 12345;
        unsigned number = (random >> 8) % NR_BLOCKS;
        if (blocks[number] != NULL) {
            CHECK(*blocks[number] == number + 1);
            free(blocks[number]);
            blocks[number] = NULL;
        } else {
            blocks[number] = malloc((random >> 4) % 64 ? 8 : 4000);
            *blocks[number] = number + 1;
        }
    }
}
"""

IN_A_CALL: Final = (
    SIGNALS
    + BLOCKS
    + """
int main(void)
{
    begin_forks();
    while (nr_forks < NR_FORKS)
        change_blocks(1000);
    set_timer(0);
    CHECK(nr_wrong == 0);
    return 0;
}
"""
)

# A thread that begins and ends has a destructor that runs after the heap's own, when the thread has no heap.
IN_A_THREADS_END: Final = (
    SIGNALS
    + """
static pthread_key_t late;

static void end_late(void *block)
{
    uint64_t *ptr = block;
    if (*ptr < 3) {
        uint64_t *other = malloc(100);
        *other = *ptr + 1;
        free(ptr);
        pthread_setspecific(late, other);
    } else {
        free(ptr);
    }
}

static void *work(void *block)
{
    uint64_t *ptr = malloc(100), *large = malloc(300000);
    *ptr = 0;
    pthread_setspecific(late, ptr);
    free(block);
    free(large);
    return malloc(50);
}

static int child(void)
{
    pthread_t thread;
    void *block;
    for (int round = 0; round < 3; round++) {
        CHECK(pthread_create(&thread, NULL, work, malloc(10)) == 0 && pthread_join(thread, &block) == 0);
        free(block);
    }
    return 7;
}

static volatile int is_over;

static void *begin_and_end(void *unused)
{
    while (!is_over) {
        pthread_t thread;
        void *block;
        CHECK(pthread_create(&thread, NULL, work, malloc(10)) == 0 && pthread_join(thread, &block) == 0);
        free(block);
    }
    return unused;
}

int main(void)
{
    pthread_key_create(&late, end_late);
    pthread_t threads[2];
    for (int number = 0; number < 2; number++)
        CHECK(pthread_create(&threads[number], NULL, begin_and_end, NULL) == 0);
    for (int round = 0; round < NR_FORKS / 4; round++) { /* outside of signal handlers, so that children may do more */
        pid_t pid = fork();
        int status;
        if (pid == 0)
            _exit(child());
        CHECK(waitpid(pid, &status, 0) == pid && status == 7 << 8);
    }
    begin_forks();
    while (nr_forks < NR_FORKS)
        usleep(1000);
    set_timer(0);
    is_over = 1;
    for (int number = 0; number < 2; number++)
        CHECK(pthread_join(threads[number], NULL) == 0);
    CHECK(nr_wrong == 0);
    return 0;
}
"""
)

PROGRAMS: Final = {'in a call': IN_A_CALL, "in a thread's end": IN_A_THREADS_END}

# ------------------------------------------------------------------ with handlers of a library that is linked
# Its constructor runs before that of a library that is preloaded.
JOINING: Final = (
    HEAD
    + """
static pthread_t thread;
static int is_running;
static volatile int is_over;

static void *work(void *unused)
{
    do {
        char *block = malloc(1000);
        memset(block, 1, 1000);
        free(block);
    } while (!is_over);
    return unused;
}

static void start(void)
{
    is_over = 0;
    CHECK(pthread_create(&thread, NULL, work, NULL) == 0);
    is_running = 1;
}

static void end(void)
{
    is_over = 1;
    if (is_running)
        CHECK(pthread_join(thread, NULL) == 0);
    is_running = 0;
}

static void start_and_end(void)
{
    start();
    end();
}

static void __attribute__((constructor)) begin_handlers(void)
{
    pthread_atfork(end, start_and_end, start_and_end);
}

void before_the_fork(void)
{
    start();
}
"""
)

ALLOCATING: Final = (
    HEAD
    + """
static uint64_t *kept[10];

static void take(void)
{
    for (int number = 0; number < 10; number++) {
        kept[number] = malloc(8);
        *kept[number] = 500 + number;
    }
}

static void give(void)
{
    for (int number = 0; number < 10; number++) {
        CHECK(*kept[number] == 500u + number);
        free(kept[number]);
    }
    take();
    for (int number = 0; number < 10; number++)
        free(kept[number]);
}

static void __attribute__((constructor)) begin_handlers(void)
{
    pthread_atfork(take, give, give);
}

void before_the_fork(void)
{
}
"""
)

ONE_FORK: Final = (
    HEAD
    + """
void before_the_fork(void);
int main(void)
{
    for (int round = 0; round < 20; round++) {
        before_the_fork();
        pid_t pid = fork();
        int status;
        if (pid == 0) {
            before_the_fork();
            pid = fork(); /* in the child again */
            if (pid != 0)
                CHECK(waitpid(pid, &status, 0) == pid && status == 7 << 8);
            free(malloc(10));
            _exit(7);
        }
        CHECK(waitpid(pid, &status, 0) == pid && status == 7 << 8);
    }
    return 0;
}
"""
)

HANDLERS: Final = {
    'that join threads': (JOINING, ONE_FORK),
    'that allocate': (ALLOCATING, ONE_FORK),
    'that allocate, in a signal handler': (ALLOCATING, IN_A_CALL),
}


def with_forks(source: str) -> str:
    return f'#define NR_FORKS {NR_FORKS}\n{source}'


@pytest.mark.parametrize('level', LEVELS)
@pytest.mark.parametrize('name', PROGRAMS)
def test_a_signal_handler_forks(name: str, level: str, tmp_path: Path) -> None:
    done = run_group([str(compile_program(tmp_path, with_forks(PROGRAMS[name]), library(hardening=level)))])
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


@pytest.mark.parametrize('level', LEVELS)
@pytest.mark.parametrize('name', HANDLERS)
def test_other_libraries_have_fork_handlers(name: str, level: str, tmp_path: Path) -> None:
    handlers, program = HANDLERS[name]
    (tmp_path / 'handlers.c').write_text(with_forks(handlers))
    command = ['cc', '-Wall', '-Werror', '-O1', '-shared', '-fPIC', '-pthread', 'handlers.c', '-o', 'libhandlers.so']
    subprocess.run(command, cwd=tmp_path, check=True, timeout=SECONDS)
    heap = library(hardening=level)
    compiled = compile_program(tmp_path, with_forks(program), heap, libraries=(tmp_path / 'libhandlers.so',))
    done = run_group([str(compiled)], preload=heap)
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


# ------------------------------------------------------------------ namespaces of processes
@pytest.mark.parametrize('level', LEVELS)
def test_a_child_has_the_number_of_its_parent(level: str, tmp_path: Path) -> None:
    """As the first process of a namespace, when its child is the first of another one: the program says the number."""
    source = (
        HEAD
        + """
static pthread_key_t late, last;
static volatile int is_there, is_over;

pid_t getpid(void)
{
    return 1;
}

static void use_the_shared_heap(void *unused)
{
    (void)unused;
    free(malloc(100));
}

static void use_it_often(void *unused)
{
    is_there = 1;
    while (!is_over)
        use_the_shared_heap(unused);
}

static void *end_late(void *key)
{
    pthread_setspecific(*(pthread_key_t *)key, malloc(10));
    return NULL;
}

int main(void)
{
    pthread_t other, thread;
    pthread_key_create(&late, use_it_often); /* after that of the library, so the thread has no heap then */
    pthread_key_create(&last, use_the_shared_heap);
    CHECK(pthread_create(&other, NULL, end_late, &late) == 0);
    while (!is_there)
        usleep(100);
    for (int round = 0; round < 50; round++) {
        pid_t pid = fork();
        int status;
        if (pid == 0) {
            CHECK(pthread_create(&thread, NULL, end_late, &last) == 0 && pthread_join(thread, NULL) == 0);
            _exit(7);
        }
        CHECK(waitpid(pid, &status, 0) == pid && status == 7 << 8);
    }
    is_over = 1;
    CHECK(pthread_join(other, NULL) == 0);
    return 0;
}
"""
    )
    done = run_group([str(compile_program(tmp_path, source, library(hardening=level)))])
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


# ------------------------------------------------------------------ copies without handlers
def test_a_copy_without_fork_handlers_allocates(tmp_path: Path) -> None:
    """As of _Fork: the thread that goes on has its heap, and gives back blocks of threads that are gone."""
    source = (
        HEAD
        + BLOCKS
        + """
static volatile int is_over;
static void *others[100];

static void *work(void *unused)
{
    while (!is_over)
        for (int number = 0; number < 100; number++)
            free(__atomic_exchange_n(&others[number], malloc(50), __ATOMIC_SEQ_CST));
    return unused;
}

int main(void)
{
    pthread_t threads[2];
    for (int number = 0; number < 2; number++)
        CHECK(pthread_create(&threads[number], NULL, work, NULL) == 0);
    for (int round = 0; round < 50; round++) {
        change_blocks(1000);
        pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
        int status;
        if (pid == 0) {
            change_blocks(1000);
            for (int number = 0; number < 100; number++)
                free(others[number]);
            _exit(7);
        }
        CHECK(waitpid(pid, &status, 0) == pid && status == 7 << 8);
        pid = vfork();
        if (pid == 0)
            _exit(7);
        CHECK(waitpid(pid, &status, 0) == pid && status == 7 << 8);
    }
    is_over = 1;
    for (int number = 0; number < 2; number++)
        CHECK(pthread_join(threads[number], NULL) == 0);
    return 0;
}
"""
    )
    done = run_group([str(compile_program(tmp_path, with_forks(source), library()))])
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
