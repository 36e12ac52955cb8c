/* Sizes of files, and what is told of them: limits of size, data and holes, memory, times of mapped files. The files
   are in /dev/shm, so that both sides have a tmpfs. */
#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

#ifndef SEEK_DATA
#define SEEK_DATA 3
#define SEEK_HOLE 4
#endif

static char bytes[10000];
static volatile sig_atomic_t nr_signals;
static void count(int number) { nr_signals += number == SIGXFSZ; }

/* A result, its errno, and how many SIGXFSZ came. */
#define SHOW(call) do { \
    errno = 0; \
    long result = (long)(call); \
    printf("%s: %ld, errno %d, signals %d\n", #call, result, errno, (int)nr_signals); \
    nr_signals = 0; } while (0)

static int new_file(void) {
    char path[] = "/dev/shm/sizesXXXXXX";
    int file = mkstemp(path);
    CHECK(file >= 0 && unlink(path) == 0);
    return file;
}

static void limited_in(int file) {
    struct iovec parts[2] = {{bytes, 50}, {bytes, 100}};
    SHOW(write(file, bytes, 60));
    SHOW(write(file, bytes, 60));
    SHOW(write(file, bytes, 60));
    SHOW(write(file, bytes, 0));
    SHOW(pwrite(file, bytes, 1, 99));
    SHOW(pwrite(file, bytes, 1, 100));
    SHOW(pwrite(file, bytes, 0, 200));
    SHOW(ftruncate(file, 100));
    SHOW(ftruncate(file, 101));
    SHOW(fallocate(file, 0, 0, 101));
    SHOW(fallocate(file, 1, 0, 101));
    SHOW(fallocate(file, 3, 0, 1000));
    SHOW(ftruncate(file, 10));
    SHOW(lseek(file, 0, SEEK_SET));
    SHOW(writev(file, parts, 2));
    SHOW(lseek(file, 0, SEEK_CUR));
    SHOW(write(file, bytes, 1));
    SHOW(fcntl(file, F_SETFL, O_APPEND));
    SHOW(pwrite(file, bytes, 1, 0));
}

static void limits(void) {
    struct rlimit limit = {100, 1000}, old;
    CHECK(signal(SIGXFSZ, count) != SIG_ERR);
    int larger = new_file(), file = new_file(), pair[2];
    CHECK(ftruncate(larger, 5000) == 0 && getrlimit(RLIMIT_FSIZE, &old) == 0 && pipe(pair) == 0);
    limit.rlim_max = old.rlim_max;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    limited_in(file);
    limited_in(memfd_create("limited", 0));
    SHOW(pwrite(larger, bytes, 10, 4000));
    SHOW(pwrite(larger, bytes, 200, 50));
    SHOW(ftruncate(larger, 4000));
    SHOW(ftruncate(larger, 4001));
    SHOW(write(pair[1], bytes, 200));
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    SHOW(pwrite(file, bytes, 1, 100));
    CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
    SHOW(pwrite(file, bytes, 1, 100));
}

static void holes(void) {
    int file = new_file();
    struct stat about;
    static const long places[] = {0, 4095, 8192, 8193, 12288, 20480, 24575, 24576, 40959, 40960, 50000, -1};
    CHECK(ftruncate(file, 40960) == 0 && pwrite(file, bytes, 10, 8192) == 10 && pwrite(file, bytes, 4096, 20480) == 4096);
    for (unsigned each = 0; each < sizeof places / sizeof *places; each++) {
        long place = places[each];
        long data = lseek(file, place, SEEK_DATA), code = errno;
        printf("%ld: data at %ld, errno %ld, ", place, data, data < 0 ? code : 0);
        long hole = lseek(file, place, SEEK_HOLE);
        printf("hole at %ld, errno %d\n", hole, hole < 0 ? errno : 0);
    }
    SHOW(lseek(file, 0, SEEK_CUR));
    SHOW(lseek(file, 0, 5));
    CHECK(fstat(file, &about) == 0);
    printf("blocks %ld\n", (long)about.st_blocks);
    char *at = mmap(NULL, 40960, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(at != MAP_FAILED);
    at[30000] = 1;
    SHOW(lseek(file, 24576, SEEK_DATA));
    SHOW(fallocate(file, 3, 8192, 16384));
    SHOW(lseek(file, 0, SEEK_DATA));
    SHOW(fallocate(file, 3, 28672, 100));
    SHOW(lseek(file, 28672, SEEK_HOLE));
    CHECK(fstat(file, &about) == 0);
    printf("blocks %ld\n", (long)about.st_blocks);
    for (int mode = 2; mode <= 0x80; mode *= 2) printf("mode %d: %d\n", mode, fallocate(file, mode, 0, 4096) ? errno : 0);
    for (int mode = 0x10; mode <= 0x12; mode++) printf("mode %d: %d\n", mode, fallocate(file, mode, 0, 4096) ? errno : 0);
}

static int later(struct timespec one, struct timespec other) {
    return one.tv_sec > other.tv_sec || (one.tv_sec == other.tv_sec && one.tv_nsec > other.tv_nsec);
}

/* Which of the three times of a file are later than when this was asked last; then some time passes. */
static void told(const char *what, int file) {
    static struct stat before;
    struct stat now;
    struct timespec pause = {0, 30000000};
    CHECK(fstat(file, &now) == 0);
    printf("%s:%s%s%s\n", what, later(now.st_atim, before.st_atim) ? " accessed" : "",
           later(now.st_mtim, before.st_mtim) ? " modified" : "", later(now.st_ctim, before.st_ctim) ? " changed" : "");
    before = now;
    CHECK(nanosleep(&pause, NULL) == 0);
}

static void times(void) {
    int file = new_file();
    CHECK(write(file, bytes, 8192) == 8192);
    told("made", file);
    char *at = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(at != MAP_FAILED);
    told("mapped", file);
    at[0] = 1;
    told("written through it", file);
    at[1] = 2;
    told("written again", file);
    at[4096] = 2;
    told("written elsewhere", file);
    CHECK(msync(at, 8192, MS_SYNC) == 0);
    told("msync", file);
    CHECK(pread(file, bytes, 10, 0) == 10);
    told("read", file);
    CHECK(pread(file, bytes, 10, 0) == 10);
    told("read again", file);
    char *other = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    CHECK(other != MAP_FAILED);
    other[0] = 5;
    told("written in private", file);
    struct timespec given[2] = {{1000, 0}, {2000, 0}};
    CHECK(munmap(at, 8192) == 0 && (at = mmap(NULL, 8192, 3, MAP_SHARED, file, 0)) != MAP_FAILED);
    at[0] = 1;
    CHECK(futimens(file, given) == 0);
    struct stat about;
    CHECK(fstat(file, &about) == 0);
    printf("given %ld %ld\n", (long)about.st_atim.tv_sec, (long)about.st_mtim.tv_sec);
    CHECK(pread(file, bytes, 10, 0) == 10);
    told("read since then", file);
}

int main(void) {
    limits();
    holes();
    times();
    puts("all is well");
    return 0;
}
