/* mremap: which error it is, what is where afterwards, and who has which bytes. */
#include "check.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>

#define SHOW(call) do { errno = 0; long got_ = (long)(call); \
    printf("%s: %s\n", #call, got_ == -1 ? strerror(errno) : "done"); } while (0)
#define BOTH (PROT_READ | PROT_WRITE)
#define ZEROS (MAP_PRIVATE | MAP_ANONYMOUS)
#define AT(n) (at + (n) * 4096L)
#define K(n) ((n) * 4096UL)
#define KEEP 4
#define TO (MREMAP_MAYMOVE | MREMAP_FIXED)

static sigjmp_buf back;

static void on_fault(int number) { siglongjmp(back, number); }

/* What a page begins with: a number, or how the touch ended. */
static const char *see(char *page) {
    static char text[4][20];
    static int next;
    char *to = text[next++ % 4];
    int number = sigsetjmp(back, 1);
    if (number == 0) sprintf(to, "%d", *(volatile char *)page);
    else strcpy(to, number == SIGSEGV ? "segv" : "bus");
    return to;
}

static void show(const char *what, char *at, int pages) {
    printf("%s:", what);
    for (int i = 0; i < pages; i++) printf(" %s", see(AT(i)));
    putchar('\n');
}

static char *next_place = (char *)0x20000000;

/* Far from where libc maps something of its own meanwhile; page n begins with n + 1. */
static char *arena(int pages, int flags) {
    char *at = mmap(next_place, K(pages), BOTH, flags | MAP_FIXED_NOREPLACE, -1, 0);
    CHECK(at == next_place && madvise(at, K(pages), MADV_NOHUGEPAGE) == 0);
    next_place += K(pages + 1000);
    for (int i = 0; i < pages; i++) *AT(i) = (char)(i + 1);
    return at;
}

static char *place(int pages) {
    char *at = next_place;
    next_place += K(pages + 1000);
    return at;
}

static int is_child(void) {
    fflush(stdout);
    return fork() == 0;
}

static void ends(void) {
    fflush(stdout);
    _exit(0);
}

static void errors(void) {
    char *at = arena(8, ZEROS), *common = arena(4, MAP_SHARED | MAP_ANONYMOUS), *to = place(8);
    SHOW(mremap(AT(0) + 1, K(1), K(1), 0));
    SHOW(mremap(at, K(1), 0, 0));
    SHOW(mremap(at, K(1), -1L, 0));
    SHOW(mremap(at, K(1), K(1), 8));
    SHOW(mremap(to, K(1), K(1), 0));
    SHOW(mremap(to, K(1), K(2), MREMAP_MAYMOVE));
    SHOW(mremap(at, K(1), K(1), MREMAP_FIXED, to));
    SHOW(mremap(at, K(1), K(1), KEEP, to));
    SHOW(mremap(at, K(1), K(2), KEEP | MREMAP_MAYMOVE, to));
    SHOW(mremap(at, K(2), K(1), KEEP | MREMAP_MAYMOVE, to));
    SHOW(mremap(at, K(2), K(2), TO, to + 1));
    SHOW(mremap(at, K(2), K(2), TO, -4096L));
    SHOW(mremap(at, K(2), K(2), TO, 0x7fffffffe000));
    SHOW(mremap(at, K(2), K(2), TO, AT(1)));
    SHOW(mremap(at, K(2), K(1), TO, AT(1)));
    SHOW(mremap(AT(1), K(1), K(2), TO, at));
    SHOW(mremap(AT(1), K(1), K(1), TO, AT(1)));
    SHOW(mremap(at, 0, K(1), 0));
    SHOW(mremap(at, 0, K(1), MREMAP_MAYMOVE));
    SHOW(mremap(at, 0, K(1), TO, to));
    SHOW(mremap(common, 0, K(1), 0));
    SHOW(mremap(at, K(9), K(10), MREMAP_MAYMOVE));
    SHOW(mremap(at, K(9), K(10), TO, to));
    SHOW(mremap(AT(7), K(2), K(3), 0));
    SHOW(mremap(at, K(2), K(3), 0));
    SHOW(mremap((void *)-4096L, K(1), K(1), 0));
    show("all is as it was", at, 9);
    show("nothing came", to, 1);
}

static void in_place(void) {
    char *at = arena(8, ZEROS);
    CHECK(mremap(at, K(8), K(4) - 5, 0) == at);
    show("shrunk", at, 5);
    CHECK(mremap(at, K(4), K(6), 0) == at);
    show("grown", at, 7);
    CHECK(mremap(AT(2), K(4), K(5), MREMAP_MAYMOVE) == AT(2));
    show("its end grown", at, 8);
    CHECK(mprotect(AT(3), K(1), PROT_READ) == 0 && mremap(at, K(7), K(2), 0) == at);
    show("shrunk over ranges", at, 5);
    CHECK(mremap(at, K(1), K(1), 0) == at && mremap(at, K(40), K(1), 0) == at);
    show("of more than there is", at, 3);
}

static void moves(void) {
    char *at = arena(8, ZEROS), *wall, *to = place(16), *found;
    CHECK((wall = mmap(AT(8), K(1), PROT_READ, ZEROS | MAP_FIXED_NOREPLACE, -1, 0)) == AT(8));
    CHECK((found = mremap(at, K(8), K(16), MREMAP_MAYMOVE)) != MAP_FAILED && found != at);
    show("moved by itself", found, 10);
    show("the old place", at, 9);
    found[K(2)] = 77;
    CHECK(mremap(found, K(16), K(16), TO, to) == to);
    show("moved to a place", to, 17);
    show("the old place", found, 2);
    CHECK(mremap(to + K(2), K(2), K(4), TO, at) == at);
    show("a middle", at, 5);
    show("what is left", to, 6);
    CHECK(mremap(to, K(2), K(1), TO, AT(1)) == AT(1));
    show("over what was there, shorter", at, 5);
    show("what is left", to, 6);
    CHECK(mprotect(to + K(5), K(1), PROT_READ) == 0);
    CHECK(mremap(to + K(5), K(1), K(2), TO, at) == at);
    show("read only", at, 3);
    SHOW(mprotect(at, K(2), BOTH));
    *at = 50, *AT(1) = 51;
    show("written", at, 3);
}

/* musl gives the kernel an address with MREMAP_FIXED alone. */
static char *move_near(char *at, char *hint) {
    return (char *)syscall(SYS_mremap, at, K(1), K(1), MREMAP_MAYMOVE | KEEP, hint);
}

static void keeps(void) {
    char *at = arena(6, ZEROS), *to = place(6), *found;
    CHECK(mremap(AT(1), K(3), K(3), TO | KEEP, to) == to);
    show("kept", at, 6);
    show("its bytes", to, 4);
    *AT(2) = 9;
    show("written", at, 6);
    show("other bytes", to, 4);
    CHECK((found = move_near(at, to + K(8))) == to + K(8));
    show("at a hint", found, 2);
    CHECK((found = move_near(to, at)) != MAP_FAILED && found != at);
    show("not at a hint that is taken", found, 1);
    CHECK(mlock(to + K(1), K(1)) == 0 && mremap(to + K(1), K(1), K(1), TO | KEEP, to + K(20)) == to + K(20));
    SHOW(madvise(to + K(1), K(1), MADV_DONTNEED));
    SHOW(madvise(to + K(20), K(1), MADV_DONTNEED));
}

static void forked(void) {
    char *at = arena(6, ZEROS), *to = place(8);
    if (is_child()) {
        *AT(1) = 20;
        CHECK(mremap(at, K(6), K(7), TO, to) == to);
        to[0] = 99;
        show("in the child", to, 8);
        show("its old place", at, 2);
        if (is_child()) {
            to[K(2)] = 98;
            show("in the grandchild", to, 7);
            ends();
        }
        CHECK(wait(NULL) > 0);
        CHECK(mremap(to, K(7), K(7), TO, at) == at);
        show("back", at, 7);
        ends();
    }
    CHECK(wait(NULL) > 0);
    show("in the parent", at, 6);
    if (is_child()) {
        show("in another child", at, 6);
        ends();
    }
    CHECK(mremap(at, K(6), K(6), TO, to) == to);
    CHECK(wait(NULL) > 0);
    show("in the parent, moved", to, 7);
}

static void common(void) {
    char *at = arena(6, MAP_SHARED | MAP_ANONYMOUS), *to = place(8), *twin = place(8);
    CHECK(mremap(AT(2), 0, K(3), TO, twin) == twin);
    show("a second mapping", twin, 4);
    *twin = 40, *AT(3) = 41;
    show("the first", at, 6);
    show("the second", twin, 4);
    CHECK(mremap(at, K(6), K(6), TO, to) == to);
    show("moved", to, 6);
    show("the old place", at, 1);
    if (is_child()) {
        to[K(2)] = 42;
        CHECK(mremap(twin, K(3), K(3), TO, at) == at);
        *AT(1) = 43;
        ends();
    }
    CHECK(wait(NULL) > 0);
    show("what the child wrote", to, 6);
    CHECK(munmap(to, K(6)) == 0);
    show("as long as any is there", twin, 4);
    CHECK(mremap(twin, K(1), K(1), TO | KEEP, to) == to);
    show("both", to, 1);
    show("show it", twin, 1);
    CHECK(mremap(twin, K(3), K(6), TO, at) == at);
    show("up to its end", at, 4);
    show("and behind it", AT(4), 2);
}

static void of_a_file(void) {
    int data = open("data", O_RDONLY);
    char *at = place(8), *to = place(8);
    CHECK(mmap(at, K(4), BOTH, MAP_PRIVATE | MAP_FIXED, data, 0) == at);
    *AT(1) = 11;
    CHECK(*AT(2) == (char)(8192 * 7 % 251));
    CHECK(mremap(AT(1), K(2), K(3), TO, to) == to);
    show("of a file", to, 3);
    show("what is left", at, 4);
    CHECK(mremap(to, K(3), K(4), TO, at) == at);
    show("beyond its end", at, 4);
}

static void large(void) {
    char *at = arena(700, ZEROS), *to = place(1500) + K(300);
    long sum = 0;
    for (int i = 0; i < 700; i++) *(long *)AT(i) = i;
    CHECK(mremap(at, K(700), K(1400), TO, to) == to);
    for (int i = 0; i < 1400; i++) sum += *(long *)(to + K(i));
    CHECK(sum == 700 * 699 / 2);
    CHECK((at = mremap(to, K(1400), K(3000), MREMAP_MAYMOVE)) != MAP_FAILED);
    for (int i = sum = 0; i < 1400; i++) sum += *(long *)AT(i);
    CHECK(sum == 700 * 699 / 2);
}

int main(int argc, char **argv) {
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
    setvbuf(stdout, NULL, _IOFBF, 1 << 15);
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0 && sigaction(SIGBUS, &action, NULL) == 0);
    errors();
    in_place();
    moves();
    keeps();
    forked();
    common();
    of_a_file();
    if (argc > 1 && strcmp(argv[1], "large") == 0) large();
    puts("ok");
    return 0;
}
