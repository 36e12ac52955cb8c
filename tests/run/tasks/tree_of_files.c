/* Files and folders that are made, changed and removed; what tasks share of them. */
#include "tasks.h"
#include <dirent.h>
#include <sys/statfs.h>

static char text[10000];

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void list(const char *folder) {
    char *names[300];
    int count = 0;
    DIR *opened = opendir(folder);
    CHECK(opened);
    for (struct dirent *one; (one = readdir(opened)); ) if (one->d_name[0] != '.' && count < 300) names[count++] = strdup(one->d_name);
    CHECK(closedir(opened) == 0);
    qsort(names, (size_t)count, sizeof *names, by_name);
    say("%s:", folder);
    for (int i = 0; i < count; i++) say(" %s", names[i]);
    say("\n");
}

static void show(const char *path) {
    int file = open(path, O_RDONLY);
    if (file < 0) { say("%s: errno %d\n", path, errno); return; }
    ssize_t got = read(file, text, 200);
    CHECK(got >= 0 && close(file) == 0);
    say("%s (%ld): %.*s\n", path, (long)got, (int)got, text);
}

static int enter(void) { CHECK((mkdir("work", 0755) == 0 || errno == EEXIST) && chdir("work") == 0); return 0; }
static void make(const char *path) { write_file(path, path, 0644); }

static void creation(void) {
    struct stat about;
    enter();
    umask(022);
    int file = open("new", O_RDWR | O_CREAT | O_EXCL, 0666);
    CHECK(file >= 0 && fstat(file, &about) == 0);
    say("mode %o, links %d, size %ld\n", about.st_mode, (int)about.st_nlink, (long)about.st_size);
    FAILS(open("new", O_RDWR | O_CREAT | O_EXCL, 0666), EEXIST);
    CHECK(write(file, "0123456789", 10) == 10 && lseek(file, 3, SEEK_SET) == 3 && write(file, "xy", 2) == 2);
    show("new");
    CHECK(ftruncate(file, 4) == 0);
    show("new");
    CHECK(ftruncate(file, 6) == 0 && pread(file, text, 10, 0) == 6 && !memcmp(text, "012x\0\0", 6));
    CHECK(truncate("new", 0) == 0 && fstat(file, &about) == 0 && about.st_size == 0);
    CHECK(write(file, "z", 1) == 1 && pread(file, text, 10, 0) == 6 && !memcmp(text, "\0\0\0\0\0z", 6)); /* where it stood */
    int again = open("new", O_WRONLY | O_TRUNC);
    CHECK(again >= 0 && fstat(file, &about) == 0 && about.st_size == 0 && close(again) == 0);
    FAILS(open("none/new", O_WRONLY | O_CREAT, 0666), ENOENT);
    FAILS(open("new/new", O_WRONLY | O_CREAT, 0666), ENOTDIR);
    FAILS(open(".", O_WRONLY | O_CREAT, 0666), EISDIR);
    FAILS(open("new/", O_RDONLY), ENOTDIR);
    FAILS(open("new", O_RDONLY | O_DIRECTORY), ENOTDIR);
    FAILS(read(open("new", O_WRONLY), text, 1), EBADF);
    FAILS(ftruncate(file, -1), EINVAL);
    FAILS(truncate(".", 0), EISDIR);
    CHECK(unlink("new") == 0);
    FAILS(unlink("new"), ENOENT);
    FAILS(unlink("."), EISDIR);
    list(".");
}

static void holes(void) { /* behind the end, and what lies between is zeros */
    enter();
    int file = open("hole", O_RDWR | O_CREAT | O_TRUNC, 0644);
    CHECK(file >= 0 && lseek(file, 9000, SEEK_SET) == 9000 && write(file, "end", 3) == 3);
    CHECK(lseek(file, 0, SEEK_END) == 9003 && lseek(file, -5000, SEEK_CUR) == 4003);
    CHECK(pread(file, text, sizeof text, 0) == 9003 && !memcmp(text + 9000, "end", 3));
    for (int i = 0; i < 9000; i++) CHECK(text[i] == 0);
    CHECK(pwrite(file, "middle", 6, 4094) == 6 && lseek(file, 0, SEEK_CUR) == 4003);
    CHECK(pread(file, text, 10, 4092) == 10 && !memcmp(text, "\0\0middle\0\0", 10));
    FAILS(lseek(file, -1, SEEK_SET), EINVAL);
    FAILS(lseek(file, 0, 99), EINVAL);
    FAILS(pwrite(file, "x", 1, -1), EINVAL);
    CHECK(lseek(file, 20000, SEEK_SET) == 20000 && read(file, text, 5) == 0);
    struct stat about;
    CHECK(fstat(file, &about) == 0);
    say("size %ld\n", (long)about.st_size);
    CHECK(unlink("hole") == 0);
}

static void appends(void) { /* two tasks append to one file, and nothing is lost */
    enter();
    CHECK(close(open("log", O_WRONLY | O_CREAT | O_TRUNC, 0644)) == 0);
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child) continue;
        int file = open("log", O_WRONLY | O_APPEND);
        for (int line = 0; line < 100; line++) CHECK(file >= 0 && write(file, i ? "one...\n" : "another\n", i ? 7 : 8) == (i ? 7 : 8));
        _exit(0);
    }
    while (wait(NULL) > 0);
    int file = open("log", O_RDWR | O_APPEND), ones = 0, others = 0;
    ssize_t got = read(file, text, sizeof text);
    for (char *at = text; at < text + got; ) {
        if (!memcmp(at, "one...\n", 7)) ones++, at += 7;
        else { CHECK(!memcmp(at, "another\n", 8)); others++, at += 8; }
    }
    say("%ld bytes, %d %d\n", (long)got, ones, others);
    CHECK(lseek(file, 0, SEEK_SET) == 0 && write(file, "!", 1) == 1 && lseek(file, 0, SEEK_CUR) == got + 1); /* at the end all the same */
    CHECK(unlink("log") == 0);
}

static void offsets(void) { /* shared by dup and fork, not by a second open */
    enter();
    write_file("counted", "abcdefghijklmnop", 0644);
    int file = open("counted", O_RDWR), copy = dup(file), other = open("counted", O_RDONLY);
    CHECK(read(file, text, 3) == 3 && read(copy, text + 3, 2) == 2 && read(other, text + 5, 1) == 1);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { CHECK(read(file, text, 4) == 4); say("child %.4s\n", text); close(file); _exit(0); }
    wait_well(child);
    CHECK(read(copy, text + 6, 1) == 1);
    say("%.7s\n", text);
    CHECK(fcntl(file, F_SETFL, O_APPEND) == 0);
    say("%#x %#x\n", (unsigned)fcntl(copy, F_GETFL) & O_APPEND, (unsigned)fcntl(other, F_GETFL) & O_APPEND);
    CHECK(dup2(file, file) == file && dup2(other, copy) == copy && read(copy, text, 1) == 1 && text[0] == 'b');
    FAILS(dup2(99, 5), EBADF);
    FAILS(dup2(file, 1000000), EBADF);
    FAILS(dup3(file, file, 0), EINVAL);
    FAILS(fcntl(file, F_DUPFD, 1000000), EINVAL);
    CHECK(unlink("counted") == 0);
}

static void renames(void) {
    enter();
    make("a"); make("b");
    CHECK(mkdir("folder", 0755) == 0 && mkdir("folder/deep", 0755) == 0 && mkdir("empty", 0755) == 0);
    CHECK(rename("a", "c") == 0 && rename("c", "b") == 0);
    show("b");
    CHECK(rename("b", "folder/d") == 0);
    show("folder/d");
    FAILS(rename("none", "x"), ENOENT);
    FAILS(rename("folder", "folder/deep/inside"), EINVAL);
    FAILS(rename("folder/d", "empty"), EISDIR);
    FAILS(rename("empty", "folder/d"), ENOTDIR);
    FAILS(rename("empty", "folder"), ENOTEMPTY);
    CHECK(rename("folder", "empty") == 0 && rename("empty", "moved") == 0);
    list(".");
    list("moved");
    CHECK(rename("moved/d", "moved/d") == 0);
    make("e");
    CHECK(link("e", "f") == 0 && rename("e", "f") == 0); /* two names of one file: nothing is done */
    list(".");
    CHECK(rename("moved/deep", "deep") == 0 && chdir("deep") == 0);
    char where[100];
    CHECK(getcwd(where, sizeof where));
    say("%s\n", strrchr(where, '/'));
    CHECK(chdir("..") == 0 && unlink("moved/d") == 0 && rmdir("moved") == 0 && rmdir("deep") == 0 && unlink("e") == 0 && unlink("f") == 0);
    list(".");
}

static void unlinked(void) { /* a file lives as long as somebody has it open */
    struct stat about;
    enter();
    int file = open("gone", O_RDWR | O_CREAT | O_TRUNC, 0644);
    CHECK(file >= 0 && write(file, "still here", 10) == 10 && unlink("gone") == 0);
    FAILS(open("gone", O_RDONLY), ENOENT);
    CHECK(fstat(file, &about) == 0 && about.st_nlink == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { CHECK(pwrite(file, "STILL", 5, 0) == 5); _exit(0); }
    wait_well(child);
    make("gone");
    CHECK(pread(file, text, 20, 0) == 10);
    say("%.10s\n", text);
    show("gone");
    CHECK(close(file) == 0 && unlink("gone") == 0);
    CHECK(mkdir("folder", 0755) == 0 && chdir("folder") == 0 && rmdir("../folder") == 0);
    FAILS(open("x", O_WRONLY | O_CREAT, 0644), ENOENT);
    say_error("getcwd", getcwd(text, sizeof text) ? 0 : -1);
    say_error("..", chdir(".."));
}

static void folders(void) {
    struct stat about;
    enter();
    umask(0);
    CHECK(mkdir("one", 0751) == 0 && mkdir("one/two", 0700) == 0 && stat("one", &about) == 0);
    say("mode %o, links %d\n", about.st_mode, (int)about.st_nlink);
    FAILS(mkdir("one", 0755), EEXIST);
    FAILS(mkdir("none/two", 0755), ENOENT);
    FAILS(mkdir("", 0755), ENOENT);
    FAILS(rmdir("one"), ENOTEMPTY);
    FAILS(rmdir("one/."), EINVAL);
    FAILS(rmdir("one/two/.."), ENOTEMPTY);
    FAILS(rmdir("none"), ENOENT);
    CHECK(mkdir("one/three/", 0755) == 0 && rmdir("one/three/") == 0);
    make("file");
    FAILS(rmdir("file"), ENOTDIR);
    FAILS(unlink("one"), EISDIR);
    FAILS(mkdir("file/x", 0755), ENOTDIR);
    CHECK(rmdir("one/two") == 0 && stat("one", &about) == 0);
    say("links %d\n", (int)about.st_nlink);
    CHECK(rmdir("one") == 0 && unlinkat(AT_FDCWD, "file", 0) == 0 && mkdirat(AT_FDCWD, "one", 0755) == 0 && unlinkat(AT_FDCWD, "one", AT_REMOVEDIR) == 0);
    list(".");
}

static void links(void) {
    struct stat about, other;
    enter();
    make("file");
    CHECK(symlink("file", "soft") == 0 && link("file", "hard") == 0 && symlink("nowhere", "broken") == 0 && symlink("loop", "loop") == 0);
    FAILS(symlink("x", "soft"), EEXIST);
    FAILS(link("none", "x"), ENOENT);
    FAILS(link(".", "x"), EPERM);
    FAILS(open("broken", O_RDONLY), ENOENT);
    FAILS(open("loop", O_RDONLY), ELOOP);
    FAILS(open("soft", O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK(stat("file", &about) == 0 && stat("hard", &other) == 0 && about.st_ino == other.st_ino && about.st_nlink == 2);
    CHECK(lstat("soft", &other) == 0 && S_ISLNK(other.st_mode) && other.st_size == 4 && other.st_ino != about.st_ino);
    write_file("soft", "by the link", 0644);
    show("hard");
    CHECK(unlink("file") == 0);
    show("soft");
    show("hard");
    CHECK(stat("hard", &about) == 0 && about.st_nlink == 1);
    int file = open("broken", O_WRONLY | O_CREAT, 0644); /* makes what it names */
    CHECK(file >= 0 && close(file) == 0 && lstat("nowhere", &about) == 0);
    FAILS(open("broken", O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST);
    CHECK(mkdir("folder", 0755) == 0 && symlink("folder", "to") == 0 && symlink("../hard", "folder/up") == 0);
    show("to/up");
    CHECK(rename("soft", "softer") == 0 && readlink("softer", text, 100) == 4);
    FAILS(rmdir("to"), ENOTDIR);
    list(".");
    static const char *const all[] = {"softer", "hard", "broken", "loop", "nowhere", "to", "folder/up"};
    for (unsigned i = 0; i < 7; i++) CHECK(unlink(all[i]) == 0);
    CHECK(rmdir("folder") == 0);
}

static void changing_folder(void) { /* read while names come and go: what was there all the time is told once */
    enum { FILES = 120 };
    char name[20];
    enter();
    CHECK(mkdir("many", 0755) == 0 && chdir("many") == 0);
    for (int i = 0; i < FILES; i++) { snprintf(name, sizeof name, "%s%d", i % 2 ? "odd" : "even", i); make(name); }
    int folder = open(".", O_RDONLY | O_DIRECTORY), seen[FILES] = {0};
    char buffer[300];
    CHECK(folder >= 0);
    for (long got, round = 0; (got = syscall(SYS_getdents64, folder, buffer, sizeof buffer)) != 0; round++) {
        CHECK(got > 0);
        for (long at = 0; at < got; at += *(unsigned short *)(buffer + at + 16)) {
            char *found = buffer + at + 19;
            int number = -1;
            if (!strncmp(found, "even", 4)) number = atoi(found + 4);
            if (!strncmp(found, "odd", 3)) number = atoi(found + 3);
            if (number >= 0 && number < FILES) seen[number]++;
        }
        for (int i = 1; i < FILES && round == 2; i += 2) { snprintf(name, sizeof name, "odd%d", i); CHECK(unlink(name) == 0); }
        if (round < 5) { snprintf(name, sizeof name, "later%d", (int)(round % 10)); make(name); }
    }
    for (int i = 0; i < FILES; i += 2) CHECK(seen[i] == 1);
    for (int i = 1; i < FILES; i += 2) CHECK(seen[i] <= 1);
    CHECK(lseek(folder, 0, SEEK_SET) == 0);
    FAILS(syscall(SYS_getdents64, folder, buffer, 10), EINVAL);
    CHECK(syscall(SYS_getdents64, folder, buffer, sizeof buffer) > 0);
    for (int i = 0; i < FILES; i += 2) { snprintf(name, sizeof name, "even%d", i); CHECK(unlink(name) == 0); }
    list(".");
    for (int i = 0; i < 5; i++) { snprintf(name, sizeof name, "later%d", i); CHECK(unlink(name) == 0); }
    CHECK(chdir("..") == 0 && rmdir("many") == 0);
    say("each once\n");
}

static void rights(void) {
    struct stat about;
    enter();
    make("file");
    CHECK(chmod("file", 0640) == 0 && stat("file", &about) == 0);
    say("%o", about.st_mode);
    CHECK(chmod("file", 04755) == 0 && stat("file", &about) == 0);
    say(" %o", about.st_mode);
    int file = open("file", O_RDONLY);
    CHECK(fchmod(file, 0400) == 0 && stat("file", &about) == 0);
    say(" %o\n", about.st_mode);
    FAILS(chmod("none", 0644), ENOENT);
    say("%d %d", access("file", R_OK), access("file", X_OK));
    CHECK(chmod("file", 0111) == 0);
    say(" %d\n", access("file", X_OK));
    say("%o", umask(027));
    CHECK(close(open("masked", O_WRONLY | O_CREAT, 0777)) == 0 && stat("masked", &about) == 0);
    say(" %o %o\n", about.st_mode, umask(0));
    struct timespec times[2] = {{1000000000, 5}, {1200000000, 7}};
    CHECK(utimensat(AT_FDCWD, "masked", times, 0) == 0 && stat("masked", &about) == 0);
    say("%ld %ld %ld\n", (long)about.st_atime, (long)about.st_mtime, about.st_mtim.tv_nsec);
    CHECK(chown("masked", 0, 0) == 0 && unlink("masked") == 0 && unlink("file") == 0);
}

static void large_file(void) {
    enter();
    int file = open("large", O_RDWR | O_CREAT | O_TRUNC, 0644);
    for (int i = 0; i < 300; i++) { memset(text, i, sizeof text); CHECK(write(file, text, sizeof text) == sizeof text); }
    for (int i = 0; i < 300; i++) {
        CHECK(pread(file, text, 100, i * 10000l) == 100);
        for (int j = 0; j < 100; j++) CHECK(text[j] == (char)i);
    }
    char *at = mmap(NULL, 3000000, PROT_READ, MAP_PRIVATE, file, 0);
    CHECK(at != MAP_FAILED && at[0] == 0 && at[2999999] == (char)299 && at[1234567] == (char)123);
    CHECK(munmap(at, 3000000) == 0 && ftruncate(file, 5) == 0 && unlink("large") == 0 && close(file) == 0);
    say("right\n");
}

static void devices(void) {
    int null = open("/dev/null", O_RDWR);
    struct stat about;
    CHECK(null >= 0 && write(null, text, 5000) == 5000 && read(null, text, 10) == 0 && fstat(null, &about) == 0 && S_ISCHR(about.st_mode));
    CHECK(close(open("/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0644)) == 0);
    say("%lld\n", (long long)lseek(null, 5, SEEK_SET));
}

static void at_folders(void) {
    enter();
    CHECK(mkdir("base", 0755) == 0);
    int base = open("base", O_RDONLY | O_DIRECTORY);
    CHECK(base >= 0);
    int file = openat(base, "file", O_WRONLY | O_CREAT, 0644);
    CHECK(file >= 0 && write(file, "x", 1) == 1 && close(file) == 0 && mkdirat(base, "inner", 0755) == 0);
    CHECK(renameat(base, "file", base, "inner/file") == 0 && symlinkat("inner", base, "link") == 0 && linkat(base, "link/file", AT_FDCWD, "out", 0) == 0);
    CHECK(faccessat(base, "link/file", R_OK, 0) == 0 && fchdir(base) == 0);
    list(".");
    show("../out");
    CHECK(unlinkat(base, "inner/file", 0) == 0 && unlinkat(base, "link", 0) == 0 && unlinkat(base, "inner", AT_REMOVEDIR) == 0);
    CHECK(chdir("..") == 0 && rmdir("base") == 0 && unlink("out") == 0);
    FAILS(fchdir(0), ENOTDIR);
    FAILS(openat(99, "x", O_RDONLY), EBADF);
}

static void own_files(void) { /* of a child: closed ones are the parent's all the same */
    enter();
    make("file");
    int file = open("file", O_RDONLY);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { CHECK(close(file) == 0 && chdir("/") == 0 && open("/", O_RDONLY) == file); _exit(0); }
    wait_well(child);
    CHECK(read(file, text, 4) == 4 && access("file", F_OK) == 0 && unlink("file") == 0);
    say("%.4s\n", text);
}

static const struct way ways[] = {WAY(creation), WAY(holes), WAY(appends), WAY(offsets), WAY(renames), WAY(unlinked), WAY(folders), WAY(links),
    WAY(changing_folder), WAY(rights), WAY(large_file), WAY(devices), WAY(at_folders), WAY(own_files), {NULL, NULL}};
