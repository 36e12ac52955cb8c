/* madvise, mlock and its kin, msync and mincore: which error it is, what has changed, and what a child has. */
#include "check.h"
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define SHOW(call) do { errno = 0; long got_ = (long)(call); \
    printf("%s: %s\n", #call, got_ == -1 ? strerror(errno) : "done"); } while (0)
#define BOTH (PROT_READ | PROT_WRITE)
#define ZEROS (MAP_PRIVATE | MAP_ANONYMOUS)
#define AT(n) (at + (n) * 4096L)
#define EVERYTHING (1L << 60)
#define ONFAULT 1

static unsigned char seen[4096];

/* Far from where libc maps something of its own meanwhile. */
static char *arena(size_t pages, int rights) {
    static char *next = (char *)0x20000000;
    char *at = mmap(next, pages << 12, rights, ZEROS | MAP_FIXED_NOREPLACE, -1, 0);
    CHECK(at == next && madvise(at, pages << 12, MADV_NOHUGEPAGE) == 0);
    next += (pages + 1000) << 12;
    return at;
}

static void present(const char *what, char *at, int pages) {
    memset(seen, 8, sizeof seen);
    int got = mincore(at, (size_t)pages << 12, seen);
    printf("%s:", what);
    for (int i = 0; i < pages; i++) printf(" %d", seen[i]);
    printf("%s\n", got == 0 ? "" : " error");
}

static int is_child(void) {
    fflush(stdout);
    return fork() == 0;
}

static void all_advice(const char *what, char *at) {
    for (int i = -1; i < 30; i++)
        if (i != 25) printf("%s, advice %d: %s\n", what, i, madvise(at, 4096, i) == 0 ? "done" : strerror(errno));
}

static void kinds(void) {
    int data = open("data", O_RDONLY);
    char *at = arena(4, BOTH);
    all_advice("private", at);
    CHECK((at = mmap(0, 8192, BOTH, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) != MAP_FAILED);
    all_advice("shared", at);
    CHECK((at = mmap(0, 8192, PROT_READ, MAP_PRIVATE, data, 0)) != MAP_FAILED);
    all_advice("file", at);
    CHECK((at = mmap(0, 8192, PROT_READ, MAP_SHARED, data, 0)) != MAP_FAILED);
    all_advice("shared file", at);
    CHECK(mlock(at = arena(4, BOTH), 8192) == 0);
    all_advice("locked", at);
    CHECK(mlock(at = mmap(0, 8192, BOTH, MAP_SHARED | MAP_ANONYMOUS, -1, 0), 8192) == 0);
    all_advice("locked and shared", at);
}

static void arguments(void) {
    char *at = arena(8, BOTH);
    SHOW(madvise(at, -1L, MADV_NORMAL));
    SHOW(madvise(at, -8192L, MADV_NORMAL));
    SHOW(madvise((void *)-4096L, 4096, MADV_NORMAL));
    SHOW(madvise((void *)-8192L, 4096, MADV_NORMAL));
    SHOW(madvise(AT(0) + 1, 4096, MADV_NORMAL));
    SHOW(madvise(AT(0) + 1, 4096, 77));
    SHOW(madvise(at, 0, MADV_DONTNEED));
    SHOW(madvise(AT(0) + 1, 0, MADV_DONTNEED));
    SHOW(madvise(0, 4096, MADV_DONTNEED));
    SHOW(madvise(0, 0, MADV_DONTNEED));
    SHOW(msync(at, 4096, 0));
    SHOW(msync(at, 4096, MS_SYNC | MS_ASYNC));
    SHOW(msync(at, 4096, 8));
    SHOW(msync(AT(0) + 1, 4096, MS_SYNC));
    SHOW(msync(at, -1L, MS_SYNC));
    SHOW(msync(at, -8192L, MS_SYNC));
    SHOW(msync(at, EVERYTHING, MS_SYNC));
    SHOW(mincore(at, 0, seen));
    SHOW(mincore(at, 0, 0));
    SHOW(mincore(AT(0) + 1, 4096, seen));
    SHOW(mincore(at, -1L, seen));
    SHOW(mincore(at, EVERYTHING, (void *)-1L));
    SHOW(mincore(at, 4096, 0));
    SHOW(mincore(0, 4096, 0));
    SHOW(mincore(at, 4096, (void *)-1L));
    SHOW(mlock(at, -1L));
    SHOW(mlock(at, -8192L));
    SHOW(mlock(AT(0) + 1, -8192L));
    SHOW(mlock(AT(0) + 2, -1L));
    SHOW(mlock((void *)-4096L, 4096));
    SHOW(mlock((void *)-8192L, 4096));
    SHOW(mlock(0, 4096));
    SHOW(mlock(at, 0));
    SHOW(munlock(at, -1L));
    SHOW(munlock(0, 4096));
    SHOW(syscall(SYS_mlock2, at, 4096, 2));
    SHOW(syscall(SYS_mlock2, 0, 4096, 2));
    SHOW(mlockall(0));
    SHOW(mlockall(8));
    SHOW(mlockall(4));
}

static void holes(void) {
    char *at = arena(8, BOTH);
    memset(at, 7, 8 << 12);
    CHECK(munmap(AT(3), 4096) == 0);
    SHOW(madvise(at, 8 << 12, MADV_DONTNEED));
    printf("zeros at once: %d %d %d\n", at[0], *AT(2), *AT(7));
    SHOW(madvise(AT(3), 4096, MADV_DONTNEED));
    SHOW(madvise(AT(5), 500 << 12, MADV_DONTNEED));
    memset(at, 7, 3 << 12);
    CHECK(mlock(AT(1), 4096) == 0);
    SHOW(madvise(at, 8 << 12, MADV_DONTNEED));
    printf("up to what is locked: %d %d %d\n", at[0], *AT(1), *AT(2));
    SHOW(madvise(at, 3 << 12, 24));
    printf("locked too: %d\n", *AT(1));
    at = arena(8, BOTH);
    CHECK(munmap(AT(3), 4096) == 0);
    SHOW(madvise(at, 8 << 12, 23));
    present("populated up to the hole", at, 3);
    present("and not behind", AT(4), 4);
    SHOW(mincore(at, 8 << 12, seen));
    SHOW(msync(at, 8 << 12, MS_SYNC));
    SHOW(msync(at, 8 << 12, MS_ASYNC));
    SHOW(msync(at, 3 << 12, MS_ASYNC));
    CHECK(mlock(AT(6), 4096) == 0);
    SHOW(msync(at, 8 << 12, MS_INVALIDATE));
    SHOW(msync(at, 4 << 12, MS_INVALIDATE));
    SHOW(munlock(AT(6), 4096));
    SHOW(msync(AT(4), 4 << 12, MS_INVALIDATE));
}

static void presence(void) {
    char *at = arena(6, BOTH), *common = mmap(0, 4 << 12, BOTH, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    AT(1)[5] = 1;
    CHECK(*AT(2) == 0);
    present("touched", at, 6);
    CHECK(madvise(at, 2 << 12, MADV_DONTNEED) == 0);
    present("dropped", at, 6);
    if (is_child()) {
        common[4096] = 1;
        present("in the child, of shared memory", common, 4);
        fflush(stdout);
        _exit(0);
    }
    CHECK(wait(NULL) > 0);
    present("of shared memory", common, 4);
    CHECK(madvise(common, 4 << 12, MADV_DONTNEED) == 0 && common[4096] == 1);
    CHECK(common[8192] == 0);
    present("of shared memory that was read", common, 4);
    for (int i = 0; i < 4; i++) common[i << 12] = 7;
    if (is_child()) {
        CHECK(common[0] == 7 && common[3 << 12] == 7);
        SHOW(madvise(common + 4096, 2 << 12, MADV_REMOVE));
        present("punched", common, 4);
        fflush(stdout);
        _exit(0);
    }
    CHECK(wait(NULL) > 0);
    present("punched by a child", common, 4);
    printf("zeros in between: %d %d %d %d\n", common[0], common[1 << 12], common[2 << 12], common[3 << 12]);
}

static void locks(void) {
    char *at = arena(8, BOTH);
    CHECK(mprotect(AT(5), 4096, PROT_NONE) == 0);
    SHOW(mlock(AT(0) + 5, 4092));
    present("locked", at, 5);
    SHOW(mlock(AT(4), 3 << 12));
    present("up to what nobody may use", AT(4), 4);
    SHOW(mlock(AT(5), 4096));
    SHOW(madvise(AT(6), 4096, MADV_DONTNEED));
    SHOW(munlock(at, 8 << 12));
    SHOW(madvise(at, 8 << 12, MADV_DONTNEED));
    SHOW(syscall(SYS_mlock2, at, 3 << 12, ONFAULT));
    AT(1)[0] = 1;
    present("locked late", at, 5);
    SHOW(madvise(at, 4096, MADV_DONTNEED));
    SHOW(mlock(at, 2 << 12));
    present("and now", at, 5);
    CHECK(mlockall(MCL_FUTURE) == 0);
    char *more = arena(3, BOTH);
    present("future", more, 3);
    CHECK(mlockall(MCL_FUTURE | ONFAULT * 4) == 0);
    more = arena(3, BOTH);
    present("future, late", more, 3);
    SHOW(madvise(more, 4096, MADV_DONTNEED));
    CHECK(munlockall() == 0);
    more = arena(3, BOTH);
    present("no future", more, 3);
    SHOW(madvise(at, 4096, MADV_DONTNEED));
    CHECK(mlockall(MCL_CURRENT) == 0);
    present("current", more, 3);
    if (is_child()) {
        SHOW(madvise(more, 3 << 12, MADV_DONTNEED));
        present("a child has no locks", more, 3);
        fflush(stdout);
        _exit(0);
    }
    CHECK(wait(NULL) > 0);
    CHECK(munlockall() == 0);
}

static void ranges(const char *what, char *from, char *to) {
    unsigned long start, end;
    char line[300];
    int count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps);
    while (fgets(line, sizeof line, maps))
        count += sscanf(line, "%lx-%lx", &start, &end) == 2 && start >= (unsigned long)from && end <= (unsigned long)to;
    fclose(maps);
    printf("%s: %d\n", what, count);
}

static void children(void) {
    char *at = arena(8, BOTH);
    memset(at, 7, 8 << 12);
    CHECK(madvise(AT(1), 8192, MADV_DONTFORK) == 0 && madvise(AT(4), 8192, MADV_WIPEONFORK) == 0);
    ranges("ranges", at, AT(8));
    if (is_child()) {
        printf("a child has %d %d %d %d %d\n", *at, *AT(3), *AT(4), *AT(5), *AT(6));
        present("not in a child", AT(1), 1);
        ranges("ranges of the child", at, AT(8));
        SHOW(mmap(AT(1), 8192, BOTH, ZEROS | MAP_FIXED_NOREPLACE, -1, 0));
        AT(4)[0] = 3;
        if (is_child()) {
            printf("a grandchild has %d %d\n", *AT(4), *AT(1));
            fflush(stdout);
            _exit(0);
        }
        CHECK(wait(NULL) > 0);
        _exit(0);
    }
    CHECK(wait(NULL) > 0);
    CHECK(madvise(at, 8 << 12, MADV_DOFORK) == 0 && madvise(at, 8 << 12, MADV_KEEPONFORK) == 0);
    ranges("one range again", at, AT(8));
    if (is_child()) {
        printf("a child has all: %d %d %d\n", *at, *AT(1), *AT(4));
        fflush(stdout);
        _exit(0);
    }
    CHECK(wait(NULL) > 0);
    for (int i = 0; i < 8; i += 2) CHECK(madvise(AT(i), 4096, MADV_RANDOM) == 0);
    ranges("every other one", at, AT(8));
    CHECK(madvise(at, 8 << 12, MADV_SEQUENTIAL) == 0);
    ranges("the same", at, AT(8));
    CHECK(madvise(AT(2), 4096, MADV_DONTDUMP) == 0 && madvise(AT(4), 4096, MADV_HUGEPAGE) == 0);
    ranges("others", at, AT(8));
    CHECK(madvise(AT(2), 4096, MADV_DODUMP) == 0 && madvise(AT(4), 4096, MADV_NOHUGEPAGE) == 0);
    ranges("and back", at, AT(8));
}

/* With a limit of four pages, as somebody who is not root. */
static void of_others(void) {
    struct rlimit limit = {4 << 12, 4 << 12}, none = {0, 0};
    char *at;
    if (!is_child()) {
        CHECK(wait(NULL) > 0);
        return;
    }
    at = arena(8, BOTH);
    CHECK(setrlimit(RLIMIT_MEMLOCK, &limit) == 0 && setuid(65534) == 0);
    SHOW(mlock(at, 5 << 12));
    SHOW(mlock(at, 4 << 12));
    SHOW(mlock(AT(4), 4096));
    SHOW(mlock(AT(2), 2 << 12));
    SHOW(mlock(AT(2), 3 << 12));
    SHOW(mlock(at, EVERYTHING));
    SHOW(munlock(AT(1), 4096));
    SHOW(mlock(AT(4), 4096));
    SHOW(mlock(AT(4), 4096));
    SHOW(mmap(0, 4096, BOTH, ZEROS | MAP_LOCKED, -1, 0) == MAP_FAILED ? -1 : 0);
    SHOW(mremap(AT(4), 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
    SHOW(mlockall(MCL_CURRENT));
    SHOW(mlockall(MCL_FUTURE));
    SHOW(mmap(0, 4096, BOTH, ZEROS, -1, 0) == MAP_FAILED ? -1 : 0);
    SHOW(munmap(at, 4096));
    SHOW(mmap(0, 4096, BOTH, ZEROS, -1, 0) == MAP_FAILED ? -1 : 0);
    CHECK(munlockall() == 0 && setrlimit(RLIMIT_MEMLOCK, &none) == 0);
    SHOW(mlock(AT(1), 4096));
    SHOW(mlock(AT(1), 0));
    SHOW(mlockall(MCL_FUTURE));
    SHOW(mmap(0, 4096, BOTH, ZEROS | MAP_LOCKED, -1, 0) == MAP_FAILED ? -1 : 0);
    fflush(stdout);
    _exit(0);
}

int main(void) {
    setvbuf(stdout, NULL, _IOFBF, 1 << 15);
    kinds();
    arguments();
    holes();
    presence();
    locks();
    children();
    of_others();
    puts("ok");
    return 0;
}
