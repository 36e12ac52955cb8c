/* Faults that other memory managers had, each a way by its name. What a purge must keep
   is in tests/kernel/files/test_coherence.py, since no program can ask for one; the hundred ranges that stay a
   hundred are in tests/run/programs/memory_errors.c. */
#include "tasks.h"
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>

#define READ_WRITE (PROT_READ | PROT_WRITE)
#define OWN (MAP_PRIVATE | MAP_ANONYMOUS)
#define JOIN(thread) CHECK(pthread_join(thread, NULL) == 0)

static sigjmp_buf back;
static void on_fault(int number) { siglongjmp(back, number); }

static int signal_of(volatile char *at) { /* that a load gives, or 0 */
    handle(SIGSEGV, on_fault, 0);
    handle(SIGBUS, on_fault, 0);
    int number = sigsetjmp(back, 1);
    if (number == 0) (void)*at;
    return number;
}

static int new_file(long pages) {
    char path[] = "/tmp/faultsXXXXXX";
    int file = mkstemp(path);
    CHECK(file >= 0 && unlink(path) == 0 && ftruncate(file, pages * PAGE) == 0);
    return file;
}

static pthread_t make(void *(*run)(void *)) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, run, NULL) == 0);
    return thread;
}

static void zero_wrapping_and_unaligned(void) {
    char *at = map_pages(4, READ_WRITE), old[] = "kept";
    memcpy(at, old, sizeof old);
    say_error("map nothing", (long)mmap(NULL, 0, PROT_READ, OWN, -1, 0));
    say_error("map too much", (long)mmap(NULL, ULONG_MAX, PROT_READ, OWN, -1, 0));
    say_error("map to the end of all", (long)mmap(at, ULONG_MAX - 4095, PROT_READ, OWN | MAP_FIXED, -1, 0));
    say_error("map at an odd place", (long)mmap(at + 1, PAGE, PROT_READ, OWN | MAP_FIXED, -1, 0));
    say_error("unmap nothing", munmap(at, 0));
    say_error("unmap at an odd place", munmap(at + 1, PAGE));
    say_error("unmap to the end of all", munmap(at, ULONG_MAX));
    say_error("unmap beyond", munmap((void *)(1l << 47), PAGE));
    say_error("protect nothing", mprotect(at, 0, PROT_NONE));
    say_error("protect to the end of all", mprotect(at, ULONG_MAX - 4095, PROT_READ));
    say_error("protect beyond", mprotect((void *)(1l << 47), PAGE, PROT_READ));
    say_error("lock beyond", mlock((void *)(1l << 47), PAGE));
    say_error("unlock beyond", munlock((void *)(1l << 47), PAGE));
    say_error("sync beyond", msync((void *)(1l << 47), PAGE, MS_SYNC));
    say_error("advise beyond", madvise((void *)(1l << 47), PAGE, MADV_DONTNEED));
    say_error("remap nothing", (long)mremap(at, PAGE, 0, MREMAP_MAYMOVE));
    CHECK(strcmp(at, old) == 0);
}

static void private_and_shared(void) {
    say_error("neither", (long)mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0));
    say_error("both, without a file", (long)mmap(NULL, PAGE, PROT_READ, OWN | MAP_SHARED, -1, 0));
    int file = new_file(1);
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_SHARED, file, 0) != MAP_FAILED); /* MAP_SHARED_VALIDATE */
}

static void descriptor_zero(void) {
    int file = new_file(1);
    CHECK(pwrite(file, "zero", 4, 0) == 4 && dup2(file, 0) == 0);
    char *at = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 0, 0);
    CHECK(at != MAP_FAILED && memcmp(at, "zero", 4) == 0);
    CHECK(close(0) == 0);
    say_error("closed", (long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 0, 0));
}

static void fixed_below_the_minimum(void) {
    CHECK(setuid(65534) == 0);
    say_error("at 0", (long)mmap(NULL, PAGE, READ_WRITE, OWN | MAP_FIXED, -1, 0));
    CHECK((long)mmap((void *)1, PAGE, READ_WRITE, OWN, -1, 0) > 0);
}

static void failed_mmap_uses_up_no_address(void) {
    char *first = map_pages(1, PROT_READ);
    CHECK(munmap(first, PAGE) == 0);
    int file = open("/dev/null", O_RDWR);
    for (int i = 0; i < 50; i++) {
        FAILS(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0), ENODEV);
        FAILS(mmap(NULL, 1l << 46 | 1l << 47, PROT_READ, OWN, -1, 0), ENOMEM);
        FAILS(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0), EBADF);
    }
    say("the same place: %d\n", map_pages(1, PROT_READ) == first);
}

static void munmap_over_several_ranges(void) {
    char *at = map_pages(9, READ_WRITE);
    CHECK(mprotect(at + 2 * PAGE, PAGE, PROT_READ) == 0 && munmap(at + 4 * PAGE, PAGE) == 0 && mprotect(at + 6 * PAGE, PAGE, PROT_NONE) == 0);
    FAILS(munmap(at + PAGE, ULONG_MAX - 4095), EINVAL);
    for (int page = 0; page < 9; page++) say("%d ", signal_of(at + page * PAGE));
    CHECK(munmap(at + PAGE, 7 * PAGE) == 0);
    for (int page = 0; page < 9; page++) say("%d ", signal_of(at + page * PAGE));
    say("\n");
}

static void dontneed_gives_zeros_at_once(void) {
    char *at = map_pages(3, READ_WRITE);
    memset(at, 7, 3 * PAGE);
    CHECK(madvise(at + PAGE, PAGE, MADV_DONTNEED) == 0);
    say("%d %d %d\n", at[PAGE - 1], at[PAGE], at[2 * PAGE]);
}

static void mincore_shows_only_ones_own(void) {
    unsigned char there[3];
    char *at = map_pages(3, READ_WRITE);
    at[0] = at[PAGE] = 1;
    CHECK(madvise(at + PAGE, PAGE, MADV_DONTNEED) == 0 && mincore(at, 3 * PAGE, there) == 0);
    say("%d%d%d ", there[0] & 1, there[1] & 1, there[2] & 1);
    FAILS(mincore(at, 1l << 46, there), ENOMEM);
    CHECK(munmap(at, PAGE) == 0);
    FAILS(mincore(at, 3 * PAGE, there), ENOMEM);
    say("and holes are not told of\n");
}

static void msync_over_a_hole(void) {
    int file = new_file(3);
    char *at = mmap(NULL, 3 * PAGE, READ_WRITE, MAP_SHARED, file, 0);
    CHECK(at != MAP_FAILED && munmap(at + PAGE, PAGE) == 0);
    at[2 * PAGE] = 'h';
    say_error("over a hole", msync(at, 3 * PAGE, MS_SYNC));
    say_error("at once and later", msync(at, PAGE, MS_SYNC | MS_ASYNC));
    char seen;
    CHECK(pread(file, &seen, 1, 2 * PAGE) == 1);
    say("behind it: %c\n", seen);
}

static void unmapped_dirty_pages_are_written(void) {
    int file = new_file(2);
    char *at = mmap(NULL, 2 * PAGE, READ_WRITE, MAP_SHARED, file, 0), seen;
    CHECK(at != MAP_FAILED);
    at[PAGE] = 'd';
    CHECK(munmap(at, 2 * PAGE) == 0 && pread(file, &seen, 1, PAGE) == 1);
    say("%c, ", seen);
    at = mmap(NULL, PAGE, READ_WRITE, MAP_SHARED, file, 0);
    CHECK(at != MAP_FAILED);
    at[5] = 'e';
    CHECK(mmap(at, PAGE, PROT_READ, OWN | MAP_FIXED, -1, 0) == at && at[5] == 0 && pread(file, &seen, 1, 5) == 1);
    say("%c\n", seen);
}

static void mremap_leaves_no_translation(void) {
    char *at = map_pages(2, READ_WRITE), *room = map_pages(2, PROT_NONE);
    memset(at, 1, 2 * PAGE);
    CHECK(mremap(at, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room) == room);
    say("old %d, new %d, ", signal_of(at), room[PAGE]);
    CHECK(mmap(at, 2 * PAGE, READ_WRITE, OWN | MAP_FIXED, -1, 0) == at);
    say("another there %d\n", at[PAGE]);
    at[PAGE] = 2;
    CHECK(room[PAGE] == 1);
}

/* ---------------------------------------------------------------- a buffer that goes while the call waits */
static char *buffer, *elsewhere;
static int ends[2];
static char lots[65536];

static void *take_away(void *unused) {
    sleep_ms(2);
    if (elsewhere) CHECK(mremap(buffer, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere) == elsewhere);
    else CHECK(munmap(buffer, PAGE) == 0);
    return unused;
}
static void *take_away_and_write(void *unused) {
    take_away(unused);
    CHECK(write(ends[1], "abc", 3) == 3);
    return unused;
}
static void *take_away_and_read(void *unused) {
    take_away(unused);
    CHECK(read(ends[0], lots, sizeof lots) == sizeof lots);
    return unused;
}

static void wait_with(char *place, char *other) {
    char got[4] = {0};
    CHECK(pipe(ends) == 0);
    buffer = place;
    elsewhere = other;
    pthread_t thread = make(take_away_and_write);
    say_error("read", read(ends[0], buffer, 3));
    JOIN(thread);
    CHECK(read(ends[0], got, 3) == 3);
    say("still in the pipe: %s\n", got);
}

static void buffer_unmapped_while_read_waits(void) { wait_with(map_pages(1, READ_WRITE), NULL); }
static void buffer_remapped_while_read_waits(void) { wait_with(map_pages(1, READ_WRITE), map_pages(1, PROT_NONE)); }

static void buffer_unmapped_while_write_waits(void) {
    CHECK(pipe(ends) == 0 && write(ends[1], lots, sizeof lots) == sizeof lots);
    buffer = map_pages(1, READ_WRITE);
    elsewhere = NULL;
    pthread_t thread = make(take_away_and_read);
    say_error("write", write(ends[1], buffer, 100));
    JOIN(thread);
    CHECK(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
    FAILS(read(ends[0], lots, 1), EAGAIN);
}

/* ---------------------------------------------------------------- private pages and advice at once */
static volatile int is_over;
static void *forget(void *unused) {
    while (!is_over) CHECK(madvise(buffer, 4 * PAGE, MADV_DONTNEED) == 0);
    return unused;
}

static void private_write_while_dontneed_races(void) {
    int file = new_file(4);
    char seen;
    memset(lots, 'f', sizeof lots);
    CHECK(pwrite(file, lots, 4 * PAGE, 0) == 4 * PAGE);
    buffer = mmap(NULL, 4 * PAGE, READ_WRITE, MAP_PRIVATE, file, 0);
    CHECK(buffer != MAP_FAILED);
    pthread_t thread = make(forget);
    for (int i = 0; i < 20000; i++) {
        volatile char *at = buffer + i % 4 * PAGE + i % PAGE;
        *at = 'p';
        CHECK(*at == 'p' || *at == 'f');
    }
    is_over = 1;
    JOIN(thread);
    for (int i = 0; i < 4 * PAGE; i++) CHECK(pread(file, &seen, 1, i) == 1 && seen == 'f');
    CHECK(madvise(buffer, 4 * PAGE, MADV_DONTNEED) == 0 && memcmp(buffer, lots, 4 * PAGE) == 0);
    say("the file is as it was\n");
}

static const struct way ways[] = {WAY(zero_wrapping_and_unaligned), WAY(private_and_shared), WAY(descriptor_zero),
    WAY(fixed_below_the_minimum), WAY(failed_mmap_uses_up_no_address), WAY(munmap_over_several_ranges),
    WAY(dontneed_gives_zeros_at_once), WAY(mincore_shows_only_ones_own), WAY(msync_over_a_hole),
    WAY(unmapped_dirty_pages_are_written), WAY(mremap_leaves_no_translation), WAY(buffer_unmapped_while_read_waits),
    WAY(buffer_remapped_while_read_waits), WAY(buffer_unmapped_while_write_waits), WAY(private_write_while_dontneed_races), {NULL, NULL}};
