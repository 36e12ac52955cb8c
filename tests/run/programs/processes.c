/* /proc, read as programs read it: of ourselves and of children, and of the machine. All is told so that it is the same
   on the host: addresses are our own, what differs between machines is checked and not told. */
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>

#define PAGE 4096ul
#define ARENA ((char *)0x100000000)
#define ARENA_PAGES 64

static char text[1 << 18];

static const char *read_file(const char *path) {
    int file = open(path, O_RDONLY);
    CHECK(file >= 0);
    long done = 0, part;
    while ((part = read(file, text + done, sizeof text - 1 - done)) > 0)
        done += part;
    CHECK(part == 0 && close(file) == 0);
    text[done] = 0;
    return text;
}

static const char *of(int task, const char *name) {
    static char path[100];
    sprintf(path, "/proc/%d/%s", task, name);
    return path;
}

/* The number behind a key at the beginning of a line; -1: there is no such line. */
static long number(const char *key) {
    for (const char *line = text; line && *line; line = strchr(line, '\n'), line += line != NULL)
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
            return strtoull(line + strlen(key) + 1, NULL, strncmp(key, "Sig", 3) == 0 || strncmp(key, "Shd", 3) == 0 ? 16 : 10);
    return -1;
}

static void print_arena(const char *what) {
    printf("%s:\n", what);
    read_file("/proc/self/maps");
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        unsigned long start, end, offset;
        char rights[5], name[200] = "", device[10];
        CHECK(sscanf(line, "%lx-%lx %4s %lx %9s %*u %199[^\n]", &start, &end, rights, &offset, device, name) >= 5);
        CHECK(strlen(device) == 5 && device[2] == ':');
        if (start < (unsigned long)ARENA || start >= (unsigned long)ARENA + ARENA_PAGES * PAGE)
            continue;
        char *last = strrchr(name, '/');
        CHECK(!*name || line[73] == *name);
        printf("  %lx-%lx %s %lx %s\n", start, end, rights, offset, last && strncmp(name, "/dev", 4) ? last + 1 : name);
    }
}

static void reserve(void) {
    munmap(ARENA, ARENA_PAGES * PAGE);
}

static char *put(int page, int pages, int rights, int flags, int file, long offset) {
    char *at = mmap(ARENA + page * PAGE, pages * PAGE, rights, flags | MAP_FIXED, file, offset);
    CHECK(at == ARENA + page * PAGE);
    return at;
}

static void maps(void) {
    int file = open("data", O_RDONLY);
    put(0, 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    put(4, 2, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    put(10, 3, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    put(20, 2, PROT_READ, MAP_PRIVATE, file, PAGE);
    put(30, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
    print_arena("mapped");
    CHECK(mprotect(ARENA + PAGE, PAGE, PROT_READ) == 0 && munmap(ARENA + 11 * PAGE, PAGE) == 0);
    print_arena("split");
    CHECK(mprotect(ARENA + PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
    print_arena("merged");
    close(file);
}

/* The lines of smaps of the range that begins here, those that do not depend on the machine. */
static void print_smaps(const char *what, int task, char *start) {
    static const char *const keys[] = {
        "Size", "KernelPageSize", "MMUPageSize", "Rss", "Pss", "Shared_Clean", "Shared_Dirty", "Private_Clean",
        "Private_Dirty", "Anonymous", "AnonHugePages", "Swap", "Locked",
    };
    char head[30];
    sprintf(head, "%08lx-", (unsigned long)start);
    read_file(of(task, "smaps"));
    char *at = strstr(text, head);
    CHECK(at);
    at = strchr(at, '\n') + 1;
    char *flags = strstr(at, "VmFlags: ");
    CHECK(flags);
    *strchr(flags, '\n') = 0;
    memmove(text, at, strlen(at) + 1);
    printf("smaps %s:", what);
    for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++)
        printf(" %s %ld", keys[i], number(keys[i]));
    flags = strstr(text, "VmFlags: ");
    for (char *word = strtok(flags, " "); word; word = strtok(NULL, " "))
        if (strcmp(word, "sd"))
            printf(" %s", word);
    printf("\n");
}

static void print_pagemap(const char *what, int task, int page, int pages) {
    uint64_t words[ARENA_PAGES];
    int file = open(of(task, "pagemap"), O_RDONLY);
    CHECK(file >= 0);
    long offset = ((unsigned long)ARENA / PAGE + page) * 8;
    CHECK(pread(file, words, 8 * pages, offset) == 8 * pages);
    uint64_t word;
    CHECK(lseek(file, offset, SEEK_SET) == offset && read(file, &word, 8) == 8 && word == words[0]);
    CHECK(lseek(file, 0, SEEK_CUR) == offset + 8);
    FAILS(pread(file, words, 7, offset), EINVAL);
    FAILS(pread(file, words, 8, offset + 1), EINVAL);
    printf("pagemap %s:", what);
    for (int i = 0; i < pages; i++)
        printf(" %d%d%d%d", (int)(words[i] >> 63), (int)(words[i] >> 62) & 1, (int)(words[i] >> 61) & 1,
               (int)(words[i] >> 56) & 1);
    printf("\n");
    close(file);
}

static uint64_t frame_at(int task, char *at) {
    uint64_t word;
    int file = open(of(task, "pagemap"), O_RDONLY);
    CHECK(pread(file, &word, 8, (unsigned long)at / PAGE * 8) == 8 && close(file) == 0);
    return word << 9 >> 9;
}

static int begin_child(int *go, char *touched) {
    int ready[2], end[2];
    CHECK(pipe(ready) == 0 && pipe(end) == 0);
    fflush(stdout);
    int child = fork();
    if (child == 0) {
        char byte;
        close(end[1]);
        close(ready[0]);
        *touched = 9;
        CHECK(write(ready[1], "r", 1) == 1);
        while (read(end[0], &byte, 1) == 1)
            ;
        _exit(7);
    }
    char byte;
    close(ready[1]);
    close(end[0]);
    CHECK(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    *go = end[1];
    return child;
}

static void pages(void) {
    char *own = put(0, 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *shared = put(20, 4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    print_smaps("untouched", getpid(), own);
    print_pagemap("untouched", getpid(), 0, 8);
    own[0] = own[PAGE] = own[5 * PAGE] = 1;
    CHECK(own[3 * PAGE] == 0);
    shared[0] = shared[2 * PAGE] = 1;
    print_smaps("touched", getpid(), own);
    print_smaps("shared", getpid(), shared);
    print_pagemap("touched", getpid(), 0, 8);
    print_pagemap("shared", getpid(), 20, 4);
    int go, child = begin_child(&go, own);
    print_smaps("of the parent", getpid(), own);
    print_smaps("of the child", child, own);
    print_pagemap("of the parent", getpid(), 0, 8);
    print_pagemap("of the child", child, 0, 8);
    printf("frames: %d %d %d\n", frame_at(getpid(), own + PAGE) == frame_at(child, own + PAGE),
           frame_at(getpid(), shared) == frame_at(getpid(), own + PAGE),
           frame_at(getpid(), own + 5 * PAGE) == frame_at(child, own + 5 * PAGE));
    close(go);
    CHECK(waitpid(child, NULL, 0) == child);
    CHECK(madvise(own, 2 * PAGE, MADV_DONTNEED) == 0);
    print_smaps("given back", getpid(), own);
    reserve();
}

static long size_of(int task, const char *key) {
    read_file(of(task, "status"));
    return number(key);
}

static void memory(void) {
    long before = size_of(getpid(), "VmSize"), data = size_of(getpid(), "VmData"), unit = 0, total, resident;
    put(0, 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    put(20, 16, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("VmSize grew by %ld, VmData by %ld\n", size_of(getpid(), "VmSize") - before, size_of(getpid(), "VmData") - data);
    CHECK(size_of(getpid(), "VmPeak") >= size_of(getpid(), "VmSize") && number("VmHWM") >= number("VmRSS"));
    CHECK(number("VmRSS") > 0 && number("RssAnon") >= 0 && number("RssFile") >= 0 && number("RssShmem") >= 0);
    CHECK(number("VmStk") > 0 && number("VmExe") > 0 && number("VmLib") >= 0 && number("VmPTE") > 0);
    printf("locked %ld, swapped %ld, threads %ld\n", number("VmLck"), number("VmSwap"), number("Threads"));
    long pages = number("VmSize") / 4;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%ld %ld %*d %ld", &total, &resident, &unit) == 3);
    CHECK(total >= pages && total < pages + 64 && resident > 0 && resident < total && unit > 0);
    munmap(ARENA + 20 * PAGE, 16 * PAGE);
    rewind(file);
    CHECK(fscanf(file, "%ld", &unit) == 1);
    printf("statm read again: %ld less\n", total - unit);
    fclose(file);
    reserve();
    CHECK(size_of(getpid(), "VmPeak") >= 4 * total && number("VmSize") < number("VmPeak"));
    read_file("/proc/meminfo");
    static const char *const keys[] = {
        "MemTotal", "MemFree", "MemAvailable", "Buffers", "Cached", "SwapTotal", "SwapFree", "Shmem", "Mapped", "AnonPages",
        "Slab", "PageTables", "CommitLimit", "Committed_AS", "HugePages_Total", "HugePages_Free", "Hugepagesize",
    };
    for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++)
        CHECK(number(keys[i]) >= 0);
    CHECK(number("MemTotal") > number("MemFree") && number("MemTotal") > number("MemAvailable") && number("MemFree") > 0);
    printf("huge pages of %ld\n", number("Hugepagesize"));
}

static void nothing(int signal) { (void)signal; }

static void signals(void) {
    sigset_t some;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    sigaddset(&some, SIGRTMAX);
    CHECK(sigprocmask(SIG_BLOCK, &some, NULL) == 0 && signal(SIGUSR2, nothing) != SIG_ERR && signal(SIGHUP, SIG_IGN) != SIG_ERR);
    kill(getpid(), SIGUSR1);
    read_file("/proc/self/status");
    printf("blocked %lx pending %lx ignored %lx caught %lx\n", number("SigBlk"), number("SigPnd") | number("ShdPnd"),
           number("SigIgn") & 0xFFFF, number("SigCgt") & 0xFFFF);
    CHECK(signal(SIGUSR1, SIG_IGN) != SIG_ERR && sigprocmask(SIG_UNBLOCK, &some, NULL) == 0);
}

static char state_of(int task) {
    read_file(of(task, "status"));
    char *line = strstr(text, "\nState:\t"), state = line[8];
    int parent = number("PPid");
    char other;
    CHECK(parent == getpid() || task == getpid());
    read_file(of(task, "stat"));
    CHECK(sscanf(strrchr(text, ')') + 2, "%c %d", &other, &parent) == 2);
    CHECK(other == state && (parent == getpid() || task == getpid()));
    return state;
}

static void children(void) {
    int status, go, child = begin_child(&go, text);
    char path[100], link[100] = "";
    printf("states: %c", state_of(getpid()));
    while (state_of(child) != 'S')
        usleep(1000);
    CHECK(kill(child, SIGSTOP) == 0 && waitpid(child, &status, WUNTRACED) == child);
    printf(" %c", state_of(child));
    kill(child, SIGCONT);
    int kept = open(of(child, "status"), O_RDONLY), folder = open(of(child, "."), O_RDONLY | O_DIRECTORY);
    CHECK(kept >= 0 && folder >= 0 && faccessat(folder, "maps", R_OK, 0) == 0);
    close(go);
    siginfo_t info;
    CHECK(waitid(P_PID, child, &info, WEXITED | WNOWAIT) == 0);
    printf(" %c", state_of(child));
    read_file(of(child, "maps"));
    printf(" maps of %ld bytes", (long)strlen(text));
    read_file(of(child, "cmdline"));
    printf(" cmdline of %ld", (long)strlen(text));
    read_file(of(child, "status"));
    printf(" VmSize %ld\n", number("VmSize"));
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7);
    FAILS(open(of(child, "status"), O_RDONLY), ENOENT);
    FAILS(read(kept, text, 10), ESRCH);
    FAILS(openat(folder, "maps", O_RDONLY), errno == ESRCH ? ESRCH : ENOENT);
    close(kept);
    close(folder);
    sprintf(path, "/proc/self/task/%d/comm", getpid());
    CHECK(prctl(PR_SET_NAME, "a b) c") == 0);
    printf("named %s", read_file(path));
    CHECK(sscanf(read_file("/proc/self/stat"), "%d (a b) c) %c", &status, link) == 2 && status == getpid());
    int fields = 1;
    for (char *at = strrchr(text, ')') + 2; *at; at++)
        fields += *at == ' ';
    printf("fields of stat: %d\n", fields + 2);
    int file = open("/proc/self/comm", O_WRONLY);
    CHECK(write(file, "another one that is too long", 28) == 28 && close(file) == 0);
    printf("named %s", read_file("/proc/self/comm"));
}

static int is_listed(const char *folder, const char *name) {
    DIR *found = opendir(folder);
    struct dirent *entry;
    struct stat about;
    int result = 0;
    CHECK(found);
    while ((entry = readdir(found)))
        if (strcmp(entry->d_name, name) == 0) {
            CHECK(fstatat(dirfd(found), name, &about, AT_SYMLINK_NOFOLLOW) == 0 && about.st_ino == entry->d_ino);
            result++;
        }
    closedir(found);
    return result;
}

static void names(char **arguments) {
    char own[20], link[200] = "";
    struct statfs system;
    struct stat one, other;
    sprintf(own, "%d", getpid());
    CHECK(readlink("/proc/self", link, 100) > 0 && strcmp(link, own) == 0);
    CHECK(is_listed("/proc", own) == 1 && is_listed("/proc/self/task", own) == 1 && is_listed("/proc", "meminfo") == 1);
    CHECK(is_listed("/proc/self", "maps") == 1 && is_listed("/proc/self/fd", "0") == 1 && is_listed("/proc/sys", "vm") == 1);
    CHECK(is_listed("/proc/sys/vm", "overcommit_memory") == 1 && is_listed("/proc", "self") == 1 && is_listed("/proc", "none") == 0);
    CHECK(stat("/proc/self/exe", &one) == 0 && stat(arguments[0], &other) == 0 && one.st_ino == other.st_ino);
    CHECK(stat("/proc/self/cwd", &one) == 0 && stat(".", &other) == 0 && one.st_ino == other.st_ino);
    CHECK(stat("/proc/self/root/", &one) == 0 && stat("/", &other) == 0 && one.st_ino == other.st_ino);
    CHECK(stat("/proc/self/maps", &one) == 0 && stat("/proc/self", &other) == 0 && S_ISREG(one.st_mode) && S_ISDIR(other.st_mode));
    printf("maps: mode %o, %ld bytes; folder: mode %o\n", one.st_mode, (long)one.st_size, other.st_mode);
    CHECK(statfs("/proc/self", &system) == 0 && system.f_type == 0x9fa0);
    CHECK(stat("/", &other) == 0 && one.st_dev != other.st_dev);
    CHECK(strstr(read_file("/proc/mounts"), " /proc proc "));
    CHECK(strstr(read_file("/proc/filesystems"), "nodev\tproc\n") && strncmp(read_file("/proc/version"), "Linux version ", 14) == 0);
    FAILS(open("/proc/none", O_RDONLY), ENOENT);
    FAILS(open("/proc/none", O_CREAT | O_WRONLY, 0600), ENOENT);
    FAILS(mkdir("/proc/none", 0700), ENOENT);
    FAILS(mkdir("/proc/sys", 0700), EEXIST);
    FAILS(open("/proc/99999999", O_RDONLY), ENOENT);
    FAILS(open("/proc/01", O_RDONLY), ENOENT);
    FAILS(readlink("/proc/self/maps", link, 100), EINVAL);
    int file = open("/proc/self/cmdline", O_RDONLY);
    long nbytes = read(file, text, sizeof text), place = 0;
    for (char **at = arguments; *at; place += strlen(*at++) + 1)
        CHECK(place < nbytes && strcmp(text + place, *at) == 0);
    CHECK(place == nbytes && close(file) == 0);
    file = open("gone", O_CREAT | O_EXCL | O_RDWR, 0600);
    CHECK(file >= 0 && write(file, text, 4096) == 4096);
    put(1, 1, PROT_READ, MAP_PRIVATE, file, 0);
    CHECK(unlink("gone") == 0);
    print_arena("without its file");
    sprintf(text, "/proc/self/fd/%d", file);
    nbytes = readlink(text, link, sizeof link - 1);
    CHECK(nbytes > 0 && close(file) == 0);
    link[nbytes] = 0;
    printf("descriptor of %s\n", strrchr(link, '/') + 1);
    print_arena("after the last descriptor");
    reserve();
    printf("environ %s\n", read_file("/proc/self/environ"));
}

static long setting(const char *name) {
    char *end;
    sprintf(text, "/proc/sys/%s", name);
    long value = strtol(read_file(strdup(text)), &end, 10);
    CHECK(end != text && strcmp(end, "\n") == 0);
    return value;
}

static void settings(void) {
    static const char *const all[] = {
        "vm/overcommit_memory", "vm/overcommit_ratio", "vm/max_map_count", "vm/mmap_min_addr", "vm/nr_hugepages",
        "vm/swappiness", "vm/min_free_kbytes", "kernel/pid_max", "kernel/threads-max", "kernel/shmmax", "kernel/shmmni",
        "kernel/tainted", "fs/file-max", "fs/pipe-max-size",
    };
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        CHECK(setting(all[i]) >= 0);
    CHECK(setting("kernel/pid_max") > 300 && setting("vm/mmap_min_addr") % 4096 == 0 && setting("vm/max_map_count") > 1000);
    double up, idle;
    CHECK(sscanf(read_file("/proc/uptime"), "%lf %lf\n", &up, &idle) == 2 && up >= 0);
    CHECK(strncmp(read_file("/proc/stat"), "cpu  ", 5) == 0 && strstr(text, "\nbtime ") && strstr(text, "\ncpu0 "));
    CHECK(strncmp(read_file("/proc/cpuinfo"), "processor\t: 0\n", 14) == 0 && strstr(text, "\nflags\t\t: fpu"));
    CHECK(strncmp(read_file("/proc/self/oom_score_adj"), "0\n", 2) == 0 || atoi(text) != 0);
    long middle;
    CHECK(sscanf(read_file("/proc/loadavg"), "%lf %lf %*f %ld/", &up, &idle, &middle) == 3);
    static const char *const read_alone[] = {"/proc/self/stat", "/proc/meminfo", "/proc/self/smaps_rollup"};
    for (int i = 0; i < 3; i++) {
        int file = open(read_alone[i], O_RDONLY);
        char byte, *whole = strdup(read_file(read_alone[i]));
        long nbytes = strlen(whole);
        for (long done = 0; done < 12; done++)
            CHECK(read(file, &byte, 1) == 1 && byte == whole[done]);
        CHECK(nbytes > 12 && lseek(file, 0, SEEK_SET) == 0 && read(file, &byte, 1) == 1 && byte == whole[0]);
        FAILS(lseek(file, 0, SEEK_END), EINVAL);
        FAILS(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0) == MAP_FAILED ? -1 : 0, i == 0 || i == 2 ? ENODEV : errno);
        close(file);
        free(whole);
    }
    puts("settings are there");
}

int main(int count, char **arguments) {
    (void)count;
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    maps();
    reserve();
    pages();
    memory();
    signals();
    children();
    names(arguments);
    settings();
    puts("ok");
    return 0;
}
