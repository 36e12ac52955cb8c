/* What becomes of a call that waits when a handler runs: it is made anew, ends, or has done a part. Timers, and what a handler finds in its frame. */
#include "tasks.h"
#include <sys/select.h>
#include <sys/syscall.h>
#include <ucontext.h>

static volatile sig_atomic_t count;
static int ends[2];
static pid_t parent;

static void note(int number) { (void)number; count++; }

static void begin(int flags) {
    CHECK(pipe(ends) == 0);
    parent = getpid();
    handle(SIGUSR1, note, flags);
    count = 0;
}

static int sends(void) { sleep_ms(20); CHECK(kill(parent, SIGUSR1) == 0); sleep_ms(20); return 0; }
static int sends_and_writes(void) { sends(); CHECK(write(ends[1], "hello", 5) == 5); return 0; }
static int writes(void) { sleep_ms(20); put(ends[1]); return 0; }

static void read_anew(void) {
    char bytes[10];
    begin(SA_RESTART);
    pid_t child = start(sends_and_writes);
    say_error("read", read(ends[0], bytes, sizeof bytes));
    say("handler %d\n", count);
    wait_well(child);
}

static void read_ends(void) {
    char bytes[10];
    begin(0);
    pid_t child = start(sends);
    say_error("read", read(ends[0], bytes, sizeof bytes));
    say("handler %d\n", count);
    wait_well(child);
}

static void wait_anew(void) {
    begin(SA_RESTART);
    pid_t child = start(sends);
    say("%d\n", wait(NULL) == child);
}

static void write_in_part(void) {
    static char much[200000];
    begin(SA_RESTART);
    pid_t child = start(sends);
    say_error("write", write(ends[1], much, sizeof much));
    wait_well(child);
    child = start(sends);
    handle(SIGUSR1, note, 0);
    say_error("write", write(ends[1], much, 1000));
    wait_well(child);
}

static void poll_ends(void) {
    begin(SA_RESTART);
    struct pollfd one = {ends[0], POLLIN, 0};
    pid_t child = start(sends);
    say_error("poll", poll(&one, 1, 5000));
    wait_well(child);
}

static void select_waits(void) { /* the sets are as they were when it looks again */
    fd_set set;
    struct timeval left = {5, 0};
    begin(SA_RESTART);
    pid_t child = start(writes);
    FD_ZERO(&set); FD_SET(ends[0], &set);
    say_error("select", select(ends[0] + 1, &set, NULL, NULL, &left));
    say("in the set %d\n", FD_ISSET(ends[0], &set) != 0);
    take(ends[0]);
    wait_well(child);
    child = start(sends);
    FD_ZERO(&set); FD_SET(ends[0], &set);
    say_error("select", select(ends[0] + 1, &set, NULL, NULL, &left));
    wait_well(child);
    left.tv_sec = 0, left.tv_usec = 1000;
    FD_ZERO(&set); FD_SET(ends[0], &set);
    say_error("select", select(ends[0] + 1, &set, NULL, NULL, &left));
    say("in the set %d\n", FD_ISSET(ends[0], &set) != 0);
}

static void raw_select_says_what_is_left(void) {
    struct { long seconds, rest; } left = {5, 0};
    struct { const void *mask; size_t nbytes; } none = {NULL, 8};
    begin(0);
    pid_t child = start(sends);
    say_error("select", syscall(SYS_select, 0, NULL, NULL, NULL, &left));
    say("4 s and more: %d\n", left.seconds == 4 && left.rest < 1000000);
    wait_well(child);
    child = start(sends);
    left.seconds = 5, left.rest = 0;
    say_error("pselect6", syscall(SYS_pselect6, 0, NULL, NULL, NULL, &left, &none));
    say("4 s and more: %d\n", left.seconds == 4 && left.rest < 1000000000);
    wait_well(child);
}

static void masks_for_a_call(void) {
    sigset_t none = set_of(0), now;
    struct timespec long_time = {5, 0};
    begin(0);
    struct pollfd one = {ends[0], POLLIN, 0};
    block(SIGUSR1);
    CHECK(kill(parent, SIGUSR1) == 0);
    say_error("ppoll", ppoll(&one, 1, &long_time, &none));
    CHECK(sigprocmask(SIG_BLOCK, NULL, &now) == 0);
    say("handler %d, blocked again %d\n", count, sigismember(&now, SIGUSR1));
    put(ends[1]);
    CHECK(kill(parent, SIGUSR1) == 0);
    say_error("ppoll of what is ready", ppoll(&one, 1, &long_time, &none));
    CHECK(sigpending(&now) == 0);
    say("handler %d, pending %d\n", count, sigismember(&now, SIGUSR1));
    take(ends[0]);
    fd_set set;
    FD_ZERO(&set); FD_SET(ends[0], &set);
    say_error("pselect", pselect(ends[0] + 1, &set, NULL, NULL, &long_time, &none));
    say("handler %d\n", count);
}

static int sleeps(void) { sleep_ms(2000); return 7; }

static void stopped_sleep(void) { /* it does not sleep longer for it */
    pid_t child = start(sleeps);
    int status;
    sleep_ms(30);
    CHECK(kill(child, SIGSTOP) == 0 && waitpid(child, &status, WUNTRACED) == child);
    say_status("child", status);
    sleep_ms(2500);
    long before = now_ms();
    CHECK(kill(child, SIGCONT) == 0 && waitpid(child, &status, WCONTINUED) == child);
    say_status("child", status);
    say_end("child", child);
    say("at once %d\n", now_ms() - before < 1500);
}

static int stops_itself(void) { CHECK(setpgid(0, 0) == 0); raise(SIGTSTP); return 9; }

static void stopped_by_a_key(void) {
    int status;
    pid_t child = start(stops_itself);
    CHECK(waitpid(child, &status, WUNTRACED) == child);
    say_status("child", status);
    CHECK(kill(child, SIGTERM) == 0);
    say("%d\n", waitpid(child, &status, WNOHANG));
    CHECK(kill(child, SIGCONT) == 0);
    say_end("child", child);
}

static int waits(void) { pause(); return 0; }

static void killed_when_stopped(void) {
    int status;
    pid_t child = start(waits);
    CHECK(kill(child, SIGSTOP) == 0 && waitpid(child, &status, WUNTRACED) == child);
    CHECK(kill(child, SIGKILL) == 0);
    say_end("child", child);
}

static void timers_of_a_loop(void) { /* which makes no call */
    static const int which[] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF}, numbers[] = {SIGALRM, SIGVTALRM, SIGPROF};
    struct itimerval soon = {{0, 0}, {0, 20000}}, left;
    for (int i = 0; i < 3; i++) {
        handle(numbers[i], note, 0);
        count = 0;
        CHECK(setitimer(which[i], &soon, NULL) == 0);
        while (!count) { }
        CHECK(getitimer(which[i], &left) == 0);
        say("rang %d, left %ld\n", count, (long)(left.it_value.tv_sec + left.it_value.tv_usec));
    }
}

static void timer_again_and_again(void) {
    struct itimerval often = {{0, 10000}, {0, 10000}}, before;
    handle(SIGALRM, note, SA_RESTART);
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    while (count < 5) pause();
    often.it_value.tv_usec = 0;
    CHECK(setitimer(ITIMER_REAL, &often, &before) == 0);
    say("every %ld\n", (long)before.it_interval.tv_usec);
    unsigned none = alarm(10), ten = alarm(0);
    say("alarm %u, then %u\n", none, ten);
}

static void look_at_frame(int number, siginfo_t *about, void *context) {
    ucontext_t *all = context;
    greg_t *r = all->uc_mcontext.gregs;
    char *vectors = (char *)all->uc_mcontext.fpregs;
    unsigned control;
    memcpy(&control, vectors + 24, 4);
    say("number %d, code %d, context at %ld, info at %ld\n", number, about->si_code, (long)((uintptr_t)context & 15), (long)((char *)about - (char *)context));
    say("link %d, selectors %llx, flags %llx, error %lld, vector %lld, mask %d\n", all->uc_link != NULL, (unsigned long long)r[REG_CSGSFS],
        (unsigned long long)r[REG_EFL] & 0x3f7ed5 & ~0xd5, (long long)r[REG_ERR], (long long)r[REG_TRAPNO], sigismember(&all->uc_sigmask, SIGUSR2));
    say("vectors at %ld, control %x %x, behind the red zone %d, registers %llx %llx\n", (long)((uintptr_t)vectors & 63), *(unsigned short *)vectors, control,
        (uintptr_t)vectors + 512 + 128 <= (uintptr_t)r[REG_RSP], (long long)r[REG_R12], (long long)r[REG_R13]);
    unsigned inside;
    __asm__ volatile("stmxcsr %0" : "=m"(inside));
    say("control in the handler %x\n", inside);
}

static void frame(void) {
    struct sigaction action = {.sa_sigaction = look_at_frame, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    block(SIGUSR2);
    unsigned control = 0x5f80, again; /* rounds down */
    long result, own = getpid();
    __asm__ volatile("ldmxcsr %2; mov $0x1234, %%r12; mov $0x5678, %%r13; syscall" : "=a"(result)
                     : "a"((long)SYS_kill), "m"(control), "D"(own), "S"((long)SIGUSR1) : "rcx", "r11", "r12", "r13", "memory");
    __asm__ volatile("stmxcsr %0" : "=m"(again));
    say("control behind it %x, result %ld\n", again, result);
}

static const struct way ways[] = {WAY(read_anew), WAY(read_ends), WAY(wait_anew), WAY(write_in_part), WAY(poll_ends), WAY(select_waits),
    WAY(raw_select_says_what_is_left), WAY(masks_for_a_call), WAY(stopped_sleep), WAY(stopped_by_a_key), WAY(killed_when_stopped),
    WAY(timers_of_a_loop), WAY(timer_again_and_again), WAY(frame), {NULL, NULL}};
