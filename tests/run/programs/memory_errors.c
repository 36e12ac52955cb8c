/* mmap, munmap, mprotect and brk: which of several errors it is, and what has changed where a call fails half-way. */
#include "check.h"
#include <fcntl.h>

#define SHOW(call) do { errno = 0; long got_ = (long)(call); \
    printf("%s: %s\n", #call, got_ == -1 ? strerror(errno) : "done"); } while (0)
#define ZEROS (MAP_PRIVATE | MAP_ANONYMOUS)
#define SHARED_ZEROS (MAP_SHARED | MAP_ANONYMOUS)
#define AT(n) (at + (n) * 4096L)
#define EVERYTHING (1L << 60)
#define OVERLAP ((void *)(at + 4096))

static char rights_of(void *page) {
    unsigned long start, end;
    char line[300], rights[8], found = '?';
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps);
    while (fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx %7s", &start, &end, rights) == 3 && start <= (unsigned long)page && (unsigned long)page < end)
            found = rights[1] == 'w' ? 'w' : rights[0] == 'r' ? 'r' : '-';
    fclose(maps);
    return found;
}

static void show(const char *what, char *at, int pages) {
    printf("%s: ", what);
    for (int i = 0; i < pages; i++) putchar(rights_of(AT(i)));
    putchar('\n');
}

/* Far from where libc maps something of its own meanwhile. */
static char *arena(size_t pages, int rights) {
    static char *next = (char *)0x20000000;
    char *at = mmap(next, pages << 12, rights, ZEROS | MAP_FIXED_NOREPLACE, -1, 0);
    CHECK(at == next);
    next += (pages + 1000) << 12;
    return at;
}

static void *gap(void) {
    char *at = map_pages(64, PROT_NONE);
    CHECK(munmap(at, 64 << 12) == 0);
    return at;
}

static void of_mmap(void) {
    int data = open("data", O_RDONLY), written = open("data", O_WRONLY), folder = open(".", O_RDONLY), pipes[2];
    char *at = map_pages(4, PROT_READ);
    CHECK(data >= 0 && written >= 0 && folder >= 0 && pipe(pipes) == 0);
    SHOW(mmap(0, 0, PROT_READ, ZEROS, -1, 0));
    SHOW(mmap(0, 0, PROT_READ, 0, -1, 1));
    SHOW(mmap(0, -1L, PROT_READ, ZEROS, -1, 0));
    SHOW(mmap(0, -4096L, PROT_READ, ZEROS, -1, 0));
    SHOW(mmap(0, 1L << 47, PROT_READ, ZEROS, -1, 0));
    SHOW(mmap(0, 1L << 47, PROT_READ, MAP_ANONYMOUS | 4, -1, 0));
    SHOW(mmap(0, 4096, PROT_READ, MAP_ANONYMOUS, -1, 0));
    SHOW(mmap(0, 4096, PROT_READ, MAP_ANONYMOUS | 4, -1, 0));
    SHOW(mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    SHOW(mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_SHARED, data, 0));
    SHOW(mmap(0, 4096, PROT_READ, 4, data, 0));
    SHOW(mmap(0, 4096, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, data, 0));
    SHOW(mmap(OVERLAP, 4096, PROT_READ, MAP_SHARED_VALIDATE | MAP_FIXED_NOREPLACE, data, 0));
    SHOW(mmap(gap(), 4096, PROT_READ, MAP_SHARED_VALIDATE | MAP_FIXED_NOREPLACE, data, 0));
    SHOW(mmap(0, 4096, PROT_READ, MAP_SHARED_VALIDATE | MAP_POPULATE | MAP_NORESERVE, data, 0));
    SHOW(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, data, 0));
    SHOW(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, data, 0));
    SHOW(mmap(0, 4096, PROT_READ, MAP_PRIVATE, written, 0));
    SHOW(mmap(0, 4096, PROT_WRITE, MAP_PRIVATE, written, 0));
    SHOW(mmap(0, 4096, PROT_READ, MAP_PRIVATE, folder, 0));
    SHOW(mmap(0, 4096, PROT_READ, MAP_PRIVATE, pipes[0], 0));
    SHOW(mmap(0, 4096, PROT_READ, MAP_PRIVATE, 77, 0));
    SHOW(mmap(0, 4096, PROT_READ, MAP_PRIVATE, 77, 1));
    SHOW(mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_GROWSDOWN, data, 0));
    SHOW(mmap(0, 4096, PROT_READ, MAP_SHARED | MAP_GROWSDOWN, data, 0));
    SHOW(mmap(0, 4096, PROT_READ, SHARED_ZEROS | MAP_GROWSDOWN, -1, 0));
    SHOW(mmap(0, 4096, PROT_READ, MAP_PRIVATE, data, 0x7ffffffffffff000));
    SHOW(mmap(0, 8192, PROT_READ, MAP_PRIVATE, data, -4096));
    SHOW(mmap(0, 4096, PROT_READ, MAP_PRIVATE, data, 1L << 40));
    SHOW(mmap(0, 8192, PROT_READ, ZEROS, -1, -4096));
    SHOW(mmap(0, 8192, PROT_READ, SHARED_ZEROS, -1, -4096));
    SHOW(mmap(0, 4096, PROT_READ | 0x10, ZEROS, -1, 0));
    SHOW(mmap((void *)-4096L, 4096, PROT_READ, ZEROS | MAP_FIXED, -1, 0));
    SHOW(mmap((void *)1, 4096, PROT_READ, ZEROS | MAP_FIXED, -1, 0));
    SHOW(mmap(AT(0) + 1, 4096, PROT_READ, ZEROS | MAP_FIXED_NOREPLACE, -1, 0));
    SHOW(mmap(OVERLAP, 4096, PROT_READ, ZEROS | MAP_FIXED_NOREPLACE, -1, 0));
    SHOW(mmap((void *)0x7ffffffff000, 4096, PROT_READ, ZEROS | MAP_FIXED, -1, 0));
    SHOW(mmap(OVERLAP, 4096, PROT_READ, ZEROS | MAP_FIXED | MAP_STACK | MAP_NORESERVE, -1, 0));
    SHOW(mmap(0, 4096, PROT_READ, ZEROS | MAP_HUGETLB, -1, 0));
    SHOW(mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_HUGETLB, data, 0));
    close(0);
    CHECK(open("data", O_RDONLY) == 0);
    CHECK(*(char *)mmap(0, 4096, PROT_READ, MAP_PRIVATE, 0, 4096) == *(char *)mmap(0, 4096, PROT_READ, MAP_SHARED, data, 4096));
}

static void addresses(void) {
    char *first = map_pages(4, PROT_READ);
    CHECK(munmap(first, 4 << 12) == 0);
    for (int i = 0; i < 50; i++) FAILS(mmap(0, 4 << 12, PROT_READ, MAP_PRIVATE | MAP_SHARED | MAP_ANONYMOUS, -1, 0), EINVAL);
    char *again = map_pages(4, PROT_READ);
    printf("a failed mmap uses up no address: %d\n", again == first);
    printf("a hint that is free: %d\n", mmap((void *)0x70000123, 4096, 1, ZEROS, -1, 0) == (void *)0x70000000);
    printf("a hint that is not: %d\n", mmap((void *)0x70000000, 4096, 1, ZEROS, -1, 0) == (void *)0x70000000);
    printf("a hint half free: %d\n", mmap((void *)0x6ffff000, 8192, 1, ZEROS, -1, 0) == (void *)0x6ffff000);
}

static void populated(void) {
    unsigned char there[4];
    char *at = mmap(0, 4 << 12, PROT_READ | PROT_WRITE, ZEROS | MAP_POPULATE, -1, 0);
    CHECK(mincore(at, 4 << 12, there) == 0);
    printf("populated: %d %d %d %d\n", there[0] & 1, there[1] & 1, there[2] & 1, there[3] & 1);
    at = mmap(0, 4 << 12, PROT_READ | PROT_WRITE, ZEROS | MAP_POPULATE | MAP_NONBLOCK, -1, 0);
    CHECK(madvise(at, 4 << 12, MADV_NOHUGEPAGE) == 0 && mincore(at, 4 << 12, there) == 0);
    printf("later: %d %d\n", there[0] & 1, there[3] & 1);
    at = mmap(0, 4 << 12, PROT_READ | PROT_WRITE, ZEROS | MAP_LOCKED, -1, 0);
    CHECK(mincore(at, 4 << 12, there) == 0);
    printf("locked: %d %d\n", there[0] & 1, there[3] & 1);
}

static void of_munmap(void) {
    char *at = arena(8, PROT_READ);
    CHECK(mprotect(AT(2), 4096, PROT_READ | PROT_WRITE) == 0 && munmap(AT(4), 4096) == 0);
    SHOW(munmap(at, 0));
    SHOW(munmap(AT(0) + 1, 4096));
    SHOW(munmap(at, -1L));
    SHOW(munmap(at, 1L << 47));
    SHOW(munmap(0, 4096));
    SHOW(munmap((void *)0x7ffffffff000, 4096));
    show("before", at, 8);
    SHOW(munmap(AT(1), (5 << 12) - 1));
    show("a middle over ranges and a hole", at, 8);
}

static int ranges_in(char *at, int pages) {
    unsigned long start, end;
    char line[300];
    int count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps);
    while (fgets(line, sizeof line, maps))
        count += sscanf(line, "%lx-%lx", &start, &end) == 2 && start >= (unsigned long)at && end <= (unsigned long)AT(pages);
    fclose(maps);
    return count;
}

static void a_hundred(void) {
    char *at = arena(200, PROT_READ);
    for (int i = 0; i < 100; i++) CHECK(munmap(AT(2 * i + 1), 4096) == 0);
    printf("a hundred ranges: %d\n", ranges_in(at, 200));
    for (int i = 0; i < 100; i++) CHECK(mprotect(AT(2 * i), 4096, PROT_READ | PROT_WRITE) == 0);
    for (int i = 0; i < 100; i++) *AT(2 * i) = 1;
    printf("that stay a hundred: %d\n", ranges_in(at, 200));
}

static void of_mprotect(void) {
    char *at = arena(8, PROT_READ);
    CHECK(munmap(AT(4), 4096) == 0);
    SHOW(mprotect(at, 8 << 12, PROT_READ | PROT_WRITE));
    show("up to the hole", at, 8);
    SHOW(mprotect(AT(4), 8192, PROT_READ | PROT_WRITE));
    show("from the hole on", at, 8);
    SHOW(mprotect(at, -1L, PROT_READ));
    SHOW(mprotect(at, -1L, 16));
    SHOW(mprotect(at, EVERYTHING, 16));
    SHOW(mprotect(at, -8192L, 16));
    SHOW(mprotect(AT(0) + 1, 0, PROT_READ));
    SHOW(mprotect(at, 0, 16));
    SHOW(mprotect((void *)-8192L, 4096, PROT_READ));
    SHOW(mprotect((void *)-8192L, 8192, PROT_READ));
    SHOW(mprotect(at, 4096, PROT_READ | PROT_GROWSDOWN));
    SHOW(mprotect(at, 4096, PROT_READ | PROT_GROWSUP));
    SHOW(mprotect(AT(4), 4096, PROT_READ | PROT_GROWSUP));
    SHOW(mprotect(AT(4), 4096, PROT_READ | PROT_GROWSDOWN));
    SHOW(mprotect(AT(4), 8192, PROT_READ | PROT_GROWSDOWN));
    SHOW(mprotect(at, 0, PROT_GROWSDOWN | PROT_GROWSUP));
    SHOW(mprotect(at, 0, PROT_GROWSDOWN));
    SHOW(mprotect(at, EVERYTHING, PROT_READ));
    show("up to the hole again", at, 8);
}

static void stacks(void) {
    char *room = arena(1024, PROT_NONE), *at = room + (800 << 12);
    CHECK(munmap(room, 1024 << 12) == 0);
    CHECK(mmap(at, 4 << 12, PROT_READ | PROT_WRITE, ZEROS | MAP_FIXED | MAP_GROWSDOWN | MAP_STACK, -1, 0) == at);
    for (char *below = at; below > at - (20 << 12); below -= 4096) below[-1] = 1;
    show("grown", at - (22 << 12), 26);
    SHOW(mprotect(at + 8192, 4096, PROT_READ | PROT_GROWSDOWN));
    show("from where it begins", at - (22 << 12), 26);
}

static void breaks(void) {
    char *start = (char *)syscall(SYS_brk, 0), *at = (char *)(((unsigned long)start + 4095) & -4096L);
    CHECK((char *)syscall(SYS_brk, at + (10 << 12)) == at + (10 << 12));
    at[(10 << 12) - 1] = 1;
    CHECK(mmap(AT(12), 4096, PROT_READ, ZEROS | MAP_FIXED_NOREPLACE, -1, 0) == AT(12));
    printf("against what is there: %ld\n", syscall(SYS_brk, AT(12)) - (long)at);
    printf("a page before it: %ld\n", syscall(SYS_brk, AT(11)) - (long)at);
    printf("below the start: %ld\n", syscall(SYS_brk, 4096) - (long)at);
    printf("beyond all: %ld\n", syscall(SYS_brk, -1L) - (long)at);
    printf("back: %ld\n", syscall(SYS_brk, AT(1)) - (long)at);
    show("after it", at, 3);
}

int main(void) {
    setvbuf(stdout, NULL, _IOFBF, 1 << 15);
    of_mmap();
    addresses();
    populated();
    of_munmap();
    a_hundred();
    of_mprotect();
    stacks();
    breaks();
    puts("ok");
    return 0;
}
