/* What a program asks about itself: ids, limits, names of the system, its own path, its folder. */
#include "check.h"
#include <limits.h>
#include <sys/resource.h>
#include <sys/utsname.h>

int main(int argc, char **argv) {
    (void)argc;
    struct utsname names;
    struct rlimit limit;
    char path[PATH_MAX];
    CHECK(uname(&names) == 0 && strcmp(names.machine, "x86_64") == 0 && strcmp(names.sysname, "Linux") == 0);
    CHECK(getpid() > 0 && getppid() >= 0 && getpid() == syscall(SYS_gettid));
    CHECK(getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur == 8 << 20);
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= 256);
    long count = readlink("/proc/self/exe", path, sizeof path - 1);
    CHECK(count > 0 && path[0] == '/');
    path[count] = 0;
    const char *own = strrchr(argv[0], '/');
    CHECK(strcmp(strrchr(path, '/') + 1, own ? own + 1 : argv[0]) == 0);
    CHECK(getcwd(path, sizeof path) == path && path[0] == '/');
    FAILS(syscall(SYS_getcwd, path, 1), ERANGE);
    puts("ok");
    return 0;
}
