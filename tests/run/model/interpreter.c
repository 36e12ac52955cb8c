/* Carries out programs of memory operations, and says what each of them did.
 *
 *   interpreter FILE FOLDER digest|text [strict]
 *
 * FILE has programs, as programs.py writes them; FOLDER is where their files are made. Each program runs in a task of
 * its own and begins with an empty arena. `digest` prints a line a program: number, status as of wait4, digest of what
 * it said; `text` prints what it said. `strict` ends with 98 where root could not be given up; 96 is for a limit of locked
 * memory that is too low.
 *
 * What a program says depends on nothing but its operations: addresses are said relative to the arena or to the heap,
 * and what the kernel chose is "elsewhere". It is written to memory that all tasks share, so that one that is killed
 * has said what it did before.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define ARENA 0x1000000000ul /* programs.py says the same */
#define ARENA_PAGES 1024ul
#define HEAP 0x2000000000ul /* stands for where brk began */
#define HEAP_PAGES 64ul
#define AROUND (1ul << 20) /* so far from the arena an address is still said relative to it */
#define MOST_OPERATIONS 1024u
#define NR_SLOTS 8
#define OUTPUT_BYTES (256u << 10)
#define BUFFER_BYTES (16u << 10)
#define CHILD_STATUS 3
#define LOCKED_BYTES (8u << 20) /* that may be locked: Linux's own limit, more than the arena has */
#define SECONDS 30 /* no program takes so long */

enum operation {
    MMAP = 1, MUNMAP, MPROTECT, MREMAP, MADVISE, MLOCK, MUNLOCK, MLOCKALL, MUNLOCKALL, MINCORE, MSYNC, BRK,
    LOAD, STORE, CALL, REPAIR, DIE,
    OPEN, MEMFD, CLOSE, READ, WRITE, PREAD, PWRITE, SEEK, TRUNCATE, ALLOCATE, SIZE, UNLINK,
    FORK, CHILD, END, THREAD, RACE, MAPS, LOCKED,
};

struct step {
    uint16_t code;
    uint16_t unused[3];
    int64_t a[6];
};

struct program {
    uint64_t number;
    uint64_t nr_steps;
};

/* What is known of a page of the arena or the heap. */
struct page {
    uint8_t is_private; /* anonymous and private: mincore tells of this task alone */
    uint8_t is_unknown; /* MADV_FREE: zeros or what was there */
    uint32_t origin; /* pages with equal numbers were mapped, protected and advised together */
};

struct output {
    uint32_t used;
    uint32_t has_shared_files; /* of the program that runs: from then on files have whole pages */
    char text[OUTPUT_BYTES];
};

static struct step steps[MOST_OPERATIONS];
static struct page pages[ARENA_PAGES + HEAP_PAGES];
static uint32_t next_origin = 1;
static struct output *output;
static uint64_t heap, heap_end;
static int slots[NR_SLOTS];
static unsigned char buffer[BUFFER_BYTES] __attribute__((aligned(4096)));
static char alternate[64 << 10];
static __thread sigjmp_buf back;
static __thread volatile int repair; /* 0: a signal ends the access; else how its page is mended */
static __thread volatile int nr_repairs;
static __thread volatile int caught, caught_code;
static __thread volatile uint64_t caught_at;

static void run(unsigned from, unsigned to);

/* ------------------------------------------------------------------ saying */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...) {
    char line[320];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (output->used + length < OUTPUT_BYTES) {
        memcpy(output->text + output->used, line, length);
        output->used += length;
    }
}

static uint64_t mix(uint64_t digest, uint64_t value) { return (digest ^ value) * 0x100000001b3ul; }

static uint64_t digest_of(const unsigned char *at, size_t nbytes) {
    uint64_t digest = 0xcbf29ce484222325ul;
    for (size_t index = 0; index < nbytes; index++)
        digest = mix(digest, at[index]);
    return digest;
}

static unsigned folded(uint64_t digest) { return (unsigned)(digest ^ digest >> 32); }

/* An address relative to what it is in, into a text of 32 bytes. */
static const char *place(char *text, uint64_t at) {
    if (at - (ARENA - AROUND) < ARENA_PAGES * PAGE + 2 * AROUND)
        sprintf(text, at < ARENA ? "a-%lx" : "a+%lx", at < ARENA ? ARENA - at : at - ARENA);
    else if (at - heap < HEAP_PAGES * PAGE)
        sprintf(text, "h+%lx", at - heap);
    else
        sprintf(text, "%lx", at);
    return text;
}

/* What a call gave: a number, or minus an errno. */
static long result_of(long result) { return result == -1 ? -errno : result; }

/* ------------------------------------------------------------------ what is known of pages */
static uint64_t address(int64_t operand) {
    uint64_t at = operand;
    return at - HEAP < 2 * HEAP_PAGES * PAGE ? at - HEAP + heap : at;
}

static int index_of(uint64_t at) {
    if (at - ARENA < ARENA_PAGES * PAGE)
        return (at - ARENA) / PAGE;
    return at - heap < HEAP_PAGES * PAGE ? (int)(ARENA_PAGES + (at - heap) / PAGE) : -1;
}

static uint64_t page_up(uint64_t at) { return (at + PAGE - 1) & -PAGE; }

static int is_sane(uint64_t at, uint64_t nbytes) { return index_of(at) >= 0 && nbytes <= 2 * ARENA_PAGES * PAGE; }

static void note(uint64_t start, uint64_t nbytes, int is_private, int is_mapped) {
    for (uint64_t at = start; is_sane(start, nbytes) && at < page_up(start + nbytes); at += PAGE)
        if (index_of(at) >= 0)
            pages[index_of(at)] = (struct page){is_private, 0, is_mapped ? next_origin : 0};
    next_origin++;
}

/* The pages are treated apart from others from now on. */
static void note_change(uint64_t start, uint64_t nbytes) {
    for (uint64_t at = start & -PAGE; is_sane(start, nbytes) && at < page_up(start + nbytes); at += PAGE)
        if (index_of(at) >= 0)
            pages[index_of(at)].origin += pages[index_of(at)].origin != 0 ? next_origin << 16 : 0;
    next_origin++;
}

static void note_unknown(uint64_t start, uint64_t nbytes, int is_unknown) {
    for (uint64_t at = start; is_sane(start, nbytes) && at < page_up(start + nbytes); at += PAGE)
        if (index_of(at) >= 0)
            pages[index_of(at)].is_unknown = is_unknown;
}

static int is_unknown(uint64_t start, uint64_t nbytes) {
    for (uint64_t at = start & -PAGE; is_sane(start, nbytes) && at < start + nbytes; at += PAGE)
        if (index_of(at) >= 0 && pages[index_of(at)].is_unknown)
            return 1;
    return 0;
}

static void note_move(uint64_t from, uint64_t nbytes, uint64_t to, uint64_t new_bytes, int stays) {
    static struct page moved[ARENA_PAGES];
    uint64_t nr_pages = page_up(nbytes) / PAGE;
    struct page first = {0};
    for (uint64_t index = 0; index < nr_pages && index < ARENA_PAGES; index++) {
        int at = index_of(from + index * PAGE);
        moved[index] = at >= 0 ? pages[at] : (struct page){0};
        if (index == 0)
            first = moved[0];
        if (at >= 0)
            pages[at] = stays ? (struct page){moved[index].is_private, 0, moved[index].origin} : (struct page){0};
    }
    first.is_unknown = 0;
    for (uint64_t index = 0; index < page_up(new_bytes) / PAGE && index < ARENA_PAGES; index++)
        if (index_of(to + index * PAGE) >= 0)
            pages[index_of(to + index * PAGE)] = index < nr_pages ? moved[index] : first;
    if (to != from)
        note_change(to, new_bytes);
}

/* Whether a range may be of several of Linux's: versions of Linux differ in what mremap does then, and ours join what
 * Linux keeps apart. */
static int is_of_several(uint64_t start, uint64_t nbytes, int is_move) {
    uint32_t origin = 0;
    for (uint64_t at = start; is_sane(start, nbytes) && at < page_up(start + nbytes); at += PAGE) {
        uint32_t found = index_of(at) >= 0 ? pages[index_of(at)].origin : 0;
        if ((found == 0 && is_move) || (found != 0 && origin != 0 && found != origin))
            return 1;
        origin = found != 0 ? found : origin;
    }
    return 0;
}

/* ------------------------------------------------------------------ calls on memory */
static int descriptor(int64_t slot) { return slot >= 0 && slot < NR_SLOTS ? slots[slot] : slot == -1 ? -1 : 1000; }

static void say_mapped(unsigned at, uint64_t result) {
    char text[32];
    if (result > -4096ul)
        say("%u %ld\n", at, (long)result);
    else
        say("%u %s\n", at, index_of(result) >= 0 ? place(text, result) : "elsewhere");
}

/* What a shared mapping writes behind the end of a file is not said to be zeros later in all versions of Linux. So files
 * of programs with such mappings have no bytes behind their ends. */
static void make_whole(int64_t slot) {
    struct stat told;
    if (output->has_shared_files && fstat(descriptor(slot), &told) == 0 && told.st_size % PAGE != 0)
        (void)!ftruncate(descriptor(slot), page_up(told.st_size));
}

static void do_mmap(unsigned at, const int64_t *a) {
    if ((a[3] & MAP_SHARED) && !(a[3] & MAP_ANONYMOUS)) {
        output->has_shared_files = 1;
        make_whole(a[4]);
    }
    uint64_t result = syscall(SYS_mmap, address(a[0]), a[1], a[2], a[3], descriptor(a[4]), a[5]);
    if (result == -1ul)
        result = -errno;
    say_mapped(at, result);
    if (result > -4096ul)
        return;
    if (index_of(result) >= 0)
        note(result, a[1], (a[3] & 0xF) == MAP_PRIVATE && (a[3] & MAP_ANONYMOUS), 1);
    else
        syscall(SYS_munmap, result, a[1]);
}

static void do_mremap(unsigned at, const int64_t *a) {
    uint64_t from = address(a[0]), to = address(a[4]);
    if (is_of_several(from, a[1], (a[3] & MREMAP_FIXED) && page_up(a[1]) == page_up(a[2]))) {
        say("%u several\n", at);
        return;
    }
    uint64_t result = syscall(SYS_mremap, from, a[1], a[2], a[3], to);
    if (result == -1ul)
        result = -errno;
    say_mapped(at, result);
    if (result > -4096ul)
        return;
    int stays = (a[3] & MREMAP_DONTUNMAP) != 0;
    if (index_of(result) < 0) {
        if (a[5]) {
            uint64_t again = syscall(SYS_mremap, result, a[2], a[2], MREMAP_MAYMOVE | MREMAP_FIXED, to);
            say_mapped(at, again == -1ul ? (uint64_t)-errno : again);
            if (again == to)
                note_move(from, a[1], to, a[2], stays);
            result = again == -1ul ? result : again;
        }
        if (index_of(result) < 0) {
            syscall(SYS_munmap, result, a[2]);
            note_move(from, a[1], 0, 0, stays);
        }
    } else if (a[1] == 0) {
        note(result, a[2], 0, 1);
    } else if (result != from) {
        note_move(from, a[1], result, a[2], stays);
    } else if (page_up(a[2]) < page_up(a[1])) {
        note(from + page_up(a[2]), page_up(a[1]) - page_up(a[2]), 0, 0);
    } else {
        note_move(from, a[1], from, a[2], 0);
    }
}

static void do_madvise(unsigned at, const int64_t *a) {
    long result = result_of(syscall(SYS_madvise, address(a[0]), a[1], a[2]));
    say("%u %ld\n", at, result);
    if (a[2] == MADV_FREE)
        note_unknown(address(a[0]), a[1], 1);
    else if (a[2] == MADV_DONTNEED && result == 0)
        note_unknown(address(a[0]), a[1], 0);
    else
        note_change(address(a[0]), a[1]);
}

static void do_mincore(unsigned at, const int64_t *a) {
    static unsigned char found[ARENA_PAGES];
    char line[ARENA_PAGES + 1];
    uint64_t start = address(a[0]), nr_pages = page_up(a[1]) / PAGE;
    long result = result_of(syscall(SYS_mincore, start, a[1], found));
    if (result != 0 || nr_pages > 256) {
        say("%u %ld\n", at, result);
        return;
    }
    for (uint64_t index = 0; index < nr_pages; index++) {
        int page = index_of(start + index * PAGE);
        int is_told = page >= 0 && pages[page].is_private && !pages[page].is_unknown;
        line[index] = is_told ? '0' + (found[index] & 1) : '.';
    }
    line[nr_pages] = 0;
    say("%u %s\n", at, line);
}

static void do_brk(unsigned at, const int64_t *a) {
    char text[32];
    uint64_t found = syscall(SYS_brk, heap + a[0]);
    say("%u %s\n", at, place(text, found));
    if (found > heap_end)
        note(page_up(heap_end), page_up(found) - page_up(heap_end), 1, 1);
    else
        note(page_up(found), page_up(heap_end) - page_up(found), 0, 0);
    heap_end = found;
}

/* ------------------------------------------------------------------ accesses */
static void on_signal(int number, siginfo_t *info, void *context) {
    (void)context;
    uint64_t at = (uint64_t)info->si_addr;
    if (repair != 0 && nr_repairs < 4) {
        uint64_t page = at & -PAGE;
        nr_repairs++;
        long result = repair == 1
            ? syscall(SYS_mmap, page, PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
            : syscall(SYS_mprotect, page, PAGE, 3);
        if (result != -1) {
            if (repair == 1)
                note(page, PAGE, 1, 1);
            else
                note_change(page, PAGE);
            return;
        }
    }
    caught = number;
    caught_code = info->si_code;
    caught_at = at;
    siglongjmp(back, 1);
}

static void handle(void (*handler)(int, siginfo_t *, void *)) {
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
    if (handler != NULL)
        action.sa_sigaction = handler;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

static void say_signal(void) {
    char text[32];
    say(" S%d.%d %s", caught, caught_code, place(text, caught_at));
}

static volatile uint64_t seen; /* what was loaded before a fault */

/* Accesses through RAX: one through RBP is of the stack segment, which has signals of its own. */
static uint64_t load_word(uint64_t from) {
    uint64_t value;
    __asm__ volatile("movq (%%rax), %0" : "=r"(value) : "a"(from) : "memory");
    return value;
}

static uint8_t load_byte(uint64_t from) {
    uint8_t value;
    __asm__ volatile("movb (%%rax), %0" : "=q"(value) : "a"(from) : "memory");
    return value;
}

static void store_word(uint64_t to, uint64_t value) {
    __asm__ volatile("movq %0, (%%rax)" : : "r"(value), "a"(to) : "memory");
}

static void store_byte(uint64_t to, uint8_t value) {
    __asm__ volatile("movb %0, (%%rax)" : : "q"(value), "a"(to) : "memory");
}

static int is_word(uint64_t at, uint64_t rest) { return at % 8 == 0 && rest >= 8; }

static void do_load(unsigned at, const int64_t *a) {
    uint64_t start = address(a[0]), nbytes = a[1];
    int is_hidden = is_unknown(start, 1);
    say("%u", at);
    seen = 0xcbf29ce484222325ul;
    if (sigsetjmp(back, 0) == 0) {
        for (uint64_t done = 0; done < nbytes; done += is_word(start + done, nbytes - done) ? 8 : 1) {
            uint64_t from = start + done;
            if (from % PAGE == 0)
                is_hidden = is_unknown(from, 1);
            uint64_t value = is_word(from, nbytes - done) ? load_word(from) : load_byte(from);
            seen = mix(seen, is_hidden ? 1 : value);
        }
    } else {
        say_signal();
    }
    say(" %x\n", folded(seen));
}

static void do_store(unsigned at, const int64_t *a) {
    uint64_t start = address(a[0]), nbytes = a[1], value = a[2] * 0x9e3779b97f4a7c15ul;
    say("%u", at);
    if (sigsetjmp(back, 0) == 0) {
        for (uint64_t done = 0; done < nbytes; done += is_word(start + done, nbytes - done) ? 8 : 1) {
            uint64_t to = start + done;
            if (is_word(to, nbytes - done))
                store_word(to, value);
            else
                store_byte(to, value >> 56);
            value += 0x0123456789abcdeful;
        }
    } else {
        say_signal();
        say("\n");
        return;
    }
    for (uint64_t page = page_up(start); page + PAGE <= start + nbytes; page += PAGE)
        note_unknown(page, PAGE, 0);
    say(" ok\n");
}

/* Calls what is there, if that is a `ret`. */
static void do_call(unsigned at, const int64_t *a) {
    uint64_t start = address(a[0]);
    say("%u", at);
    if (sigsetjmp(back, 0) == 0) {
        if (a[1])
            store_byte(start, 0xC3);
        if (!is_unknown(start, 1) && load_byte(start) == 0xC3) {
            ((void (*)(void))start)();
            say(" called");
        }
    } else {
        say_signal();
    }
    say("\n");
}

/* A touch whose handler mends what was wrong. */
static void do_repair(unsigned at, const int64_t *a) {
    uint64_t start = address(a[0]);
    say("%u", at);
    nr_repairs = 0;
    if (sigsetjmp(back, 0) == 0) {
        repair = a[1];
        if (a[2])
            store_byte(start, a[2]);
        int value = load_byte(start);
        repair = 0;
        say(" %d", is_unknown(start, 1) ? -1 : value);
    } else {
        repair = 0;
        say_signal();
    }
    say(" after %d\n", nr_repairs);
}

static void do_die(unsigned at, const int64_t *a) {
    uint64_t start = address(a[0]);
    handle(NULL);
    if (a[1])
        store_byte(start, 1);
    else
        load_byte(start);
    handle(on_signal);
    say("%u lives\n", at);
}

/* ------------------------------------------------------------------ files */
static void do_open(unsigned at, const int64_t *a) {
    char name[] = "file.x";
    name[5] = 'a' + a[1];
    int slot = a[0] & (NR_SLOTS - 1);
    int made = open(name, a[2], 0600);
    long result = result_of(made);
    if (made >= 0) {
        if (slots[slot] >= 0)
            close(slots[slot]);
        slots[slot] = made;
        result = 0;
    }
    say("%u %ld\n", at, result);
}

static void do_memfd(unsigned at, const int64_t *a) {
    int slot = a[0] & (NR_SLOTS - 1);
    int made = syscall(SYS_memfd_create, "m", a[1]);
    long result = result_of(made);
    if (made >= 0) {
        if (slots[slot] >= 0)
            close(slots[slot]);
        slots[slot] = made;
        result = 0;
    }
    say("%u %ld\n", at, result);
}

static void do_close(unsigned at, const int64_t *a) {
    int slot = a[0] & (NR_SLOTS - 1);
    say("%u %ld\n", at, slots[slot] < 0 ? 0 : result_of(close(slots[slot])));
    slots[slot] = -1;
}

static void do_read(unsigned at, const int64_t *a) {
    size_t nbytes = a[1] < BUFFER_BYTES ? a[1] : BUFFER_BYTES;
    long result = result_of(read(descriptor(a[0]), buffer, nbytes));
    say("%u %ld %x\n", at, result, result > 0 ? folded(digest_of(buffer, result)) : 0);
}

static void do_write(unsigned at, const int64_t *a) {
    size_t nbytes = a[1] < BUFFER_BYTES ? a[1] : BUFFER_BYTES;
    for (size_t index = 0; index < nbytes; index++)
        buffer[index] = a[2] + index * 7;
    say("%u %ld\n", at, result_of(write(descriptor(a[0]), buffer, nbytes)));
    make_whole(a[0]);
}

static void do_pread(unsigned at, const int64_t *a) {
    uint64_t to = address(a[1]);
    long result = result_of(syscall(SYS_pread64, descriptor(a[0]), to, a[2], a[3]));
    for (uint64_t page = page_up(to); result > 0 && page + PAGE <= to + result; page += PAGE)
        note_unknown(page, PAGE, 0);
    say("%u %ld\n", at, result);
}

/* A write behind the end of which no byte can be had: versions of Linux differ in whether the file grows. */
static int is_gap_alone(const int64_t *a) {
    struct stat told;
    if (fstat(descriptor(a[0]), &told) != 0 || told.st_size >= a[3])
        return 0;
    if (sigsetjmp(back, 0) != 0)
        return 1;
    load_byte(address(a[1]));
    return 0;
}

static void do_pwrite(unsigned at, const int64_t *a) {
    uint64_t from = address(a[1]);
    if (is_unknown(from, a[2]))
        say("%u unknown\n", at);
    else if (is_gap_alone(a))
        say("%u gap\n", at);
    else
        say("%u %ld\n", at, result_of(syscall(SYS_pwrite64, descriptor(a[0]), from, a[2], a[3])));
    make_whole(a[0]);
}

static void do_size(unsigned at, const int64_t *a) {
    struct stat told;
    long result = result_of(fstat(descriptor(a[0]), &told));
    if (result == 0)
        say("%u %ld links %ld mode %o\n", at, (long)told.st_size, (long)told.st_nlink, told.st_mode);
    else
        say("%u %ld\n", at, result);
}

static void do_unlink(unsigned at, const int64_t *a) {
    char name[] = "file.x";
    name[5] = 'a' + a[0];
    say("%u %ld\n", at, result_of(unlink(name)));
}

/* ------------------------------------------------------------------ what /proc says */
/* Lines of maps over the arena, those that continue another put together. */
static void do_maps(unsigned at) {
    static char text[64 << 10];
    int file = open("/proc/self/maps", O_RDONLY);
    size_t used = 0;
    long got;
    while (file >= 0 && used < sizeof text - 1 && (got = read(file, text + used, sizeof text - 1 - used)) > 0)
        used += got;
    close(file);
    text[used] = 0;
    uint64_t last_start = 0, last_end = 0;
    char last[5] = "";
    say("%u", at);
    for (char *line = text; *line != 0; line = strchr(line, '\n') + 1) {
        unsigned long start, end;
        char rights[5];
        if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) != 3 || strchr(line, '\n') == NULL)
            break;
        if (index_of(start) < 0 || start < ARENA || start >= ARENA + ARENA_PAGES * PAGE)
            continue;
        if (start != last_end || strcmp(rights, last) != 0) {
            if (last_end != 0)
                say(" %lx-%lx %s", last_start - ARENA, last_end - ARENA, last);
            last_start = start;
            strcpy(last, rights);
        }
        last_end = end;
    }
    if (last_end != 0)
        say(" %lx-%lx %s", last_start - ARENA, last_end - ARENA, last);
    say("\n");
}

/* What is locked, in KiB. */
static void do_locked(unsigned at) {
    char text[4096];
    int file = open("/proc/self/status", O_RDONLY);
    long got = read(file, text, sizeof text - 1);
    close(file);
    text[got > 0 ? got : 0] = 0;
    char *line = strstr(text, "VmLck:");
    say("%u %d\n", at, line != NULL ? atoi(line + 6) : -1);
}

/* ------------------------------------------------------------------ tasks */
/* Where the part that begins there ends: at its CHILD or END, or at the end of all. */
static unsigned end_of_part(unsigned from, unsigned to) {
    int depth = 0;
    for (; from < to; from++) {
        int code = steps[from].code;
        if (depth == 0 && (code == CHILD || code == END))
            return from;
        depth += code == FORK || code == THREAD ? 1 : code == END ? -1 : 0;
    }
    return to;
}

/* What fork copies of pages that were only read is the kernel's own business. */
static void forget_residents(void) {
    for (size_t index = 0; index < ARENA_PAGES + HEAP_PAGES; index++)
        pages[index].is_private = 0;
}

/* FORK, what the parent does while the child waits, CHILD, what the child does while the parent waits, END. */
static unsigned do_fork(unsigned at, unsigned to) {
    unsigned middle = end_of_part(at + 1, to);
    unsigned from = middle < to && steps[middle].code == CHILD ? middle + 1 : middle;
    unsigned end = end_of_part(from, to);
    int gate[2], status = 0;
    char byte = 0;
    if (pipe(gate) != 0) {
        say("%u no pipe\n", at);
        return end;
    }
    pid_t child = fork();
    if (child == 0) {
        close(gate[1]);
        if (read(gate[0], &byte, 1) != 1)
            _exit(4);
        close(gate[0]);
        forget_residents();
        run(from, end);
        _exit(CHILD_STATUS);
    }
    say("%u %s\n", at, child > 0 ? "forked" : "not forked");
    close(gate[0]);
    run(at + 1, middle);
    if (write(gate[1], &byte, 1) != 1)
        say("%u nobody waits\n", at);
    close(gate[1]);
    if (child > 0) {
        long result = waitpid(child, &status, 0) == child ? 0 : -errno;
        say("%u waited %ld %x\n", at, result, status);
    }
    return end < to && steps[end].code == END ? end + 1 : end;
}

struct part {
    unsigned from, to;
};

static void *run_part(void *argument) {
    struct part *part = argument;
    say("%u thread\n", part->from - 1);
    run(part->from, part->to);
    return NULL;
}

static unsigned do_thread(unsigned at, unsigned to) {
    struct part part = {at + 1, end_of_part(at + 1, to)};
    pthread_t thread;
    int code = pthread_create(&thread, NULL, run_part, &part);
    if (code == 0)
        pthread_join(thread, NULL);
    else
        say("%u no thread: %d\n", at, code);
    return part.to < to && steps[part.to].code == END ? part.to + 1 : part.to;
}

struct touches {
    uint64_t start, nr_pages;
    int byte;
    int nr_signals;
};

static void *touch_all(void *argument) {
    struct touches *touches = argument;
    for (volatile uint64_t index = 0; index < touches->nr_pages; index++)
        if (sigsetjmp(back, 0) == 0)
            *(volatile uint8_t *)(touches->start + index * PAGE + touches->byte) = touches->byte;
        else
            touches->nr_signals++;
    return NULL;
}

/* Two threads write to the same pages, each a byte of its own. */
static void do_race(unsigned at, const int64_t *a) {
    struct touches both[2] = {{address(a[0]), a[1], 17, 0}, {address(a[0]), a[1], 3000, 0}};
    pthread_t thread;
    int code = pthread_create(&thread, NULL, touch_all, &both[1]);
    touch_all(&both[0]);
    if (code == 0)
        pthread_join(thread, NULL);
    say("%u %d and %d\n", at, both[0].nr_signals, code == 0 ? both[1].nr_signals : -1);
}

/* ------------------------------------------------------------------ all together */
static void do_plain(unsigned at, int code, const int64_t *a) {
    long result = 0;
    uint64_t start = address(a[0]);
    switch (code) {
    case MUNMAP:
        result = result_of(syscall(SYS_munmap, start, a[1]));
        if (result == 0)
            note(start, a[1], 0, 0);
        break;
    case MPROTECT:
        result = result_of(syscall(SYS_mprotect, start, a[1], a[2]));
        note_change(start, a[1]);
        break;
    case MLOCK:
        result = result_of(a[2] < 0 ? syscall(SYS_mlock, start, a[1]) : syscall(SYS_mlock2, start, a[1], a[2]));
        note_change(start, a[1]);
        break;
    case MUNLOCK:
        result = result_of(syscall(SYS_munlock, start, a[1]));
        note_change(start, a[1]);
        break;
    case MLOCKALL: result = result_of(syscall(SYS_mlockall, a[0])); break;
    case MUNLOCKALL: result = result_of(syscall(SYS_munlockall)); break;
    case MSYNC: result = result_of(syscall(SYS_msync, start, a[1], a[2])); break;
    case SEEK: result = result_of(lseek(descriptor(a[0]), a[1], a[2])); break;
    case TRUNCATE: result = result_of(ftruncate(descriptor(a[0]), a[1])); break;
    case ALLOCATE: result = result_of(syscall(SYS_fallocate, descriptor(a[0]), a[1], a[2], a[3])); break;
    default: return;
    }
    if (code == TRUNCATE || code == ALLOCATE)
        make_whole(a[0]);
    say("%u %ld\n", at, result);
}

static void do_simple(unsigned at, int code, const int64_t *a) {
    switch (code) {
    case MMAP: do_mmap(at, a); break;
    case MREMAP: do_mremap(at, a); break;
    case MADVISE: do_madvise(at, a); break;
    case MINCORE: do_mincore(at, a); break;
    case BRK: do_brk(at, a); break;
    case LOAD: do_load(at, a); break;
    case STORE: do_store(at, a); break;
    case CALL: do_call(at, a); break;
    case REPAIR: do_repair(at, a); break;
    case DIE: do_die(at, a); break;
    case OPEN: do_open(at, a); break;
    case MEMFD: do_memfd(at, a); break;
    case CLOSE: do_close(at, a); break;
    case READ: do_read(at, a); break;
    case WRITE: do_write(at, a); break;
    case PREAD: do_pread(at, a); break;
    case PWRITE: do_pwrite(at, a); break;
    case SIZE: do_size(at, a); break;
    case UNLINK: do_unlink(at, a); break;
    case RACE: do_race(at, a); break;
    case MAPS: do_maps(at); break;
    case LOCKED: do_locked(at); break;
    default: do_plain(at, code, a);
    }
}

static void run(unsigned from, unsigned to) {
    while (from < to) {
        int code = steps[from].code;
        if (code == FORK) {
            from = do_fork(from, to);
        } else if (code == THREAD) {
            from = do_thread(from, to);
        } else {
            do_simple(from, code, steps[from].a);
            from++;
        }
    }
}

static void begin(unsigned nr_steps) {
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    sigaltstack(&stack, NULL);
    handle(on_signal);
    for (int slot = 0; slot < NR_SLOTS; slot++)
        slots[slot] = -1;
    heap = page_up(syscall(SYS_brk, 0));
    heap_end = syscall(SYS_brk, heap);
    alarm(SECONDS);
    run(0, nr_steps);
    _exit(0);
}

static void give_up_root(int is_strict) {
    struct rlimit locked = {LOCKED_BYTES, LOCKED_BYTES};
    if (setrlimit(RLIMIT_MEMLOCK, &locked) != 0)
        _exit(96);
    if (geteuid() == 0) {
        int code = setgroups(0, NULL) | setresgid(65534, 65534, 65534) | setresuid(65534, 65534, 65534);
        if (is_strict && (code != 0 || geteuid() == 0))
            _exit(98);
    }
    prctl(PR_SET_DUMPABLE, 1);
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

static void must(int is_so, const char *what) {
    if (!is_so) {
        dprintf(2, "interpreter: %s: %s\n", what, strerror(errno));
        _exit(97);
    }
}

static void put(const char *text, size_t nbytes) {
    for (size_t done = 0; done < nbytes;) {
        long some = write(1, text + done, nbytes - done);
        must(some > 0, "write");
        done += some;
    }
}

static void run_program(const struct program *program, int is_digest) {
    int status = 0;
    output->used = output->has_shared_files = 0;
    pid_t child = fork();
    must(child >= 0, "fork");
    if (child == 0)
        begin(program->nr_steps);
    must(waitpid(child, &status, 0) == child, "wait");
    char line[64], name[] = "file.x";
    for (name[5] = 'a'; name[5] < 'e'; name[5]++)
        unlink(name);
    if (!is_digest)
        put(output->text, output->used);
    unsigned digest = folded(digest_of((unsigned char *)output->text, output->used));
    int length = snprintf(line, sizeof line, "%lu %x %08x\n", program->number, status, digest);
    put(line, length);
}

int main(int argc, char **argv) {
    must(argc >= 4, "FILE FOLDER digest|text [strict]");
    int file = open(argv[1], O_RDONLY);
    must(file >= 0, argv[1]);
    must(chdir(argv[2]) == 0, argv[2]);
    give_up_root(argc > 4);
    umask(0);
    output = mmap(NULL, sizeof *output, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(output != MAP_FAILED, "mmap");
    void *arena = mmap((void *)(ARENA - AROUND), ARENA_PAGES * PAGE + 2 * AROUND, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    must(arena == (void *)(ARENA - AROUND), "the arena");
    munmap(arena, ARENA_PAGES * PAGE + 2 * AROUND);
    struct program program;
    while (read(file, &program, sizeof program) == sizeof program) {
        long nbytes = program.nr_steps * sizeof *steps;
        must(program.nr_steps <= MOST_OPERATIONS && read(file, steps, nbytes) == nbytes, "a program");
        run_program(&program, strcmp(argv[3], "digest") == 0);
    }
    return 0;
}
