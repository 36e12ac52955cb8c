/* What the programs of several tasks share. A program has ways, each a test: the first argument names one, or is `all`.
   A line is written at once: what stood in a buffer would be written by child and parent. Nothing that is written
   depends on the order in which tasks run, on numbers of tasks, on time or on addresses. */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define UNUSED __attribute__((unused))
#define PAGE 4096l
#define WAY(name) {#name, name}

struct way { const char *name; void (*run)(void); };

__attribute__((format(printf, 1, 2))) UNUSED static void say(const char *format, ...) {
    char line[2000];
    va_list arguments;
    va_start(arguments, format);
    int nbytes = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    CHECK(nbytes >= 0 && nbytes < (int)sizeof line && write(1, line, (size_t)nbytes) == nbytes);
}

/* A child that runs a function and ends with its result. */
UNUSED static pid_t start(int (*run)(void)) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) _exit(run());
    return child;
}

UNUSED static int wait_for(pid_t child) {
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    return status;
}

UNUSED static void say_status(const char *who, int status) {
    if (WIFEXITED(status)) say("%s: exited with %d\n", who, WEXITSTATUS(status));
    else if (WIFSIGNALED(status)) say("%s: ended by signal %d%s\n", who, WTERMSIG(status), WCOREDUMP(status) ? " with a dump" : "");
    else if (WIFSTOPPED(status)) say("%s: stopped by signal %d\n", who, WSTOPSIG(status));
    else if (WIFCONTINUED(status)) say("%s: goes on\n", who);
    else say("%s: status %#x\n", who, (unsigned)status);
}

UNUSED static void say_end(const char *who, pid_t child) { say_status(who, wait_for(child)); }

UNUSED static void wait_well(pid_t child) { int status = wait_for(child); CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0); }

UNUSED static void say_error(const char *what, long result) {
    if (result == -1) say("%s: errno %d\n", what, errno);
    else say("%s: %ld\n", what, result);
}

/* Tasks wait for each other by bytes in pipes. */
UNUSED static void put(int pipe_end) { CHECK(write(pipe_end, "x", 1) == 1); }
UNUSED static void take(int pipe_end) { char byte; ssize_t got; do got = read(pipe_end, &byte, 1); while (got == -1 && errno == EINTR); CHECK(got == 1); }

UNUSED static void handle(int number, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    CHECK(sigaction(number, &action, NULL) == 0);
}

UNUSED static sigset_t set_of(int number) {
    sigset_t one;
    sigemptyset(&one);
    if (number) sigaddset(&one, number);
    return one;
}

UNUSED static void block(int number) { sigset_t one = set_of(number); CHECK(sigprocmask(SIG_BLOCK, &one, NULL) == 0); }
UNUSED static void unblock(int number) { sigset_t one = set_of(number); CHECK(sigprocmask(SIG_UNBLOCK, &one, NULL) == 0); }

UNUSED static char *map_shared(long pages) {
    char *at = mmap(NULL, (size_t)(pages * PAGE), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(at != MAP_FAILED);
    return at;
}

UNUSED static void sleep_ms(long ms) {
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&left, &left) == -1) CHECK(errno == EINTR);
}

UNUSED static long now_ms(void) {
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

UNUSED static void write_file(const char *path, const char *text, mode_t mode) {
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(file, mode) == 0 && close(file) == 0);
}

#ifndef OWN_MAIN
static const struct way ways[];

static void run_way(const struct way *one) {
    say("-- %s\n", one->name);
    one->run();
}

/* Each way in a task of its own, one after the other. */
static void run_all(void) {
    for (const struct way *one = ways; one->name; one++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) { run_way(one); _exit(0); }
        say_end(one->name, child);
        while (waitpid(-1, NULL, 0) > 0) say("somebody is left\n");
    }
}

int main(int argc, char **argv) {
    const char *wanted = argc > 1 ? argv[1] : "none of them";
    if (!strcmp(wanted, "all")) { run_all(); return 0; }
    for (const struct way *one = ways; one->name; one++) if (!strcmp(wanted, one->name)) { run_way(one); return 0; }
    say("%s: %d arguments, the first is not a way\n", argc > 0 ? argv[0] : "nobody", argc - 1);
    return 2;
}
#endif
