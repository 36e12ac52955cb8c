/* Calls on files as programs make them rarely: what each answers. */
#include "check.h"
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define SHOW(call) do { errno = 0; long got_ = (long)(call); \
    printf("%s: %ld %s\n", #call, got_, got_ == -1 ? strerror(errno) : ""); } while (0)

static void names_of_nothing(int file) {
    struct stat there, here;
    CHECK(stat(".", &here) == 0 && fstatat(AT_FDCWD, "", &there, AT_EMPTY_PATH) == 0 && there.st_ino == here.st_ino);
    CHECK(fstatat(file, "", &there, AT_EMPTY_PATH) == 0 && S_ISREG(there.st_mode));
    SHOW(fstatat(99, "", &there, AT_EMPTY_PATH));
    SHOW(fstatat(file, "", &there, 0));
    SHOW(fstatat(file, "x", &there, AT_EMPTY_PATH));
    char room[256];
    SHOW(syscall(SYS_statx, AT_FDCWD, "", AT_EMPTY_PATH, 0x7ff, room));
    SHOW(syscall(SYS_statx, file, "", AT_EMPTY_PATH, 0x7ff, room));
    SHOW(syscall(SYS_statx, 99, "", AT_EMPTY_PATH, 0x7ff, room));
    SHOW(syscall(SYS_faccessat2, file, "", R_OK, AT_EMPTY_PATH));
    SHOW(syscall(SYS_faccessat2, AT_FDCWD, "", X_OK, AT_EMPTY_PATH));
    SHOW(syscall(SYS_faccessat2, 99, "", R_OK, AT_EMPTY_PATH));
    SHOW(syscall(SYS_faccessat2, file, "", R_OK, 0));
}

static void names_alone(void) {
    int name = open("data", O_PATH);
    CHECK(name >= 0);
    char byte;
    SHOW(read(name, &byte, 1));
    SHOW(fsync(name));
    SHOW(fcntl(name, F_SETFL, O_APPEND));
    SHOW(fcntl(name, F_SETFD, FD_CLOEXEC));
    SHOW(fcntl(name, F_GETFD));
    SHOW(ioctl(name, FIOCLEX));
    SHOW(close(name));
}

static void flags(int file) {
    int on = 1, off = 0;
    SHOW(fcntl(file, F_GETFL));
    SHOW(ioctl(file, FIONBIO, &on));
    SHOW(fcntl(file, F_GETFL));
    SHOW(ioctl(file, FIONBIO, &off));
    SHOW(fcntl(file, F_GETFL));
    SHOW(ioctl(file, FIONBIO, (void *)8));
}

static void ranges_of_descriptors(void) {
    for (int to = 20; to < 30; to++) CHECK(dup2(1, to) == to);
    SHOW(syscall(SYS_close_range, 22, 21, 0));
    SHOW(syscall(SYS_close_range, 22, 24, 1));
    SHOW(syscall(SYS_close_range, 22, 24, 0));
    SHOW(syscall(SYS_close_range, 28, ~0U, 4));
    for (int at = 20; at < 31; at++) printf("%d ", fcntl(at, F_GETFD));
    SHOW(syscall(SYS_close_range, 20, ~0U, 0));
    for (int at = 20; at < 31; at++) printf("%d ", fcntl(at, F_GETFD));
}

static void no_sockets(int file) {
    char room[200];
    socklen_t nbytes = sizeof room;
    SHOW(getpeername(file, (void *)room, &nbytes));
    SHOW(getpeername(99, (void *)room, &nbytes));
    SHOW(getsockopt(file, SOL_SOCKET, SO_TYPE, room, &nbytes));
    SHOW(shutdown(file, SHUT_RD));
    SHOW(send(99, room, 1, 0));
    SHOW(recv(file, room, 1, 0));
    SHOW(socket(200, SOCK_STREAM, 0));
}

int main(void) {
    int file = open("data", O_RDONLY | O_NOCTTY | O_CLOEXEC);
    CHECK(file >= 0);
    names_of_nothing(file);
    names_alone();
    flags(file);
    ranges_of_descriptors();
    no_sockets(file);
    SHOW(listxattr("data", NULL, 0));
    SHOW(listxattr("nothing", NULL, 0));
    SHOW(flistxattr(file, NULL, 0));
    SHOW(flistxattr(99, NULL, 0));
    puts("ok");
    return 0;
}
