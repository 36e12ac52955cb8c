/* System calls at random from several tasks that share pipes, files and memory. For our kernel alone. Arguments: seed, calls a
   task. Whatever becomes of the tasks: the kernel must stand, and lose nothing. */
#define OWN_MAIN
#include "../tasks/tasks.h"

enum { TASKS = 5, PAGES = 32 };

/* How an argument is made: a address, s size, f descriptor, p path, t task, g signal, r rights, m flags of mmap, h action, w anything,
   n small number, d short time, q poll array. */
static const struct { int number; const char *arguments; } calls[] = {
    {SYS_fork, ""}, {SYS_vfork, ""}, {SYS_clone, "waaaa"}, {SYS_wait4, "tana"}, {SYS_wait4, "tana"}, {SYS_waitid, "ntana"}, {SYS_kill, "tg"}, {SYS_kill, "tg"}, {SYS_tkill, "tg"},
    {SYS_pipe2, "aw"}, {SYS_pipe, "a"}, {SYS_read, "fas"}, {SYS_read, "fas"}, {SYS_write, "fas"}, {SYS_write, "fas"}, {SYS_readv, "fan"},
    {SYS_writev, "fan"}, {SYS_close, "f"}, {SYS_dup, "f"}, {SYS_dup2, "ff"}, {SYS_fcntl, "fnw"}, {SYS_fcntl, "fnn"}, {SYS_poll, "qnn"}, {SYS_select, "naaad"}, {SYS_ppoll, "qnda"},
    {SYS_rt_sigaction, "ghae"}, {SYS_rt_sigaction, "ghae"}, {SYS_rt_sigprocmask, "naae"}, {SYS_rt_sigpending, "ae"}, {SYS_rt_sigsuspend, "ae"}, {SYS_rt_sigtimedwait, "aade"},
    {SYS_sigaltstack, "aa"}, {SYS_nanosleep, "da"}, {SYS_setitimer, "nda"}, {SYS_alarm, "n"}, {SYS_getitimer, "na"}, {SYS_pause, ""},
    {SYS_setpgid, "tt"}, {SYS_getpgid, "t"}, {SYS_setsid, ""}, {SYS_getsid, "t"}, {SYS_getppid, ""}, {SYS_execve, "paa"}, {SYS_mmap, "asrmfo"}, {SYS_mmap, "asrmfo"},
    {SYS_munmap, "as"}, {SYS_mprotect, "asr"}, {SYS_mremap, "assna"}, {SYS_madvise, "asn"}, {SYS_open, "pww"}, {SYS_openat, "fpww"}, {SYS_mkdir, "pw"},
    {SYS_rmdir, "p"}, {SYS_unlink, "p"}, {SYS_rename, "pp"}, {SYS_link, "pp"}, {SYS_symlink, "pp"}, {SYS_chmod, "pw"}, {SYS_truncate, "ps"}, {SYS_ftruncate, "fs"},
    {SYS_mknod, "pwn"}, {SYS_getdents64, "fas"}, {SYS_sendfile, "ffas"}, {SYS_lseek, "fwn"}, {SYS_chdir, "p"}, {SYS_fchdir, "f"}, {SYS_getcwd, "as"},
    {SYS_ioctl, "fwa"}, {SYS_futex, "annda"}, {SYS_sched_yield, ""}, {SYS_prlimit64, "tnaa"}, {SYS_getrusage, "na"}, {SYS_times, "a"}, {SYS_utimensat, "fpan"}, {SYS_set_tid_address, "a"}};

static char *area, *shared;
static pid_t first_task;
static void nothing(int number) { (void)number; }

static uint64_t address(void) {
    static const uint64_t wild[] = {0, 8, 0x7ffffffff000, 0x800000000000, 0xFFFF800000100000, 0xFFFFFFFF801E0000, (uint64_t)-1};
    switch (below(10)) {
    case 0: return wild[below(7)];
    case 1: return (uint64_t)(uintptr_t)shared + below(4 * PAGE);
    case 2: return (uint64_t)(uintptr_t)area + (uint64_t)PAGE * (1 + below(PAGES)) - 1 - below(16);
    default: return (uint64_t)(uintptr_t)area + (uint64_t)PAGE * below(PAGES);
    }
}

static uint64_t argument(char kind) {
    static const char *const paths[] = {"/", "a", "b", "folder", "folder/c", "folder/d", "/tmp/e", "link", "/dev/null", "/proc/self/exe", "", "none/x", "/proc/self/maps"};
    static struct timespec times[3];
    static struct pollfd polled[8];
    uint64_t raw;
    switch (kind) {
    case 'a': return address();
    case 's': return below(5) == 0 ? next_random() : below(2) ? below(100) : below(5 * PAGE);
    case 'f': return below(12) == 0 ? next_random() : below(24);
    case 'p': return below(8) == 0 ? address() : (uint64_t)(uintptr_t)paths[below(13)];
    case 't': return below(8) == 0 ? next_random() : below(4) == 0 ? 0 - below(3) : (uint64_t)(below(2) ? (pid_t)getpid() : first_task + (pid_t)below(30));
    case 'g': raw = below(10) == 0 ? next_random() : below(66); return raw == SIGKILL || raw == SIGSTOP ? SIGUSR1 : raw;
    case 'r': return below(8);
    case 'm': return (below(2) ? MAP_PRIVATE : MAP_SHARED) | (below(4) ? MAP_ANONYMOUS : 0);
    case 'h':
        if (below(4) == 0) return address();

        return 0; /* the libraries' form is another: the kernel's is made below */
    case 'e': return below(10) ? 8 : next_random();
    case 'd': raw = below(3); times[raw].tv_sec = 0, times[raw].tv_nsec = (long)below(3000000); return below(8) ? (uint64_t)(uintptr_t)&times[raw] : address();
    case 'q': for (int i = 0; i < 8; i++) polled[i] = (struct pollfd){(int)below(24), (short)below(64), 0}; return below(8) ? (uint64_t)(uintptr_t)polled : address();
    case 'o': return below(2) ? 0 : (uint64_t)PAGE * below(4);
    case 'n': return below(10) == 0 ? next_random() : below(10);
    default: return below(2) ? next_random() : below(0x6000);
    }
}

static int is_left_out(int number, const uint64_t *a) {
    if (number == SYS_mmap) return a[3] & MAP_FIXED;
    if (number == SYS_munmap || number == SYS_mprotect || number == SYS_mremap)
        return a[0] < (uint64_t)(uintptr_t)area || a[1] > PAGES * PAGE || a[0] + a[1] > (uint64_t)(uintptr_t)area + PAGES * PAGE;
    return number == SYS_clone && a[0] & 0x100; /* a stack of its own is for those that mean it */
}

static void work(long count) {

    for (long i = 0; i < count; i++) {
        uint64_t a[6] = {0};
        unsigned which = (unsigned)below(sizeof calls / sizeof *calls);
        int number = calls[which].number;
        for (int j = 0; calls[which].arguments[j]; j++) a[j] = argument(calls[which].arguments[j]);
        if (is_left_out(number, a)) continue;
        if (number == SYS_rt_sigaction && a[1] == 0) {
            struct sigaction old;
            if (a[0] == 0 || a[0] > 64) continue;

            signal((int)a[0], below(3) ? nothing : SIG_IGN);
            if (sigaction((int)a[0], NULL, &old) == 0 && below(4) == 0) { old.sa_flags ^= SA_NODEFER; sigaction((int)a[0], &old, NULL); }
            continue;
        }
        if (number == SYS_vfork) {
            pid_t child = vfork();
            if (child == 0) _exit(3);
            continue;
        }
        if (number == SYS_wait4) a[2] |= below(4) ? WNOHANG : 0;
        long result = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
        if ((number == SYS_fork || number == SYS_clone) && result == 0) { random_state ^= (uint64_t)getpid() * 977; if (below(2)) _exit((int)below(256)); }
        if (below(30) == 0) { char byte; if (read((int)(6 + 2 * below(3)), &byte, 1) == 1) shared[below(4 * PAGE)] = byte; }
        if (below(20) == 0) for (int j = 0; j < PAGES; j++) syscall(SYS_getcwd, area + j * PAGE, PAGE);
    }
}

int main(int argc, char **argv) {
    random_state += (argc > 1 ? (uint64_t)atol(argv[1]) : 1) * 0x9E3779B97F4A7C15;
    long count = argc > 2 ? atol(argv[2]) : 500;
    int gone[2];
    area = map_pages(PAGES, PROT_READ | PROT_WRITE);
    shared = map_shared(4);
    memset(area, 1, PAGES * PAGE / 2);
    first_task = getpid();
    mkdir("folder", 0755);
    struct rlimit few = {60, 60}; /* tasks, where that is obeyed */
    setrlimit(RLIMIT_NPROC, &few);
    CHECK(pipe2(gone, O_CLOEXEC) == 0 && fcntl(gone[0], F_DUPFD, 100) == 100);
    for (int i = 0; i < 5; i++) { int ends[2]; CHECK(pipe2(ends, below(2) ? O_NONBLOCK : 0) == 0); }
    for (int i = 0; i < TASKS; i++) {
        next_random();
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) { random_state ^= (uint64_t)i * 0x12345678901; alarm(20); work(count); _exit(0); }
    }
    for (int number = 1; number <= 64; number++) if (number != SIGCHLD) signal(number, SIG_IGN);
    for (int i = 0; i < 40; i++) { sleep_ms(50); while (waitpid(-1, NULL, WNOHANG) > 0); }
    for (int i = 0; i < 3; i++) { kill(-1, SIGCONT); kill(-1, SIGKILL); sleep_ms(5); }
    while (waitpid(-1, NULL, 0) > 0);
    dprintf(2, "all have ended\n");
    return 0;
}
