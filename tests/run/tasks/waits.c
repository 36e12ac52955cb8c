/* Who waits for whom: wait4 and waitid in all their forms, stop and go on, process groups and sessions. */
#include "tasks.h"

static int ends[2];
static volatile int count;

static void note(int number) { (void)number; count++; }
static int sleeps(void) { while (pause() == -1); return 0; }
static int ends_with_5(void) { return 5; }
static int waits_for_byte(void) { take(ends[0]); return 6; }

static void nobody(void) {
    int status = 77;
    FAILS(wait(&status), ECHILD);
    FAILS(waitpid(-1, &status, WNOHANG), ECHILD);
    FAILS(waitpid(1, NULL, 0), ECHILD);
    FAILS(waitpid(getpid(), NULL, 0), ECHILD);
    FAILS(waitpid(-0x3fffff0, NULL, 0), ECHILD);
    FAILS(waitpid(0, NULL, 0), ECHILD);
    FAILS(waitpid(-1, NULL, 0x1234560), EINVAL);
    siginfo_t about;
    FAILS(waitid(P_ALL, 0, &about, WEXITED), ECHILD);
    FAILS(waitid(P_ALL, 0, &about, 0), EINVAL);
    FAILS(waitid((idtype_t)77, 0, &about, WEXITED), EINVAL);
    say("status %d\n", status);
}

static void not_yet(void) {
    int status = 77;
    CHECK(pipe(ends) == 0);
    pid_t child = start(waits_for_byte);
    say("%d, status %d\n", waitpid(child, &status, WNOHANG), status);
    put(ends[1]);
    CHECK(waitpid(child, &status, 0) == child);
    say_status("then", status);
    FAILS(waitpid(child, &status, 0), ECHILD); /* once only */
}

static void bad_pointer(void) { /* the child is gone all the same, as on Linux */
    pid_t child = start(ends_with_5);
    say_error("bad status", syscall(SYS_wait4, child, (int *)8, 0, NULL));
    say_error("again", waitpid(child, NULL, 0));
}

static void usage(void) {
    struct rusage used;
    int status;
    memset(&used, 0xff, sizeof used);
    pid_t child = start(ends_with_5);
    CHECK(wait4(child, &status, 0, &used) == child && used.ru_utime.tv_sec >= 0 && used.ru_utime.tv_usec < 1000000);
    say_status("child", status);
    CHECK(getrusage(RUSAGE_CHILDREN, &used) == 0 && getrusage(RUSAGE_SELF, &used) == 0);
}

static void statuses(void) {
    static const int numbers[] = {0, 1, 127, 255, 256, 511, -1};
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) _exit(numbers[i]);
        int status = wait_for(child);
        say("%#x\n", (unsigned)status);
    }
}

static void any_of_many(void) {
    long sum = 0;
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) _exit(i);
    }
    for (int i = 0; i < 20; i++) { int status; CHECK(wait(&status) > 0); sum += WEXITSTATUS(status); }
    FAILS(wait(NULL), ECHILD);
    say("sum %ld\n", sum);
}

static void stops(void) {
    int status;
    pid_t child = start(sleeps);
    CHECK(kill(child, SIGSTOP) == 0 && waitpid(child, &status, WUNTRACED) == child);
    say_status("child", status);
    say("told once: %d\n", waitpid(child, &status, WUNTRACED | WNOHANG));
    CHECK(kill(child, SIGCONT) == 0 && waitpid(child, &status, WCONTINUED) == child);
    say_status("child", status);
    say("told once: %d\n", waitpid(child, &status, WCONTINUED | WNOHANG));
    CHECK(setpgid(child, child) == 0 && kill(child, SIGTSTP) == 0 && waitpid(child, &status, WUNTRACED) == child);
    say_status("child", status);
    CHECK(kill(child, SIGTERM) == 0);
    sleep_ms(20);
    say("stopped, so it has not ended: %d\n", waitpid(child, &status, WNOHANG));
    CHECK(kill(child, SIGCONT) == 0);
    say_end("child", child);
    child = start(sleeps);
    CHECK(kill(child, SIGSTOP) == 0 && waitpid(child, &status, WUNTRACED) == child && kill(child, SIGKILL) == 0);
    say_end("killed while it was stopped", child);
}

static void cannot_stop(void) { /* a group of which nobody has a parent outside is not stopped by the terminal's signals */
    int status;
    CHECK(setsid() > 0);
    pid_t child = start(sleeps);
    CHECK(kill(child, SIGTSTP) == 0 && kill(child, SIGTTIN) == 0);
    sleep_ms(20);
    say("%d\n", waitpid(child, &status, WUNTRACED | WNOHANG));
    CHECK(kill(child, SIGSTOP) == 0 && waitpid(child, &status, WUNTRACED) == child);
    say_status("child", status);
    CHECK(kill(child, SIGKILL) == 0);
    say_end("child", child);
}

static void stops_itself(void) {
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { handle(SIGCONT, note, 0); raise(SIGSTOP); _exit(20 + count); }
    CHECK(waitpid(child, &status, WUNTRACED) == child);
    say_status("child", status);
    CHECK(kill(child, SIGCONT) == 0);
    say_end("child", child);
}

static void stop_while_it_waits(void) { /* a call that waits goes on after it */
    int status;
    CHECK(pipe(ends) == 0);
    pid_t child = start(waits_for_byte);
    sleep_ms(10);
    CHECK(kill(child, SIGSTOP) == 0 && waitpid(child, &status, WUNTRACED) == child);
    put(ends[1]);
    sleep_ms(10);
    say("%d\n", waitpid(child, &status, WNOHANG));
    CHECK(kill(child, SIGCONT) == 0);
    say_end("child", child);
}

static void parent_is_told_of_stops(void) {
    handle(SIGCHLD, note, 0);
    int status;
    pid_t child = start(sleeps);
    CHECK(kill(child, SIGSTOP) == 0);
    while (waitpid(child, &status, WUNTRACED) == -1) CHECK(errno == EINTR);
    sleep_ms(20);
    say("%d\n", count);
    CHECK(kill(child, SIGCONT) == 0);
    while (waitpid(child, &status, WCONTINUED) == -1) CHECK(errno == EINTR);
    sleep_ms(20);
    say("%d\n", count);
    struct sigaction action = {.sa_handler = note, .sa_flags = SA_NOCLDSTOP};
    CHECK(sigaction(SIGCHLD, &action, NULL) == 0 && kill(child, SIGSTOP) == 0 && waitpid(child, &status, WUNTRACED) == child);
    sleep_ms(20);
    say("%d\n", count);
    CHECK(kill(child, SIGKILL) == 0);
    while (waitpid(child, &status, 0) == -1) CHECK(errno == EINTR);
    sleep_ms(20);
    say("%d\n", count);
}

static void say_about(const char *what, int answer, const siginfo_t *about, pid_t child) {
    if (answer == -1) say("%s: errno %d\n", what, errno);
    else say("%s: signal %d, code %d, status %d, child %d, user %d\n", what, about->si_signo, about->si_code, about->si_status, about->si_pid == child, about->si_uid == getuid());
}

static void by_waitid(void) {
    siginfo_t about;
    CHECK(pipe(ends) == 0);
    pid_t child = start(waits_for_byte);
    memset(&about, 0, sizeof about);
    say_about("not yet", waitid(P_PID, (id_t)child, &about, WEXITED | WNOHANG), &about, child);
    CHECK(kill(child, SIGSTOP) == 0);
    say_about("stopped", waitid(P_PID, (id_t)child, &about, WSTOPPED), &about, child);
    CHECK(kill(child, SIGCONT) == 0);
    say_about("goes on", waitid(P_ALL, 0, &about, WCONTINUED), &about, child);
    put(ends[1]);
    say_about("left", waitid(P_PID, (id_t)child, &about, WEXITED | WNOWAIT), &about, child);
    say_about("taken", waitid(P_PGID, (id_t)getpgrp(), &about, WEXITED), &about, child);
    say_about("gone", waitid(P_PID, (id_t)child, &about, WEXITED), &about, child);
    child = start(sleeps);
    CHECK(kill(child, SIGQUIT) == 0);
    say_about("killed", waitid(P_PID, (id_t)child, &about, WEXITED), &about, child);
}

static void ignored_children(void) { /* nobody is left when SIGCHLD is ignored; wait waits for all and says ECHILD */
    handle(SIGCHLD, SIG_IGN, 0);
    for (int i = 0; i < 3; i++) start(ends_with_5);
    FAILS(wait(NULL), ECHILD);
    struct sigaction action = {.sa_handler = note, .sa_flags = SA_NOCLDWAIT};
    CHECK(sigaction(SIGCHLD, &action, NULL) == 0);
    start(ends_with_5);
    pid_t answer;
    while ((answer = wait(NULL)) == -1 && errno == EINTR);
    say_error("SA_NOCLDWAIT", answer);
    say("told %d\n", count);
}

static void zombies(void) { /* keep their number, and are told in the end */
    enum { MANY = 60 };
    pid_t children[MANY];
    for (int i = 0; i < MANY; i++) {
        children[i] = fork();
        CHECK(children[i] >= 0);
        if (children[i] == 0) _exit(i);
    }
    sleep_ms(50);
    for (int i = 0; i < MANY; i++) for (int j = 0; j < i; j++) CHECK(children[i] != children[j]);
    for (int i = 0; i < MANY; i++) CHECK(kill(children[i], SIGKILL) == 0);
    for (int i = MANY - 1; i >= 0; i--) { int status = wait_for(children[i]); CHECK(WIFEXITED(status) ? WEXITSTATUS(status) == i : WTERMSIG(status) == SIGKILL); }
    say("all told\n");
}

static void groups(void) {
    pid_t mine = getpgrp(), child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(getpgrp() == mine && setpgid(0, 0) == 0 && getpgrp() == getpid() && getpgid(0) == getpid());
        pid_t inner = start(sleeps);
        CHECK(getpgid(inner) == getpid());
        CHECK(setpgid(inner, inner) == 0 && getpgid(inner) == inner && setpgid(inner, 0) == 0);
        CHECK(setpgid(inner, getpid()) == 0 && getpgid(inner) == getpid());
        FAILS(setpgid(inner, 0x3fffff0), EPERM);
        FAILS(setpgid(0x3fffff0, 0), ESRCH);
        FAILS(setpgid(getppid(), 0), ESRCH);
        FAILS(setpgid(inner, -1), EINVAL);
        FAILS(getpgid(0x3fffff0), ESRCH);
        FAILS(waitpid(-mine, NULL, WNOHANG), ECHILD);
        CHECK(kill(inner, SIGTERM) == 0 && waitpid(-getpid(), NULL, 0) == inner);
        _exit(0);
    }
    say_end("child", child);
    CHECK(getpgrp() == mine);
}

static void kill_group(void) { /* a group ends, and others do not */
    int status, nr = 0;
    pid_t leader = start(sleeps), others[3];
    CHECK(setpgid(leader, leader) == 0);
    for (int i = 0; i < 3; i++) { others[i] = start(sleeps); CHECK(setpgid(others[i], leader) == 0); }
    pid_t apart = start(sleeps);
    CHECK(kill(-leader, 0) == 0 && kill(-leader, SIGTERM) == 0);
    while (waitpid(-leader, &status, 0) > 0) { CHECK(WTERMSIG(status) == SIGTERM); nr++; }
    say("%d ended\n", nr);
    FAILS(kill(-leader, SIGTERM), ESRCH);
    say("%d\n", waitpid(apart, &status, WNOHANG));
    CHECK(kill(apart, SIGINT) == 0);
    say_end("apart", apart);
}

static void kill_own_group(void) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(setpgid(0, 0) == 0);
        for (int i = 0; i < 3; i++) start(sleeps);
        handle(SIGUSR1, SIG_IGN, 0);
        CHECK(kill(0, SIGUSR1) == 0 && kill(0, SIGTERM) == 0);
        _exit(1);
    }
    say_end("child", child);
    while (wait(NULL) > 0);
}

static void exec_and_setpgid(void) { /* a child that has started a program is not moved */
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { CHECK(dup2(ends[1], 1) == 1); execl("waits", "waits", "sleeper", (char *)NULL); _exit(9); }
    take(ends[0]); /* it has said its name */
    FAILS(setpgid(child, child), EACCES);
    CHECK(kill(child, SIGKILL) == 0);
    say_end("child", child);
}

static void sleeper(void) { for (int i = 0; i < 3; i++) sleep_ms(50); }

static void sessions(void) {
    pid_t session = getsid(0), child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(getsid(0) == session);
        CHECK(setsid() == getpid() && getsid(0) == getpid() && getpgrp() == getpid());
        FAILS(setsid(), EPERM);
        FAILS(setpgid(0, 0), EPERM);
        FAILS(getsid(0x3fffff0), ESRCH);
        pid_t inner = start(sleeps);
        CHECK(getsid(inner) == getpid());
        FAILS(setpgid(inner, session), EPERM);
        CHECK(kill(inner, SIGTERM) == 0);
        wait_for(inner);
        _exit(0);
    }
    say_end("child", child);
    CHECK(getsid(0) == session);
}

static void leader_cannot(void) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { CHECK(setpgid(0, 0) == 0); FAILS(setsid(), EPERM); _exit(0); }
    say_end("leader of a group", child);
}

static void no_grandchildren(void) {
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        pid_t inner = start(ends_with_5);
        CHECK(write(ends[1], &inner, sizeof inner) == sizeof inner);
        say_end("inner", inner);
        _exit(0);
    }
    pid_t inner;
    CHECK(read(ends[0], &inner, sizeof inner) == sizeof inner);
    FAILS(waitpid(inner, NULL, 0), ECHILD);
    wait_well(child);
}

static void orphaned_group(void) { /* stopped tasks of a group that loses its last parent get HUP and CONT */
    int answer[2];
    char text[4] = "";
    CHECK(pipe(ends) == 0 && pipe(answer) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        pid_t inner = fork();
        CHECK(inner >= 0);
        if (inner == 0) {
            CHECK(setpgid(0, 0) == 0);
            sigset_t hup = set_of(SIGHUP);
            CHECK(sigprocmask(SIG_BLOCK, &hup, NULL) == 0);
            put(ends[1]);
            raise(SIGSTOP);
            sigset_t pending;
            CHECK(sigpending(&pending) == 0);
            CHECK(write(answer[1], sigismember(&pending, SIGHUP) ? "yes" : "no", 3) == 3);
            _exit(0);
        }
        int status;
        take(ends[0]);
        CHECK(waitpid(inner, &status, WUNTRACED) == inner && WIFSTOPPED(status));
        _exit(0);
    }
    wait_well(child);
    CHECK(read(answer[0], text, 3) == 3);
    say("HUP: %s\n", text);
}

static void kill_by_name(void) { /* a signal that ends a task while it waits for its child */
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { pid_t inner = start(sleeps); CHECK(write(ends[1], &inner, sizeof inner) == sizeof inner); wait(NULL); _exit(1); }
    pid_t inner;
    CHECK(read(ends[0], &inner, sizeof inner) == sizeof inner);
    CHECK(kill(child, SIGKILL) == 0);
    say_end("child", child);
    CHECK(kill(inner, SIGKILL) == 0);
}

static const struct way ways[] = {WAY(nobody), WAY(not_yet), WAY(bad_pointer), WAY(usage), WAY(statuses), WAY(any_of_many), WAY(stops), WAY(cannot_stop),
    WAY(stops_itself), WAY(stop_while_it_waits), WAY(parent_is_told_of_stops), WAY(by_waitid), WAY(ignored_children), WAY(zombies),
    WAY(groups), WAY(kill_group), WAY(kill_own_group), WAY(exec_and_setpgid), WAY(sleeper), WAY(sessions), WAY(leader_cannot),
    WAY(no_grandchildren), WAY(orphaned_group), WAY(kill_by_name), {NULL, NULL}};
