/* Alarms, timers and sleep of several tasks: in order, never by how long it took. */
#include "tasks.h"

static volatile int count, last;
static void note(int number) { last = number; count++; }

static void alarms(void) {
    handle(SIGALRM, note, 0);
    say("%u", alarm(100));
    say(" %u", alarm(200));
    say(" %u\n", alarm(0));
    say("%u\n", alarm(0));
    long before = now_ms();
    CHECK(alarm(1) == 0 && pause() == -1 && last == SIGALRM);
    long took = now_ms() - before;
    say("%d\n", took >= 990 && took < 30000);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { handle(SIGALRM, SIG_DFL, 0); alarm(1); for (;;) pause(); }
    say_end("child", child);
}

static void alarm_is_the_tasks_own(void) {
    handle(SIGALRM, note, 0);
    CHECK(alarm(50) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) _exit((int)alarm(0));
    say_end("child has", child);
    say("%d\n", alarm(0) > 40);
}

static void repeats(void) {
    handle(SIGALRM, note, 0);
    struct itimerval every = {{0, 10000}, {0, 5000}}, left;
    CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
    while (count < 5) pause();
    CHECK(getitimer(ITIMER_REAL, &left) == 0 && left.it_interval.tv_usec == 10000);
    struct itimerval none = {{0, 0}, {0, 0}};
    CHECK(setitimer(ITIMER_REAL, &none, &left) == 0 && left.it_interval.tv_usec == 10000 && left.it_value.tv_usec <= 10000);
    CHECK(getitimer(ITIMER_REAL, &left) == 0);
    say("left %ld %ld\n", (long)left.it_value.tv_usec, (long)left.it_interval.tv_usec);
    struct itimerval wrong = {{0, 0}, {0, 2000000}};
    FAILS(setitimer(ITIMER_REAL, &wrong, NULL), EINVAL);
    FAILS(setitimer(77, &every, NULL), EINVAL);
}

static void alarm_of_a_busy_task(void) {
    handle(SIGALRM, note, 0);
    struct itimerval soon = {{0, 0}, {0, 20000}};
    CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
    while (!count) getppid();
    say("%d\n", count);
}

static void sleepers_in_order(void) { /* the shortest wakes first */
    int ends[2];
    char text[10] = "";
    CHECK(pipe(ends) == 0);
    for (int i = 0; i < 5; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child) continue;
        char name = (char)('a' + i);
        sleep_ms(500 - i * 90);
        CHECK(write(ends[1], &name, 1) == 1);
        _exit(0);
    }
    for (int i = 0; i < 5; i++) CHECK(read(ends[0], text + i, 1) == 1 && wait(NULL) > 0);
    say("%s\n", text);
}

static void time_goes_on(void) {
    long before = now_ms();
    sleep_ms(30);
    long took = now_ms() - before;
    say("%d\n", took >= 30 && took < 30000);
    struct timespec until;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    until.tv_sec++;
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == 0);
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0 && (now.tv_sec > until.tv_sec || now.tv_nsec >= until.tv_nsec));
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == 0); /* over already */
    struct timespec wrong = {0, 1000000000}, below_zero = {-1, 0};
    FAILS(nanosleep(&wrong, NULL), EINVAL);
    FAILS(nanosleep(&below_zero, NULL), EINVAL);
    FAILS(syscall(SYS_nanosleep, (void *)8, NULL), EFAULT);
    CHECK(sleep(0) == 0);
}

static void while_another_works(void) { /* a sleeper wakes although somebody is always ready */
    volatile char *done = map_shared(1);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { sleep_ms(20); *done = 1; _exit(0); }
    while (!*done) getppid();
    wait_well(child);
    say("woken\n");
}

static void times_of_children(void) {
    struct rusage used;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) _exit(0);
    wait_well(child);
    CHECK(getrusage(RUSAGE_CHILDREN, &used) == 0 && used.ru_utime.tv_sec < 5);
    say("ok\n");
}

static void word_until_a_time(void) { /* FUTEX_WAIT_BITSET: its timeout is a time of one of two clocks, not a span */
    int *word = (int *)map_shared(1);
    for (int round = 0; round < 2; round++) {
        struct timespec until;
        CHECK(clock_gettime(round ? CLOCK_REALTIME : CLOCK_MONOTONIC, &until) == 0);
        long before = now_ms();
        until.tv_sec++;
        FAILS(syscall(SYS_futex, word, round ? 9 | 256 : 9, 0, &until, NULL, -1), ETIMEDOUT);
        long took = now_ms() - before;
        say("%d\n", took >= 990 && took < 30000);
        FAILS(syscall(SYS_futex, word, round ? 9 | 256 : 9, 0, &until, NULL, -1), ETIMEDOUT); /* over already */
        say("%d\n", now_ms() - before < 30000);
        FAILS(syscall(SYS_futex, word, 9, 1, &until, NULL, -1), EAGAIN);
    }
}

static const struct way ways[] = {WAY(alarms), WAY(alarm_is_the_tasks_own), WAY(repeats), WAY(alarm_of_a_busy_task), WAY(sleepers_in_order),
    WAY(time_goes_on), WAY(while_another_works), WAY(times_of_children), WAY(word_until_a_time), {NULL, NULL}};
