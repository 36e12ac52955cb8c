"""What a process gets back of what it freed: used again, or given back to the system, whichever thread freed it.

C programs that look at their own resident pages. Bounds are far from what is found and from what was found before.
"""

from pathlib import Path
from typing import Final

import pytest

from .heap_programs import compile_program, library, run
from .test_shared_library import HEAD

LEVELS: Final = ('off', 'cheap', 'full')
MIB: Final = 64  # that are live at a time

RESIDENT: Final = (
    HEAD
    + f"""
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#define LIVE ((size_t){MIB} << 20)
"""
    + """
/* In MiB, less what is there from the start. */
static long resident(void)
{
    static long at_start;
    long pages = 0, in_all;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld %ld", &in_all, &pages) != 2)
        abort();
    fclose(file);
    if (at_start == 0)
        at_start = pages;
    return (pages - at_start) >> 8;
}

static void **blocks;
static size_t nr_blocks;

static __attribute__((unused)) void fill(size_t nbytes)
{
    for (size_t at = 0; at < nr_blocks; at++) {
        blocks[at] = incro_malloc(nbytes);
        memset(blocks[at], 1, nbytes);
    }
}

static __attribute__((unused)) void begin(size_t nbytes)
{
    nr_blocks = LIVE / nbytes;
    blocks = calloc(nr_blocks, sizeof *blocks);
    memset(blocks, 1, nr_blocks * sizeof *blocks);
    incro_free(incro_malloc(1)); /* the first thread has a heap of its own from now on */
    resident();
}
"""
)

OF_ANOTHER_THREAD: Final = (
    RESIDENT
    + """
static pthread_barrier_t is_full, is_over;

static void *own_all(void *nbytes)
{
    fill((size_t)(uintptr_t)nbytes);
    pthread_barrier_wait(&is_full);
    if (OWNER_LIVES)
        pthread_barrier_wait(&is_over);
    return NULL;
}

int main(int nr_words, char **words)
{
    size_t nbytes = strtoul(words[nr_words - 1], NULL, 10);
    pthread_t owner;
    begin(nbytes);
    pthread_barrier_init(&is_full, NULL, 2);
    pthread_barrier_init(&is_over, NULL, 2);
    CHECK(pthread_create(&owner, NULL, own_all, (void *)nbytes) == 0);
    pthread_barrier_wait(&is_full);
    if (!OWNER_LIVES)
        CHECK(pthread_join(owner, NULL) == 0);
    if (IN_A_CHILD && fork() != 0) {
        int status;
        CHECK(wait(&status) > 0 && status == 0);
        return 0;
    }
    long full = resident();
    for (size_t at = 0; at < nr_blocks; at++)
        incro_free(blocks[at]);
    long freed = resident();
    incro_malloc_trim();
    long trimmed = resident();
    fill(nbytes);
    for (size_t at = 0; at < nr_blocks; at++) /* nothing that was handed out twice */
        memset(blocks[at], (int)at, nbytes);
    for (size_t at = 0; at < nr_blocks; at++)
        CHECK(*(char *)blocks[at] == (char)at && ((char *)blocks[at])[nbytes - 1] == (char)at);
    printf("%ld %ld %ld %ld\\n", full, freed, trimmed, resident());
    fflush(stdout);
    if (OWNER_LIVES && !IN_A_CHILD)
        pthread_barrier_wait(&is_over);
    return incro_malloc_check();
}
"""
)

AT_RANDOM: Final = (
    RESIDENT
    + """
int main(int nr_words, char **words)
{
    CHECK(nr_words == 4);
    size_t least = strtoul(words[1], NULL, 10), most = strtoul(words[2], NULL, 10), kept = strtoul(words[3], NULL, 10);
    unsigned long state = 1;
    begin((least + most) / 2);
    for (size_t at = 0; at < nr_blocks; at++) {
        state = state * 6364136223846793005UL + 1442695040888963407UL;
        size_t nbytes = least + (state >> 33) % (most - least + 1);
        blocks[at] = incro_malloc(nbytes);
        memset(blocks[at], 1, nbytes);
    }
    long full = resident();
    for (size_t left = nr_blocks; left > 0; left--) {
        state = state * 6364136223846793005UL + 1442695040888963407UL;
        size_t which = (state >> 33) % left;
        void *block = blocks[which];
        blocks[which] = blocks[left - 1];
        if (left % kept != 0)
            incro_free(block);
    }
    long freed = resident();
    incro_malloc_trim();
    printf("%ld %ld %ld\\n", full, freed, resident());
    return incro_malloc_check();
}
"""
)


def figures(source: str, folder: Path, hardening: str, *words: object) -> list[int]:
    program = compile_program(folder, source, library(is_malloc=False, hardening=hardening))
    done = run([str(program), *map(str, words)])
    assert (done.returncode, done.stderr) == (0, ''), done.stdout
    return [int(word) for word in done.stdout.split()]


IN_BURSTS: Final = (
    RESIDENT
    + """
static pthread_barrier_t is_full, is_empty;

static void *free_all(void *rounds)
{
    for (intptr_t round = 0; round < (intptr_t)rounds; round++) {
        static void *own[400];
        pthread_barrier_wait(&is_full);
        for (size_t at = 0; at < nr_blocks; at++)
            incro_free(blocks[at]);
        for (int at = 0; at < 400; at++)
            own[at] = memset(incro_malloc(3000), 1, 3000);
        for (int at = 0; at < 400; at++)
            incro_free(own[at]);
        pthread_barrier_wait(&is_empty);
    }
    return NULL;
}

int main(int nr_words, char **words)
{
    intptr_t rounds = strtol(words[nr_words - 1], NULL, 10);
    pthread_t other;
    begin(500);
    pthread_barrier_init(&is_full, NULL, 2);
    pthread_barrier_init(&is_empty, NULL, 2);
    if (pthread_create(&other, NULL, free_all, (void *)rounds) != 0)
        abort();
    for (intptr_t round = 0; round < rounds; round++) {
        fill(round % 2 ? 500 : 900);
        printf("%ld\\n", resident());
        pthread_barrier_wait(&is_full);
        pthread_barrier_wait(&is_empty);
    }
    return pthread_join(other, NULL);
}
"""
)

# Another thread owns all blocks, and sleeps.
A_SLEEPER: Final = (
    RESIDENT
    + """
static pthread_barrier_t is_full, is_over;
static pthread_t owner;

static void *own_all(void *nbytes)
{
    fill((size_t)(uintptr_t)nbytes);
    pthread_barrier_wait(&is_full);
    pthread_barrier_wait(&is_over);
    return NULL;
}

static void let_it_own(size_t nbytes)
{
    begin(nbytes);
    pthread_barrier_init(&is_full, NULL, 2);
    pthread_barrier_init(&is_over, NULL, 2);
    if (pthread_create(&owner, NULL, own_all, (void *)nbytes) != 0)
        abort();
    pthread_barrier_wait(&is_full);
}

static int wake_it(void)
{
    pthread_barrier_wait(&is_over);
    return pthread_join(owner, NULL);
}
"""
)

ONE_LARGE: Final = (
    A_SLEEPER
    + """
int main(int nr_words, char **words)
{
    size_t nbytes = strtoul(words[nr_words - 1], NULL, 10);
    let_it_own(nbytes);
    incro_free(blocks[0]);
    printf("%ld\\n", resident());
    for (int round = 0; round < 40; round++)
        memset(incro_malloc(50000), 1, 50000);
    memset(incro_malloc(nbytes / 4), 1, 1);
    printf("%ld\\n", resident());
    memset(incro_malloc(nbytes), 2, nbytes);
    printf("%ld\\n", resident());
    return wake_it();
}
"""
)

TOO_MUCH: Final = (
    A_SLEEPER
    + """
int main(void)
{
    let_it_own(16);
    for (size_t at = 0; at < nr_blocks; at++)
        incro_free(blocks[at]);
    for (int round = 0; round < 4000; round++)
        if (incro_malloc(1000) == NULL)
            abort();
    int nr_given = 0;
    for (size_t less = 0; less < 64; less++)
        nr_given += incro_malloc(SIZE_MAX - 4000 - less) != NULL;
    printf("%d\\n", nr_given);
    return wake_it();
}
"""
)


def of_another_thread(owner_lives: bool, in_a_child: bool) -> str:
    return OF_ANOTHER_THREAD.replace('OWNER_LIVES', str(int(owner_lives))).replace('IN_A_CHILD', str(int(in_a_child)))


@pytest.mark.parametrize('hardening', LEVELS)
@pytest.mark.parametrize('nbytes', [100, 4000, 20_000, 1_000_000])
@pytest.mark.parametrize('in_a_child', [False, True])
def test_what_is_freed_into_the_heap_of_a_thread_that_ended_goes_back(
    in_a_child: bool, nbytes: int, hardening: str, tmp_path: Path
) -> None:
    source = of_another_thread(owner_lives=False, in_a_child=in_a_child)
    full, _, trimmed, again = figures(source, tmp_path, hardening, nbytes)
    assert full >= MIB - 2
    assert trimmed < full / 4
    assert again < full * 1.25


@pytest.mark.parametrize('hardening', LEVELS)
@pytest.mark.parametrize('nbytes', [40, 100, 4000, 20_000, 1_000_000])
@pytest.mark.parametrize('in_a_child', [False, True])
def test_what_is_freed_into_the_heap_of_a_thread_that_sleeps_is_used_again(
    in_a_child: bool, nbytes: int, hardening: str, tmp_path: Path
) -> None:
    """In a child no thread owns the heap any more. Pages inside large blocks go back at once."""
    source = of_another_thread(owner_lives=True, in_a_child=in_a_child)
    full, freed, _, again = figures(source, tmp_path, hardening, nbytes)
    assert full >= MIB - 2
    assert freed < full / 2 or nbytes < 1_000_000
    assert again < full * 1.25


@pytest.mark.parametrize('hardening', LEVELS)
@pytest.mark.parametrize(('least', 'most'), [(16, 100), (1000, 4000), (5000, 60_000), (100_000, 1_000_000)])
def test_what_is_freed_at_random_goes_back(least: int, most: int, hardening: str, tmp_path: Path) -> None:
    """One block of 100 is kept. In full hardening some blocks are in quarantine until somebody trims."""
    full, freed, trimmed = figures(AT_RANDOM, tmp_path, hardening, least, most, 100)
    assert full >= MIB - 8
    assert trimmed <= freed
    assert trimmed < full * (0.75 if most <= 100 else 0.25)  # of small ones, one of 100 is on most pages
    if hardening != 'full' and least >= 1000:
        assert freed < full / 2


@pytest.mark.parametrize('hardening', LEVELS)
def test_small_blocks_that_are_all_freed_go_back_without_a_trim(hardening: str, tmp_path: Path) -> None:
    full, freed, trimmed = figures(AT_RANDOM, tmp_path, hardening, 16, 100, 1 << 30)
    assert freed < full / 4
    assert trimmed <= freed


@pytest.mark.parametrize('hardening', LEVELS)
def test_no_block_of_another_heap_serves_a_request_for_more_than_half_of_all_addresses(
    hardening: str, tmp_path: Path
) -> None:
    """Such a number of bytes is a negative word, and each block has more room than that."""
    assert figures(TOO_MUCH, tmp_path, hardening) == [0]


@pytest.mark.parametrize('hardening', LEVELS)
def test_who_frees_the_blocks_of_another_keeps_few_of_them(hardening: str, tmp_path: Path) -> None:
    """Their owner makes others of the same memory again and again, while who freed them asks for a little."""
    resident = figures(IN_BURSTS, tmp_path, hardening, 12)
    assert max(resident) < 4 * MIB


@pytest.mark.parametrize('hardening', LEVELS)
def test_one_large_block_of_a_thread_that_sleeps_is_used_again(hardening: str, tmp_path: Path) -> None:
    """For a request of its size, and not for one of a quarter. Two blocks of 24 MiB are live."""
    freed, before, again = figures(ONE_LARGE, tmp_path, hardening, 24 << 20)
    assert 46 <= freed <= before
    assert again < before + 12


@pytest.mark.parametrize('hardening', LEVELS)
def test_a_huge_block_of_a_thread_that_sleeps_goes_back_at_once(hardening: str, tmp_path: Path) -> None:
    freed, _, _ = figures(ONE_LARGE, tmp_path, hardening, MIB << 20)
    assert freed < MIB / 4
