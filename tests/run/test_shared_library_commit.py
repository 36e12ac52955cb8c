"""The hosted heap where the system counts what could be written (overcommit_memory 2), played by a library before it.

It refuses writable addresses of a GiB and more, as such a system does, and lets so many bytes become writable later.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from ..budget import SECONDS
from .heap_programs import compile_program, library, run

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
size_t nr_refused_maps, nr_refused_commits;
void *mmap(void *at, size_t nbytes, int how, int flags, int fd, off_t offset)
{
    if ((how & PROT_WRITE) && nbytes >= MOST_AT_ONCE) {
        nr_refused_maps++;
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, at, nbytes, how, flags, fd, offset);
}
int mprotect(void *at, size_t nbytes, int how)
{
    const char *most = getenv("MOST_BYTES");
    if ((how & PROT_WRITE) && most != NULL && nr_bytes + nbytes > strtoull(most, NULL, 10)) {
        nr_refused_commits++;
        errno = ENOMEM;
        return -1;
    }
    nr_bytes += how & PROT_WRITE ? nbytes : 0;
    return (int)syscall(SYS_mprotect, at, nbytes, how);
}
"""

FILL: Final = """
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "incro_heap.h"
extern size_t nr_refused_maps, nr_refused_commits;
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
    printf("%d %d\\n", nr_refused_maps > 0, nr_refused_commits > 0);
    return 0;
}
"""


@pytest.fixture(scope='module')
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('refusing')
    (folder / 'refusing.c').write_text(REFUSING)
    subprocess.run(
        ['cc', '-Wall', '-Werror', '-O1', '-shared', '-fPIC', 'refusing.c', '-o', 'librefusing.so'],
        cwd=folder,
        check=True,
        timeout=SECONDS,
    )
    return folder / 'librefusing.so'


def test_a_program_runs_where_addresses_must_be_committed(refusing: Path) -> None:
    program = [sys.executable, '-c', 'print(len(sorted(str(n) for n in range(300_000))))']
    done = run(program, preload=Path(f'{refusing}:{library()}'))
    assert (done.returncode, done.stdout, done.stderr) == (0, '300000\n', '')


def test_what_the_system_does_not_commit_is_refused_and_nothing_lost(refusing: Path, tmp_path: Path) -> None:
    program = compile_program(tmp_path, FILL, library(), libraries=(refusing,))
    limited = ['env', f'MOST_BYTES={64 << 20}', str(program)]
    done = run(limited, preload=refusing)
    assert (done.returncode, done.stdout, done.stderr) == (0, '1 1\n', '')
