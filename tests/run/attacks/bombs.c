/* Bombs: only the offender suffers, a task beside it goes on, and in the end all is given back. For our kernel alone. */
#include "../tasks/tasks.h"
#include <poll.h>
#include <pthread.h>
#include <sched.h>

static int ask[2], answer[2];
static pid_t beside;

static int answers(void) { for (char byte; read(ask[0], &byte, 1) == 1; ) { if (byte == 'q') return 7; put(answer[1]); } return 8; }
static void begin(void) { CHECK(pipe(ask) == 0 && pipe(answer) == 0); beside = start(answers); }
static void is_alive(void) { put(ask[1]); take(answer[0]); }
static void end(void) { CHECK(write(ask[1], "q", 1) == 1); say_end("the task beside", beside); }

/* While (fork() >= 0): until it is refused, and all end when the gate is closed. Nobody forks any more then: each that
   ends makes room for another one, so that there would be more and more, and in the end the pipe of news full. */
static void forks(void) {
    int gate[2], news[2], refused = 0;
    char byte;
    begin();
    CHECK(pipe(gate) == 0 && pipe(news) == 0);
    pid_t bomb = fork();
    CHECK(bomb >= 0);
    if (bomb == 0) {
        struct pollfd closed = { .fd = gate[0] };
        close(gate[1]);
        while (poll(&closed, 1, 0) == 0) {
            if (fork() >= 0) continue;
            byte = errno == EAGAIN ? 'a' : errno == ENOMEM ? 'm' : '?';
            CHECK(write(news[1], &byte, 1) == 1);
            break;
        }
        while (read(gate[0], &byte, 1) > 0);
        while (wait(NULL) > 0);
        _exit(0);
    }
    close(gate[0]);
    for (int i = 0; i < 50; i++) { CHECK(read(news[0], &byte, 1) == 1 && (byte == 'a' || byte == 'm')); refused++; }
    is_alive();
    say("%d were refused\n", refused);
    close(gate[1]);
    say_end("bomb", bomb);
    close(news[1]);
    while (read(news[0], &byte, 1) == 1) CHECK(byte == 'a' || byte == 'm');
    is_alive();
    for (int i = 0; i < 100; i++) { pid_t child = fork(); CHECK(child >= 0); if (child == 0) _exit(0); wait_well(child); }
    end();
}

static void forks_killed(void) { /* a bomb that nobody stops but a signal to its group */
    int news[2];
    char byte;
    begin();
    CHECK(pipe(news) == 0);
    pid_t bomb = fork();
    CHECK(bomb >= 0);
    if (bomb == 0) { setpgid(0, 0); for (;;) if (fork() < 0) { CHECK(write(news[1], "x", 1) == 1); for (;;) pause(); } }
    close(news[1]);
    for (int i = 0; i < 30; i++) take(news[0]);
    is_alive();
    CHECK(kill(-bomb, SIGKILL) == 0);
    say_end("bomb", bomb);
    while (read(news[0], &byte, 1) == 1); /* until the last has gone */
    is_alive();
    end();
}

static void pipes(void) { /* each child makes and fills pipes until there are no more */
    enum { TASKS = 8 };
    pid_t children[TASKS];
    int gate[2];
    begin();
    CHECK(pipe(gate) == 0);
    for (int i = 0; i < TASKS; i++) {
        children[i] = fork();
        CHECK(children[i] >= 0);
        if (children[i]) continue;
        static char text[65536];
        int ends[2], made = 0;
        char byte;
        close(gate[1]);
        struct rlimit limit;
        CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
        limit.rlim_cur = limit.rlim_max;
        CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        while (pipe2(ends, O_NONBLOCK) == 0) { made++; if (write(ends[1], text, sizeof text) < 0) break; }
        CHECK(errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == EAGAIN);
        while (read(gate[0], &byte, 1) > 0);
        _exit(made > 10);
    }
    close(gate[0]);
    sleep_ms(100);
    is_alive();
    close(gate[1]);
    for (int i = 0; i < TASKS; i++) { int status = wait_for(children[i]); CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 1) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)); }
    is_alive();
    end();
}

static int overflow(volatile char *before) { volatile char frame[4000]; frame[0] = *before; return overflow(frame) + frame[0]; }

static void stacks(void) { /* to their ends, of STACK bytes if that is set */
    char first = 1;
    struct rlimit limit;
    const char *bytes = getenv("STACK");
    CHECK(getrlimit(RLIMIT_STACK, &limit) == 0);
    if (bytes) limit.rlim_cur = (rlim_t)atol(bytes);
    CHECK(setrlimit(RLIMIT_STACK, &limit) == 0);
    begin();
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) { if (i % 2) { pid_t inner = fork(); if (inner > 0) { wait(NULL); overflow(&first); } } overflow(&first); }
        int status = wait_for(child);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
        is_alive();
    }
    end();
}

static void memory(void) { /* tasks that take all memory: refused or killed; the other goes on */
    begin();
    for (int round = 0; round < 3; round++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            for (;;) {
                char *at = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                if (at == MAP_FAILED) _exit(3);
                for (long i = 0; i < 1 << 20; i += PAGE) at[i] = 1;
            }
        }
        int status = wait_for(child);
        CHECK(WIFEXITED(status) || WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGBUS || WTERMSIG(status) == SIGSEGV);
        is_alive();
    }
    end();
}

static void files(void) { /* a file that grows until there is no room */
    static char text[65536];
    begin();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        int file = open("large", O_WRONLY | O_CREAT, 0644);
        CHECK(file >= 0);
        while (write(file, text, sizeof text) > 0);
        _exit(errno == ENOSPC || errno == EFBIG || errno == ENOMEM ? 4 : 5);
    }
    int status = wait_for(child);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 4) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    CHECK(unlink("large") == 0);
    is_alive();
    end();
}

static void files_in_number(void) {
    char name[20];
    int made = 0;
    begin();
    for (; made < 20000; made++) {
        snprintf(name, sizeof name, "f%d", made);
        int file = open(name, O_WRONLY | O_CREAT, 0644);
        if (file < 0) break;
        close(file);
    }
    CHECK(made == 20000 || errno == ENOSPC || errno == ENOMEM);
    is_alive();
    for (int i = 0; i < made; i++) { snprintf(name, sizeof name, "f%d", i); CHECK(unlink(name) == 0); }
    end();
}

static void many_forks(void) { /* a hundred thousand, one after the other */
    long many = getenv("MANY") ? atol(getenv("MANY")) : 1000;
    static volatile char page[PAGE];
    begin();
    for (long i = 0; i < many; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) { page[0] = (char)i; _exit((int)(i % 100)); }
        int status = wait_for(child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == i % 100 && page[0] == 0);
    }
    is_alive();
    say("%ld forks\n", many);
    end();
}

static void *stays(void *argument) { for (;;) pause(); return argument; }
static int make_threads(void *(*run)(void *)) { /* until there are no more: how many */
    pthread_attr_t attributes;
    pthread_t thread;
    int made = 0, code;
    CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 4 * PAGE) == 0);
    while ((code = pthread_create(&thread, &attributes, run, NULL)) == 0) made++;
    CHECK(code == EAGAIN || code == ENOMEM);
    return made;
}
static int news_of_threads[2];
static void *makes_more(void *argument) { make_threads(makes_more); (void)!write(news_of_threads[1], "x", 1); return stays(argument); }
static int many_threads(void) { int made = make_threads(stays); return made > 100 ? 9 : 1; }
static int threads_of_threads(void) { makes_more(NULL); return 1; }

static void threads(void) { /* one that makes them until it is refused, and ends; threads that make threads, and are killed */
    begin();
    say_end("many threads", start(many_threads));
    is_alive();
    CHECK(pipe(news_of_threads) == 0);
    pid_t bomb = start(threads_of_threads);
    for (int i = 0; i < 20; i++) take(news_of_threads[0]);
    is_alive();
    CHECK(kill(bomb, SIGKILL) == 0);
    say_end("threads of threads", bomb);
    is_alive();
    end();
}

static void *ends_somehow(void *argument) { /* each thread does something that ends one of them, or all, when it likes */
    unsigned seed = (unsigned)(uintptr_t)argument;
    char *const arguments[] = {"true", NULL};
    for (int i = 0; i < 30; i++) {
        pthread_t thread;
        volatile long sum = 0;
        seed = seed * 1103515245 + 12345;
        switch (seed >> 16 & 31) {
        case 0: _exit(1);
        case 1: execv("/bin/true", arguments); break;
        case 2: case 3: return argument;
        case 4: raise(SIGTERM); break;
        case 5: *(volatile char *)8 = 1; break;
        case 6: case 7: case 8: if (pthread_create(&thread, NULL, ends_somehow, (void *)(uintptr_t)(seed >> 3)) == 0) pthread_detach(thread); break;
        case 9: if (fork() == 0) _exit((int)sum); break;
        case 10: kill(getpid(), SIGCONT); break;
        case 11: syscall(SYS_exit, 0); break;
        case 12: case 13: sleep_ms(1); break;
        default: for (unsigned j = 0; j < (seed & 4095); j++) sum += j; sched_yield();
        }
    }
    return argument;
}
static void exit_races(void) {
    begin();
    for (unsigned round = 0; round < 40; round++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            pthread_t all[6];
            for (unsigned i = 0; i < 6; i++) CHECK(pthread_create(&all[i], NULL, ends_somehow, (void *)(uintptr_t)(round * 7919 + i * 104729)) == 0);
            if (round % 3 == 0) ends_somehow((void *)(uintptr_t)round);
            if (round % 3 == 1) syscall(SYS_exit, 5);
            sleep_ms(5);
            _exit(6);
        }
        wait_for(child);
        is_alive();
    }
    end();
}

static const struct way ways[] = {WAY(forks), WAY(forks_killed), WAY(pipes), WAY(stacks), WAY(memory), WAY(files), WAY(files_in_number), WAY(many_forks), WAY(threads),
    WAY(exit_races), {NULL, NULL}};
