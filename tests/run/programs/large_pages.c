/* Large pages: what a program that asks for them has in its memory, whatever it does with a part of them.
 * With the argument "counts" it says how many kilobytes are in large pages, which depends on who runs it. */
#include "check.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#define BOTH (PROT_READ | PROT_WRITE)
#define ZEROS (MAP_PRIVATE | MAP_ANONYMOUS)
#define PAGE 4096L
#define LARGE (512 * PAGE)
#define BASE ((char *)0x20000000)
#define AWAY ((char *)0x30000000)
#define AT(large, page) (BASE + (large) * LARGE + (page) * PAGE)

static sigjmp_buf back;
static int counts;

static void on_fault(int signal) { siglongjmp(back, signal); }

static long kilobytes(const char *file, const char *key) {
    char line[256];
    long sum = 0;
    FILE *from = fopen(file, "r");
    CHECK(from);
    while (fgets(line, sizeof line, from))
        if (strncmp(line, key, strlen(key)) == 0) sum += atol(line + strlen(key));
    fclose(from);
    return sum;
}

/* A sum over the words at the start and the middle of pages: of all, up to one that cannot be read, and some behind. */
static void show(const char *what) {
    uint64_t sum = 0;
    for (int part = 0; part < 2; part++)
        for (char *at = part ? AWAY : BASE, *end = at + 3 * LARGE + 8 * PAGE; at < end; at += PAGE) {
            volatile uint64_t value = 1;
            if (sigsetjmp(back, 1) == 0) value = *(volatile uint64_t *)at * 7 + *(volatile uint64_t *)(at + 2048);
            sum = sum * 1000003 + value;
            at += value == 1 ? 6 * PAGE : 0;
        }
    printf("%s: %016llx", what, (unsigned long long)sum);
    if (counts) printf(", %ld and %ld kB", kilobytes("/proc/self/smaps", "AnonHugePages:"),
                       kilobytes("/proc/meminfo", "AnonHugePages:"));
    printf("\n");
    fflush(stdout);
}

/* Three large pages, and some pages before and behind them, full of different words. */
static void begin(void) {
    munmap(BASE - LARGE, 8 * LARGE);
    munmap(AWAY - LARGE, 8 * LARGE);
    CHECK(mmap(BASE - PAGE, 3 * LARGE + 9 * PAGE, BOTH, ZEROS | MAP_FIXED, -1, 0) == BASE - PAGE);
    CHECK(madvise(BASE - PAGE, 3 * LARGE + 9 * PAGE, MADV_HUGEPAGE) == 0);
    for (char *at = BASE; at < BASE + 3 * LARGE + 8 * PAGE; at += PAGE) {
        *(uint64_t *)at = (uint64_t)at;
        *(uint64_t *)(at + 2048) = ~(uint64_t)at;
    }
}

static int may_write(char *at) {
    if (sigsetjmp(back, 1) != 0) return 0;
    *(volatile char *)at ^= 1;
    return 1;
}

static void first_writes(void) {
    CHECK(mmap(BASE, 4 * LARGE, BOTH, ZEROS | MAP_FIXED, -1, 0) == BASE);
    CHECK(madvise(BASE, 2 * LARGE, MADV_HUGEPAGE) == 0);
    *AT(0, 17) = 1;
    show("one write");
    *AT(2, 3) = 1; /* nobody asked there */
    CHECK(BASE[LARGE] == 0);
    *AT(1, 7) = 1; /* what was read first stays small */
    show("three writes");
    CHECK(madvise(BASE, 4 * LARGE, MADV_HUGEPAGE) == 0 && madvise(AT(3, 0), LARGE, MADV_POPULATE_WRITE) == 0);
    show("brought");
}

static void rights(void) {
    begin();
    show("all");
    CHECK(mprotect(AT(0, 0), LARGE, PROT_READ) == 0);
    printf("the whole: %d\n", may_write(AT(0, 5)));
    CHECK(mprotect(AT(0, 0), LARGE, BOTH) == 0 && mprotect(AT(1, 5), 3 * PAGE, PROT_READ) == 0);
    show("rights of a part");
    printf("a part: %d %d %d %d\n", may_write(AT(1, 4)), may_write(AT(1, 5)), may_write(AT(1, 8)), may_write(AT(0, 5)));
    CHECK(mprotect(AT(2, 510), 4 * PAGE, PROT_NONE) == 0);
    show("no rights at an edge");
    CHECK(mprotect(BASE, 3 * LARGE + 8 * PAGE, BOTH) == 0);
    show("all rights again");
}

static void holes(void) {
    begin();
    CHECK(munmap(AT(0, 0), LARGE) == 0);
    show("a whole one is gone");
    CHECK(munmap(AT(1, 511), 2 * PAGE) == 0);
    show("two edges are gone");
    CHECK(mmap(AT(2, 9), PAGE, BOTH, ZEROS | MAP_FIXED, -1, 0) == AT(2, 9));
    show("another one in the middle");
    begin();
    CHECK(madvise(AT(0, 0), LARGE, MADV_DONTNEED) == 0 && madvise(AT(1, 100), 300 * PAGE, MADV_DONTNEED) == 0);
    show("zeros");
    *AT(0, 1) = 1;
    show("written anew");
    CHECK(madvise(AT(0, 0), LARGE, MADV_NOHUGEPAGE) == 0 && madvise(AT(0, 0), LARGE, MADV_DONTNEED) == 0);
    *AT(0, 1) = 1;
    show("wanted no more");
}

static void moves(void) {
    begin();
    CHECK(mremap(AT(0, 0), LARGE, LARGE, MREMAP_MAYMOVE | MREMAP_FIXED, AWAY) == AWAY);
    show("moved");
    CHECK(mremap(AT(1, 3), 5 * PAGE, 9 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AWAY + 2 * LARGE) == AWAY + 2 * LARGE);
    show("moved a part");
    CHECK(mremap(AT(2, 0), LARGE + 8 * PAGE, PAGE, 0) == AT(2, 0));
    show("shorter");
    CHECK(mremap(AWAY, LARGE, 2 * LARGE, 0) == AWAY && madvise(AWAY, 2 * LARGE, MADV_HUGEPAGE) == 0);
    *(AWAY + LARGE) = 5;
    show("longer");
}

static void forks(void) {
    int status;
    begin();
    fflush(stdout);
    if (fork() == 0) {
        *AT(0, 9) = 'c';
        CHECK(munmap(AT(1, 0), PAGE) == 0);
        show("child");
        *AT(2, 9) = 'c';
        show("child writes again");
        _exit(3);
    }
    CHECK(wait(&status) > 0 && WEXITSTATUS(status) == 3);
    show("parent");
    *AT(0, 9) = 'p';
    show("parent writes");
    CHECK(madvise(AT(1, 0), LARGE, MADV_DONTFORK) == 0 && madvise(AT(2, 0), LARGE, MADV_WIPEONFORK) == 0);
    fflush(stdout);
    if (fork() == 0) {
        show("child with less");
        _exit(4);
    }
    CHECK(wait(&status) > 0 && WEXITSTATUS(status) == 4);
    show("parent in the end");
}

static void calls(void) {
    int ends[2];
    begin();
    CHECK(pipe(ends) == 0 && write(ends[1], AT(0, 510) + 100, 12000) == 12000);
    CHECK(read(ends[0], AT(1, 511) + 7, 12000) == 12000);
    show("through a pipe");
    CHECK(mlock(AT(0, 1), PAGE) == 0 && munlock(AT(0, 1), PAGE) == 0 && mlock(AT(0, 0), 3 * LARGE) == 0);
    show("locked");
}

static void forbidden(void) {
    int status;
    CHECK(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 0 && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
    begin();
    show("forbidden");
    fflush(stdout);
    if (fork() == 0) _exit(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    CHECK(wait(&status) > 0 && WEXITSTATUS(status) == 1);
    CHECK(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0) == 0 && prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 0);
    CHECK(madvise(AT(0, 0), LARGE, MADV_DONTNEED) == 0);
    *AT(0, 1) = 1;
    show("allowed again");
}

int main(int argc, char **argv) {
    struct sigaction action = {.sa_handler = on_fault};
    counts = argc > 1 && strcmp(argv[1], "counts") == 0;
    sigaction(SIGSEGV, &action, NULL);
    first_writes();
    rights();
    holes();
    moves();
    forks();
    calls();
    forbidden();
    return 0;
}
