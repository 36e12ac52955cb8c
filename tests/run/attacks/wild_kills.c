/* Signals to all and nobody, beside a task that must live on; for our kernel alone: on another it would end the machine's. */
#include "../tasks/tasks.h"

static pid_t beside;
static int ends[2];
static volatile int count;
static void note(int number) { (void)number; count++; }

static void is_alive(void) { put(ends[1]); CHECK(kill(beside, 0) == 0); }

static int lives(void) { for (int number = 1; number <= 64; number++) signal(number, SIG_IGN); setsid(); for (char byte; read(ends[0], &byte, 1) == 1; ) if (byte == 'q') return 7; return 8; }

static void wild_kills(void) {
    static const long wild[] = {-2147483647 - 1, -2147483647, -65536, 65536, 2147483647, 1000, -1000, 3000000000, -3000000000, 0x100000001};
    static const int numbers[] = {-1, 65, 66, 127, 128, 1000, 2147483647, -2147483647 - 1};
    CHECK(pipe(ends) == 0);
    beside = start(lives);
    sleep_ms(10);
    for (unsigned i = 0; i < sizeof wild / sizeof *wild; i++) {
        errno = 0;
        long answer = syscall(SYS_kill, wild[i], 0);
        if ((int)wild[i] == 1) { CHECK(answer == 0); continue; } /* init: the upper half is not looked at */
        CHECK(answer == -1 && (errno == ESRCH || errno == EINVAL || errno == EPERM));
        CHECK(syscall(SYS_kill, wild[i], SIGTERM) == -1);
        CHECK(syscall(SYS_tkill, wild[i], SIGTERM) == -1);
        CHECK(syscall(SYS_tgkill, wild[i], wild[i], SIGTERM) == -1);
        is_alive();
    }
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        FAILS(kill(getpid(), numbers[i]), EINVAL);
        FAILS(kill(beside, numbers[i]), EINVAL);
        FAILS(kill(0, numbers[i]), EINVAL);
        FAILS(kill(-1, numbers[i]), EINVAL);
        FAILS(syscall(SYS_tkill, getpid(), numbers[i]), EINVAL);
    }
    say_error("init, signal 0", kill(1, 0));
    say_error("init, KILL", kill(1, SIGKILL)); /* is not ended by it */
    say_error("init, TERM", kill(1, SIGTERM));
    say_error("init, STOP", kill(1, SIGSTOP));
    is_alive();
    for (int number = 1; number <= 64; number++) if (number != SIGKILL && number != SIGSTOP && (number < 32 || number > 34)) CHECK(kill(beside, number) == 0); /* libraries keep three */
    is_alive();
    pid_t child = start(pause);
    say_error("all, signal 0", kill(-1, 0));
    handle(SIGUSR1, note, 0);
    say_error("all", kill(-1, SIGUSR1)); /* but not oneself, nor init */
    say("oneself %d\n", count);
    say_end("child", child);
    is_alive();
    for (int i = 0; i < 64; i++) { /* the dead, whose numbers may be given again */
        child = start(getpid);
        wait_for(child);
        FAILS(kill(child, SIGKILL), ESRCH);
        FAILS(kill(-child, SIGKILL), ESRCH);
    }
    child = fork();
    CHECK(child >= 0);
    if (child == 0) { kill(getpid(), SIGKILL); for (;;); }
    say_end("oneself by KILL", child);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) { setpgid(0, 0); kill(0, SIGKILL); for (;;); }
    say_end("own group by KILL", child);
    int status;
    child = start(pause);
    CHECK(kill(child, SIGSTOP) == 0 && kill(child, SIGKILL) == 0 && kill(child, SIGCONT) == 0);
    say_end("stopped and killed", child);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) { setpgid(0, 0); CHECK(kill(getppid(), SIGUSR1) == 0); _exit(3); }
    CHECK(waitpid(child, &status, 0) == child || errno == EINTR);
    CHECK(write(ends[1], "q", 1) == 1);
    while (waitpid(beside, &status, 0) == -1) CHECK(errno == EINTR);
    say_status("the task beside", status);
    while (wait(NULL) > 0);
    say("%d\n", count);
}

static const struct way ways[] = {WAY(wild_kills), {NULL, NULL}};
