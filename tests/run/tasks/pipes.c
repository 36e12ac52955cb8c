/* Pipes: rings of tasks, full and empty ones, EPIPE and SIGPIPE, PIPE_BUF, poll and select. */
#include "tasks.h"
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>

static int ends[2];
static volatile int seen;

static void make(void) { CHECK(pipe(ends) == 0); }
static void note(int number) { seen = number; }

static void ring(void) {
    enum { TASKS = 12, ROUNDS = 50 };
    int pipes[TASKS][2];
    long token = 1;
    for (int i = 0; i < TASKS; i++) CHECK(pipe(pipes[i]) == 0);
    for (int i = 1; i < TASKS; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child) continue;
        for (int round = 0; round < ROUNDS; round++) {
            CHECK(read(pipes[i - 1][0], &token, sizeof token) == sizeof token);
            token = token * 31 % 1000003 + i;
            CHECK(write(pipes[i][1], &token, sizeof token) == sizeof token);
        }
        _exit(0);
    }
    for (int round = 0; round < ROUNDS; round++) {
        CHECK(write(pipes[0][1], &token, sizeof token) == sizeof token);
        CHECK(read(pipes[TASKS - 1][0], &token, sizeof token) == sizeof token);
    }
    for (int i = 1; i < TASKS; i++) CHECK(wait(NULL) > 0);
    say("token %ld\n", token);
}

static void set_nonblocking(int end, int is) { CHECK(fcntl(end, F_SETFL, is ? O_NONBLOCK : 0) == 0); }

static long fill(size_t piece) {
    static char text[100000];
    long total = 0;
    for (ssize_t wrote; (wrote = write(ends[1], text, piece)) > 0; ) total += wrote;
    CHECK(errno == EAGAIN);
    return total;
}

static void full(void) {
    static char text[100000];
    make();
    FAILS(read(ends[1], text, 1), EBADF);
    FAILS(write(ends[0], text, 1), EBADF);
    set_nonblocking(ends[0], 1);
    FAILS(read(ends[0], text, 1), EAGAIN);
    set_nonblocking(ends[1], 1);
    say("holds %ld\n", fill(4096));
    FAILS(write(ends[1], text, 1), EAGAIN);
    CHECK(read(ends[0], text, 4096) == 4096 && write(ends[1], text, 4096) == 4096);
    while (read(ends[0], text, sizeof text) > 0);
    CHECK(errno == EAGAIN);
    say("at once %ld\n", (long)write(ends[1], text, sizeof text)); /* more than there is room for: a part */
    while (read(ends[0], text, sizeof text) > 0);
    say("holds %ld\n", fill(4096));
    CHECK(read(ends[0], text, 2 * 4096) == 2 * 4096);
    say("a part %ld\n", (long)write(ends[1], text, 3 * 4096));
    CHECK(write(ends[1], text, 0) == 0);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void small_pieces(void) { /* single bytes: all that were written come out in order */
    char byte;
    make();
    set_nonblocking(ends[1], 1);
    for (int i = 0; i < 4096; i++) { byte = (char)(i % 127); CHECK(write(ends[1], &byte, 1) == 1); }
    for (int i = 0; i < 4096; i++) CHECK(read(ends[0], &byte, 1) == 1 && byte == i % 127);
    say("in order\n");
}

static void atomic(void) { /* writes of PIPE_BUF are not mixed, whoever writes */
    enum { WRITERS = 4, PIECES = 30 };
    static char text[PIPE_BUF];
    int counts[WRITERS] = {0};
    make();
    for (int i = 0; i < WRITERS; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child) continue;
        memset(text, 'a' + i, sizeof text);
        for (int piece = 0; piece < PIECES; piece++) CHECK(write(ends[1], text, sizeof text) == sizeof text);
        _exit(0);
    }
    close(ends[1]);
    for (;;) {
        size_t got = 0;
        while (got < sizeof text) {
            ssize_t more = read(ends[0], text + got, sizeof text - got);
            CHECK(more >= 0);
            if (more == 0) break;
            got += (size_t)more;
        }
        if (got == 0) break;
        CHECK(got == sizeof text);
        for (unsigned i = 1; i < sizeof text; i++) CHECK(text[i] == text[0]);
        counts[text[0] - 'a']++;
    }
    for (int i = 0; i < WRITERS; i++) CHECK(wait(NULL) > 0);
    say("%d %d %d %d\n", counts[0], counts[1], counts[2], counts[3]);
}

static void no_part(void) { /* with O_NONBLOCK, of PIPE_BUF bytes or fewer all or none */
    static char text[PIPE_BUF];
    make();
    set_nonblocking(ends[1], 1);
    fill(4096);
    CHECK(read(ends[0], text, 100) == 100);
    FAILS(write(ends[1], text, 200), EAGAIN);
    say("none\n");
}

static void large_transfer(void) { /* more than fits: both wait for each other */
    enum { BYTES = 1000000 };
    static unsigned char text[BYTES];
    make();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        close(ends[0]);
        for (long i = 0; i < BYTES; i++) text[i] = (unsigned char)(i * i >> 3);
        CHECK(write(ends[1], text, BYTES) == BYTES);
        _exit(0);
    }
    close(ends[1]);
    long total = 0;
    unsigned sizes[] = {1, 100, 4096, 5000, 65536, 70000};
    for (int i = 0; ; i++) {
        ssize_t got = read(ends[0], text, sizes[i % 6]);
        CHECK(got >= 0);
        if (got == 0) break;
        for (long j = 0; j < got; j++) CHECK(text[j] == (unsigned char)((total + j) * (total + j) >> 3));
        total += got;
    }
    say("%ld bytes\n", total);
    wait_well(child);
}

static void broken(void) {
    make();
    close(ends[0]);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { CHECK(write(ends[1], "", 0) <= 0); _exit(write(ends[1], "x", 1) == -1 ? 1 : 2); }
    say_end("default", child);
    handle(SIGPIPE, SIG_IGN, 0);
    FAILS(write(ends[1], "x", 1), EPIPE);
    handle(SIGPIPE, note, 0);
    FAILS(write(ends[1], "x", 1), EPIPE);
    say("handler saw %d\n", seen);
    block(SIGPIPE);
    FAILS(write(ends[1], "x", 1), EPIPE);
    sigset_t pending;
    CHECK(sigpending(&pending) == 0);
    say("pending %d\n", sigismember(&pending, SIGPIPE));
}

static void broken_while_it_waits(void) { /* a writer that waits for room, and the reader goes */
    static char text[200000];
    make();
    handle(SIGPIPE, SIG_IGN, 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        close(ends[0]);
        long wrote = write(ends[1], text, sizeof text);
        _exit(wrote == -1 && errno == EPIPE ? 1 : wrote > 0 && wrote < (long)sizeof text ? 2 : 3);
    }
    close(ends[1]);
    CHECK(read(ends[0], text, 1000) == 1000);
    close(ends[0]);
    say_end("writer", child);
}

static void end_of_file(void) { /* a reader waits until the last writer has gone */
    char text[10];
    make();
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) { sleep_ms(10 + 20 * i); if (i == 1) CHECK(write(ends[1], "word", 4) == 4); _exit(0); }
    }
    close(ends[1]);
    CHECK(read(ends[0], text, sizeof text) == 4 && read(ends[0], text, sizeof text) == 0 && read(ends[0], text, sizeof text) == 0);
    for (int i = 0; i < 3; i++) CHECK(wait(NULL) > 0);
    say("%.4s\n", text);
}

static int asked(struct pollfd *fds, nfds_t count, int ms) {
    int answer = poll(fds, count, ms);
    say("%d:", answer);
    for (nfds_t i = 0; i < count; i++) say(" %#x", (unsigned)fds[i].revents);
    say("\n");
    return answer;
}

static void polls(void) {
    static char text[100];
    make();
    struct pollfd both[] = {{ends[0], POLLIN, 0}, {ends[1], POLLOUT, 0}, {-1, POLLIN, 0}, {77, POLLIN, 0}};
    asked(both, 2, 0);
    asked(both, 4, -1);
    asked(both, 1, 20);
    CHECK(write(ends[1], "abc", 3) == 3);
    asked(both, 2, -1);
    both[0].events = both[1].events = 0;
    asked(both, 2, 0);
    both[0].events = POLLIN, both[1].events = POLLOUT;
    CHECK(read(ends[0], text, 3) == 3);
    set_nonblocking(ends[1], 1);
    fill(4096);
    asked(both, 2, 0);
    CHECK(close(ends[1]) == 0);
    asked(both, 1, 0);
    while (read(ends[0], text, sizeof text) > 0);
    asked(both, 1, -1);
    CHECK(close(ends[0]) == 0);
    make();
    CHECK(close(ends[0]) == 0);
    struct pollfd writer = {ends[1], POLLOUT, 0};
    asked(&writer, 1, -1);
    CHECK(poll(NULL, 0, 5) == 0);
    FAILS(syscall(SYS_poll, (void *)8, 1, 0), EFAULT);
}

static void poll_waits(void) { /* until another task writes, or goes, or a signal comes */
    make();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { sleep_ms(20); put(ends[1]); sleep_ms(20); _exit(0); }
    close(ends[1]);
    struct pollfd reader = {ends[0], POLLIN, 0};
    asked(&reader, 1, -1);
    take(ends[0]);
    asked(&reader, 1, 10000);
    wait_well(child);
    handle(SIGALRM, note, SA_RESTART);
    make();
    reader.fd = ends[0];
    struct itimerval soon = {{0, 0}, {0, 20000}};
    CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
    FAILS(poll(&reader, 1, -1), EINTR); /* is not made anew, whatever the handler's flags */
    say("signal %d\n", seen);
}

static void selects(void) {
    make();
    fd_set readers, writers;
    struct timeval soon = {0, 10000};
    FD_ZERO(&readers); FD_ZERO(&writers);
    FD_SET(ends[0], &readers); FD_SET(ends[1], &writers);
    int highest = (ends[0] > ends[1] ? ends[0] : ends[1]) + 1;
    say("%d", select(highest, &readers, &writers, NULL, &soon));
    say(" %d %d\n", !!FD_ISSET(ends[0], &readers), !!FD_ISSET(ends[1], &writers));
    FD_ZERO(&readers); FD_SET(ends[0], &readers);
    soon.tv_usec = 10000, soon.tv_sec = 0;
    say("%d", select(highest, &readers, NULL, NULL, &soon));
    say(" %d, left %ld\n", !!FD_ISSET(ends[0], &readers), (long)(soon.tv_sec * 1000000 + soon.tv_usec));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { sleep_ms(20); put(ends[1]); _exit(0); }
    FD_ZERO(&readers); FD_SET(ends[0], &readers);
    say("%d", select(highest, &readers, NULL, NULL, NULL));
    say(" %d\n", !!FD_ISSET(ends[0], &readers));
    wait_well(child);
    FD_ZERO(&readers); FD_SET(50, &readers);
    FAILS(select(51, &readers, NULL, NULL, &soon), EBADF);
    FAILS(select(-1, NULL, NULL, NULL, NULL), EINVAL);
}

static void ppolls(void) { /* a signal that is blocked outside is delivered while it waits */
    make();
    handle(SIGUSR1, note, 0);
    block(SIGUSR1);
    sigset_t none = set_of(0);
    struct pollfd reader = {ends[0], POLLIN, 0};
    struct timespec soon = {0, 5000000};
    CHECK(ppoll(&reader, 1, &soon, &none) == 0);
    pid_t parent = getpid(), child = fork();
    CHECK(child >= 0);
    if (child == 0) { sleep_ms(20); CHECK(kill(parent, SIGUSR1) == 0); _exit(0); }
    FAILS(ppoll(&reader, 1, NULL, &none), EINTR);
    sigset_t mask;
    CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
    say("saw %d, blocked again %d\n", seen, sigismember(&mask, SIGUSR1));
    wait_well(child);
}

static void facts(void) {
    struct stat about;
    int waiting = -1, with_flags[2];
    make();
    CHECK(fstat(ends[0], &about) == 0 && S_ISFIFO(about.st_mode));
    FAILS(lseek(ends[0], 0, SEEK_CUR), ESPIPE);
    FAILS(pread(ends[0], &about, 1, 0), ESPIPE);
    FAILS(ftruncate(ends[1], 0), EINVAL);
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, ends[0], 0) == MAP_FAILED);
    say("mmap: errno %d\n", errno);
    CHECK(write(ends[1], "12345", 5) == 5 && ioctl(ends[0], FIONREAD, &waiting) == 0);
    say("waiting %d\n", waiting);
    CHECK(pipe2(with_flags, O_CLOEXEC | O_NONBLOCK) == 0);
    say("%d %d %#x %#x\n", fcntl(with_flags[0], F_GETFD), fcntl(ends[0], F_GETFD), (unsigned)fcntl(with_flags[0], F_GETFL) & 0xfff, (unsigned)fcntl(with_flags[1], F_GETFL) & 0xfff);
    say("room %d\n", fcntl(ends[0], F_GETPIPE_SZ));
    FAILS(syscall(SYS_pipe2, with_flags, 0x12345), EINVAL);
    FAILS(syscall(SYS_pipe, (void *)8), EFAULT);
    int next = dup(0); /* nothing was taken by those that failed */
    say("next %d\n", next == with_flags[1] + 1);
}

static void vectors(void) {
    char first[4] = "", second[10] = "";
    make();
    struct iovec out[] = {{"one ", 4}, {NULL, 0}, {"two", 3}}, in[] = {{first, 3}, {second, 9}};
    CHECK(writev(ends[1], out, 3) == 7 && readv(ends[0], in, 2) == 7);
    say("%s|%s\n", first, second);
}

static void bad_buffers(void) { /* nothing is lost to a read into no memory */
    char text[20] = "";
    make();
    CHECK(write(ends[1], "0123456789", 10) == 10);
    FAILS(syscall(SYS_read, ends[0], (void *)8, 5), EFAULT);
    FAILS(syscall(SYS_write, ends[1], (void *)8, 5), EFAULT);
    CHECK(read(ends[0], text, 19) == 10);
    say("%s\n", text);
}

static void until_no_more(void) { /* descriptors end, and come back */
    int last = -1, count = 0;
    struct rlimit limit = {200, 200};
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    while (pipe(ends) == 0) last = ends[0], count++;
    say("errno %d, all %d\n", errno, count);
    while (dup(0) >= 0);
    FAILS(dup(0), EMFILE);
    FAILS(open("/", O_RDONLY), EMFILE);
    CHECK(close(last) == 0 && dup(0) == last);
}

static long send_some(int to, int from, long nbytes) { /* a kernel may refuse files that it does not support: then by hand */
    char text[100];
    ssize_t sent = sendfile(to, from, NULL, (size_t)nbytes);
    if (sent >= 0 || errno != EINVAL) return sent;
    ssize_t got = read(from, text, (size_t)(nbytes < 100 ? nbytes : 100));
    return got > 0 ? write(to, text, (size_t)got) : got;
}

static void by_sendfile(void) {
    char text[100] = "";
    write_file("sent", "words of a file that is sent\n", 0644);
    int file = open("sent", O_RDONLY);
    make();
    CHECK(file >= 0);
    say_error("a part", send_some(ends[1], file, 8));
    say_error("to the end", send_some(ends[1], file, 1000));
    say_error("at the end", send_some(ends[1], file, 1000));
    say("%ld\n", (long)lseek(file, 0, SEEK_CUR));
    CHECK(read(ends[0], text, 99) == 29);
    say("%s", text);
    FAILS(sendfile(ends[1], 99, NULL, 10), EBADF);
    CHECK(unlink("sent") == 0);
}

static void two_readers(void) { /* each byte goes to one of them */
    int answers[2];
    make();
    CHECK(pipe(answers) == 0);
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child) continue;
        close(ends[1]);
        long sum = 0;
        unsigned char byte;
        while (read(ends[0], &byte, 1) == 1) sum += byte;
        CHECK(write(answers[1], &sum, sizeof sum) == sizeof sum);
        _exit(0);
    }
    long sum = 0, part;
    for (int i = 0; i < 3000; i++) { unsigned char byte = (unsigned char)(i % 251); CHECK(write(ends[1], &byte, 1) == 1); }
    close(ends[1]);
    for (int i = 0; i < 2; i++) { CHECK(read(answers[0], &part, sizeof part) == sizeof part); sum += part; CHECK(wait(NULL) > 0); }
    say("sum %ld\n", sum);
}

static void fifo(void) {
    char text[20] = "";
    CHECK(mkfifo("fifo", 0600) == 0);
    FAILS(mkfifo("fifo", 0600), EEXIST);
    FAILS(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        int to = open("fifo", O_WRONLY); /* waits for the reader */
        CHECK(to >= 0 && write(to, "through a fifo\n", 15) == 15);
        _exit(0);
    }
    int from = open("fifo", O_RDONLY);
    CHECK(from >= 0 && read(from, text, 19) == 15 && read(from, text + 15, 1) == 0);
    say("%s", text);
    wait_well(child);
    CHECK(close(from) == 0);
    from = open("fifo", O_RDONLY | O_NONBLOCK);
    CHECK(from >= 0 && read(from, text, 1) == 0);
    int to = open("fifo", O_WRONLY | O_NONBLOCK);
    CHECK(to >= 0);
    FAILS(read(from, text, 1), EAGAIN);
    CHECK(write(to, "x", 1) == 1 && close(to) == 0 && read(from, text, 5) == 1 && read(from, text, 5) == 0);
    struct stat about;
    CHECK(stat("fifo", &about) == 0 && S_ISFIFO(about.st_mode) && unlink("fifo") == 0);
}

static void read_is_interrupted(void) {
    char byte;
    make();
    handle(SIGALRM, note, 0);
    struct itimerval soon = {{0, 0}, {0, 20000}};
    CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
    FAILS(read(ends[0], &byte, 1), EINTR);
    say("%d\n", seen);
    seen = 0;
    handle(SIGALRM, note, SA_RESTART);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { sleep_ms(80); put(ends[1]); _exit(0); }
    CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
    CHECK(read(ends[0], &byte, 1) == 1);
    say("%d\n", seen);
    wait_well(child);
}

static void write_is_interrupted(void) { /* what is in the pipe counts */
    static char text[100000];
    make();
    handle(SIGALRM, note, SA_RESTART);
    struct itimerval soon = {{0, 0}, {0, 20000}};
    CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
    say("wrote %ld\n", (long)write(ends[1], text, sizeof text));
    handle(SIGALRM, note, 0);
    CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
    FAILS(write(ends[1], text, 10), EINTR);
    say("%d\n", seen);
}

static const struct way ways[] = {WAY(ring), WAY(full), WAY(small_pieces), WAY(atomic), WAY(no_part), WAY(large_transfer), WAY(broken),
    WAY(broken_while_it_waits), WAY(end_of_file), WAY(polls), WAY(poll_waits), WAY(selects), WAY(ppolls), WAY(facts), WAY(vectors),
    WAY(bad_buffers), WAY(until_no_more), WAY(by_sendfile), WAY(two_readers), WAY(fifo), WAY(read_is_interrupted),
    WAY(write_is_interrupted), {NULL, NULL}};
