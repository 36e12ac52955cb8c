/* Memory calls as programs make them rarely: what each answers. */
#include "check.h"
#include <fcntl.h>

#define SHOW(call) do { errno = 0; long got_ = (long)(call); \
    printf("%s: %s\n", #call, got_ == -1 ? strerror(errno) : "done"); } while (0)
#define BOTH (PROT_READ | PROT_WRITE)
#define ZEROS (MAP_PRIVATE | MAP_ANONYMOUS)

static unsigned char seen[8];

static int is_there(char *at) {
    CHECK(mincore(at, 4096, seen) == 0);
    return seen[0] & 1;
}

static void files(void) {
    int data = open("data", O_RDONLY), zero = open("/dev/zero", O_RDWR), name = open("data", O_PATH);
    CHECK(data >= 0 && zero >= 0 && name >= 0);
    char *at = mmap(NULL, 8192, BOTH, MAP_PRIVATE, zero, 0);
    CHECK(at != MAP_FAILED && at[5000] == 0);
    at[5000] = 1;
    SHOW(mmap(NULL, 4096, BOTH, MAP_SHARED, zero, 0));
    SHOW(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, name, 0));
    SHOW(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, -1, 0));
    SHOW(mmap(NULL, 0, PROT_READ, MAP_PRIVATE, -1, 0));
    SHOW(mmap(NULL, 0, PROT_READ, MAP_PRIVATE, data, 0));
    SHOW(mmap(NULL, 4096, PROT_READ, 0, -1, 0));
    SHOW(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, -1, 1));
}

static void low(void) {
    char *maps[3];
    for (int i = 0; i < 3; i++) {
        char *at = maps[i] = mmap(NULL, 3 << 20, BOTH, ZEROS | MAP_32BIT, -1, 0);
        CHECK(at != MAP_FAILED && (uintptr_t)at + (3 << 20) <= 1UL << 31);
        at[0] = at[(3 << 20) - 1] = 1;
    }
    SHOW(mmap(NULL, 1L << 31, PROT_NONE, ZEROS | MAP_32BIT | MAP_NORESERVE, -1, 0));
    SHOW(mmap(NULL, 1L << 46, PROT_NONE, ZEROS | MAP_32BIT | MAP_NORESERVE, -1, 0));
    for (int i = 0; i < 3; i++) CHECK(munmap(maps[i], 3 << 20) == 0);
}

static void smaller(void) {
    char *at = map_pages(8, BOTH);
    at[0] = at[3 << 12] = 7;
    CHECK(mremap(at, 8 << 12, 4 << 12, 0) == at && at[3 << 12] == 7);
    FAILS(mincore(at + (4 << 12), 4096, seen), ENOMEM);
    CHECK(mremap(at, 4 << 12, (3 << 12) + 1, MREMAP_MAYMOVE) == at && at[3 << 12] == 7);
    SHOW(mremap(at + 1, 4096, 4096, 0));
    SHOW(mremap(at, 4096, 0, 0));
    SHOW(mremap(at, 4096, 4096, 64));
    SHOW(mremap(at, 8 << 12, 4096, 0));
    SHOW(mremap((void *)0x30000000, 8192, 4096, 0));
}

static void presence(void) {
    static unsigned char many[40000];
    const long pages = 40000, touched[] = {0, 1, 511, 16383, 16384, 32767, 32769, 39999};
    char *at = map_pages(pages, BOTH);
    CHECK(madvise(at, pages << 12, MADV_NOHUGEPAGE) == 0);
    for (size_t i = 0; i < sizeof touched / sizeof *touched; i++) at[touched[i] << 12] = 1;
    memset(many, 0xff, sizeof many);
    CHECK(mincore(at, (pages << 12) - 5, many) == 0);
    for (size_t i = 0; i < sizeof touched / sizeof *touched; i++) {
        CHECK(many[touched[i]] & 1);
        many[touched[i]] = 0;
    }
    for (long i = 0; i < pages; i++) CHECK((many[i] & 1) == 0);
    FAILS(mincore(at, pages << 12, (void *)(uintptr_t)"constant"), EFAULT);
    CHECK(munmap(at, pages << 12) == 0);
}

int main(void) {
    char *at = map_pages(8, BOTH);
    files();
    low();
    smaller();
    presence();
    SHOW(mprotect(at, 4096, BOTH | 8));
    SHOW(mprotect(at, 4096, BOTH | 16));
    SHOW(mprotect(at, 0, BOTH | 16));
    CHECK(!is_there(at) && !is_there(at + 4096));
    CHECK(madvise(at, 4096, 22) == 0 && is_there(at) && !is_there(at + 4096) && at[0] == 0);
    CHECK(madvise(at, 8192, 23) == 0 && is_there(at + 4096) && at[4096] == 0);
    CHECK(mprotect(at + 8192, 4096, PROT_READ) == 0 && munmap(at + (5 << 12), 4096) == 0);
    SHOW(madvise(at + 8192, 4096, 23));
    SHOW(madvise(at + 8192, 4096, 22));
    SHOW(madvise(at + (4 << 12), 8192, 23));
    SHOW(syscall(SYS_mlock2, at, 4096, 0));
    SHOW(mlockall(MCL_CURRENT));
    SHOW(munlockall());
    puts("ok");
    return 0;
}
