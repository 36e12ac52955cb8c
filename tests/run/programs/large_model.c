/* Calls at random in an area that wants large pages, against a table of its pages: what splits one must change nothing
   else. Arguments: seed, steps, and whatever forbids children; these go on alone, and end before their parents do. */
#include "check.h"
#include <sys/wait.h>

enum { BLOCK = 512, BLOCKS = 4, PAGES = BLOCK * BLOCKS };

static const long P = 4096;
static struct { char is_mapped, may_write; uint32_t mark; } model[PAGES];
static char *area, *spare;
static int depth;

static volatile uint32_t *word_of(int page) { return (volatile uint32_t *)(area + page * P + page % 1000 * 4); }

static void verify(int from, int count, int step) {
    for (int i = from; i < from + count; i += step)
        if (model[i].is_mapped) CHECK(*word_of(i) == model[i].mark);
}

/* A piece of the area: some pages, or whole blocks, or nearly. */
static void pick(int *from, int *count) {
    int kind = (int)below(4);
    *from = (int)below(PAGES);
    *count = 1 + (int)below(9);
    if (kind == 0) *from &= -BLOCK, *count = BLOCK * (1 + (int)below(2));
    if (kind == 1) *from &= -BLOCK, *count = BLOCK - 1 - (int)below(2);
    if (*from + *count > PAGES) *count = PAGES - *from;
}

static void fresh(int from, int count) {
    CHECK(mmap(area + from * P, count * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
          area + from * P);
    CHECK(madvise(area + from * P, count * P, MADV_HUGEPAGE) == 0);
    for (int i = from; i < from + count; i++) model[i].is_mapped = model[i].may_write = 1, model[i].mark = 0;
}

static void write_some(int from, int count) {
    for (int i = from; i < from + count; i += 1 + (int)below(40))
        if (model[i].is_mapped && model[i].may_write) *word_of(i) = model[i].mark = (uint32_t)next_random();
}

static int is_whole(int from, int count) {
    for (int i = from; i < from + count; i++)
        if (!model[i].is_mapped || !model[i].may_write) return 0;
    return 1;
}

/* Away and back: what is moved is as it was, whatever it was moved with. */
static void move(int from, int count) {
    if (!is_whole(from, count) || madvise(area + from * P, count * P, MADV_HUGEPAGE) != 0) return;
    char *to = spare + (below(2) ? 0 : from % BLOCK * P);
    CHECK(mremap(area + from * P, count * P, count * P, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
    if (count > 2) CHECK(mprotect(to + P, P, PROT_READ) == 0 && mprotect(to + P, P, PROT_READ | PROT_WRITE) == 0);
    CHECK(mremap(to, count * P, count * P, MREMAP_MAYMOVE | MREMAP_FIXED, area + from * P) == area + from * P);
}

static void step(void);

static void fork_one(void) {
    int status;
    if (depth == 2) return;
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        depth++;
        for (int i = 0; i < 20; i++) step();
        verify(0, PAGES, 1);
        _exit(7);
    }
    if (below(2)) write_some(0, PAGES);
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void step(void) {
    int from, count;
    pick(&from, &count);
    char *at = area + from * P;
    int may_write = below(2) == 0;
    switch (below(12)) {
    case 0:
        fresh(from & -BLOCK, BLOCK * 2 > PAGES - (from & -BLOCK) ? BLOCK : BLOCK * 2);
        break;
    case 1:
        CHECK(munmap(at, count * P) == 0);
        for (int i = from; i < from + count; i++) model[i].is_mapped = 0;
        break;
    case 2:
        for (int i = from; i < from + count; i++) {
            int first = i;
            while (i < from + count && model[i].is_mapped) model[i++].may_write = (char)may_write;
            if (i > first) CHECK(mprotect(area + first * P, (i - first) * P, may_write ? PROT_READ | PROT_WRITE : PROT_READ) == 0);
        }
        break;
    case 3:
        madvise(at, count * P, MADV_DONTNEED);
        for (int i = from; i < from + count; i++) model[i].mark = 0;
        break;
    case 4:
        madvise(at, count * P, below(3) ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
        break;
    case 5:
        move(from, count);
        break;
    case 6:
        if (count < 10 && is_whole(from, count)) CHECK(mlock(at, count * P) == 0 && munlock(at, count * P) == 0);
        break;
    case 7:
        fork_one();
        break;
    default:
        write_some(from, count);
    }
    verify(from, count, 1);
}

int main(int argc, char **argv) {
    random_state += argc > 1 ? (uint64_t)atol(argv[1]) * 77777777777 : 0;
    long steps = argc > 2 ? atol(argv[2]) : 300;
    depth = argc > 3 ? 2 : 0;
    area = (char *)0x20000000;
    spare = (char *)0x30000000;
    fresh(0, PAGES);
    for (long i = 0; i < steps; i++) {
        step();
        if (i % 16 == 0) verify(0, PAGES, 1 + (int)below(7));
    }
    verify(0, PAGES, 1);
    printf("%ld steps, and %llx\n", steps, (unsigned long long)next_random());
    return 0;
}
