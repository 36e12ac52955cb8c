/* A panic while the lock is held, by LOST_PAGE, OVERRUN or DOUBLE_FREE, whose hook calls the library: AGAIN, it panics itself. */
#include "console.h"

#define ADDRESS UINT64_C(0x000FFFFFFFFFF000)

static struct incro_kernel state;
static struct incro_start_info_entry regions[MAX_REGIONS];
static int depth;
static char *block;

static void say(const char *what, bool is_so)
{
    put(what);
    put(is_so ? ": yes\n" : ": no\n");
}

/* A lock that would hang where it is held already, and an unlock that knows no other call's word. */
static uint64_t lock_hook(void *context)
{
    (void)context;
    if (depth++ != 0) {
        put("hangs\n");
        end(FAILED);
    }
    return 7;
}

static void unlock_hook(void *context, uint64_t taken)
{
    (void)context;
    if (--depth != 0 || taken != 7) {
        put("released twice\n");
        end(FAILED);
    }
}

static bool are_interrupts_on(void)
{
    uint64_t flags;
    __asm__ volatile("pushfq; pop %0" : "=r"(flags));
    return (flags & 0x200) != 0;
}

static bool is_equal(const char *text, const char *other)
{
    while (*text != 0 && *text == *other)
        text++, other++;
    return *text == *other;
}

static void panic_that_asks(void *context, const struct incro_panic_report *report)
{
    (void)context;
    char kept[200];
    for (uint64_t index = 0; index <= report->nbytes; index++)
        kept[index] = report->text[index];
    say("in a call", depth == 1 && !are_interrupts_on());
#if defined(AGAIN)
    put("panics again\n");
    kfree(block);
    put("goes on\n");
#endif
    char *other = kmalloc(300);
    say("kmalloc", other != NULL);
    other[0] = other[299] = 1;
    say("kfree", kfree(other) == INCRO_OK);
    int64_t frame = pmm_alloc_page();
    say("frames", frame >= 0 && pmm_free_page((uint64_t)frame) == INCRO_OK && pmm_nr_free_frames() > 0);
    say("pages", vmm_map_page(UINT64_C(0x5000000000), 0xB8000, VMM_PRESENT) == INCRO_OK);
    say("checkers", pmm_check() == INCRO_OK && vmm_check() >= 0 && heap_check() >= 0);
    say("the same report", is_equal(kept, report->text) && depth == 1);
    end(PANIC);
}

#if defined(LOST_PAGE)
/* Take a page away behind the library's back, which panics when it gives it back. */
static void lose_page(uint64_t va)
{
    uint64_t root;
    __asm__ volatile("mov %%cr3, %0" : "=r"(root));
    uint64_t *table = (uint64_t *)pmm_address_of(root & ADDRESS);
    for (int shift = 39; shift > 12; shift -= 9)
        table = (uint64_t *)pmm_address_of(table[va >> shift & 511] & ADDRESS);
    table[va >> 12 & 511] = 0;
    __asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}
#endif

void kmain(const struct start_info *info);

void kmain(const struct start_info *info)
{
    struct incro_start start = {0};
    start.regions = regions;
    start.nr_regions = list_regions(info, regions);
    start.hooks.panic = panic_that_asks;
    start.hooks.lock = lock_hook;
    start.hooks.unlock = unlock_hook;
    if (incro_mm_init(&state, &start) != INCRO_OK)
        end(FAILED);
#if defined(LOST_PAGE)
    block = vmalloc(0x4000);
    lose_page((uint64_t)(uintptr_t)block + 0x2000);
    vfree(block);
#elif defined(OVERRUN)
    block = kmalloc(104);
    void *behind = kmalloc(104);
    for (int index = 104; index < 120; index++)
        block[index] = 'A';
    kfree(block);
    kfree(behind);
#else
    block = kmalloc(100);
    kfree(block);
    kfree(block);
#endif
    put("no panic\n");
    end(PASSED);
}
