/* Threads of the C library: made, joined and ended, locks with and without time-outs, their own memory, cancellation,
   fork and exec among them, signals to one of them and to all. */
#define _GNU_SOURCE
#define main main_of_ways
#include "tasks.h"
#undef main
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define JOIN(thread) ({ void *result_; CHECK(pthread_join(thread, &result_) == 0); (long)result_; })

static pthread_t make(void *(*run)(void *), long argument) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, run, (void *)argument) == 0);
    return thread;
}

static struct timespec after_ms(clockid_t clock, long ms) {
    struct timespec at;
    CHECK(clock_gettime(clock, &at) == 0);
    at.tv_nsec += ms * 1000000;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

/* ---------------------------------------------------------------- made and joined */
static __thread long own = 7;
static __thread char own_room[3000];
static pid_t ids[2];

static void *add(void *argument) {
    CHECK(own == 7 && own_room[2999] == 0);
    own += (long)argument;
    own_room[2999] = 1;
    return (void *)own;
}
static void *say_ids(void *argument) {
    ids[0] = getpid();
    ids[1] = (pid_t)syscall(SYS_gettid);
    CHECK(getppid() == (pid_t)(long)argument);
    return NULL;
}
static void *give_back(void *argument) { return argument; }
static void *make_another(void *argument) { return (void *)(JOIN(make(give_back, (long)argument + 1)) + 1); }

static void made(void) {
    enum { MANY = 200, AT_ONCE = 40 };
    pthread_t all[AT_ONCE];
    long sum = 0;
    for (long i = 0; i < MANY; i++) sum += JOIN(make(add, i));
    say("%d threads: %ld\n", MANY, sum);
    for (long i = 0; i < AT_ONCE; i++) all[i] = make(add, i);
    for (sum = 0, own = 1000; sum < AT_ONCE; sum++) CHECK(JOIN(all[sum]) == 7 + sum);
    say("%d at once, own %ld\n", AT_ONCE, own);
    JOIN(make(say_ids, getppid()));
    CHECK(ids[0] == getpid() && ids[1] != getpid() && syscall(SYS_gettid) == getpid());
    say("nested: %ld\n", JOIN(make(make_another, 5)));
    while (kill(ids[1], 0) == 0) sched_yield(); /* who has joined it is a little before it is gone */
    CHECK(errno == ESRCH);
    pthread_attr_t attributes;
    CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 1 << 20) == 0);
    CHECK(pthread_attr_setguardsize(&attributes, 3 * PAGE) == 0);
    CHECK(pthread_create(&all[0], &attributes, give_back, (void *)77) == 0);
    say("with attributes: %ld\n", JOIN(all[0]));
}

static pthread_key_t keys[2];
static long destroyed[2], rounds;
static void destroy_first(void *value) { destroyed[0] += (long)value; }
static void destroy_again(void *value) { destroyed[1] += (long)value; if (rounds++ < 2) pthread_setspecific(keys[1], value); }
static void *use_keys(void *argument) {
    CHECK(pthread_getspecific(keys[0]) == NULL);
    CHECK(pthread_setspecific(keys[0], argument) == 0 && pthread_setspecific(keys[1], argument) == 0);
    return pthread_getspecific(keys[0]);
}
static sem_t let_go;
static void *detached(void *argument) { (void)argument; CHECK(sem_post(&let_go) == 0); return NULL; }
static int nr_once;
static void count_once(void) { nr_once++; }
static pthread_once_t once = PTHREAD_ONCE_INIT;
static void *call_once(void *argument) { CHECK(pthread_once(&once, count_once) == 0); return argument; }

static void specific(void) {
    CHECK(pthread_key_create(&keys[0], destroy_first) == 0 && pthread_key_create(&keys[1], destroy_again) == 0);
    for (long i = 1; i <= 3; i++) CHECK(JOIN(make(use_keys, i)) == i);
    say("destroyed %ld and %ld\n", destroyed[0], destroyed[1]);
    CHECK(sem_init(&let_go, 0, 0) == 0);
    pthread_t thread = make(detached, 0);
    CHECK(pthread_detach(thread) == 0 && sem_wait(&let_go) == 0);
    for (long i = 0; i < 3; i++) JOIN(make(call_once, i));
    say("once: %d\n", nr_once);
}

/* ---------------------------------------------------------------- locks */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_rwlock_t many = PTHREAD_RWLOCK_INITIALIZER;
static long counter, stage;

static void *count(void *argument) {
    for (long i = 0; i < (long)argument; i++) {
        CHECK(pthread_mutex_lock(&lock) == 0);
        long before = counter;
        if (i % 7 == 0) sched_yield();
        counter = before + 1;
        CHECK(pthread_mutex_unlock(&lock) == 0);
    }
    return NULL;
}
static void *take_turns(void *argument) {
    long mine = (long)argument;
    for (int i = 0; i < 20; i++) {
        CHECK(pthread_mutex_lock(&lock) == 0);
        while (stage % 3 != mine) CHECK(pthread_cond_wait(&changed, &lock) == 0);
        stage++;
        CHECK(pthread_cond_broadcast(&changed) == 0 && pthread_mutex_unlock(&lock) == 0);
    }
    return NULL;
}
static void *meet(void *argument) {
    long serial = 0;
    for (int i = 0; i < 10; i++) {
        __atomic_add_fetch(&counter, 1, __ATOMIC_SEQ_CST);
        serial += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
        CHECK(counter % 4 == 0 || counter / 4 > i);
        pthread_barrier_wait(&barrier);
    }
    (void)argument;
    return (void *)serial;
}
static void *read_much(void *argument) {
    long seen = 0;
    for (int i = 0; i < 50; i++) {
        CHECK(pthread_rwlock_rdlock(&many) == 0);
        CHECK(counter % 2 == 0);
        seen = counter;
        if (i % 5 == 0) sched_yield();
        CHECK(pthread_rwlock_unlock(&many) == 0);
    }
    (void)argument;
    return (void *)(seen & 1);
}
static void *write_much(void *argument) {
    for (int i = 0; i < 30; i++) {
        CHECK(pthread_rwlock_wrlock(&many) == 0);
        counter++;
        sched_yield();
        counter++;
        CHECK(pthread_rwlock_unlock(&many) == 0);
    }
    return argument;
}

static void locks(void) {
    pthread_t all[6];
    for (int i = 0; i < 4; i++) all[i] = make(count, 200);
    for (int i = 0; i < 4; i++) JOIN(all[i]);
    say("counted %ld\n", counter);
    for (long i = 0; i < 3; i++) all[i] = make(take_turns, i);
    for (int i = 0; i < 3; i++) JOIN(all[i]);
    say("%ld turns\n", stage);
    CHECK(pthread_barrier_init(&barrier, NULL, 4) == 0);
    long serial = counter = 0;
    for (int i = 0; i < 4; i++) all[i] = make(meet, 0);
    for (int i = 0; i < 4; i++) serial += JOIN(all[i]);
    CHECK(pthread_barrier_destroy(&barrier) == 0);
    say("met %ld times, counted %ld\n", serial, counter);
    for (int i = 0; i < 6; i++) all[i] = make(i < 4 ? read_much : write_much, 0);
    for (int i = 0; i < 6; i++) CHECK(JOIN(all[i]) == 0);
    say("written %ld\n", counter);
}

static void *lock_and_wait(void *argument) {
    CHECK(pthread_mutex_lock(argument) == 0);
    CHECK(sem_post(&let_go) == 0);
    pthread_exit((void *)1);
}
static void *trylock(void *argument) { return (void *)(long)pthread_mutex_trylock(argument); }
static void *sleep_long(void *argument) { sleep_ms((long)argument); return argument; }

static void timeouts(void) {
    struct timespec at = after_ms(CLOCK_REALTIME, 20);
    long start = now_ms();
    CHECK(pthread_mutex_lock(&lock) == 0);
    say("cond: %d\n", pthread_cond_timedwait(&changed, &lock, &at) == ETIMEDOUT);
    CHECK(now_ms() - start >= 19);
    say("past: %d\n", pthread_cond_timedwait(&changed, &lock, &at) == ETIMEDOUT);
    pthread_condattr_t by_monotonic;
    pthread_cond_t other;
    CHECK(pthread_condattr_init(&by_monotonic) == 0 && pthread_condattr_setclock(&by_monotonic, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&other, &by_monotonic) == 0);
    at = after_ms(CLOCK_MONOTONIC, 10);
    say("monotonic: %d\n", pthread_cond_timedwait(&other, &lock, &at) == ETIMEDOUT);
    CHECK(pthread_mutex_unlock(&lock) == 0);
    CHECK(sem_init(&let_go, 0, 0) == 0);
    at = after_ms(CLOCK_REALTIME, 10);
    CHECK(sem_timedwait(&let_go, &at) == -1);
    say("semaphore: %d\n", errno == ETIMEDOUT);
    pthread_mutex_t robust;
    pthread_mutexattr_t attributes;
    CHECK(pthread_mutexattr_init(&attributes) == 0 && pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
    CHECK(pthread_mutex_init(&robust, &attributes) == 0);
    CHECK(JOIN(make(lock_and_wait, (long)&robust)) == 1);
    say("owner died: %d\n", pthread_mutex_lock(&robust) == EOWNERDEAD);
    say("tried: %d\n", JOIN(make(trylock, (long)&robust)) == EBUSY);
    at = after_ms(CLOCK_REALTIME, 10);
    CHECK(pthread_mutex_consistent(&robust) == 0 && pthread_mutex_unlock(&robust) == 0);
    say("consistent: %d\n", pthread_mutex_lock(&robust));
    pthread_t sleeper = make(sleep_long, 10);
    CHECK(JOIN(sleeper) == 10);
}

static pthread_mutex_t *shared_lock;
static int hold_it(void) { CHECK(pthread_mutex_lock(shared_lock) == 0); return 0; }
static void between_processes(void) { /* words that processes share, and a lock whose owner is gone */
    char *room = map_shared(1);
    sem_t *there = (sem_t *)room, *back = (sem_t *)(room + 256);
    CHECK(sem_init(there, 1, 0) == 0 && sem_init(back, 1, 0) == 0);
    shared_lock = (pthread_mutex_t *)(room + 512);
    pthread_mutexattr_t attributes;
    CHECK(pthread_mutexattr_init(&attributes) == 0 && pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
    CHECK(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
    CHECK(pthread_mutex_init(shared_lock, &attributes) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        for (int i = 0; i < 10; i++) CHECK(sem_wait(there) == 0 && sem_post(back) == 0);
        _exit(0);
    }
    for (int i = 0; i < 10; i++) CHECK(sem_post(there) == 0 && sem_wait(back) == 0);
    wait_well(child);
    wait_well(start(hold_it));
    say("owner died: %d\n", pthread_mutex_lock(shared_lock) == EOWNERDEAD);
}

/* ---------------------------------------------------------------- cancelled */
static int nr_cleaned;
static void clean(void *argument) { nr_cleaned += (int)(long)argument; }
static int empty_pipe[2];
static void *read_for_ever(void *argument) {
    char byte;
    pthread_cleanup_push(clean, argument);
    CHECK(sem_post(&let_go) == 0);
    (void)!read(empty_pipe[0], &byte, 1);
    pthread_cleanup_pop(0);
    return NULL;
}
static void *wait_for_ever(void *argument) {
    pthread_cleanup_push(clean, argument);
    CHECK(pthread_mutex_lock(&lock) == 0);
    CHECK(sem_post(&let_go) == 0);
    for (;;) pthread_cond_wait(&changed, &lock);
    pthread_cleanup_pop(0);
}
static void *not_now(void *argument) {
    int before;
    CHECK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before) == 0);
    CHECK(sem_post(&let_go) == 0);
    sleep_ms(10);
    nr_cleaned += 100;
    CHECK(pthread_setcancelstate(before, NULL) == 0);
    pthread_testcancel();
    return argument;
}
static void *at_any_time(void *argument) {
    CHECK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL) == 0);
    CHECK(sem_post(&let_go) == 0);
    for (volatile long i = 0;; i++) {}
    return argument;
}

static void cancelled(void) {
    void *(*const all[])(void *) = {read_for_ever, wait_for_ever, not_now, at_any_time};
    CHECK(sem_init(&let_go, 0, 0) == 0 && pipe(empty_pipe) == 0);
    for (int i = 0; i < 4; i++) {
        pthread_t thread = make(all[i], 1);
        CHECK(sem_wait(&let_go) == 0 && pthread_cancel(thread) == 0);
        int is_cancelled = (void *)JOIN(thread) == PTHREAD_CANCELED;
        say("cancelled: %d, cleaned %d\n", is_cancelled, nr_cleaned);
        if (i == 1) CHECK(pthread_mutex_unlock(&lock) == 0 || 1);
    }
}

/* ---------------------------------------------------------------- the end */
static void *exit_later(void *argument) { sleep_ms(5); say("after the first one\n"); _exit((int)(long)argument); }
static void *return_later(void *argument) { sleep_ms(5); say("the last one\n"); return argument; }
static void *wait_in_pause(void *argument) { for (;;) pause(); return argument; }
static void *fault(void *argument) { sleep_ms(2); *(volatile int *)8 = 1; return argument; }
static void *abort_it(void *argument) { sleep_ms(2); abort(); return argument; }
static void *exec_it(void *argument) {
    static char script[80];
    snprintf(script, sizeof script, "[ $$ = %d ] && echo the same process; /bin/busybox id -g", getpid());
    char *const in_shell[] = {"busybox", "sh", "-c", script, NULL};
    sleep_ms(2);
    execv("/bin/busybox", in_shell);
    return argument;
}
static void *exec_it_in_a_group(void *argument) { CHECK(syscall(SYS_setresgid, 7, 7, 7) == 0); return exec_it(argument); }
static void *fork_it(void *argument) {
    pid_t child = fork();
    if (child == 0) { CHECK(syscall(SYS_gettid) == getpid()); say("child, own %ld\n", own); _exit(own == 9 ? 4 : 5); }
    say_end("child of a thread", child);
    return argument;
}
static void *own_then_fork(void *argument) { own = 9; return fork_it(argument); }

/* Who leaves first has to be a new program: in a child of fork, this musl's last thread waits for a lock for ever. */
int main(int argc, char **argv) {
    const char *how = getenv("LEAVES_FOR");
    if (!how) return main_of_ways(argc, argv);
    make(!strcmp(how, "return") ? return_later : !strcmp(how, "exit") ? exit_later : exec_it, 6);
    pthread_exit(NULL);
}
static int leave_for(const char *how) {
    char *const arguments[] = {program_invocation_name, NULL};
    char variable[40];
    snprintf(variable, sizeof variable, "LEAVES_FOR=%s", how);
    char *const environment[] = {variable, NULL};
    execve(program_invocation_name, arguments, environment);
    return 99;
}
static int main_leaves(void) { return leave_for("return"); }
static int main_leaves_for_exit(void) { return leave_for("exit"); }
static int gone_and_exec(void) { return leave_for("exec"); }
static int all_end(void) { for (int i = 0; i < 5; i++) make(wait_in_pause, 0); return 8; }
static int thread_ends_all(void) { make(exit_later, 9); return wait_in_pause(NULL) != NULL; }
static int thread_faults(void) { for (int i = 0; i < 3; i++) make(wait_in_pause, 0); make(fault, 0); return wait_in_pause(NULL) != NULL; }
static int thread_aborts(void) { make(abort_it, 0); return wait_in_pause(NULL) != NULL; }
static int thread_execs(void) { for (int i = 0; i < 3; i++) make(wait_in_pause, 0); make(exec_it, 0); return wait_in_pause(NULL) != NULL; }
static int thread_of_group_execs(void) { make(exec_it_in_a_group, 0); return wait_in_pause(NULL) != NULL; }
static int main_execs(void) { for (int i = 0; i < 3; i++) make(wait_in_pause, 0); exec_it(NULL); return 1; }
static int thread_forks(void) { JOIN(make(own_then_fork, 0)); return 0; }
static int killed(void) { for (int i = 0; i < 3; i++) make(wait_in_pause, 0); kill(getpid(), SIGTERM); return wait_in_pause(NULL) != NULL; }

static void ends(void) {
    say_end("main leaves first", start(main_leaves));
    say_end("main leaves first, exit", start(main_leaves_for_exit));
    say_end("all end", start(all_end));
    say_end("a thread ends all", start(thread_ends_all));
    say_end("a thread faults", start(thread_faults));
    say_end("a thread aborts", start(thread_aborts));
    say_end("a thread execs", start(thread_execs));
    say_end("a thread of another group execs", start(thread_of_group_execs));
    say_end("main execs", start(main_execs));
    say_end("exec when main is gone", start(gone_and_exec));
    say_end("a thread forks", start(thread_forks));
    say_end("killed", start(killed));
}

/* ---------------------------------------------------------------- signals */
static __thread volatile int nr_mine;
static volatile int nr_handled;
static volatile pid_t handled_by;
static void note(int number) { (void)number; nr_mine++; nr_handled++; handled_by = (pid_t)syscall(SYS_gettid); }
static volatile int go;
static void *take_signal(void *argument) {
    sigset_t all;
    sigfillset(&all);
    CHECK(sem_post(&let_go) == 0);
    while (!nr_mine) sched_yield();
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &all) == 0);
    return (void *)(long)(nr_mine + 10 * (handled_by == syscall(SYS_gettid)) + 100 * sigismember(&all, SIGUSR2) + 0 * (long)argument);
}
static void *await_signal(void *argument) {
    sigset_t set = set_of(SIGUSR1);
    int number = 0;
    CHECK(sem_post(&let_go) == 0);
    CHECK(sigwait(&set, &number) == 0);
    (void)argument;
    return (void *)(long)number;
}
static void *unblock_it(void *argument) {
    CHECK(sem_post(&let_go) == 0);
    while (!go) sched_yield();
    sigset_t set = set_of(SIGUSR1);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
    (void)argument;
    return (void *)(long)nr_mine;
}
static int stops(void) {
    for (int i = 0; i < 2; i++) make(wait_in_pause, 0);
    raise(SIGSTOP);
    return 3;
}
static void interrupted(int number) { (void)number; }
static void *sleep_interrupted(void *argument) {
    struct timespec long_time = {100, 0};
    CHECK(sem_post(&let_go) == 0);
    (void)argument;
    long result = nanosleep(&long_time, NULL) == -1 && errno == EINTR;
    go = 2;
    return (void *)result;
}

static void signals_to_threads(void) {
    CHECK(sem_init(&let_go, 0, 0) == 0);
    handle(SIGUSR1, note, SA_RESTART);
    block(SIGUSR2);
    pthread_t thread = make(take_signal, 0);
    CHECK(sem_wait(&let_go) == 0 && pthread_kill(thread, SIGUSR1) == 0);
    say("to a thread: %ld, main %d\n", JOIN(thread), nr_mine);
    CHECK(kill(getpid(), SIGUSR1) == 0);
    say("to the process: main %d\n", nr_mine);
    block(SIGUSR1);
    thread = make(await_signal, 0);
    CHECK(sem_wait(&let_go) == 0);
    CHECK(kill(getpid(), SIGUSR1) == 0);
    say("awaited: %d\n", JOIN(thread) == SIGUSR1);
    thread = make(unblock_it, 0);
    CHECK(sem_wait(&let_go) == 0 && kill(getpid(), SIGUSR1) == 0);
    sigset_t waiting;
    CHECK(sigpending(&waiting) == 0);
    say("pending: %d\n", sigismember(&waiting, SIGUSR1));
    go = 1;
    say("taken by who unblocks it: %ld\n", JOIN(thread));
    CHECK(sigpending(&waiting) == 0 && !sigismember(&waiting, SIGUSR1));
    handle(SIGALRM, interrupted, 0);
    thread = make(sleep_interrupted, 0);
    CHECK(sem_wait(&let_go) == 0);
    while (go != 2) { /* until it sleeps when it comes */
        CHECK(pthread_kill(thread, SIGALRM) == 0);
        sleep_ms(1);
    }
    say("interrupted: %ld\n", JOIN(thread));
    pid_t child = start(stops);
    int status;
    CHECK(waitpid(child, &status, WUNTRACED) == child);
    say_status("stopped", status);
    CHECK(kill(child, SIGCONT) == 0);
    say_end("goes on", child);
    unblock(SIGUSR1);
    CHECK(syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1) == 0);
    say("itself: %d\n", nr_handled);
    say("other process: %d\n", syscall(SYS_tgkill, getppid(), getpid(), SIGUSR1) == -1 && errno == ESRCH);
}

/* ---------------------------------------------------------------- faults of threads */
static char *broken;
static __thread sigjmp_buf back;
static void repair(int number, siginfo_t *info, void *context) {
    (void)context;
    CHECK(number == SIGSEGV && info->si_code == SEGV_ACCERR);
    char *page = (char *)((long)info->si_addr & -PAGE);
    CHECK(page >= broken && page < broken + 64 * PAGE && mprotect(page, PAGE, PROT_READ | PROT_WRITE) == 0);
}
static void jump(int number, siginfo_t *info, void *context) { (void)number, (void)info, (void)context; siglongjmp(back, 1); }
static void *touch_broken(void *argument) {
    for (long i = 0; i < 64; i++) {
        __atomic_add_fetch((int *)(broken + i * PAGE), 1, __ATOMIC_SEQ_CST);
        if (i % 8 == (long)argument) sched_yield();
    }
    return NULL;
}
static int overflow(volatile char *before) { volatile char frame[4000]; frame[0] = *before; return overflow(frame) + frame[0]; }
static void *overflow_own_stack(void *argument) {
    stack_t stack = {.ss_sp = malloc(16384), .ss_size = 16384};
    CHECK(sigaltstack(&stack, NULL) == 0);
    volatile char start = 1;
    if (sigsetjmp(back, 1) == 0) overflow(&start);
    stack_t now;
    CHECK(sigaltstack(NULL, &now) == 0 && now.ss_flags == 0);
    return argument;
}
static void *has_no_altstack(void *argument) {
    stack_t now;
    CHECK(sigaltstack(NULL, &now) == 0);
    (void)argument;
    return (void *)(long)now.ss_flags;
}

static void faults_of_threads(void) {
    struct sigaction action = {.sa_sigaction = repair, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    broken = map_pages(64, PROT_NONE);
    pthread_t all[3];
    for (long i = 0; i < 3; i++) all[i] = make(touch_broken, i);
    for (int i = 0; i < 3; i++) JOIN(all[i]);
    for (int i = 0; i < 64; i++) CHECK(*(int *)(broken + i * PAGE) == 3);
    char *fresh = broken = map_pages(64, PROT_READ | PROT_WRITE); /* the same page, first touched by all of them */
    for (long i = 0; i < 3; i++) all[i] = make(touch_broken, i);
    for (int i = 0; i < 3; i++) JOIN(all[i]);
    for (int i = 0; i < 64; i++) CHECK(*(int *)(fresh + i * PAGE) == 3);
    action.sa_sigaction = jump;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    for (long i = 0; i < 3; i++) all[i] = make(overflow_own_stack, i);
    for (long i = 0; i < 3; i++) CHECK(JOIN(all[i]) == i);
    stack_t stack = {.ss_sp = malloc(16384), .ss_size = 16384};
    CHECK(sigaltstack(&stack, NULL) == 0);
    say("repaired, and a stack of its own: %d\n", JOIN(make(has_no_altstack, 0)) == SS_DISABLE);
}

/* ---------------------------------------------------------------- pipes and what is shared */
enum { NR_ITEMS = 600 };
static int items[2];
static void *produce(void *argument) {
    for (int i = 0; i < NR_ITEMS / 2; i++) {
        int item[16] = {(int)(long)argument * 1000 + i};
        CHECK(write(items[1], item, sizeof item) == sizeof item);
    }
    return NULL;
}
static void *consume(void *argument) {
    long sum = 0;
    int item[16];
    (void)argument;
    while (read(items[0], item, sizeof item) == sizeof item) sum += item[0];
    return (void *)sum;
}
static char *buffer;
static void *take_buffer_away(void *argument) {
    sleep_ms(2);
    if (argument) CHECK(mmap(buffer, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == buffer);
    else CHECK(munmap(buffer, PAGE) == 0);
    CHECK(write(items[1], "abc", 3) == 3);
    return NULL;
}
static void *change_all(void *argument) {
    (void)argument;
    CHECK(mkdir("inner", 0755) == 0 && chdir("inner") == 0);
    umask(077);
    CHECK(dup2(1, 33) == 33 && close(items[0]) == 0);
    return NULL;
}

static void shared_things(void) {
    CHECK(pipe(items) == 0);
    pthread_t makers[2] = {make(produce, 1), make(produce, 2)}, takers[2] = {make(consume, 0), make(consume, 0)};
    for (int i = 0; i < 2; i++) JOIN(makers[i]);
    CHECK(close(items[1]) == 0);
    long sum = JOIN(takers[0]);
    say("consumed %ld\n", sum + JOIN(takers[1]));
    CHECK(close(items[0]) == 0 && pipe(items) == 0);
    for (long way = 0; way < 2; way++) { /* a buffer that another thread takes away: nothing of the pipe is consumed */
        buffer = map_pages(1, PROT_READ | PROT_WRITE);
        pthread_t thread = make(take_buffer_away, way);
        say_error("read", read(items[0], buffer, 3));
        JOIN(thread);
        char got[4] = {0};
        CHECK(read(items[0], got, 3) == 3);
        say("still there: %s\n", got);
    }
    JOIN(make(change_all, 0));
    char folder[100];
    CHECK(getcwd(folder, sizeof folder) != NULL);
    say("%s, umask %o, descriptor %d, closed %d\n", folder, umask(022), fcntl(33, F_GETFD), fcntl(items[0], F_GETFD));
    CHECK(chdir("..") == 0 && rmdir("inner") == 0);
}

static const struct way ways[] = {WAY(made), WAY(specific), WAY(locks), WAY(timeouts), WAY(between_processes), WAY(cancelled), WAY(ends),
    WAY(signals_to_threads), WAY(faults_of_threads), WAY(shared_things), {NULL, NULL}};
