/* malloc, calloc, realloc, memalign and free at random; each block has a pattern that is checked before it goes.
   Arguments: how many steps, and the largest block. */
#include "check.h"
#include <malloc.h>

enum { BLOCKS = 500 };
static struct { unsigned char *at; size_t bytes; unsigned char mark; } blocks[BLOCKS];

static void fill(int i) { memset(blocks[i].at, blocks[i].mark, blocks[i].bytes); }

static void verify(int i, size_t bytes) {
    for (size_t j = 0; j < bytes; j++) CHECK(blocks[i].at[j] == blocks[i].mark);
}

static void take(int i, size_t bytes) {
    size_t alignment = (size_t)16 << below(9);
    switch (below(3)) {
    case 0: blocks[i].at = malloc(bytes); break;
    case 1:
        blocks[i].at = calloc(1, bytes);
        CHECK(blocks[i].at);
        for (size_t j = 0; j < bytes; j++) CHECK(blocks[i].at[j] == 0);
        break;
    default:
        blocks[i].at = memalign(alignment, bytes);
        CHECK((uintptr_t)blocks[i].at % alignment == 0);
    }
    CHECK(blocks[i].at && (uintptr_t)blocks[i].at % 16 == 0);
    blocks[i].bytes = bytes;
    blocks[i].mark = (unsigned char)(below(255) + 1);
    fill(i);
}

static void resize(int i, size_t bytes) {
    size_t both = bytes < blocks[i].bytes ? bytes : blocks[i].bytes;
    blocks[i].at = realloc(blocks[i].at, bytes);
    CHECK(blocks[i].at);
    verify(i, both);
    blocks[i].bytes = bytes;
    fill(i);
}

int main(int argc, char **argv) {
    long steps = argc > 1 ? atol(argv[1]) : 5000, largest = argc > 2 ? atol(argv[2]) : 20000, taken = 0, given = 0;
    for (long step = 0; step < steps; step++) {
        int i = (int)below(BLOCKS);
        size_t bytes = 1 + below(below(20) == 0 ? (uint64_t)largest : 600);
        if (!blocks[i].at) {
            take(i, bytes);
            taken++;
        } else if (below(3) == 0) {
            resize(i, bytes);
        } else {
            verify(i, blocks[i].bytes);
            free(blocks[i].at);
            blocks[i].at = NULL;
            given++;
        }
    }
    printf("%ld steps, %ld taken, %ld given back\n", steps, taken, given);
    return 0;
}
