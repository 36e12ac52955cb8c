/* What the programs share: a check that fails prints where and what, and the program ends with 1. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHECK(condition) do { \
    if (!(condition)) { \
        printf("%s:%d: not so: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
        fflush(stdout); \
        _exit(1); \
    } } while (0)

/* A call that must fail with an errno. */
#define FAILS(call, code) do { errno = 0; CHECK((long)(call) == -1 && errno == (code)); } while (0)

static uint64_t random_state = 88172645463325252u;

__attribute__((unused)) static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

__attribute__((unused)) static uint64_t below(uint64_t limit) { return next_random() % limit; }

__attribute__((unused)) static char *map_pages(size_t pages, int rights) {
    char *at = mmap(NULL, pages * 4096, rights, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(at != MAP_FAILED);
    return at;
}
