/* epoll: what is told of pipes and counters, by level, at edges and once; who hears of it, and what ends it. */
#include "tasks.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

static int list, ends[2];

static int compare(const void *one, const void *other) {
    uint64_t a = ((const struct epoll_event *)one)->data.u64, b = ((const struct epoll_event *)other)->data.u64;
    return a < b ? -1 : a > b;
}

static void tell(const char *what, int milliseconds) { /* in the order of the data */
    struct epoll_event told[8];
    int nr = epoll_wait(list, told, 8, milliseconds);
    CHECK(nr >= 0);
    qsort(told, (size_t)nr, sizeof told[0], compare);
    say("%s:", what);
    for (int i = 0; i < nr; i++) say(" %d=%#x", (int)told[i].data.u64, told[i].events);
    say("\n");
}

static int ask(int operation, int descriptor, unsigned events, int data) {
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t)data};
    return epoll_ctl(list, operation, descriptor, &event);
}

static void begin(void) { list = epoll_create1(EPOLL_CLOEXEC); CHECK(list >= 0 && pipe2(ends, O_NONBLOCK) == 0); }
static void drain(int descriptor) { char bytes[100]; while (read(descriptor, bytes, sizeof bytes) == sizeof bytes); }

static void fill(int descriptor) {
    static const char page[PAGE];
    while (write(descriptor, page, sizeof page) > 0);
}

static void levels(void) {
    begin();
    CHECK(ask(EPOLL_CTL_ADD, ends[0], EPOLLIN, 1) == 0 && ask(EPOLL_CTL_ADD, ends[1], EPOLLOUT, 2) == 0);
    tell("empty", 0);
    put(ends[1]);
    tell("a byte", 0);
    tell("still there", -1);
    drain(ends[0]);
    tell("read", 0);
    fill(ends[1]);
    tell("full", 0);
    char page[PAGE];
    CHECK(read(ends[0], page, PAGE) == PAGE);
    tell("room", 0);
    CHECK(close(ends[1]) == 0);
    tell("no writer", 0);
    CHECK(ask(EPOLL_CTL_MOD, ends[0], 0, 3) == 0);
    tell("nothing wanted", 0);
    CHECK(ask(EPOLL_CTL_DEL, ends[0], 0, 0) == 0);
    tell("nothing asked", 1);
}

static void edges(void) {
    begin();
    put(ends[1]);
    CHECK(ask(EPOLL_CTL_ADD, ends[0], EPOLLIN | EPOLLET, 1) == 0);
    tell("there before", 0);
    tell("told", 0);
    put(ends[1]);
    tell("one more", 0);
    tell("told again", 0);
    take(ends[0]);
    tell("one less", 0);
    drain(ends[0]);
    put(ends[1]);
    tell("drained, and one", 0);
    CHECK(ask(EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLET, 4) == 0);
    tell("asked anew", 0);
    tell("told once", 0);
    CHECK(close(ends[1]) == 0);
    tell("hung up", 0);
    tell("known", 0);
}

static void edges_of_room(void) {
    begin();
    CHECK(ask(EPOLL_CTL_ADD, ends[1], EPOLLOUT | EPOLLET, 2) == 0);
    tell("room", 0);
    tell("told", 0);
    fill(ends[1]);
    tell("full", 0);
    char page[PAGE];
    CHECK(read(ends[0], page, PAGE) == PAGE);
    tell("room again", 0);
    tell("told again", 0);
    CHECK(close(ends[0]) == 0);
    tell("no reader", 0);
    tell("known", 0);
}

static void once(void) {
    begin();
    CHECK(ask(EPOLL_CTL_ADD, ends[0], EPOLLIN | EPOLLONESHOT, 1) == 0);
    tell("nothing", 0);
    put(ends[1]);
    tell("once", 0);
    put(ends[1]);
    tell("not twice", 0);
    CHECK(close(ends[1]) == 0);
    tell("nor the end", 0);
    CHECK(ask(EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLONESHOT, 5) == 0);
    tell("asked anew", 0);
    tell("not twice", 0);
}

static void counters(void) {
    begin();
    int counter = eventfd(0, EFD_NONBLOCK);
    uint64_t value = 3;
    CHECK(ask(EPOLL_CTL_ADD, counter, EPOLLIN | EPOLLET, 1) == 0);
    tell("zero", 0);
    CHECK(write(counter, &value, 8) == 8);
    tell("three", 0);
    tell("told", 0);
    CHECK(write(counter, &value, 8) == 8);
    tell("six", 0);
    CHECK(read(counter, &value, 8) == 8 && value == 6);
    tell("zero again", 0);
    CHECK(ask(EPOLL_CTL_MOD, counter, EPOLLIN | EPOLLOUT, 2) == 0);
    tell("room", 0);
    value = UINT64_MAX - 1;
    CHECK(write(counter, &value, 8) == 8);
    tell("full", 0);
}

static void errors(void) {
    begin();
    struct epoll_event event = {.events = EPOLLIN}, *nowhere = (void *)8;
    FAILS(epoll_create1(1), EINVAL);
    FAILS(syscall(SYS_epoll_create, 0), EINVAL);
    FAILS(syscall(SYS_epoll_create, -1), EINVAL);
    CHECK(lseek(list, 5, SEEK_SET) == 0 && lseek(eventfd(5, 0), 5, SEEK_END) == 0);
    FAILS(epoll_ctl(list, EPOLL_CTL_ADD, 99, &event), EBADF);
    FAILS(epoll_ctl(99, EPOLL_CTL_ADD, ends[0], &event), EBADF);
    FAILS(epoll_ctl(ends[0], EPOLL_CTL_ADD, ends[1], &event), EINVAL);
    FAILS(epoll_ctl(list, EPOLL_CTL_ADD, list, &event), EINVAL);
    FAILS(epoll_ctl(list, EPOLL_CTL_ADD, ends[0], nowhere), EFAULT);
    FAILS(epoll_ctl(list, EPOLL_CTL_MOD, ends[0], &event), ENOENT);
    FAILS(epoll_ctl(list, EPOLL_CTL_DEL, ends[0], nowhere), ENOENT);
    FAILS(epoll_ctl(list, 7, ends[0], &event), EINVAL);
    CHECK(epoll_ctl(list, EPOLL_CTL_ADD, ends[0], &event) == 0);
    FAILS(epoll_ctl(list, EPOLL_CTL_ADD, ends[0], &event), EEXIST);
    event.events = EPOLLIN | EPOLLEXCLUSIVE;
    FAILS(epoll_ctl(list, EPOLL_CTL_MOD, ends[0], &event), EINVAL);
    event.events |= EPOLLONESHOT;
    FAILS(epoll_ctl(list, EPOLL_CTL_ADD, ends[1], &event), EINVAL);
    event.events = EPOLLIN;
    int file = open("/bin/busybox", O_RDONLY), folder = open("/", O_RDONLY), null = open("/dev/null", O_RDWR), path = open("/", O_PATH);
    CHECK(file >= 0 && folder >= 0 && null >= 0 && path >= 0);
    FAILS(epoll_ctl(list, EPOLL_CTL_ADD, file, &event), EPERM);
    FAILS(epoll_ctl(list, EPOLL_CTL_ADD, folder, &event), EPERM);
    FAILS(epoll_ctl(list, EPOLL_CTL_ADD, path, &event), EBADF);
    FAILS(epoll_wait(list, &event, 0, 0), EINVAL);
    FAILS(epoll_wait(list, &event, -1, 0), EINVAL);
    FAILS(epoll_wait(list, &event, INT32_MAX, 0), EINVAL);
    FAILS(epoll_wait(99, &event, 1, 0), EBADF);
    FAILS(epoll_wait(ends[0], &event, 1, 0), EINVAL);
    FAILS(epoll_pwait(list, &event, 1, 0, (void *)8), EFAULT);
    put(ends[1]);
    FAILS(epoll_wait(list, nowhere, 1, 0), EFAULT);
    FAILS(epoll_wait(list, (void *)(1l << 47), 1, 0), EFAULT);
    tell("told after all", 0);
    char byte;
    FAILS(read(list, &byte, 1), EINVAL);
    FAILS(write(list, "x", 1), EINVAL);
}

static void closing(void) { /* an interest ends with the open file, and not with the descriptor */
    begin();
    int other = dup(ends[0]);
    put(ends[1]);
    CHECK(ask(EPOLL_CTL_ADD, ends[0], EPOLLIN, 1) == 0 && ask(EPOLL_CTL_ADD, other, EPOLLIN, 2) == 0);
    tell("two", 0);
    CHECK(close(ends[0]) == 0);
    tell("still two", 0);
    CHECK(close(other) == 0);
    tell("none", 0);
    CHECK(close(ends[1]) == 0 && pipe(ends) == 0 && ask(EPOLL_CTL_ADD, ends[0], EPOLLIN, 3) == 0 && close(list) == 0);
    put(ends[1]);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void turns(void) { /* each of three that are ready is told in its turn */
    begin();
    int others[2][2], seen[4] = {0};
    CHECK(pipe(others[0]) == 0 && pipe(others[1]) == 0);
    put(ends[1]), put(others[0][1]), put(others[1][1]);
    CHECK(ask(EPOLL_CTL_ADD, ends[0], EPOLLIN, 1) == 0 && ask(EPOLL_CTL_ADD, others[0][0], EPOLLIN, 2) == 0);
    CHECK(ask(EPOLL_CTL_ADD, others[1][0], EPOLLIN, 3) == 0);
    for (int i = 0; i < 9; i++) {
        struct epoll_event told;
        CHECK(epoll_wait(list, &told, 1, -1) == 1);
        seen[told.data.u64]++;
    }
    say("%d %d %d\n", seen[1], seen[2], seen[3]);
}

static void by_poll(void) { /* a list can be waited for itself */
    begin();
    struct pollfd of_list = {.fd = list, .events = POLLIN | POLLOUT};
    CHECK(ask(EPOLL_CTL_ADD, ends[0], EPOLLIN | EPOLLET, 1) == 0);
    CHECK(poll(&of_list, 1, 0) == 0);
    put(ends[1]);
    CHECK(poll(&of_list, 1, 0) == 1);
    say("list: %#x\n", of_list.revents);
    tell("told", 0);
    CHECK(poll(&of_list, 1, 0) == 0);
}

static int writes_later(void) { usleep(3000); put(ends[1]); usleep(3000); put(ends[1]); return 3; }
static void note(int number) { (void)number; }

static void waits(void) { /* until another task writes; for a time; until a handler ends it */
    begin();
    CHECK(ask(EPOLL_CTL_ADD, ends[0], EPOLLIN | EPOLLET, 1) == 0);
    pid_t child = start(writes_later);
    tell("the first", -1);
    tell("the second", 10000);
    say_end("writer", child);
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    tell("time is over", 20);
    clock_gettime(CLOCK_MONOTONIC, &after);
    CHECK((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >= 19);
    handle(SIGALRM, note, SA_RESTART);
    struct itimerval soon = {.it_value.tv_usec = 3000};
    struct epoll_event told;
    CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
    FAILS(epoll_wait(list, &told, 1, -1), EINTR);
    sigset_t none, alarm;
    CHECK(sigemptyset(&none) == 0 && sigemptyset(&alarm) == 0 && sigaddset(&alarm, SIGALRM) == 0);
    CHECK(sigprocmask(SIG_BLOCK, &alarm, NULL) == 0 && raise(SIGALRM) == 0);
    CHECK(epoll_wait(list, &told, 1, 1) == 0);
    FAILS(epoll_pwait(list, &told, 1, -1, &none), EINTR);
}

static int looks(void) { tell("child", 0); return ask(EPOLL_CTL_DEL, ends[0], 0, 0); }

static void children(void) { /* the list is one open file, whoever has it */
    begin();
    CHECK(ask(EPOLL_CTL_ADD, ends[0], EPOLLIN, 1) == 0);
    put(ends[1]);
    say_end("child", start(looks));
    tell("parent", 0);
}

static void many(void) {
    begin();
    int counters[200];
    for (int i = 0; i < 200; i++) {
        counters[i] = eventfd(i % 3 == 0, 0);
        CHECK(counters[i] >= 0 && ask(EPOLL_CTL_ADD, counters[i], EPOLLIN, i) == 0);
    }
    struct epoll_event told[200];
    long sum = 0;
    int nr = epoll_wait(list, told, 200, -1);
    for (int i = 0; i < nr; i++) sum += (long)told[i].data.u64;
    say("%d of them, %ld\n", nr, sum);
    for (int i = 0; i < 200; i += 2) CHECK(close(counters[i]) == 0);
    say("%d are left\n", epoll_wait(list, told, 200, -1));
}

static const struct way ways[] = {WAY(levels), WAY(edges), WAY(edges_of_room), WAY(once), WAY(counters), WAY(errors), WAY(closing), WAY(turns),
    WAY(by_poll), WAY(waits), WAY(children), WAY(many), {NULL, NULL}};
