/* Programs that start programs: execve in all its refusals, scripts, what is kept and what is reset, posix_spawn, and,
   where /bin/sh is, system and popen. Its root has /bin/sh; folder, file names and the rest it makes itself. */
#include "tasks.h"
#include <spawn.h>

extern char **environ;

static int exec_self(char *const *rest) { /* with a way of this program, in a new environment */
    char *arguments[20] = {"execs"};
    static char *const environment[] = {"A=1", "B=two words", NULL};
    for (int i = 0; rest[i]; i++) arguments[i + 1] = rest[i];
    execve("execs", arguments, environment);
    return 99;
}

static void run_self(const char *way) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) _exit(exec_self((char *[]){(char *)(uintptr_t)way, NULL}));
    say_end(way, child);
}

static void environment(void) { for (char **one = environ; *one; one++) say("%s\n", *one); }

static void replaces(void) {
    run_self("environment");
    pid_t before = getpid();
    char *mapped = map_pages(3, PROT_READ | PROT_WRITE);
    CHECK(mapped && before > 0);
    exec_self((char *[]){"environment", NULL});
    CHECK(!"exec came back");
}

static char *const just_name[] = {"name", NULL}, *const nothing[] = {NULL};

static volatile int kept = 5;
static char page[2 * PAGE];

static void refused(const char *path, int code) {
    errno = 0;
    CHECK(execve(path, just_name, nothing) == -1);
    say("%s: errno %d\n", path, errno);
    CHECK(errno == code && kept == 5 && page[PAGE] == 'p');
}

static void handler_of_usr1(int number) { kept = number; }

static void refusals(void) { /* the caller stays whole */
    char head[64] = "\177ELF";
    page[PAGE] = 'p';
    handle(SIGUSR1, handler_of_usr1, 0);
    int end = open("/", O_RDONLY | O_CLOEXEC);
    CHECK(end >= 0 && (mkdir("folder", 0755) == 0 || errno == EEXIST));
    write_file("empty", "", 0755);
    write_file("words", "no program at all\n", 0755);
    write_file("no-right", "#!/bin/sh\n", 0644);
    write_file("bad-script", "#!/no/such/interpreter\n", 0755);
    write_file("folder-script", "#!/\n", 0755);
    write_file("nothing-script", "#!\n", 0755);
    write_file("spaces-script", "#!   \n", 0755);
    write_file("self-script", "#!self-script\n", 0755);
    write_file("short", "\177E", 0755);
    refused("/no/such/file", ENOENT);
    refused("", ENOENT);
    refused("folder", EACCES);
    refused("empty/x", ENOTDIR);
    refused("empty", ENOEXEC);
    refused("words", ENOEXEC);
    refused("short", ENOEXEC);
    refused("no-right", EACCES);
    refused("bad-script", ENOENT);
    refused("folder-script", EACCES);
    refused("nothing-script", ENOEXEC);
    refused("spaces-script", ENOEXEC);
    refused("self-script", ELOOP);
    int file = open("bad", O_WRONLY | O_CREAT | O_TRUNC, 0755);
    CHECK(file >= 0 && write(file, head, sizeof head) == sizeof head && close(file) == 0);
    refused("bad", ENOEXEC);
    head[4] = 2, head[5] = 1, head[6] = 1, head[16] = 2, head[18] = 3; /* of another processor */
    file = open("bad", O_WRONLY | O_TRUNC);
    CHECK(file >= 0 && write(file, head, sizeof head) == sizeof head && close(file) == 0);
    refused("bad", ENOEXEC);
    FAILS(syscall(SYS_execve, (char *)8, just_name, nothing), EFAULT);
    FAILS(syscall(SYS_execve, "execs", (char *const *)8, nothing), EFAULT);
    FAILS(syscall(SYS_execve, "execs", (char *const[]){(char *)8, NULL}, nothing), EFAULT);
    CHECK(fcntl(end, F_GETFD) == FD_CLOEXEC);
    raise(SIGUSR1);
    say("whole, handler saw %d\n", kept);
}

static void too_large(void) {
    enum { BYTES = 120000, COUNT = 30 };
    static char text[BYTES], longer[140000];
    char *arguments[COUNT + 1] = {"execs"};
    memset(text, 'x', BYTES - 1);
    memset(longer, 'y', sizeof longer - 1);
    FAILS(execve("execs", (char *const[]){"execs", longer, NULL}, nothing), E2BIG);
    for (int i = 1; i < COUNT; i++) arguments[i] = text;
    FAILS(execve("execs", arguments, nothing), E2BIG);
    arguments[1] = "environment";
    arguments[15] = NULL;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { execve("execs", arguments, nothing); _exit(77); }
    say_end("large", child);
}

static void no_arguments(void) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { char *none[] = {NULL}; execve("execs", none, none); _exit(100 + errno); }
    say_end("without a name", child);
}

static void scripts(void) {
    static const char *const texts[] = {"#!execs environment\n", "#! execs environment  \nmore\n", "#!execs", "#!execs\tenvironment", "#!../root-script environment\n"};
    write_file("root-script", "#!execs\n", 0755);
    for (unsigned i = 0; i < 4; i++) {
        write_file("script", texts[i], 0755);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            execve("script", (char *const[]){"script", i == 2 ? "environment" : NULL, NULL}, (char *const[]){"IN=script", NULL});
            _exit(errno);
        }
        say_end(texts[i], child);
    }
}

static void arguments_of_scripts(void) { /* sh prints what it is given */
    static const char *const names[] = {"one", "two", "three", "four", "five", "six"};
    write_file("one", "#!/bin/sh\necho \"$0 has $#: $*\"\n", 0755);
    write_file("two", "#!/bin/sh -e\necho \"$0 has $#: $*\"; false; echo not reached\n", 0755);
    write_file("three", "#!  ./one an argument\n", 0755);
    write_file("four", "#!./three\n", 0755);
    write_file("five", "#!./four x\n", 0755);
    write_file("six", "#!./five\n", 0755);
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        char path[20];
        snprintf(path, sizeof path, "./%s", names[i]);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) { execve(path, (char *const[]){"called", "p", "q r", NULL}, nothing); _exit(100 + errno); }
        say_end(names[i], child);
    }
}

static void descriptors_after(void) {
    for (int i = 3; i < 30; i++) if (fcntl(i, F_GETFD) >= 0) say("open %d, position %ld\n", i, (long)lseek(i, 0, SEEK_CUR));
}

static void descriptors(void) { /* those with CLOEXEC are closed, others stay with their position */
    write_file("content", "some content\n", 0644);
    int plain = open("content", O_RDONLY), closes = open("content", O_RDONLY | O_CLOEXEC);
    char text[4];
    CHECK(plain >= 0 && closes >= 0 && read(plain, text, 4) == 4 && dup2(plain, 20) == 20 && dup2(closes, 21) == 21);
    CHECK(dup3(plain, 22, O_CLOEXEC) == 22 && fcntl(plain, F_DUPFD, 23) == 23 && fcntl(plain, F_DUPFD_CLOEXEC, 24) == 24);
    CHECK(fcntl(23, F_SETFD, FD_CLOEXEC) == 0 && dup2(23, 25) == 25 && dup2(plain, 10) == 10);
    CHECK(close(plain) == 0);
    if (closes != plain) CHECK(fcntl(closes, F_GETFD) == FD_CLOEXEC);
    exec_self((char *[]){"descriptors_after", NULL});
}

static void signals_after(void) {
    struct sigaction action;
    sigset_t mask, pending;
    CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0 && sigpending(&pending) == 0);
    for (int number = 1; number < 32; number++) {
        CHECK(sigaction(number, NULL, &action) == 0);
        say("%d: %s%s%s\n", number, action.sa_handler == SIG_DFL ? "default" : action.sa_handler == SIG_IGN ? "ignored" : "a handler",
            sigismember(&mask, number) ? ", blocked" : "", sigismember(&pending, number) ? ", pending" : "");
    }
    stack_t other;
    CHECK(sigaltstack(NULL, &other) == 0);
    say("other stack: %d\n", other.ss_flags == SS_DISABLE);
}

static void signals(void) { /* handlers are gone; what is ignored, blocked or pending stays so */
    static char stack[16384];
    stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    CHECK(sigaltstack(&other, NULL) == 0);
    handle(SIGUSR1, handler_of_usr1, SA_RESTART);
    handle(SIGUSR2, SIG_IGN, 0);
    handle(SIGTERM, handler_of_usr1, SA_ONSTACK);
    handle(SIGPIPE, SIG_IGN, 0);
    block(SIGHUP);
    block(SIGUSR1);
    raise(SIGUSR1);
    exec_self((char *[]){"signals_after", NULL});
}

static void spawned(const char *path, char *const *arguments, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes) {
    pid_t child = -1;
    int answer = posix_spawn(&child, path, actions, attributes, arguments, (char *const[]){"SPAWNED=yes", NULL});
    if (answer) say("%s: error %d\n", path, answer);
    else say_end(path, child);
}

static void spawn(void) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char *const shows[] = {"execs", "environment", NULL}, *const tells[] = {"execs", "descriptors_after", NULL}, *const told[] = {"execs", "signals_after", NULL};
    spawned("execs", shows, NULL, NULL);
    spawned("no-such-file", shows, NULL, NULL);
    write_file("words", "no program at all\n", 0755);
    spawned("words", shows, NULL, NULL);
    CHECK(posix_spawn_file_actions_init(&actions) == 0);
    CHECK(posix_spawn_file_actions_addopen(&actions, 1, "output", O_WRONLY | O_CREAT | O_TRUNC, 0644) == 0);
    CHECK(posix_spawn_file_actions_adddup2(&actions, 1, 12) == 0 && posix_spawn_file_actions_addclose(&actions, 0) == 0);
    spawned("execs", tells, &actions, NULL);
    char text[200] = "";
    int file = open("output", O_RDONLY);
    CHECK(file >= 0 && read(file, text, sizeof text - 1) > 0 && close(file) == 0);
    say("%s", text);
    posix_spawn_file_actions_destroy(&actions);
    CHECK(posix_spawn_file_actions_init(&actions) == 0);
    CHECK(posix_spawn_file_actions_addopen(&actions, 1, "no/such/folder", O_WRONLY, 0) == 0);
    spawned("execs", shows, &actions, NULL);
    posix_spawn_file_actions_destroy(&actions);
    sigset_t some = set_of(SIGUSR1), defaults = set_of(SIGUSR2);
    handle(SIGUSR2, SIG_IGN, 0);
    handle(SIGTERM, handler_of_usr1, 0);
    CHECK(posix_spawnattr_init(&attributes) == 0 && posix_spawnattr_setsigmask(&attributes, &some) == 0);
    CHECK(posix_spawnattr_setsigdefault(&attributes, &defaults) == 0 && posix_spawnattr_setpgroup(&attributes, 0) == 0);
    CHECK(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP) == 0);
    spawned("execs", told, NULL, &attributes);
}

static void spawn_often(void) {
    char *const tells[] = {"execs", "hello", NULL};
    for (int i = 0; i < 20; i++) {
        pid_t child;
        CHECK(posix_spawn(&child, "execs", NULL, NULL, tells, (char *const[]){NULL}) == 0);
        wait_well(child);
    }
}

static void hello(void) { say("hello\n"); }

static void by_system(void) {
    say("is there: %d\n", system(NULL) != 0);
    say_status("exit 3", system("exit 3"));
    say_status("echo", system("echo a line of the shell; echo another >&2"));
    say_status("kill", system("kill -9 $$"));
    say_status("none", system("/no/such/command 2>/dev/null"));
    say_status("pipe", system("echo one two three | wc -w"));
}

static void by_popen(void) {
    char line[100];
    FILE *from = popen("echo words from a child; exit 4", "r");
    CHECK(from);
    while (fgets(line, sizeof line, from)) say("got: %s", line);
    say_status("reading", pclose(from));
    FILE *to = popen("tr a-z A-Z; exit 5", "w");
    CHECK(to && fputs("words to a child\n", to) >= 0);
    say_status("writing", pclose(to));
    from = popen("seq 1 3000", "r");
    long lines = 0, sum = 0;
    CHECK(from);
    while (fgets(line, sizeof line, from)) lines++, sum += atol(line);
    say("%ld lines, sum %ld\n", lines, sum);
    say_status("many", pclose(from));
    from = popen("yes", "r");
    CHECK(from && fgets(line, sizeof line, from));
    say("got: %s", line);
    say_status("closed early", pclose(from));
}

static void search_path(void) {
    CHECK(setenv("PATH", "/none:folder-of-path:/bin", 1) == 0 && (mkdir("folder-of-path", 0755) == 0 || errno == EEXIST));
    write_file("folder-of-path/a-script", "#!/bin/sh\necho found $1\n", 0755);
    write_file("folder-of-path/no-head", "echo run by sh $1\n", 0755);
    write_file("folder-of-path/no-right", "echo no\n", 0644);
    static const char *const names[] = {"a-script", "no-head", "no-right", "nowhere", "true"};
    for (unsigned i = 0; i < 5; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) { execlp(names[i], names[i], "argument", (char *)NULL); _exit(100 + errno); }
        say_end(names[i], child);
    }
}

static void exec_by_descriptor(void) {
    int file = open("execs", O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { syscall(SYS_execveat, file, "", (char *const[]){"execs", "hello", NULL}, nothing, 0x1000); _exit(100 + errno); }
    say_end("empty path", child);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) { syscall(SYS_execveat, AT_FDCWD, "execs", (char *const[]){"execs", "hello", NULL}, nothing, 0); _exit(100 + errno); }
    say_end("a path", child);
}

static void text_is_busy(void) { /* a file that is executed is not written */
    say_error("write the running program", open("execs", O_WRONLY));
}

static void number_stays(void) {
    char text[20];
    int ends[2];
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        snprintf(text, sizeof text, "%d", getpid());
        CHECK(setenv("NUMBER", text, 1) == 0);
        execl("execs", "execs", "number_is_mine", (char *)NULL);
        _exit(50);
    }
    say_end("child", child);
}

static void number_is_mine(void) {
    const char *text = getenv("NUMBER");
    say("the same number: %d\n", !text || atoi(text) == getpid());
}

static const struct way ways[] = {WAY(environment), WAY(replaces), WAY(refusals), WAY(too_large), WAY(no_arguments), WAY(scripts),
    WAY(arguments_of_scripts), WAY(descriptors_after), WAY(descriptors), WAY(signals_after), WAY(signals), WAY(spawn), WAY(spawn_often),
    WAY(hello), WAY(by_system), WAY(by_popen), WAY(search_path), WAY(exec_by_descriptor), WAY(text_is_busy), WAY(number_stays),
    WAY(number_is_mine), {NULL, NULL}};
