"""Small programs in C for tests, each compiled when it is wanted."""

import subprocess
from pathlib import Path
from typing import Final

HEAD: Final = """
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
"""


def compile_program(folder: Path, text: str, *options: str) -> Path:
    """Compile a text without optimisation, so that each call of malloc is one."""
    source, program = folder / 'program.c', folder / 'program'
    source.write_text(HEAD + text)
    subprocess.run(['cc', '-O0', '-w', '-o', program, source, '-pthread', *options], check=True)
    return program


def compile_library(folder: Path, text: str) -> Path:
    """A library for LD_PRELOAD."""
    return compile_program(folder, text, '-shared', '-fPIC', '-fno-builtin').rename(folder / 'library.so')
