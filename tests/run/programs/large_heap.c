/* A heap of so many MiB, all of it written and read again. */
#include "check.h"

enum { BLOCK = 1 << 20 };

int main(int argc, char **argv) {
    long count = argc > 1 ? atol(argv[1]) : 24;
    uint64_t **blocks = malloc((size_t)count * sizeof *blocks), sum = 0;
    for (long i = 0; i < count; i++) {
        blocks[i] = malloc(BLOCK);
        CHECK(blocks[i]);
        for (long j = 0; j < BLOCK / 8; j += 64) blocks[i][j] = next_random();
    }
    for (long i = count - 1; i >= 0; i--) {
        for (long j = 0; j < BLOCK / 8; j += 64) sum = sum * 31 + blocks[i][j];
        free(blocks[i]);
    }
    printf("%ld MiB, sum %llx\n", count, (unsigned long long)sum);
    return 0;
}
