"""The hosted heap in a program that unloads it, and under a filter for system calls."""

import subprocess
from pathlib import Path
from typing import Final

import pytest

from incroos.run.names import LEVELS

from ..budget import SECONDS
from .heap_programs import library, run_group

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
