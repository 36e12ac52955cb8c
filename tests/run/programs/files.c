/* Files and folders of the root: open, fstat, lseek, pread, readv, mmap, readdir, and what is refused.
   Its root has data (3 pages and 5 bytes, byte i is i * 7 % 251), folder/inner, folder/empty, and link -> folder/inner. */
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

enum { BYTES = 3 * 4096 + 5 };

static void verify(const unsigned char *at, long from, long count) {
    for (long i = 0; i < count; i++) CHECK(at[i] == (from + i) * 7 % 251);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void list(const char *folder) {
    char *names[100];
    int count = 0;
    DIR *open_folder = opendir(folder);
    CHECK(open_folder);
    for (struct dirent *one; (one = readdir(open_folder)); ) if (count < 100) names[count++] = strdup(one->d_name);
    CHECK(closedir(open_folder) == 0);
    qsort(names, (size_t)count, sizeof *names, by_name);
    printf("%s:", folder);
    for (int i = 0; i < count; i++) printf(" %s", names[i]);
    puts("");
}

static void read_data(void) {
    static unsigned char buffer[BYTES + 10];
    int file = open("data", O_RDONLY);
    struct stat about;
    CHECK(file >= 0 && fstat(file, &about) == 0 && about.st_size == BYTES && S_ISREG(about.st_mode));
    CHECK(read(file, buffer, 5) == 5);
    verify(buffer, 0, 5);
    CHECK(lseek(file, 4090, SEEK_SET) == 4090 && read(file, buffer, 20) == 20);
    verify(buffer, 4090, 20);
    CHECK(pread(file, buffer, sizeof buffer, 4096) == BYTES - 4096 && lseek(file, 0, SEEK_CUR) == 4110);
    verify(buffer, 4096, BYTES - 4096);
    struct iovec two[] = {{buffer, 3}, {buffer + 100, 4}};
    CHECK(lseek(file, -7, SEEK_END) == BYTES - 7 && readv(file, two, 2) == 7);
    verify(buffer, BYTES - 7, 3);
    verify(buffer + 100, BYTES - 4, 4);
    CHECK(read(file, buffer, 10) == 0);
    FAILS(lseek(file, -1, SEEK_SET), EINVAL);
    FAILS(write(file, buffer, 1), EBADF);
    CHECK(close(file) == 0);
    FAILS(read(file, buffer, 1), EBADF);
}

int main(void) {
    read_data();
    list(".");
    list("folder");
    list("folder/empty");
    char text[40];
    FILE *inner = fopen("link", "r");
    CHECK(inner && fgets(text, sizeof text, inner));
    printf("%s", text);
    fclose(inner);
    CHECK(readlink("link", text, sizeof text) == 12 && memcmp(text, "folder/inner", 12) == 0);
    struct stat about;
    CHECK(lstat("link", &about) == 0 && S_ISLNK(about.st_mode) && stat("link", &about) == 0 && S_ISREG(about.st_mode));
    CHECK(stat("folder/../folder/./inner", &about) == 0 && access("data", R_OK) == 0);
    FAILS(open("none", O_RDONLY), ENOENT);
    FAILS(open("data/x", O_RDONLY), ENOTDIR);
    FAILS(open("folder", O_WRONLY), EISDIR);
    FAILS(open("", O_RDONLY), ENOENT);
    FAILS(access("none", F_OK), ENOENT);
    FAILS(close(99), EBADF);
    FAILS(readlink("data", text, 10), EINVAL);
    int folder = open("folder", O_RDONLY | O_DIRECTORY);
    CHECK(folder >= 0 && openat(folder, "inner", O_RDONLY) >= 0);
    FAILS(read(folder, text, 1), EISDIR);
    int copy = dup(folder);
    CHECK(copy > folder && dup2(copy, 50) == 50 && fcntl(50, F_GETFD) == 0 && close(50) == 0);
    puts("ok");
    return 0;
}
