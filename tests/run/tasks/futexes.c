/* The calls below threads: clone with its flags, futex with each operation and its errors, robust lists, membarrier. */
#define _GNU_SOURCE
#include "tasks.h"
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/resource.h>

/* What musl has no header for. */
enum { FUTEX_WAIT, FUTEX_WAKE, FUTEX_FD, FUTEX_REQUEUE, FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP, FUTEX_WAIT_BITSET = 9, FUTEX_WAKE_BITSET,
       FUTEX_PRIVATE = 128, FUTEX_CLOCK_REALTIME = 256, FUTEX_WAIT_PRIVATE = FUTEX_PRIVATE | FUTEX_WAIT, FUTEX_WAKE_PRIVATE,
       FUTEX_REQUEUE_PRIVATE = FUTEX_PRIVATE | FUTEX_REQUEUE, FUTEX_CMP_REQUEUE_PRIVATE, FUTEX_WAKE_OP_PRIVATE,
       FUTEX_WAIT_BITSET_PRIVATE = FUTEX_PRIVATE | FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET_PRIVATE };
enum { FUTEX_OP_SET, FUTEX_OP_ADD, FUTEX_OP_OR, FUTEX_OP_ANDN, FUTEX_OP_XOR, FUTEX_OP_OPARG_SHIFT = 8 };
enum { FUTEX_OP_CMP_EQ, FUTEX_OP_CMP_LE = 3 };
#define FUTEX_WAITERS 0x80000000u
struct robust_list { struct robust_list *next; };
struct robust_list_head { struct robust_list list; long futex_offset; struct robust_list *list_op_pending; };

#ifndef CLONE_FS
#define CLONE_FS 0x200
#define CLONE_VM 0x100
#define CLONE_FILES 0x400
#define CLONE_SIGHAND 0x800
#define CLONE_VFORK 0x4000
#define CLONE_PARENT 0x8000
#define CLONE_THREAD 0x10000
#define CLONE_SYSVSEM 0x40000
#define CLONE_SETTLS 0x80000
#define CLONE_PARENT_SETTID 0x100000
#define CLONE_CHILD_CLEARTID 0x200000
#endif

static long futex(void *at, int operation, unsigned value, const void *timeout, void *other, unsigned bits) {
    return syscall(SYS_futex, at, operation, value, timeout, other, bits);
}
static const struct timespec SHORT = {0, 3000000}, BAD = {0, 1000000000}, NEGATIVE = {-1, 0};

/* ---------------------------------------------------------------- what fails, and how */
static void errors(void) {
    static unsigned words[4] __attribute__((aligned(16)));
    char *none = map_pages(2, PROT_NONE), *at = (char *)words;
    say_error("unaligned wait", futex(at + 1, FUTEX_WAIT, 0, NULL, NULL, 0));
    say_error("unaligned wake", futex(at + 2, FUTEX_WAKE, 1, NULL, NULL, 0));
    say_error("wait nowhere", futex(none, FUTEX_WAIT, 0, NULL, NULL, 0));
    say_error("private wait nowhere", futex(none, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0));
    say_error("wake nowhere", futex(none, FUTEX_WAKE, 1, NULL, NULL, 0));
    say_error("private wake nowhere", futex(none, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    say_error("wake of the kernel's", futex((void *)0xFFFF800000000000, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    say_error("other value", futex(words, FUTEX_WAIT, 1, NULL, NULL, 0));
    say_error("bad time", futex(words, FUTEX_WAIT, 0, &BAD, NULL, 0));
    say_error("negative time", futex(words, FUTEX_WAIT, 0, &NEGATIVE, NULL, 0));
    say_error("bad time, other value", futex(words, FUTEX_WAIT, 1, &BAD, NULL, 0));
    say_error("no time", futex(words, FUTEX_WAIT, 0, none, NULL, 0));
    say_error("time is over", futex(words, FUTEX_WAIT, 0, &SHORT, NULL, 0));
    say_error("private time is over", futex(words, FUTEX_WAIT_PRIVATE, 0, &SHORT, NULL, 0));
    say_error("until the past", futex(words, FUTEX_WAIT_BITSET, 0, &SHORT, NULL, 1));
    say_error("until the past, real", futex(words, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &SHORT, NULL, 1));
    say_error("no bits", futex(words, FUTEX_WAIT_BITSET, 0, &SHORT, NULL, 0));
    say_error("wake no bits", futex(words, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0));
    say_error("real wait", futex(words, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 0, &SHORT, NULL, 0));
    say_error("real wake", futex(words, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0));
    say_error("wake nobody", futex(words, FUTEX_WAKE, 5, NULL, NULL, 0));
    say_error("wake less than nobody", futex(words, FUTEX_WAKE, (unsigned)-1, NULL, NULL, 0));
    say_error("no such operation", futex(words, 100, 0, NULL, NULL, 0));
    say_error("file descriptors", futex(words, FUTEX_FD, 0, NULL, NULL, 0));
    say_error("requeue less", futex(words, FUTEX_REQUEUE, (unsigned)-1, NULL, words + 1, 0));
    say_error("requeue less behind", futex(words, FUTEX_REQUEUE, 1, (void *)-1l, words + 1, 0));
    say_error("requeue unaligned", futex(words, FUTEX_REQUEUE, 1, (void *)1, at + 5, 0));
    say_error("requeue to nowhere", futex(words, FUTEX_CMP_REQUEUE, 1, (void *)1, none, 0));
    say_error("requeue other value", futex(words, FUTEX_CMP_REQUEUE, 1, (void *)1, words + 1, 9));
    say_error("requeue nobody", futex(words, FUTEX_CMP_REQUEUE, 1, (void *)1, words + 1, 0));
    say_error("operation nowhere", futex(words, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, none, 0));
    char *read_only = map_pages(1, PROT_READ);
    say_error("operation on what is read only", futex(words, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, read_only, 0));
    say_error("wait on what is read only", futex(read_only, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0));
    say_error("bad operation", futex(words, FUTEX_WAKE_OP, 1, (void *)1, words + 1, 7u << 28));
    say_error("bad comparison", futex(words, FUTEX_WAKE_OP, 1, (void *)1, words + 1, 9u << 24));
}

static void operations(void) {
    static unsigned words[2];
    static const struct { unsigned operation, operand; } all[] = {{FUTEX_OP_SET, 5}, {FUTEX_OP_ADD, 7}, {FUTEX_OP_ADD, 0xFFF},
        {FUTEX_OP_OR, 0x70}, {FUTEX_OP_ANDN, 0x11}, {FUTEX_OP_XOR, 0xFF}, {FUTEX_OP_SET | FUTEX_OP_OPARG_SHIFT, 9}, {FUTEX_OP_OR, 0x800}};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        long woken = futex(words, FUTEX_WAKE_OP, 1, (void *)1, words + 1, all[i].operation << 28 | all[i].operand << 12);
        say("operation %u: %ld, %#x\n", i, woken, words[1]);
    }
}

/* ---------------------------------------------------------------- who is woken */
enum { WAITERS = 6 };
static unsigned word, other_word;
static int order[WAITERS], nr_ended;

struct waiter { int index; unsigned *at; int operation; unsigned bits; pthread_t thread; long result; };
static void *wait_on_it(void *argument) {
    struct waiter *own = argument;
    own->result = futex(own->at, own->operation, 0, NULL, NULL, own->bits);
    order[__atomic_fetch_add(&nr_ended, 1, __ATOMIC_SEQ_CST)] = own->index;
    return NULL;
}
static struct waiter waiters[WAITERS];
static long nr_at(void *at, int operation) { return futex(at, operation, 0, (void *)1000, at, 0); } /* moved to where they are */
static void start_waiters(int nr, int operation) {
    nr_ended = 0;
    for (int i = 0; i < nr; i++) { /* one after the other, so that their turns are known */
        waiters[i] = (struct waiter){.index = i, .at = &word, .operation = operation, .bits = 1u << i};
        CHECK(pthread_create(&waiters[i].thread, NULL, wait_on_it, &waiters[i]) == 0);
        while (nr_at(&word, FUTEX_REQUEUE_PRIVATE) != i + 1) sched_yield();
    }
}
static void await_ends(int nr) { while (__atomic_load_n(&nr_ended, __ATOMIC_SEQ_CST) != nr) sched_yield(); }
static void join_all(int nr) { for (int i = 0; i < nr; i++) CHECK(pthread_join(waiters[i].thread, NULL) == 0 && waiters[i].result == 0); }

static void wakes(void) {
    start_waiters(WAITERS, FUTEX_WAIT_PRIVATE);
    say("shared: %ld\n", futex(&word, FUTEX_WAKE, 9, NULL, NULL, 0));
    say("one: %ld\n", futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    await_ends(1);
    say("two: %ld\n", futex(&word, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0));
    await_ends(3);
    CHECK(order[0] == 0 && order[1] + order[2] == 3);
    say("the rest: %ld\n", futex(&word, FUTEX_WAKE_PRIVATE, 0x7FFFFFFF, NULL, NULL, 0));
    join_all(WAITERS);
    start_waiters(4, FUTEX_WAIT_BITSET_PRIVATE);
    say("bits: %ld\n", futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 9, NULL, NULL, 4));
    await_ends(1);
    CHECK(order[0] == 2);
    say("no such bits: %ld\n", futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 9, NULL, NULL, 0x30));
    say("others: %ld\n", futex(&word, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0));
    join_all(4);
}

static void requeues(void) {
    start_waiters(WAITERS, FUTEX_WAIT_PRIVATE);
    say("woken and moved: %ld\n", futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)3, &other_word, 0));
    await_ends(1);
    CHECK(order[0] == 0);
    say("still there: %ld\n", futex(&word, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0));
    await_ends(3);
    say("requeue to itself: %ld\n", futex(&other_word, FUTEX_REQUEUE_PRIVATE, 0, (void *)9, &other_word, 0));
    say("moved: %ld\n", futex(&other_word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    await_ends(4);
    CHECK(order[3] == 1);
    say("back: %ld\n", futex(&other_word, FUTEX_REQUEUE_PRIVATE, 0, (void *)9, &word, 0));
    other_word = 5;
    say("by operation: %ld", futex(&other_word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)9, &word, FUTEX_OP_SET << 28 | FUTEX_OP_CMP_EQ << 24 | 1 << 12 | 1));
    say(" and %u\n", word);
    word = 0;
    say("by operation: %ld\n", futex(&other_word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)9, &word, FUTEX_OP_SET << 28 | FUTEX_OP_CMP_LE << 24 | 1 << 12));
    join_all(WAITERS);
    word = other_word = 0;
}

static void in_shared_memory(void) {
    char *room = map_shared(1), *same = mremap(room, 0, PAGE, MREMAP_MAYMOVE);
    int has_two = same != MAP_FAILED;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct timespec until = {60, 0};
        long result = futex(room, FUTEX_WAIT, 0, &until, NULL, 0);
        _exit(result == 0 ? 7 : 8);
    }
    while (nr_at(room, FUTEX_REQUEUE) != 1) sched_yield();
    say("private: %ld\n", futex(room, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    say("shared: %ld\n", futex(has_two ? same : room, FUTEX_WAKE, 1, NULL, NULL, 0));
    say_end("child", child);
}

/* ---------------------------------------------------------------- clone */
static long raw_clone(unsigned long flags, void *stack, int *parent, int *child, void *tls) {
    return syscall(SYS_clone, flags, stack, parent, child, tls);
}
static void clone_errors(void) {
    char *stack = map_pages(4, PROT_READ | PROT_WRITE) + 4 * PAGE;
    say_error("a thread alone", raw_clone(CLONE_THREAD, stack, NULL, NULL, NULL));
    say_error("a thread without actions", raw_clone(CLONE_THREAD | CLONE_VM, stack, NULL, NULL, NULL));
    say_error("actions without memory", raw_clone(CLONE_SIGHAND | SIGCHLD, stack, NULL, NULL, NULL));
    say_error("a thread with actions", raw_clone(CLONE_THREAD | CLONE_SIGHAND, stack, NULL, NULL, NULL));
    say_error("memory of the kernel's for itself", raw_clone(CLONE_SETTLS | SIGCHLD, NULL, NULL, NULL, (void *)0xFFFF800000000000));
    long result = syscall(435, NULL, 0); /* clone3, which may be there */
    CHECK(result == -1 && (errno == ENOSYS || errno == EINVAL || errno == EFAULT));
}

static volatile int told;
static int changes(void *argument) {
    CHECK(chdir("/") == 0 && dup2(1, 40) == 40);
    umask(012);
    handle(SIGUSR1, SIG_IGN, 0);
    told = *(int *)argument;
    return 5;
}
static void say_shared(const char *who) {
    struct sigaction now;
    char folder[100];
    CHECK(sigaction(SIGUSR1, NULL, &now) == 0 && getcwd(folder, sizeof folder) != NULL);
    mode_t mask = umask(022);
    say("%s: in / %d, umask %o, descriptor %d, ignored %d, told %d\n", who, !strcmp(folder, "/"), mask, fcntl(40, F_GETFD),
        now.sa_handler == SIG_IGN, told);
    if (fcntl(40, F_GETFD) == 0) close(40);
    handle(SIGUSR1, SIG_DFL, 0);
    told = 0;
}
static void shares(void) { /* without CLONE_THREAD: a process, which is waited for */
    static const int flags[] = {0, CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_FS | CLONE_FILES, CLONE_VM | CLONE_SIGHAND,
        CLONE_VM | CLONE_SIGHAND | CLONE_FS | CLONE_FILES, CLONE_VM | CLONE_VFORK | CLONE_FILES};
    CHECK(mkdir("in", 0755) == 0);
    int value = 3, home = open(".", O_RDONLY);
    for (unsigned i = 0; i < sizeof flags / sizeof *flags; i++) {
        char *stack = map_pages(8, PROT_READ | PROT_WRITE) + 8 * PAGE, name[20];
        CHECK(fchdir(home) == 0 && chdir("in") == 0);
        int child = clone(changes, stack, flags[i] | SIGCHLD, &value);
        CHECK(child > 0);
        snprintf(name, sizeof name, "child %u", i);
        say_end(name, child);
        say_shared(name);
    }
    CHECK(fchdir(home) == 0 && rmdir("in") == 0);
}

/* ---------------------------------------------------------------- robust lists */
struct entry { struct robust_list list; unsigned word; };
static struct robust_list_head head = {.futex_offset = offsetof(struct entry, word)};
static struct entry entries[4];
static char old_head[16];
static int die_with_locks(void *argument) {
    unsigned own = (unsigned)syscall(SYS_gettid);
    CHECK(syscall(SYS_set_robust_list, &head, sizeof head) == 0);
    for (int i = 0; i < 3; i++) entries[i].list.next = i < 2 ? &entries[i + 1].list : &head.list;
    head.list.next = &entries[0].list;
    head.list_op_pending = &entries[3].list;
    entries[0].word = own;
    entries[1].word = 12345;
    entries[2].word = own | FUTEX_WAITERS;
    entries[3].word = own;
    return argument != NULL;
}
static int die_with_a_ring(void *argument) {
    CHECK(syscall(SYS_set_robust_list, &head, sizeof head) == 0);
    entries[0].list.next = &entries[0].list; /* which has no end */
    entries[0].word = (unsigned)syscall(SYS_gettid);
    head.list.next = &entries[0].list;
    head.list_op_pending = NULL;
    return argument != NULL;
}
static int die_with_nonsense(void *argument) {
    head.list.next = (void *)0x123456;
    head.list_op_pending = (void *)0xFFFF800000000010;
    CHECK(syscall(SYS_set_robust_list, argument ? (void *)&head : (void *)16, sizeof head) == 0);
    return argument != NULL;
}
static void raw_thread(int (*run)(void *), void *argument) { /* without the library, which would walk a list of its own */
    static int number;
    char *stack = map_pages(8, PROT_READ | PROT_WRITE) + 8 * PAGE;
    int made = clone(run, stack, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_PARENT_SETTID |
        CLONE_CHILD_CLEARTID, argument, &number, NULL, &number);
    CHECK(made > 0);
    for (int now; (now = __atomic_load_n(&number, __ATOMIC_SEQ_CST)) != 0;) futex(&number, FUTEX_WAIT, (unsigned)now, NULL, NULL, 0);
    while (syscall(SYS_tgkill, getpid(), made, 0) == 0) sched_yield(); /* the word is 0 a little before it is gone */
    CHECK(errno == ESRCH);
}
static void robust(void) {
    void *found = old_head;
    size_t nbytes = 0;
    say_error("set", syscall(SYS_set_robust_list, &head, 23));
    raw_thread(die_with_locks, NULL);
    say("words: %#x %u %#x %#x\n", entries[0].word, entries[1].word, entries[2].word, entries[3].word);
    raw_thread(die_with_a_ring, NULL);
    say("ring: %#x\n", entries[0].word);
    for (long i = 0; i < 2; i++) raw_thread(die_with_nonsense, (void *)i);
    say_error("set", syscall(SYS_set_robust_list, &head, sizeof head));
    say_error("get", syscall(SYS_get_robust_list, 0, &found, &nbytes));
    say("the same: %d, %zu\n", found == &head, nbytes);
    say_error("get of nobody", syscall(SYS_get_robust_list, 3999999, &found, &nbytes));
    say_error("get to nowhere", syscall(SYS_get_robust_list, 0, (void *)8, &nbytes));
    head.list.next = &head.list;
    head.list_op_pending = NULL;
}

static void barriers(void) {
    CHECK(syscall(SYS_membarrier, 0, 0, 0) > 0);
    say_error("not asked for", syscall(SYS_membarrier, 8, 0, 0));
    say_error("ask for it", syscall(SYS_membarrier, 16, 0, 0));
    say_error("asked for", syscall(SYS_membarrier, 8, 0, 0));
    say_error("all", syscall(SYS_membarrier, 1, 0, 0));
    say_error("flags", syscall(SYS_membarrier, 1, 99, 0));
    say_error("no such command", syscall(SYS_membarrier, 3, 0, 0));
    say_error("ends", syscall(SYS_set_tid_address, NULL) == getpid());
}

static const struct way ways[] = {WAY(errors), WAY(operations), WAY(wakes), WAY(requeues), WAY(in_shared_memory), WAY(clone_errors),
    WAY(shares), WAY(robust), WAY(barriers), {NULL, NULL}};
