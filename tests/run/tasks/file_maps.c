/* Files that are mapped: reads, writes, sizes, holes and mappings, shared and private, see each other as they must. */
#include "tasks.h"
#include <setjmp.h>
#include <sys/sendfile.h>

static sigjmp_buf back;

static void jump(int number) { siglongjmp(back, number); }

/* The signal that an access gives, 0 if none. */
static int signal_of(volatile char *at, int is_write) {
    handle(SIGBUS, jump, 0);
    handle(SIGSEGV, jump, 0);
    int number = sigsetjmp(back, 1);
    if (number == 0) {
        if (is_write) *at = 'w'; else (void)*at;
    }
    handle(SIGBUS, SIG_DFL, 0);
    handle(SIGSEGV, SIG_DFL, 0);
    return number;
}

static int new_file(const char *name, long pages) { /* page i full of 'a' + i */
    char page[PAGE];
    int file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(file >= 0);
    for (long i = 0; i < pages; i++) { memset(page, 'a' + (int)i, PAGE); CHECK(write(file, page, PAGE) == PAGE); }
    return file;
}

static char *map_file(int file, long pages, int rights, int flags, long offset) {
    char *at = mmap(NULL, (size_t)(pages * PAGE), rights, flags, file, offset);
    CHECK(at != MAP_FAILED);
    return at;
}

static char byte_at(int file, long position) { char byte = '?'; CHECK(pread(file, &byte, 1, position) == 1); return byte; }
static void put_at(int file, long position, char byte) { CHECK(pwrite(file, &byte, 1, position) == 1); }
static long size_of(int file) { struct stat info; CHECK(fstat(file, &info) == 0); return info.st_size; }
static void are_zero(const char *from, const char *to) { for (; from < to; from++) CHECK(*from == 0); }

enum { BOTH = PROT_READ | PROT_WRITE };

static void each_sees_it(void) {
    int file = new_file("f", 3);
    char *shared = map_file(file, 3, BOTH, MAP_SHARED, 0), *again = map_file(file, 2, PROT_READ, MAP_SHARED, PAGE);
    char *own = map_file(file, 3, BOTH, MAP_PRIVATE, 0), *late = map_file(file, 3, BOTH, MAP_PRIVATE, 0);
    CHECK(shared[0] == 'a' && again[0] == 'b' && own[2 * PAGE] == 'c' && own[0] == 'a');
    shared[5] = '1';
    put_at(file, PAGE + 6, '2');
    CHECK(byte_at(file, 5) == '1' && own[5] == '1' && again[6] == '2' && shared[PAGE + 6] == '2' && own[PAGE + 6] == '2');
    own[7] = '3'; /* the file's page until now */
    late[8] = '4'; /* never read before */
    CHECK(shared[7] == 'a' && byte_at(file, 7) == 'a' && shared[8] == 'a' && late[5] == '1' && own[5] == '1');
    shared[9] = '5';
    CHECK(own[9] == 'a' && late[9] == 'a' && byte_at(file, 9) == '5');
    CHECK(madvise(own, PAGE, MADV_DONTNEED) == 0 && own[7] == 'a' && own[9] == '5');
    CHECK(msync(shared, 3 * PAGE, MS_SYNC) == 0 && msync(own, PAGE, MS_ASYNC) == 0 && fsync(file) == 0);
    say("seen\n");
}

static void of_the_archive(void) { /* a file that nobody has written yet */
    int file = open("data/text", O_RDWR);
    char *shared = map_file(file, 1, BOTH, MAP_SHARED, 0), *own = map_file(file, 1, BOTH, MAP_PRIVATE, 0), line[9] = "";
    CHECK(own[0] == 'l' && shared[1] == 'i');
    shared[0] = 'L';
    own[1] = 'I';
    CHECK(pread(file, line, 8, 0) == 8);
    say("%s %.8s %.8s\n", line, shared, own);
    CHECK(size_of(file) < PAGE && shared[size_of(file)] == 0 && own[PAGE - 1] == 0);
    shared[0] = 'l';
}

static void parent_and_child(void) {
    int file = new_file("f", 2), gate[2], other[2];
    char *before = map_file(file, 2, BOTH, MAP_SHARED, 0), *own = map_file(file, 2, BOTH, MAP_PRIVATE, 0);
    CHECK(pipe(gate) == 0 && pipe(other) == 0);
    own[0] = 'P';
    CHECK(own[PAGE] == 'b');
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        take(gate[0]);
        CHECK(before[1] == 'p' && own[0] == 'P' && own[PAGE] == 'b' && own[PAGE + 1] == 'q');
        own[PAGE] = 'C';
        before[PAGE] = 'c';
        put(other[1]);
        take(gate[0]);
        CHECK(before[2] == 'r' && munmap(before, 2 * PAGE) == 0);
        char *late = map_file(file, 1, BOTH, MAP_SHARED, PAGE);
        late[3] = 'd';
        _exit(0);
    }
    before[1] = 'p';
    before[PAGE + 1] = 'q';
    put(gate[1]);
    take(other[0]);
    CHECK(before[PAGE] == 'c' && own[PAGE] == 'c' && byte_at(file, PAGE) == 'c');
    put_at(file, 2, 'r');
    put(gate[1]);
    wait_well(child);
    CHECK(before[PAGE + 3] == 'd' && own[PAGE + 3] == 'd');
    say("seen\n");
}

static void behind_the_end(void) {
    int file = new_file("f", 2);
    CHECK(ftruncate(file, PAGE + 100) == 0);
    char *shared = map_file(file, 4, BOTH, MAP_SHARED, 0), *own = map_file(file, 4, BOTH, MAP_PRIVATE, 0);
    are_zero(shared + PAGE + 100, shared + 2 * PAGE);
    are_zero(own + PAGE + 100, own + 2 * PAGE);
    for (int is_write = 0; is_write < 2; is_write++)
        for (long page = 0; page < 4; page++) say("page %ld: %d %d\n", page, signal_of(shared + page * PAGE, is_write), signal_of(own + page * PAGE, is_write));
    int gate[2];
    CHECK(pipe(gate) == 0);
    say_error("write from behind", write(gate[1], shared + 2 * PAGE, 1));
    say_error("read to behind", pread(file, own + 3 * PAGE, 1, 0));
    say("%ld bytes\n", size_of(file));
    CHECK(ftruncate(file, 4 * PAGE) == 0 && signal_of(shared + 3 * PAGE, 1) == 0 && byte_at(file, 3 * PAGE) == 'w' && own[3 * PAGE] == 'w');
}

static void cut(void) {
    int file = new_file("f", 4);
    char *shared = map_file(file, 4, BOTH, MAP_SHARED, 0), *own = map_file(file, 4, BOTH, MAP_PRIVATE, 0);
    for (long page = 0; page < 4; page++) { shared[page * PAGE + 1] = '1'; own[page * PAGE + 2] = '2'; }
    CHECK(ftruncate(file, PAGE + 10) == 0);
    CHECK(shared[PAGE + 1] == '1' && shared[PAGE + 9] == 'b' && own[PAGE + 2] == '2' && own[PAGE + 20] == 'b');
    are_zero(shared + PAGE + 10, shared + 2 * PAGE);
    for (long page = 0; page < 4; page++) say("page %ld: %d %d\n", page, signal_of(shared + page * PAGE, 0), signal_of(own + page * PAGE, 0));
    CHECK(truncate("f", 4 * PAGE) == 0 && size_of(file) == 4 * PAGE);
    are_zero(shared + PAGE + 10, shared + 4 * PAGE);
    are_zero(own + 2 * PAGE, own + 4 * PAGE); /* copies went, too */
    CHECK(own[2] == '2' && own[PAGE + 2] == '2');
    CHECK(ftruncate(file, 0) == 0 && signal_of(shared, 0) == SIGBUS && signal_of(own, 1) == SIGBUS);
    put_at(file, 3 * PAGE, 'z');
    are_zero(shared, shared + 3 * PAGE);
    CHECK(own[3 * PAGE] == 'z' && shared[3 * PAGE] == 'z' && size_of(file) == 3 * PAGE + 1);
    int again = open("f", O_RDWR | O_TRUNC);
    CHECK(again >= 0 && signal_of(shared + 3 * PAGE, 0) == SIGBUS && size_of(file) == 0);
    say("cut\n");
}

static void cut_in_others(void) { /* what a child cuts is gone from its parent's mappings */
    int file = new_file("f", 3);
    char *shared = map_file(file, 3, BOTH, MAP_SHARED, 0), *own = map_file(file, 3, BOTH, MAP_PRIVATE, 0);
    own[PAGE] = shared[PAGE] = own[0] = 'x';
    CHECK(own[2 * PAGE] == 'c');
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { CHECK(own[PAGE] == 'x' && ftruncate(file, PAGE) == 0); _exit(signal_of(own + PAGE, 0)); }
    say_end("child", child);
    for (long page = 0; page < 3; page++) say("page %ld: %d %d\n", page, signal_of(shared + page * PAGE, 0), signal_of(own + page * PAGE, 0));
    say("%c %c\n", shared[0], own[0]);
}

static void grow(void) {
    int file = new_file("f", 1);
    put_at(file, 10, 'x');
    CHECK(ftruncate(file, 11) == 0);
    char *shared = map_file(file, 300, BOTH, MAP_SHARED, 0);
    CHECK(shared[10] == 'x');
    are_zero(shared + 11, shared + PAGE);
    CHECK(ftruncate(file, 300 * PAGE) == 0);
    are_zero(shared + 11, shared + 300 * PAGE);
    shared[299 * PAGE] = 'y';
    CHECK(byte_at(file, 299 * PAGE) == 'y' && byte_at(file, 150 * PAGE) == 0 && lseek(file, 0, SEEK_END) == 300 * PAGE);
    CHECK(ftruncate(file, 1l << 35) == 0 && size_of(file) == 1l << 35); /* far more than there is memory */
    put_at(file, (1l << 34) + 5, 'z');
    char *far = map_file(file, 1, PROT_READ, MAP_PRIVATE, 1l << 34);
    CHECK(far[5] == 'z' && far[4] == 0 && byte_at(file, (1l << 35) - 1) == 0);
    say("grown\n");
}

static void holes(void) {
    int file = new_file("f", 6);
    char *shared = map_file(file, 6, BOTH, MAP_SHARED, 0), *own = map_file(file, 6, BOTH, MAP_PRIVATE, 0);
    for (long page = 0; page < 6; page++) CHECK(shared[page * PAGE] == 'a' + page && own[page * PAGE] == 'a' + page);
    own[PAGE] = '1';
    own[3 * PAGE + 5] = '3';
    CHECK(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE - 5, 2 * PAGE + 10) == 0);
    CHECK(shared[PAGE - 6] == 'a' && shared[3 * PAGE + 5] == 'd' && own[PAGE] == '1' && own[PAGE + 1] == 'b' && own[2 * PAGE] == 0);
    are_zero(shared + PAGE - 5, shared + 3 * PAGE + 5);
    CHECK(byte_at(file, 2 * PAGE) == 0 && byte_at(file, PAGE - 6) == 'a' && own[3 * PAGE + 5] == '3' && own[3 * PAGE] == 'd');
    shared[2 * PAGE] = '2';
    CHECK(byte_at(file, 2 * PAGE) == '2' && own[2 * PAGE] == '2' && own[PAGE] == '1');
    CHECK(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5 * PAGE + 7, 9) == 0 && shared[5 * PAGE + 6] == 'f' && shared[5 * PAGE + 16] == 'f');
    are_zero(shared + 5 * PAGE + 7, shared + 5 * PAGE + 16);
    CHECK(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5 * PAGE, 100 * PAGE) == 0 && size_of(file) == 6 * PAGE);
    are_zero(shared + 5 * PAGE, shared + 6 * PAGE);
    CHECK(madvise(shared + 4 * PAGE, PAGE, MADV_NORMAL) == 0 && shared[4 * PAGE] == 'e');
    CHECK(fallocate(file, 0, 5 * PAGE, 2 * PAGE) == 0 && size_of(file) == 7 * PAGE && byte_at(file, 4 * PAGE) == 'e');
    CHECK(fallocate(file, FALLOC_FL_KEEP_SIZE, 6 * PAGE, 3 * PAGE) == 0 && size_of(file) == 7 * PAGE);
    CHECK(posix_fallocate(file, 0, 10) == 0 && byte_at(file, 9) == 'a');
    int text = open("data/words", O_RDWR);
    long size = size_of(text);
    char first = byte_at(text, 0), last = byte_at(text, size - 1);
    CHECK(size > PAGE && fallocate(text, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10, PAGE) == 0);
    CHECK(byte_at(text, 0) == first && byte_at(text, 10) == 0 && byte_at(text, PAGE + 9) == 0 && byte_at(text, size - 1) == last);
    CHECK(byte_at(text, PAGE + 10) != 0 && size_of(text) == size);
    say_error("no size kept", fallocate(file, FALLOC_FL_PUNCH_HOLE, 0, PAGE));
    say_error("no bytes", fallocate(file, 0, 0, 0));
    say_error("before the start", fallocate(file, 0, -1, 5));
    say_error("too far", fallocate(file, 0, 1l << 62, 1l << 62));
    say_error("closed", fallocate(-1, 0, 0, 5));
    int reader = open("f", O_RDONLY), gate[2];
    CHECK(reader >= 0 && pipe(gate) == 0);
    say_error("for reading", fallocate(reader, 0, 0, 5));
    say_error("a pipe", fallocate(gate[1], 0, 0, 5));
}

static void try_map(const char *what, int file, int rights, int flags) {
    char *at = mmap(NULL, PAGE, rights, flags, file, 0);
    if (at == MAP_FAILED) { say("%s: errno %d\n", what, errno); return; }
    say("%s: ", what);
    say_error("then both", mprotect(at, PAGE, BOTH));
}

static void rights(void) {
    close(new_file("f", 1));
    int both = open("f", O_RDWR), reader = open("f", O_RDONLY), writer = open("f", O_WRONLY), folder = open(".", O_RDONLY), gate[2];
    CHECK(both >= 0 && reader >= 0 && writer >= 0 && folder >= 0 && pipe(gate) == 0);
    int files[] = {both, reader, writer, folder, gate[0], gate[1]};
    const char *names[] = {"both", "reader", "writer", "folder", "pipe to read", "pipe to write"};
    for (int i = 0; i < 6; i++) {
        say("%s\n", names[i]);
        try_map(" shared, to read", files[i], PROT_READ, MAP_SHARED);
        try_map(" shared, to write", files[i], BOTH, MAP_SHARED);
        try_map(" shared, for nothing", files[i], PROT_NONE, MAP_SHARED);
        try_map(" private, to read", files[i], PROT_READ, MAP_PRIVATE);
        try_map(" private, to write", files[i], BOTH, MAP_PRIVATE);
    }
    char *at = map_file(both, 1, PROT_READ, MAP_SHARED, 0);
    CHECK(at[0] == 'a' && signal_of(at, 1) == SIGSEGV && mprotect(at, PAGE, BOTH) == 0 && signal_of(at, 1) == 0 && byte_at(reader, 0) == 'w');
    CHECK(mprotect(at, PAGE, PROT_READ) == 0 && signal_of(at, 1) == SIGSEGV);
}

static void dirty_and_gone(void) { /* what was written stays, whoever goes first */
    int file = new_file("f", 2);
    char *shared = map_file(file, 2, BOTH, MAP_SHARED, 0);
    CHECK(close(file) == 0);
    shared[0] = 'x';
    shared[PAGE + 1] = 'y';
    CHECK(munmap(shared, 2 * PAGE) == 0);
    file = open("f", O_RDWR);
    CHECK(file >= 0 && byte_at(file, 0) == 'x' && byte_at(file, PAGE + 1) == 'y');
    shared = map_file(file, 2, BOTH, MAP_SHARED, 0);
    CHECK(unlink("f") == 0 && close(file) == 0 && shared[0] == 'x');
    shared[1] = 'z';
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { shared[2] = 'c'; _exit(shared[1] == 'z' ? 0 : 1); }
    wait_well(child);
    CHECK(shared[2] == 'c' && munmap(shared, 2 * PAGE) == 0 && access("f", F_OK) == -1);
    say("kept\n");
}

static void from_map_to_file(void) { /* the program's buffer is the file itself */
    int file = new_file("f", 2), gate[2];
    char *shared = map_file(file, 4, BOTH, MAP_SHARED, 0);
    CHECK(pwrite(file, shared, 2 * PAGE, 2 * PAGE) == 2 * PAGE && shared[2 * PAGE] == 'a' && shared[3 * PAGE] == 'b');
    CHECK(pread(file, shared + PAGE, PAGE, 0) == PAGE && byte_at(file, PAGE) == 'a');
    CHECK(pipe(gate) == 0);
    shared[0] = 'S';
    off_t from = 0;
    CHECK(sendfile(gate[1], file, &from, 3) == 3 && from == 3 && read(gate[0], shared + 3 * PAGE, 3) == 3 && byte_at(file, 3 * PAGE) == 'S');
    int other = open("g", O_RDWR | O_CREAT | O_TRUNC, 0600);
    from = 0;
    CHECK(other >= 0 && sendfile(other, file, &from, 4 * PAGE) == 4 * PAGE && byte_at(other, 0) == 'S' && byte_at(other, 3 * PAGE + 3) == 'b');
    CHECK(unlink("g") == 0);
    say("copied\n");
}

static void many_pages(void) { /* and many ranges of them */
    int file = new_file("f", 1);
    CHECK(ftruncate(file, 600 * PAGE) == 0);
    char *shared = map_file(file, 600, BOTH, MAP_SHARED, 0), *parts[50];
    for (long page = 0; page < 600; page += 7) shared[page * PAGE + 3] = (char)page;
    for (long i = 0; i < 50; i++) { parts[i] = map_file(file, 7, BOTH, i & 1 ? MAP_PRIVATE : MAP_SHARED, i * 7 * PAGE); CHECK(parts[i][3] == (char)(i * 7)); }
    for (long i = 0; i < 50; i++) parts[i][4] = 'p';
    for (long i = 0; i < 50; i++) CHECK(byte_at(file, i * 7 * PAGE + 4) == (i & 1 ? (i ? 0 : 'a') : 'p'));
    CHECK(ftruncate(file, 100 * PAGE) == 0 && ftruncate(file, 600 * PAGE) == 0);
    for (long i = 15; i < 50; i++) CHECK(parts[i][3] == 0 && parts[i][4] == 0);
    for (long i = 0; i < 14; i++) CHECK(parts[i][3] == (char)(i * 7) && parts[i][4] == 'p');
    say("all\n");
}

static void without_a_name(void) {
    int file = memfd_create("some words", MFD_CLOEXEC), open_one = memfd_create("", 0);
    CHECK(file >= 0 && open_one >= 0 && size_of(file) == 0);
    say("%d %d\n", fcntl(file, F_GETFD), fcntl(open_one, F_GETFD));
    struct stat info;
    CHECK(fstat(file, &info) == 0);
    say("mode %o, %ld names, %s to write\n", info.st_mode, (long)info.st_nlink, (fcntl(file, F_GETFL) & O_ACCMODE) == O_RDWR ? "also" : "not");
    CHECK(ftruncate(file, 3 * PAGE) == 0);
    char *shared = map_file(file, 3, BOTH, MAP_SHARED, 0), *own = map_file(file, 3, BOTH, MAP_PRIVATE, 0);
    shared[PAGE] = 'm';
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { shared[2 * PAGE] = 'c'; put_at(file, 5, 'p'); _exit(0); }
    wait_well(child);
    CHECK(own[PAGE] == 'm' && own[2 * PAGE] == 'c' && own[5] == 'p' && byte_at(file, PAGE) == 'm' && size_of(open_one) == 0);
    CHECK(close(file) == 0 && shared[2 * PAGE] == 'c' && munmap(shared, 3 * PAGE) == 0 && own[5] == 'p');
    char long_name[260];
    memset(long_name, 'n', sizeof long_name);
    long_name[249] = 0;
    CHECK(close(memfd_create(long_name, 0)) == 0);
    long_name[249] = 'n';
    long_name[250] = 0;
    say_error("too long", memfd_create(long_name, 0));
    say_error("no name", memfd_create((char *)8, 0));
    say_error("flags", memfd_create("x", 0x4000));
}

static void of_shm(void) { /* shm_open, as a library does it */
    if (mkdir("/dev/shm", 0777) == -1) CHECK(errno == EEXIST);
    shm_unlink("/one");
    int file = shm_open("/one", O_RDWR | O_CREAT | O_EXCL, 0600), again;
    CHECK(file >= 0 && fcntl(file, F_GETFD) == FD_CLOEXEC && ftruncate(file, 2 * PAGE) == 0);
    say_error("twice", shm_open("/one", O_RDWR | O_CREAT | O_EXCL, 0600));
    say_error("missing", shm_open("/two", O_RDWR, 0));
    char *shared = map_file(file, 2, BOTH, MAP_SHARED, 0);
    shared[PAGE] = 's';
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        again = shm_open("/one", O_RDONLY, 0);
        char *seen = map_file(again, 2, PROT_READ, MAP_SHARED, 0);
        _exit(seen[PAGE] == 's' && size_of(again) == 2 * PAGE ? 0 : 1);
    }
    wait_well(child);
    CHECK(shm_unlink("/one") == 0 && shared[PAGE] == 's' && close(file) == 0 && shm_unlink("/one") == -1 && errno == ENOENT);
    say("shared\n");
}

static void sealed(void) {
    int file = memfd_create("s", MFD_ALLOW_SEALING), plain = memfd_create("p", 0), named = new_file("f", 1);
    CHECK(file >= 0 && plain >= 0 && ftruncate(file, 2 * PAGE) == 0 && ftruncate(plain, PAGE) == 0);
    say_error("of one with", fcntl(file, F_GET_SEALS));
    say_error("of one without", fcntl(plain, F_GET_SEALS));
    say_error("added without", fcntl(plain, F_ADD_SEALS, F_SEAL_GROW));
    say_error("added to a name", fcntl(named, F_ADD_SEALS, F_SEAL_GROW));
    say_error("unknown", fcntl(file, F_ADD_SEALS, 0x4000));
    char *shared = map_file(file, 2, BOTH, MAP_SHARED, 0), buffer[PAGE + 1];
    memset(buffer, 'b', sizeof buffer);
    say_error("write, mapped", fcntl(file, F_ADD_SEALS, F_SEAL_WRITE));
    say_error("shrink", fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK));
    say_error("then smaller", ftruncate(file, PAGE));
    say_error("then larger", ftruncate(file, 3 * PAGE));
    say_error("grow", fcntl(file, F_ADD_SEALS, F_SEAL_GROW));
    say_error("then larger", ftruncate(file, 4 * PAGE));
    say_error("as large", ftruncate(file, 3 * PAGE));
    say_error("allocate", fallocate(file, 0, 2 * PAGE, 2 * PAGE));
    say_error("write over the end", pwrite(file, buffer, PAGE + 1, 2 * PAGE));
    say_error("write behind", pwrite(file, buffer, 1, 3 * PAGE));
    say_error("later writes", fcntl(file, F_ADD_SEALS, 0x10));
    shared[5] = 'm'; /* goes on */
    say_error("a write", pwrite(file, buffer, 1, 0));
    say_error("a hole", fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE));
    try_map("shared", file, BOTH, MAP_SHARED);
    try_map("shared to read", file, PROT_READ, MAP_SHARED);
    try_map("private", file, BOTH, MAP_PRIVATE);
    CHECK(munmap(shared, 2 * PAGE) == 0 && byte_at(file, 5) == 'm');
    int again = memfd_create("w", MFD_ALLOW_SEALING);
    CHECK(ftruncate(again, PAGE) == 0);
    say_error("write", fcntl(again, F_ADD_SEALS, F_SEAL_WRITE));
    say_error("seal", fcntl(again, F_ADD_SEALS, F_SEAL_SEAL));
    say_error("then any", fcntl(again, F_ADD_SEALS, F_SEAL_GROW));
    say_error("all", fcntl(again, F_GET_SEALS));
    say_error("a write", write(again, buffer, 1));
    try_map("shared", again, BOTH, MAP_SHARED);
    try_map("shared to read", again, PROT_READ, MAP_SHARED);
    try_map("private", again, BOTH, MAP_PRIVATE);
}

static const struct way ways[] = {WAY(each_sees_it), WAY(of_the_archive), WAY(parent_and_child), WAY(behind_the_end), WAY(cut), WAY(cut_in_others),
    WAY(grow), WAY(holes), WAY(rights), WAY(dirty_and_gone), WAY(from_map_to_file), WAY(many_pages), WAY(without_a_name),
    WAY(of_shm), WAY(sealed), {NULL, NULL}};
