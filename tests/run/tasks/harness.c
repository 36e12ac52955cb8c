/* What the harnesses of memory test suites ask of a system before and beside their tests: results in a file that parent
   and child have mapped, a folder of their own that they leave and take away, time-outs, groups, a user who may less,
   limits. */
#define _DEFAULT_SOURCE
#include "tasks.h"
#include <dirent.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/utsname.h>

static char folder[100];

static void enter_folder(void) {
    strcpy(folder, "/tmp/harnessXXXXXX");
    CHECK(mkdtemp(folder) == folder && chown(folder, (uid_t)-1, getgid()) == 0 && chmod(folder, 0777) == 0);
    CHECK(chdir(folder) == 0);
    char here[200];
    CHECK(getcwd(here, sizeof here) == here && strcmp(here, folder) == 0);
}

static void remove_below(const char *path) {
    DIR *found = opendir(path);
    struct dirent *entry;
    struct stat about;
    CHECK(found);
    while ((entry = readdir(found))) {
        char inner[600];
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        CHECK(lstat(inner, &about) == 0);
        if (S_ISDIR(about.st_mode)) remove_below(inner);
        else CHECK(unlink(inner) == 0);
    }
    CHECK(closedir(found) == 0 && rmdir(path) == 0);
}

static void leave_folder(void) {
    CHECK(chdir("/") == 0);
    remove_below(folder);
    CHECK(access(folder, F_OK) == -1 && errno == ENOENT);
}

struct results { int passed, failed, runs; };

static void results(void) { /* in a file that both have mapped */
    enter_folder();
    char name[] = "results";
    int file = open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
    CHECK(file >= 0 && fchmod(file, 0666) == 0 && ftruncate(file, 4096) == 0);
    struct results *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(shared != MAP_FAILED && close(file) == 0);
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            __atomic_fetch_add(&shared->passed, i + 1, __ATOMIC_SEQ_CST);
            pid_t inner = fork();
            if (inner == 0) { __atomic_fetch_add(&shared->failed, 1, __ATOMIC_SEQ_CST); _exit(0); }
            CHECK(waitpid(inner, NULL, 0) == inner && shared->failed == i + 1);
            _exit(0);
        }
        wait_well(child);
        shared->runs++;
    }
    say("%d %d %d\n", shared->passed, shared->failed, shared->runs);
    CHECK(msync(shared, 4096, MS_SYNC) == 0);
    struct results read_back;
    file = open(name, O_RDONLY);
    CHECK(read(file, &read_back, sizeof read_back) == sizeof read_back && memcmp(&read_back, shared, sizeof read_back) == 0);
    CHECK(munmap(shared, 4096) == 0 && close(file) == 0);
    leave_folder();
}

static volatile sig_atomic_t beats, rings;
static void beat(int number) { (void)number; beats++; }
static void ring(int number) { (void)number; rings++; }

static void time_outs(void) { /* a test in a group of its own that is killed with all its children */
    handle(SIGUSR1, beat, SA_RESTART);
    handle(SIGALRM, ring, SA_RESTART);
    int ready[2];
    CHECK(pipe(ready) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(setpgid(0, 0) == 0 && signal(SIGALRM, SIG_DFL) != SIG_ERR);
        if (fork() == 0) { put(ready[1]); for (;;) pause(); }
        CHECK(kill(getppid(), SIGUSR1) == 0);
        put(ready[1]);
        for (;;) pause();
    }
    setpgid(child, child);
    take(ready[0]);
    take(ready[0]);
    CHECK(getpgid(child) == child);
    alarm(1);
    while (rings == 0) sleep_ms(100);
    CHECK(alarm(0) == 0 && kill(-child, SIGKILL) == 0);
    say_end("the test", child);
    say("beats %d, rings %d\n", (int)beats, (int)rings);
    struct itimerval once = {.it_value = {0, 20000}}, left;
    CHECK(setitimer(ITIMER_REAL, &once, &left) == 0 && left.it_value.tv_sec == 0);
    while (rings == 1) sleep_ms(10);
    CHECK(getitimer(ITIMER_REAL, &left) == 0);
    say("timer %ld %ld\n", (long)left.it_value.tv_sec, (long)left.it_value.tv_usec);
    child = fork();
    if (child == 0) { CHECK(signal(SIGALRM, SIG_DFL) != SIG_ERR); alarm(1); for (;;) pause(); }
    say_end("one with an alarm", child);
    child = fork();
    if (child == 0) { struct rlimit none = {0, 0}; CHECK(setrlimit(RLIMIT_CORE, &none) == 0); abort(); }
    say_end("one that aborts", child);
    FAILS(waitpid(-1, NULL, WNOHANG), ECHILD);
}

static struct passwd *nobody(void) {
    static struct passwd *entry;
    FILE *file = fopen("/etc/passwd", "r");
    CHECK(file);
    while ((entry = fgetpwent(file)) && strcmp(entry->pw_name, "nobody"))
        ;
    CHECK(entry && fclose(file) == 0);
    return entry;
}

static void say_ids(const char *when) {
    uid_t user[3];
    gid_t group[3];
    CHECK(getresuid(user, user + 1, user + 2) == 0 && getresgid(group, group + 1, group + 2) == 0);
    CHECK(getuid() == user[0] && geteuid() == user[1] && getgid() == group[0] && getegid() == group[1]);
    say("%s: %d %d %d, %d %d %d\n", when, user[0], user[1], user[2], group[0], group[1], group[2]);
}

static void identities(void) {
    uid_t other = nobody()->pw_uid;
    say_ids("at first");
    CHECK(seteuid(other) == 0);
    say_ids("seteuid");
    FAILS(setresuid(5, 5, 5), EPERM);
    FAILS(setgroups(0, NULL), EPERM);
    FAILS(setuid(7), EPERM);
    CHECK(seteuid(0) == 0);
    CHECK(setreuid((uid_t)-1, other) == 0);
    say_ids("setreuid of one");
    CHECK(setreuid((uid_t)-1, 0) == 0);
    say_ids("and back");
    gid_t groups[3] = {5, 6, 7}, told[3];
    CHECK(setgroups(3, groups) == 0 && getgroups(0, NULL) == 3 && getgroups(3, told) == 3);
    CHECK(told[0] + told[1] + told[2] == 18);
    FAILS(getgroups(2, told), EINVAL);
    CHECK(setgroups(0, NULL) == 0 && getgroups(0, NULL) == 0);
    CHECK(setregid(3, 4) == 0);
    say_ids("setregid");
    CHECK(setresgid(9, (gid_t)-1, 8) == 0);
    say_ids("setresgid");
    CHECK(setgid(1) == 0 && setresuid(0, 0, 0) == 0);
    say_ids("setgid");
    pid_t child = fork();
    if (child == 0) {
        CHECK(setuid(other) == 0);
        say_ids("setuid");
        FAILS(setuid(0), EPERM);
        FAILS(seteuid(0), EPERM);
        FAILS(setgid(0), EPERM);
        CHECK(setgid(1) == 0 && setreuid(other, other) == 0);
        FAILS(setreuid(0, (uid_t)-1), EPERM);
        FAILS(kill(getppid(), 0), EPERM);
        FAILS(kill(1, SIGTERM), EPERM);
        FAILS(kill(getppid(), SIGTERM), EPERM);
        CHECK(kill(getpid(), 0) == 0);
        FAILS(setpriority(PRIO_PROCESS, 0, -5), EACCES);
        CHECK(setpriority(PRIO_PROCESS, 0, 5) == 0);
        struct rlimit limit;
        CHECK(getrlimit(RLIMIT_MEMLOCK, &limit) == 0);
        limit.rlim_cur = limit.rlim_max = 4096;
        CHECK(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
        limit.rlim_max = 8192;
        FAILS(setrlimit(RLIMIT_MEMLOCK, &limit), EPERM);
        _exit(0);
    }
    wait_well(child);
    CHECK(setresuid(1, 2, 0) == 0);
    say_ids("setresuid");
    CHECK(setresuid(2, 1, (uid_t)-1) == 0 && seteuid(0) == 0);
    say_ids("changed about");
}

static void as(uid_t user, void (*run)(void)) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { CHECK(setresgid(user, user, user) == 0 && setgroups(0, NULL) == 0 && setresuid(user, user, user) == 0); run(); _exit(0); }
    wait_well(child);
}

static void try_little(void) {
    FAILS(open("secret", O_RDONLY), EACCES);
    FAILS(open("readable", O_WRONLY), EACCES);
    FAILS(open("readable", O_RDONLY | O_TRUNC), EACCES);
    FAILS(open("closed/inner", O_RDONLY), EACCES);
    FAILS(access("secret", R_OK), EACCES);
    FAILS(access("readable", W_OK), EACCES);
    CHECK(access("readable", R_OK) == 0 && access("closed", F_OK) == 0);
    FAILS(open("fixed/new", O_CREAT | O_WRONLY, 0600), EACCES);
    FAILS(mkdir("fixed/new", 0700), EACCES);
    FAILS(unlink("fixed/inner"), EACCES);
    FAILS(rename("fixed/inner", "here"), EACCES);
    FAILS(symlink("x", "fixed/link"), EACCES);
    FAILS(unlink("sticky/theirs"), EPERM);
    FAILS(rename("sticky/theirs", "sticky/mine"), EPERM);
    FAILS(chmod("readable", 0777), EPERM);
    FAILS(chown("readable", getuid(), (gid_t)-1), EPERM);
    FAILS(truncate("readable", 0), EACCES);
    FAILS(chdir("closed"), EACCES);
    FAILS(utimes("readable", NULL), EACCES);
    FAILS(execl("readable", "readable", NULL), EACCES);
    FAILS(execl("run", "run", NULL), EACCES);
    int file = open("readable", O_RDONLY);
    FAILS(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED ? -1 : 0, EACCES);
    CHECK(close(file) == 0);
    struct stat about;
    file = open("sticky/own", O_CREAT | O_RDWR, 0640);
    CHECK(file >= 0 && fstat(file, &about) == 0 && about.st_uid == getuid() && about.st_gid == getgid());
    CHECK(chmod("sticky/own", 0444) == 0 && rename("sticky/own", "sticky/other") == 0);
    FAILS(open("sticky/other", O_RDWR), EACCES);
    CHECK(write(file, "x", 1) == 1 && close(file) == 0 && unlink("sticky/other") == 0);
    file = open("grouped", O_RDWR);
    CHECK(file >= 0 && close(file) == 0);
    say("little is allowed\n");
}

static void rights_of_files(void) {
    umask(0);
    enter_folder();
    write_file("secret", "s", 0600);
    write_file("readable", "r", 0644);
    write_file("run", "#!/bin/none\n", 0700);
    write_file("grouped", "g", 0660);
    CHECK(chown("grouped", 0, nobody()->pw_gid) == 0);
    CHECK(mkdir("closed", 0700) == 0 && mkdir("fixed", 0755) == 0 && mkdir("sticky", 0777) == 0 && chmod("sticky", 01777) == 0);
    write_file("closed/inner", "i", 0666);
    write_file("fixed/inner", "i", 0666);
    write_file("sticky/theirs", "t", 0666);
    as(nobody()->pw_uid, try_little);
    int file = open("secret", O_RDONLY);
    CHECK(file >= 0 && close(file) == 0 && access("secret", R_OK | W_OK) == 0 && chown("secret", 5, 5) == 0);
    leave_folder();
}

static void limits(void) {
    static const int all[] = {RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_NPROC, RLIMIT_NOFILE, RLIMIT_MEMLOCK, RLIMIT_AS};
    struct rlimit limit, told;
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        CHECK(getrlimit(all[i], &limit) == 0 && limit.rlim_cur <= limit.rlim_max);
        limit.rlim_cur = limit.rlim_max = all[i] == RLIMIT_NOFILE || all[i] == RLIMIT_NPROC ? 200 : 4l << 20;
        CHECK(setrlimit(all[i], &limit) == 0 && getrlimit(all[i], &told) == 0);
        CHECK(told.rlim_cur == limit.rlim_cur && told.rlim_max == limit.rlim_max);
        limit.rlim_cur++;
        FAILS(setrlimit(all[i], &limit), EINVAL);
    }
    FAILS(getrlimit(99, &limit), EINVAL);
    pid_t child = fork();
    if (child == 0) { CHECK(getrlimit(RLIMIT_CPU, &told) == 0 && told.rlim_cur == 4l << 20); _exit(0); }
    wait_well(child);
    void *large = mmap(NULL, 16l << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say("%d %d\n", large == MAP_FAILED, errno);
}

static void system_calls(void) {
    struct utsname names;
    struct sysinfo about;
    struct statfs files;
    struct tms times_of;
    struct rusage usage;
    int major, minor, patch;
    CHECK(uname(&names) == 0 && sscanf(names.release, "%d.%d.%d", &major, &minor, &patch) == 3 && major >= 5);
    CHECK(sysinfo(&about) == 0 && about.totalram > about.freeram && about.mem_unit >= 1 && about.procs > 0);
    CHECK(statfs("/tmp", &files) == 0 && files.f_bsize >= 512 && files.f_type != 0 && files.f_namelen >= 255);
    CHECK(sysconf(_SC_PAGESIZE) == 4096 && sysconf(_SC_PHYS_PAGES) > 1000 && sysconf(_SC_AVPHYS_PAGES) > 100);
    CHECK(sysconf(_SC_NPROCESSORS_ONLN) >= 1 && sysconf(_SC_CLK_TCK) == 100 && sysconf(_SC_OPEN_MAX) > 100);
    CHECK(times(&times_of) != (clock_t)-1 && getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_maxrss >= 0);
    CHECK(getrusage(RUSAGE_CHILDREN, &usage) == 0);
    char template[] = "/tmp/fileXXXXXX", link[] = "/tmp/linkXXXXXX";
    int file = mkstemp(template);
    CHECK(file >= 0 && unlink(template) == 0 && write(file, "abc", 3) == 3 && lseek(file, 0, SEEK_END) == 3 && close(file) == 0);
    FILE *kept = tmpfile();
    CHECK(kept && fprintf(kept, "x%d", 7) == 2 && fclose(kept) == 0);
    CHECK((file = mkstemp(link)) >= 0 && close(file) == 0 && unlink(link) == 0);
    CHECK(mkfifo("/tmp/a fifo", 0600) == 0 && unlink("/tmp/a fifo") == 0);
    FAILS(rmdir("/tmp/nothing"), ENOENT);
    char name[16];
    CHECK(prctl(PR_SET_NAME, "harness") == 0 && prctl(PR_GET_NAME, name) == 0 && !strcmp(name, "harness"));
    CHECK(prctl(PR_GET_DUMPABLE) == 1);
    FAILS(prctl(9999), EINVAL);
    say("all there\n");
}

static const struct way ways[] = {WAY(results), WAY(time_outs), WAY(identities), WAY(rights_of_files), WAY(limits), WAY(system_calls), {NULL, NULL}};
