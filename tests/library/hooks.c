/* The hooks: a lock is taken round each call and its context and state are handed back; a panic reaches its hook.
 *
 * CASE says which panic.
 */
#include "console.h"

static struct incro_kernel state;
static struct incro_start_info_entry regions[MAX_REGIONS];
static int word_of_ours, nr_locked, nr_unlocked, depth;

static uint64_t lock_hook(void *context)
{
    if (context != &word_of_ours || depth != 0)
        end(FAILED);
    depth++;
    nr_locked++;
    return UINT64_C(0x8000000000000000) + (uint64_t)nr_locked;
}

static void unlock_hook(void *context, uint64_t locked)
{
    nr_unlocked++;
    depth--;
    if (context != &word_of_ours || depth != 0 || locked != UINT64_C(0x8000000000000000) + (uint64_t)nr_unlocked)
        end(FAILED);
}

static void count(const char *what, int wanted)
{
    put(what);
    put(nr_locked == wanted && nr_unlocked == wanted ? ": locked\n" : ": not locked\n");
    nr_locked = nr_unlocked = 0;
}

static void panic_of_ours(void *context, const struct incro_panic_report *report)
{
    put(context == &word_of_ours ? "ours\n" : "not ours\n");
    put(report->text[report->nbytes] == 0 ? "ends\n" : "goes on\n");
    panic_hook(context, report);
}

static void panic_that_returns(void *context, const struct incro_panic_report *report)
{
    (void)context;
    (void)report;
    put("returned\n");
}

void kmain(const struct start_info *info);

void kmain(const struct start_info *info)
{
    struct incro_start start = {0};
    start.regions = regions;
    start.nr_regions = list_regions(info, regions);
    start.hooks.context = &word_of_ours;
    start.hooks.panic = panic_of_ours;
    start.hooks.lock = lock_hook;
    start.hooks.unlock = unlock_hook;
#if defined(NO_POOL)
    regions[start.nr_regions].start = INCRO_POOL_START;
    regions[start.nr_regions].nbytes = INCRO_POOL_END - INCRO_POOL_START;
    regions[start.nr_regions++].number = INCRO_REGION_RESERVED;
#elif defined(HEAP_IN_USE)
    uint64_t *root, *level3, *level2;
    __asm__ volatile("mov %%cr3, %0" : "=r"(root));
    level3 = (uint64_t *)(uintptr_t)(root[0] & ~(uint64_t)0xFFF);
    level2 = (uint64_t *)(uintptr_t)(level3[0] & ~(uint64_t)0xFFF);
    level2[(INCRO_HEAP_END >> 21) - 1] = (INCRO_HEAP_END - (1 << 21)) | 0x80 | VMM_PRESENT | VMM_WRITABLE;
#elif defined(HOOK_RETURNS)
    start.hooks.panic = panic_that_returns;
    regions[0].nbytes = 0;
    start.nr_regions = 1;
    put("waits for ever\n");
#endif
    (void)panic_that_returns;
    if (incro_mm_init(&state, &start) != INCRO_OK)
        end(FAILED);
    count("start", 0);
    void *block = kmalloc(100);
    count("kmalloc", 1);
    kfree(block);
    count("kfree", 1);
    pmm_free_page((uint64_t)pmm_alloc_page());
    count("frames", 2);
    (void)vmm_get_physical(0);
    (void)heap_owns(block);
    (void)pmm_address_of(0);
    count("questions", 3);
    end(PASSED);
}
