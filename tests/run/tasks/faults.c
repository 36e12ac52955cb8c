/* Signals of a program's own faults: what siginfo and the frame tell, stacks for handlers, handlers that mend what was wrong
   and return, and faults whose signal is blocked or ignored. Whether a page was there without the right, bit 0 of the
   error, depends on what was brought in around it. */
#define _GNU_SOURCE
#include "tasks.h"
#include <setjmp.h>
#include <ucontext.h>

static sigjmp_buf back;
static char *wanted;
static volatile int nr_caught;

static void tell(int number, siginfo_t *about, void *context) {
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    char *at = about->si_addr;
    int is_page_fault = r[REG_TRAPNO] == 14;
    say("signal %d %d, code %d, at %ld, vector %d, error %d, cr2 %d, errno %d\n", number, about->si_signo, about->si_code,
        wanted ? (long)(at - wanted) : (long)at, (int)r[REG_TRAPNO], (int)(is_page_fault ? r[REG_ERR] & ~1 : r[REG_ERR]), is_page_fault && (char *)r[REG_CR2] == at, about->si_errno);
    siglongjmp(back, 1);
}
static void at_instruction(int number, siginfo_t *about, void *context) {
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    say("signal %d, code %d, at the instruction %d, nowhere %d, vector %d, error %d\n", number, about->si_code,
        (greg_t)(uintptr_t)about->si_addr == r[REG_RIP], !about->si_addr, (int)r[REG_TRAPNO], (int)r[REG_ERR]);
    siglongjmp(back, 1);
}
static void catch_with(void (*handler)(int, siginfo_t *, void *), int flags) {
    static const int all[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) CHECK(sigaction(all[i], &action, NULL) == 0);
}
static int change_stack(const void *wish, void *old) { return (int)syscall(SYS_sigaltstack, wish, old); } /* musl's looks by itself */
#define TRY(what, statement) do { say("%s: ", what); if (sigsetjmp(back, 1) == 0) { statement; say("nothing\n"); } } while (0)
#define READ(at) (*(volatile char *)(at))

static void pages(void) {
    catch_with(tell, 0);
    char *room = map_pages(6, PROT_READ | PROT_WRITE);
    CHECK(mprotect(room, PAGE, PROT_NONE) == 0 && mprotect(room + PAGE, PAGE, PROT_READ) == 0 && munmap(room + 2 * PAGE, PAGE) == 0);
    wanted = room;
    TRY("read of none", (void)READ(room + 5));
    TRY("write of none", READ(room + 6) = 1);
    TRY("write to read only", READ(room + PAGE + 7) = 1);
    (void)READ(room + PAGE);
    TRY("write to what was read", READ(room + PAGE + 8) = 1);
    TRY("read of a hole", (void)READ(room + 2 * PAGE + 9));
    TRY("write to a hole", READ(room + 3 * PAGE - 1) = 1);
    TRY("execution of data", ((void (*)(void))(uintptr_t)(room + 3 * PAGE))());
    READ(room + 4 * PAGE) = (char)0xC3;
    TRY("execution of written data", ((void (*)(void))(uintptr_t)(room + 4 * PAGE))());
    TRY("execution of a hole", ((void (*)(void))(uintptr_t)(room + 2 * PAGE + 16))());
    TRY("two pages, the second is a hole", *(volatile long *)(room + 2 * PAGE - 4) = 1);
    TRY("two pages, the first is a hole", *(volatile long *)(room + 3 * PAGE - 4) = 1);
    wanted = NULL;
    TRY("null", (void)READ(8));
    TRY("kernel", (void)READ(0xFFFFFFFF80100000));
    TRY("write to the kernel", READ(0xFFFF888000000000) = 1);
    TRY("not canonical", (void)READ(0x800000000000));
    TRY("not canonical, by the stack pointer", __asm__ volatile("mov %%rsp, %%rbx\n mov $0x900000000000, %%rax\n push (%%rax)\n mov %%rbx, %%rsp" ::: "rax", "rbx", "memory"));
    CHECK(nr_caught == 0);
}

static void files(void) {
    catch_with(tell, 0);
    write_file("short", "some bytes", 0600);
    int file = open("short", O_RDWR);
    char *own = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    char *only = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, file, 0);
    CHECK(own != MAP_FAILED && only != MAP_FAILED && own[0] == 's' && own[PAGE - 1] == 0);
    wanted = own;
    TRY("read behind the end", (void)READ(own + PAGE));
    TRY("write behind the end", READ(own + 2 * PAGE + 3) = 1);
    wanted = only;
    TRY("read behind the end", (void)READ(only + PAGE + 1));
    TRY("write without the right", READ(only) = 1);
    TRY("write without the right behind the end", READ(only + PAGE) = 1);
    CHECK(unlink("short") == 0);
}

static void instructions(void) {
    catch_with(at_instruction, 0);
    TRY("ud2", __asm__ volatile("ud2"));
    TRY("int3", __asm__ volatile("int3"));
    TRY("int 0", __asm__ volatile("int $0")); /* of other numbers QEMU gives another error */
    TRY("hlt", __asm__ volatile("hlt"));
    TRY("cli", __asm__ volatile("cli"));
    TRY("division by zero", __asm__ volatile("xor %%ecx, %%ecx\n mov $1, %%eax\n cdq\n idiv %%ecx" ::: "rax", "rcx", "rdx"));
    TRY("division too large", __asm__ volatile("mov $-1, %%ecx\n mov $0x80000000, %%eax\n cdq\n idiv %%ecx" ::: "rax", "rcx", "rdx"));
    TRY("read of a model's register", __asm__ volatile("rdmsr" ::: "rax", "rdx"));
    TRY("moved to cr3", __asm__ volatile("mov %%rax, %%cr3" ::: "memory"));
}

/* ---------------------------------------------------------------- mended */
static char *area;
static void mend_by_map(int number, siginfo_t *about, void *context) {
    char *page = (char *)((uintptr_t)about->si_addr & -PAGE);
    CHECK(number == SIGSEGV && about->si_code == SEGV_MAPERR && context);
    CHECK(mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page);
    *(long *)page = (page - area) / PAGE;
    nr_caught++;
}
static void mend_by_right(int number, siginfo_t *about, void *context) {
    char *page = (char *)((uintptr_t)about->si_addr & -PAGE);
    CHECK(number == SIGSEGV && about->si_code == SEGV_ACCERR && context);
    CHECK(mprotect(page, PAGE, PROT_READ | PROT_WRITE) == 0);
    nr_caught++;
}
static void step_over(int number, siginfo_t *about, void *context) {
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    CHECK(number == SIGSEGV && about->si_code == SEGV_MAPERR);
    r[REG_RIP] += 3; /* behind mov (%rbx), %rax */
    r[REG_RAX] = r[REG_RBX] + 1;
    nr_caught++;
}
static void grow_file(int number, siginfo_t *about, void *context) {
    CHECK(number == SIGBUS && about->si_code == BUS_ADRERR && context);
    CHECK(truncate("grows", (about->si_addr - (void *)area + PAGE) & -PAGE) == 0);
    nr_caught++;
}

static void mended(void) {
    enum { NR = 40 };
    long sum = 0, result;
    area = map_pages(NR, PROT_NONE);
    CHECK(munmap(area, NR * PAGE) == 0);
    catch_with(mend_by_map, 0);
    for (int i = 0; i < NR; i++) sum += *(volatile long *)(area + i * PAGE + (i % 3 ? 0 : 8)) + (i % 3 ? 0 : i);
    say("mapped: %d faults, %ld\n", nr_caught, sum);
    catch_with(mend_by_right, 0);
    for (int round = 0; round < 3; round++) { /* as a write barrier does it */
        CHECK(mprotect(area, NR * PAGE, PROT_READ) == 0);
        for (int i = 0; i < NR; i++) CHECK(*(volatile long *)(area + i * PAGE) == i + (round && i % 2 ? round : 0));
        nr_caught = 0;
        for (int i = 1; i < NR; i += 2) ++*(volatile long *)(area + i * PAGE), ++*(volatile long *)(area + i * PAGE + 16);
        say("written: %d faults, %ld\n", nr_caught, *(long *)(area + 3 * PAGE));
    }
    catch_with(step_over, 0);
    nr_caught = 0;
    __asm__ volatile("mov $0x123456, %%ebx\n mov (%%rbx), %%rax\n" : "=a"(result) :: "rbx", "memory");
    say("stepped over: %d, %#lx\n", nr_caught, (unsigned long)result);
    nr_caught = 0;
    write_file("grows", "x", 0600);
    int file = open("grows", O_RDONLY);
    area = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE, file, 0);
    CHECK(area != MAP_FAILED);
    catch_with(grow_file, 0);
    sum = 0;
    for (int i = 0; i < 4; i++) sum += READ(area + i * PAGE) + READ(area + i * PAGE + 9);
    say("file that grows: %d faults, %ld\n", nr_caught, sum);
    CHECK(unlink("grows") == 0);
}

/* ---------------------------------------------------------------- stacks for handlers */
static char other[32768] __attribute__((aligned(4096)));
static int is_on_other(void *at) { return (char *)at >= other && (char *)at < other + sizeof other; }
static void set_stack(int flags) {
    stack_t stack = {.ss_sp = other, .ss_size = sizeof other, .ss_flags = flags};
    CHECK(change_stack(&stack, NULL) == 0);
}
static void on_other(int number, siginfo_t *about, void *context) {
    stack_t now, wish = {.ss_sp = other, .ss_size = sizeof other};
    ucontext_t *all = context;
    CHECK(change_stack(NULL, &now) == 0 && about);
    say("signal %d: on it %d, flags %x, frame's %d %x", number, is_on_other(&now), (unsigned)now.ss_flags, all->uc_stack.ss_sp == other, (unsigned)all->uc_stack.ss_flags);
    say_error(", another", change_stack(&wish, NULL));
    siglongjmp(back, 1);
}
static int overflow(volatile char *before) { volatile char frame[4000]; frame[0] = *before; return overflow(frame) + frame[0]; }

static void stacks(void) {
    volatile char start = 1;
    stack_t now, small = {.ss_sp = other, .ss_size = 2047}, strange = {.ss_sp = other, .ss_size = sizeof other, .ss_flags = 4};
    say_error("too small", change_stack(&small, NULL));
    small.ss_size = 2048;
    say_error("small", change_stack(&small, NULL));
    say_error("no such flag", change_stack(&strange, NULL));
    strange.ss_flags = 1;
    say_error("says that it is on it", change_stack(&strange, NULL));
    say_error("nowhere", change_stack((stack_t *)8, NULL));
    say_error("to nowhere", change_stack(NULL, (stack_t *)8));
    catch_with(on_other, SA_ONSTACK);
    for (int i = 0; i < 3; i++) {
        set_stack(0);
        TRY("end of the stack", overflow(&start));
    }
    set_stack(1u << 31);
    TRY("disarmed", overflow(&start));
    CHECK(change_stack(NULL, &now) == 0);
    say("after a jump: flags %x\n", (unsigned)now.ss_flags);
    catch_with(on_other, 0);
    set_stack(0);
    TRY("not asked for", (void)READ(8));
}

/* ---------------------------------------------------------------- blocked, ignored, without room */
static void nothing(int number, siginfo_t *about, void *context) { (void)number, (void)about, (void)context; }
static int blocked_fault(void) { catch_with(nothing, 0); block(SIGSEGV); (void)READ(8); return 0; }
static int ignored_fault(void) { handle(SIGSEGV, SIG_IGN, 0); (void)READ(8); return 0; }
static int blocked_division(void) { catch_with(nothing, 0); block(SIGFPE); __asm__ volatile("xor %%ecx, %%ecx\n div %%ecx" ::: "rax", "rcx", "rdx"); return 0; }
static int ignored_instruction(void) { handle(SIGILL, SIG_IGN, 0); __asm__ volatile("ud2"); return 0; }
static int overflow_without_stack(void) { volatile char start = 1; catch_with(nothing, 0); overflow(&start); return 0; }
static int stack_is_gone(void) { volatile char start = 1; catch_with(nothing, SA_ONSTACK); set_stack(0); CHECK(mprotect(other, sizeof other, PROT_NONE) == 0); overflow(&start); return 0; }
static void fault_again(int number, siginfo_t *about, void *context) { nothing(number, about, context); (void)READ(16); }
static int faults_in_handler(void) { catch_with(fault_again, 0); (void)READ(8); return 0; }
static void in_second(int number) { (void)number; _exit(nr_caught); }
static void fault_other(int number, siginfo_t *about, void *context) { nothing(number, about, context); nr_caught = 7; handle(SIGFPE, in_second, 0); __asm__ volatile("xor %%ecx, %%ecx\n div %%ecx" ::: "rax", "rcx", "rdx"); }
static int other_fault_in_handler(void) { catch_with(fault_other, 0); (void)READ(8); return 0; }
static int sent_while_ignored(void) { handle(SIGSEGV, SIG_IGN, 0); raise(SIGSEGV); return 3; }

static void fatal(void) {
    say_end("blocked", start(blocked_fault));
    say_end("ignored", start(ignored_fault));
    say_end("blocked division", start(blocked_division));
    say_end("ignored instruction", start(ignored_instruction));
    say_end("no stack", start(overflow_without_stack));
    say_end("stack is gone", start(stack_is_gone));
    say_end("in the handler", start(faults_in_handler));
    say_end("another one in the handler", start(other_fault_in_handler));
    say_end("sent while ignored", start(sent_while_ignored));
}

static const struct way ways[] = {WAY(pages), WAY(files), WAY(instructions), WAY(mended), WAY(stacks), WAY(fatal), {NULL, NULL}};
