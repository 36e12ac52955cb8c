"""The hosted heap where the system counts what could be written (overcommit_memory 2), played by a library before it.

It refuses writable addresses of a GiB and more, as such a system does, and lets so many bytes be writable at a time.
"""

import sys
from pathlib import Path
from typing import Final

import pytest

from .heap_programs import compile_library, compile_program, library, run

REFUSING: Final = """
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#define MOST_AT_ONCE ((size_t)1 << 30)
static size_t nr_bytes;
size_t nr_refused;
void *mmap(void *at, size_t nbytes, int how, int flags, int fd, off_t offset)
{
    const char *most = getenv("MOST_BYTES");
    int is_counted = (how & PROT_WRITE) && (flags & MAP_ANONYMOUS);
    if (is_counted && (nbytes >= MOST_AT_ONCE || (most != NULL && nr_bytes + nbytes > strtoull(most, NULL, 10)))) {
        nr_refused++;
        errno = ENOMEM;
        return MAP_FAILED;
    }
    nr_bytes += is_counted ? nbytes : 0;
    return (void *)syscall(SYS_mmap, at, nbytes, how, flags, fd, offset);
}
int munmap(void *at, size_t nbytes)
{
    nr_bytes -= nbytes;
    return (int)syscall(SYS_munmap, at, nbytes);
}
"""

FILL: Final = """
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "incro_heap.h"
extern size_t nr_refused;
int main(void)
{
    static char *blocks[4096];
    static const size_t sizes[] = {100, 3000, 70000, 900000};
    for (int round = 0; round < 4; round++) {
        int live = 0;
        errno = 0;
        while (live < 4096 && (blocks[live] = incro_malloc(sizes[(live + round) % 4])) != NULL) {
            memset(blocks[live], live, sizes[(live + round) % 4]);
            live++;
        }
        if (live == 4096 || errno != ENOMEM || incro_malloc_check() != 0)
            return 1;
        for (int block = 0; block < live; block++) {
            const char *bytes = blocks[block];
            for (size_t at = 0; at < sizes[(block + round) % 4]; at++)
                if (bytes[at] != (char)block)
                    return 2;
            incro_free(blocks[block]);
        }
        if (incro_malloc_check() != 0)
            return 3;
    }
    return nr_refused > 0 ? 0 : 4;
}
"""


@pytest.fixture(scope='module')
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_library(tmp_path_factory.mktemp('refusing'), REFUSING)


def test_a_program_runs_where_addresses_must_be_committed(refusing: Path) -> None:
    program = [sys.executable, '-c', 'print(len(sorted(str(n) for n in range(300_000))))']
    done = run(program, preload=Path(f'{refusing}:{library()}'))
    assert (done.returncode, done.stdout, done.stderr) == (0, '300000\n', '')


def test_what_the_system_does_not_commit_is_refused_and_nothing_lost(refusing: Path, tmp_path: Path) -> None:
    program = compile_program(tmp_path, FILL, library(), libraries=(refusing,))
    limited = ['env', f'MOST_BYTES={64 << 20}', str(program)]
    done = run(limited, preload=refusing)
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
