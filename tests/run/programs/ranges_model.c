/* mmap, munmap and mprotect at random against a table of rights; the kernel's own reads and writes say what is there.
   Arguments: seed, steps. */
#include "check.h"

enum { P = 4096, PAGES = 64 };

static struct { int is_mapped, rights; char mark; } model[PAGES];
static char *area;

static int can_read(int i) { return access(area + i * P, F_OK) == 0 || errno != EFAULT; }
static int can_write(int i) { return syscall(SYS_clock_gettime, 1, area + i * P + 64) == 0; }

static void verify(void) {
    for (int i = 0; i < PAGES; i++) {
        int wants_read = model[i].is_mapped && model[i].rights != PROT_NONE, wants_write = model[i].is_mapped && model[i].rights & PROT_WRITE;
        CHECK(can_read(i) == wants_read);
        CHECK(can_write(i) == !!wants_write);
        if (model[i].is_mapped && model[i].rights & PROT_READ) CHECK(area[i * P] == model[i].mark && area[i * P + P - 1] == 0);
    }
}

static void step(void) {
    static const int all_rights[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC, PROT_WRITE};
    int from = (int)below(PAGES), count = 1 + (int)below(8), rights = all_rights[below(5)], is_whole = 1;
    if (from + count > PAGES) count = PAGES - from;
    char *at = area + from * P;
    size_t bytes = (size_t)count * P;
    switch (below(5)) {
    case 0:
        CHECK(mmap(at, bytes, rights, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
        for (int i = from; i < from + count; i++) model[i].is_mapped = 1, model[i].rights = rights, model[i].mark = 0;
        break;
    case 1:
        CHECK(munmap(at, bytes) == 0);
        for (int i = from; i < from + count; i++) model[i].is_mapped = 0;
        break;
    case 2:
        for (int i = from; i < from + count; i++) if (!model[i].is_mapped) is_whole = 0;
        int before = from;
        while (before < from + count && model[before].is_mapped) before++;
        CHECK((mprotect(at, bytes, rights) == 0) == is_whole);
        /* Linux changes what lies before the hole; a call that has changed nothing would be right, too: made whole */
        for (int i = from; i < from + count; i++)
            if (model[i].is_mapped) {
                CHECK(mprotect(area + i * P, P, rights) == 0);
                model[i].rights = rights;
            }
        break;
    default:
        for (int i = from; i < from + count; i++)
            if (model[i].is_mapped && model[i].rights & PROT_WRITE && model[i].rights & PROT_READ) area[i * P] = model[i].mark = (char)next_random();
    }
}

int main(int argc, char **argv) {
    random_state += argc > 1 ? (uint64_t)atol(argv[1]) * 77777777777 : 0;
    long steps = argc > 2 ? atol(argv[2]) : 1000;
    area = map_pages(PAGES, PROT_NONE);
    for (int i = 0; i < PAGES; i++) model[i].is_mapped = 1, model[i].rights = PROT_NONE;
    for (long i = 0; i < steps; i++) {
        step();
        if (i % 8 == 0) verify();
    }
    verify();
    printf("%ld steps\n", steps);
    return 0;
}
