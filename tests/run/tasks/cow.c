/* Memory over fork: private pages are copied when somebody writes, shared ones stay shared, rights come from the range. */
#include "tasks.h"

enum { PAGES = 40 };

static char *area; /* PAGES pages, page i full of 'a' + i % 26 */

static void make_area(void) {
    area = map_pages(PAGES, PROT_READ | PROT_WRITE);
    for (long i = 0; i < PAGES; i++) memset(area + i * PAGE, 'a' + (int)(i % 26), PAGE);
}

static void is_as_made(long from, long to) {
    for (long i = from * PAGE; i < to * PAGE; i++) CHECK(area[i] == 'a' + i / PAGE % 26);
}

static int in_child(int (*run)(void)) { int status = wait_for(start(run)); return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status); }

static int writes_all(void) { memset(area, 'z', PAGES * PAGE); return area[PAGE] == 'z' ? 0 : 1; }
static int is_whole(void) { is_as_made(0, PAGES); return 0; }

static void child_writes(void) {
    make_area();
    CHECK(in_child(writes_all) == 0);
    is_as_made(0, PAGES);
    say("kept\n");
}

static void parent_writes(void) {
    int gate[2];
    make_area();
    CHECK(pipe(gate) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { take(gate[0]); _exit(is_whole()); }
    memset(area, 'y', PAGES * PAGE);
    put(gate[1]);
    wait_well(child);
    for (long i = 0; i < PAGES * PAGE; i++) CHECK(area[i] == 'y');
    say("kept\n");
}

static void last_owner(void) { /* after the child's end the parent writes again, and forks again */
    make_area();
    for (int round = 0; round < 5; round++) {
        CHECK(in_child(is_whole) == 0);
        area[round * PAGE] = 'A';
        area[round * PAGE] = (char)('a' + round);
    }
    is_as_made(0, PAGES);
    say("kept\n");
}

static int adds(void) { for (int i = 0; i < 1000; i++) __atomic_add_fetch((long *)area, 1, __ATOMIC_SEQ_CST); return 0; }

static void shared(void) {
    area = map_shared(3);
    pid_t children[4];
    for (int i = 0; i < 4; i++) children[i] = start(adds);
    adds();
    for (int i = 0; i < 4; i++) wait_well(children[i]);
    say("%ld\n", *(long *)area);
}

static int writes_untouched(void) { area[2 * PAGE + 5] = 'c'; return area[PAGE] == 'p' ? 0 : 1; }

static void shared_untouched(void) { /* pages that come to be after the fork are shared, too */
    int gate[2];
    area = map_shared(3);
    CHECK(pipe(gate) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { take(gate[0]); _exit(writes_untouched()); }
    area[PAGE] = 'p';
    put(gate[1]);
    wait_well(child);
    say("%c %d\n", area[2 * PAGE + 5], area[0]);
}

static int protects_shared(void) {
    if (mprotect(area, PAGE, PROT_READ)) return 1;
    if (munmap(area + PAGE, PAGE)) return 2;
    return area[0] == 's' ? 0 : 3;
}

static void shared_rights(void) { /* a child's rights are its own */
    area = map_shared(3);
    memset(area, 's', 3 * PAGE);
    CHECK(in_child(protects_shared) == 0);
    area[0] = area[PAGE] = 't';
    CHECK(mprotect(area + 2 * PAGE, PAGE, PROT_NONE) == 0);
    CHECK(mprotect(area + 2 * PAGE, PAGE, PROT_READ) == 0 && area[2 * PAGE] == 's');
    say("%c%c%c\n", area[0], area[PAGE], area[2 * PAGE]);
}

static int writes_back(void) {
    if (mprotect(area, PAGES * PAGE, PROT_READ | PROT_WRITE)) return 1;
    is_as_made(0, PAGES);
    return writes_all();
}

static void protect_fork_protect(void) { /* to read-only, fork, back, write both */
    make_area();
    CHECK(mprotect(area, PAGES * PAGE, PROT_READ) == 0);
    int gate[2];
    CHECK(pipe(gate) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { take(gate[0]); _exit(writes_back()); }
    CHECK(mprotect(area, PAGES * PAGE, PROT_READ | PROT_WRITE) == 0);
    memset(area, 'x', PAGES * PAGE);
    put(gate[1]);
    wait_well(child);
    for (long i = 0; i < PAGES * PAGE; i++) CHECK(area[i] == 'x');
    say("kept\n");
}

static int writes_first(void) { area[0] = 1; return 0; }

static void protected_in_child(void) { /* a shared frame does not give a right that the range has not */
    make_area();
    CHECK(mprotect(area, PAGE, PROT_READ) == 0);
    say("read-only: %d\n", in_child(writes_first));
    CHECK(mprotect(area, PAGE, PROT_NONE) == 0);
    say("none: %d\n", in_child(is_whole));
    CHECK(mprotect(area, PAGE, PROT_READ | PROT_WRITE) == 0);
    say("back: %d\n", in_child(writes_first));
    is_as_made(0, PAGES);
}

static void none_over_fork(void) { /* pages without a right keep what is in them */
    make_area();
    CHECK(mprotect(area, PAGES * PAGE, PROT_NONE) == 0);
    CHECK(in_child(writes_back) == 0);
    CHECK(mprotect(area, PAGES * PAGE, PROT_READ | PROT_WRITE) == 0);
    is_as_made(0, PAGES);
    say("kept\n");
}

static int unmaps_middle(void) {
    if (munmap(area + 10 * PAGE, 5 * PAGE)) return 1;
    area[9 * PAGE] = area[15 * PAGE] = 'q';
    return area[9 * PAGE + 1] == 'a' + 9 ? 0 : 2;
}

static void split_then_fork(void) {
    make_area();
    CHECK(mprotect(area + 5 * PAGE, 3 * PAGE, PROT_READ) == 0 && munmap(area + 20 * PAGE, PAGE) == 0);
    CHECK(in_child(unmaps_middle) == 0);
    is_as_made(0, 20);
    is_as_made(21, PAGES);
    CHECK(mmap(area + 20 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == area + 20 * PAGE);
    CHECK(area[20 * PAGE] == 0);
    area[10 * PAGE] = 'r';
    CHECK(in_child(unmaps_middle) == 0);
    say("%c\n", area[10 * PAGE]);
}

static int shrinks(void) {
    if (mremap(area, PAGES * PAGE, PAGES / 2 * PAGE, MREMAP_MAYMOVE) != area) return 1;
    is_as_made(0, PAGES / 2);
    memset(area, 'm', PAGES / 2 * PAGE);
    return area[PAGE] == 'm' ? 0 : 2;
}

static void smaller_in_child(void) {
    make_area();
    CHECK(in_child(shrinks) == 0);
    is_as_made(0, PAGES);
    CHECK(shrinks() == 0);
    say("kept\n");
}

static void copy_out(void) { /* calls that write into pages that are shared since fork */
    int ends[2], gate[2];
    char text[] = "0123456789";
    struct stat *about;
    make_area();
    CHECK(pipe(ends) == 0 && pipe(gate) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(read(ends[0], area + PAGE - 5, 10) == 10 && !memcmp(area + PAGE - 5, text, 10));
        about = (struct stat *)(area + 3 * PAGE - 8);
        CHECK(fstat(0, about) == 0);
        CHECK(clock_gettime(CLOCK_MONOTONIC, (struct timespec *)(area + 6 * PAGE - 8)) == 0);
        CHECK(getcwd(area + 8 * PAGE - 1, 100) && area[8 * PAGE - 1] == '/');
        put(gate[1]);
        _exit(area[PAGE - 6] == 'a' && area[PAGE + 5] == 'b' ? 0 : 1);
    }
    CHECK(write(ends[1], text, 10) == 10);
    take(gate[0]);
    is_as_made(0, PAGES);
    wait_well(child);
    CHECK(write(ends[1], text, 10) == 10 && read(ends[0], area, 10) == 10 && !memcmp(area, text, 10)); /* now the last owner */
    is_as_made(1, PAGES);
    say("kept\n");
}

static void copy_out_refused(void) { /* where the range gives no right, a call is refused before anything is taken */
    int ends[2];
    char text[20];
    make_area();
    CHECK(pipe(ends) == 0 && write(ends[1], "0123456789", 10) == 10);
    CHECK(mprotect(area + PAGE, PAGE, PROT_READ) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        FAILS(read(ends[0], area + PAGE, 10), EFAULT);
        _exit(0);
    }
    wait_well(child);
    CHECK(read(ends[0], text, sizeof text) == 10 && !memcmp(text, "0123456789", 10));
    is_as_made(0, PAGES);
    say("kept\n");
}

static char *grow(long bytes) { /* musl has no sbrk */
    char *at = (char *)syscall(SYS_brk, 0);
    CHECK((char *)syscall(SYS_brk, at + bytes) == at + bytes);
    return at;
}

static int grows_break(void) { memset(grow(3 * PAGE), 5, 3 * PAGE); return area[0] == 'h' ? 0 : 2; }

static void breaks(void) {
    area = grow(5 * PAGE);
    memset(area, 'h', 5 * PAGE);
    long end = syscall(SYS_brk, 0);
    CHECK(in_child(grows_break) == 0 && syscall(SYS_brk, 0) == end);
    CHECK(grows_break() == 0);
    for (int i = 0; i < 5 * PAGE; i++) CHECK(area[i] == 'h');
    say("kept\n");
}

static int reads_zeros(void) { for (long i = 0; i < 8 * PAGE; i++) CHECK(area[i] == 0); area[3 * PAGE] = 3; return area[3 * PAGE + 1]; }

static void zero_pages(void) { /* read before the fork, so that the frame of zeros is mapped */
    area = map_pages(8, PROT_READ | PROT_WRITE);
    CHECK(in_child(reads_zeros) == 0 && reads_zeros() == 0);
    area[3 * PAGE] = 0;
    CHECK(in_child(reads_zeros) == 0);
    area[4 * PAGE] = 1;
    area[4 * PAGE] = 0;
    CHECK(in_child(reads_zeros) == 0);
    say("kept\n");
}

static void many_maps(void) { /* one frame is mapped 75,000 times by a few tasks */
    enum { MAPS = 25000 };
    static volatile const char *at[MAPS];
    int file = open("data/words", O_RDONLY), gate[2];
    CHECK(file >= 0 && pipe(gate) == 0);
    long sum = 0;
    for (int i = 0; i < MAPS; i++) {
        at[i] = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0);
        CHECK(at[i] != MAP_FAILED);
        sum += at[i][i % PAGE];
    }
    pid_t children[2];
    for (int i = 0; i < 2; i++) {
        children[i] = fork();
        CHECK(children[i] >= 0);
        if (children[i]) continue;
        long own = 0;
        for (int j = 0; j < MAPS; j++) own += at[j][j % PAGE];
        take(gate[0]); /* all are there at once */
        _exit(own == sum ? 0 : 1);
    }
    put(gate[1]); put(gate[1]);
    for (int i = 0; i < 2; i++) wait_well(children[i]);
    for (int i = 0; i < MAPS; i++) CHECK(munmap((void *)(uintptr_t)at[i], PAGE) == 0);
    say("sum %ld\n", sum);
}

static void model(void) { /* random writes in a tree of tasks: each knows what its pages must hold */
    enum { STEPS = 40, DEPTH = 3 };
    static unsigned char expected[PAGES];
    int depth = 0, in_tree = 0;
    pid_t children[STEPS];
    int nr_children = 0;
    area = map_pages(PAGES, PROT_READ | PROT_WRITE);
    for (int step = 0; step < STEPS; step++) {
        unsigned page = (unsigned)below(PAGES);
        switch (below(6)) {
        case 0: case 1:
            area[page * PAGE] = (char)++expected[page];
            area[page * PAGE + 4095] = (char)expected[page];
            break;
        case 2:
            CHECK(madvise(area + page * PAGE, PAGE, MADV_DONTNEED) == 0);
            expected[page] = 0;
            break;
        case 3:
            CHECK(mprotect(area + page * PAGE, PAGE, PROT_READ) == 0);
            CHECK(mprotect(area + page * PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
            break;
        case 4:
            for (unsigned i = 0; i < PAGES; i++)
                CHECK((unsigned char)area[i * PAGE] == expected[i] && (unsigned char)area[i * PAGE + 4095] == expected[i]);
            break;
        default:
            if (depth == DEPTH) break;
            children[nr_children] = fork();
            CHECK(children[nr_children] >= 0);
            if (children[nr_children] == 0) {
                depth++, in_tree = 1, nr_children = 0;
                random_state += (uint64_t)step * 77 + (uint64_t)depth; /* another way than its parent's */
            } else nr_children++;
        }
    }
    for (unsigned i = 0; i < PAGES; i++) CHECK((unsigned char)area[i * PAGE] == expected[i]);
    while (nr_children) wait_well(children[--nr_children]);
    for (unsigned i = 0; i < PAGES; i++) CHECK((unsigned char)area[i * PAGE] == expected[i]);
    if (in_tree) _exit(0);
    say("the model holds\n");
}

static void own_text(void) { /* program text that a child changes */
    static const volatile char constant[] = "constant";
    char *page = (char *)((uintptr_t)constant & -(uintptr_t)PAGE);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(mprotect(page, PAGE, PROT_READ | PROT_WRITE) == 0);
        *(volatile char *)(uintptr_t)constant = 'C';
        _exit(constant[0] == 'C' ? 0 : 1);
    }
    wait_well(child);
    say("%c%c\n", constant[0], constant[1]);
}

static void code_over_fork(void) { /* code made at run time: each calls its own */
    unsigned char code[] = {0xb8, 1, 0, 0, 0, 0xc3}; /* mov $1, %eax; ret */
    area = map_pages(1, PROT_READ | PROT_WRITE | PROT_EXEC);
    memcpy(area, code, sizeof code);
    int (*call)(void) = (int (*)(void))(uintptr_t)area;
    CHECK(call() == 1);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { area[1] = 2; _exit(call()); }
    area[1] = 3;
    say("parent %d\n", call());
    say_end("child", child);
    say("parent %d\n", call());
}

static void unaligned(void) { /* one write that touches two pages, and locked ones */
    make_area();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        *(volatile uint64_t *)(area + PAGE - 4) = 0x1122334455667788;
        __atomic_add_fetch((long *)(area + 2 * PAGE), 1, __ATOMIC_SEQ_CST);
        memmove(area + 4 * PAGE - 100, area + 5 * PAGE, 200);
        CHECK(area[PAGE] == 0x44 && area[PAGE - 1] == 0x55 && area[2 * PAGE] == 'd' && area[4 * PAGE] == 'f');
        _exit(0);
    }
    wait_well(child);
    is_as_made(0, PAGES);
    say("kept\n");
}

static void large(void) { /* more than a table of pages */
    long pages = 3000;
    area = map_pages((size_t)pages, PROT_READ | PROT_WRITE);
    for (long i = 0; i < pages; i++) area[i * PAGE] = (char)(i % 100);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        for (long i = 0; i < pages; i += 2) area[i * PAGE]++;
        for (long i = 0; i < pages; i++) CHECK(area[i * PAGE] == i % 100 + (i % 2 == 0));
        _exit(0);
    }
    for (long i = 1; i < pages; i += 2) area[i * PAGE]--;
    wait_well(child);
    for (long i = 0; i < pages; i++) CHECK(area[i * PAGE] == i % 100 - (i % 2));
    say("kept\n");
}

static void file_mapping(void) { /* private pages of a file */
    write_file("mapped", "words of a file\n", 0644);
    int file = open("mapped", O_RDWR);
    CHECK(file >= 0);
    area = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    CHECK(area != MAP_FAILED);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { area[0] = 'W'; _exit(area[1] == 'o' ? 0 : 1); }
    wait_well(child);
    area[6] = 'O';
    char back[20] = "";
    CHECK(pread(file, back, sizeof back - 1, 0) == 16);
    say("%s%s", area, back);
    CHECK(close(file) == 0 && unlink("mapped") == 0);
}

static const struct way ways[] = {WAY(child_writes), WAY(parent_writes), WAY(last_owner), WAY(shared), WAY(shared_untouched), WAY(shared_rights),
    WAY(protect_fork_protect), WAY(protected_in_child), WAY(none_over_fork), WAY(split_then_fork), WAY(smaller_in_child), WAY(copy_out),
    WAY(copy_out_refused), WAY(breaks), WAY(zero_pages), WAY(many_maps), WAY(model), WAY(own_text), WAY(code_over_fork), WAY(unaligned),
    WAY(large), WAY(file_mapping), {NULL, NULL}};
