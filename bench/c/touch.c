/* Writes a byte of each page of so many MiB, gives them back, and does that so often: `touch MIB ROUNDS`. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

int main(int argc, char **argv) {
    size_t bytes = (argc > 1 ? strtoul(argv[1], NULL, 10) : 0) << 20, pages = 0;
    long rounds = argc > 2 ? atol(argv[2]) : 1;
    for (long round = 0; bytes && round < rounds; round++) {
        volatile char *area = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (area == MAP_FAILED) return 1;
        for (size_t at = 0; at < bytes; at += 4096, pages++) area[at] = 1;
        if (munmap((void *)area, bytes)) return 1;
    }
    printf("%zu pages\n", pages);
    return 0;
}
