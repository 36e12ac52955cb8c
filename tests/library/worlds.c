/* Memory as other boot code leaves it, and all of it used up: DIRECT_MAP, IDENTITY, READ_ONLY_ZONE, or as boot.S has it.
 */
#include "console.h"

enum { PAGE_BYTES = 4096, MIB = 1 << 20, LARGE = 0x80 };

#define ADDRESS UINT64_C(0x000FFFFFFFFFF000)

static struct incro_kernel state;
static struct incro_start_info_entry regions[MAX_REGIONS];
#if defined(DIRECT_MAP)
static uint64_t upper[512] __attribute__((aligned(4096)));
static uint64_t lower[512] __attribute__((aligned(4096)));
#endif

static uint64_t *table_of(uint64_t entry)
{
    return (uint64_t *)(uintptr_t)(entry & ADDRESS);
}

static uint64_t *root_table(void)
{
    uint64_t cr3;
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    return table_of(cr3);
}

static struct incro_start start;

/* Change the tables of boot.S into those of this case, and say so to the library. */
static void make_world(void)
{
    uint64_t *root = root_table();
    uint64_t *level2 = table_of(table_of(root[0])[0]);
    (void)level2;
#if defined(DIRECT_MAP)
    /* As Limine leaves it: memory from the start of the upper half on, where the library has its own direct map. */
    root[256] = (uint64_t)(uintptr_t)upper | VMM_PRESENT | VMM_WRITABLE;
    upper[0] = (uint64_t)(uintptr_t)lower | VMM_PRESENT | VMM_WRITABLE;
    for (uint64_t index = 0; index < 512; index++)
        lower[index] = index * 2 * MIB | LARGE | VMM_PRESENT | VMM_WRITABLE | VMM_NX;
    start.window = UINT64_C(0xFFFF800000000000);
#elif defined(IDENTITY)
    for (uint64_t index = 1; index < 128; index++)
        level2[index] = index * 2 * MIB | LARGE | VMM_PRESENT | VMM_WRITABLE | VMM_NX;
#elif defined(READ_ONLY_ZONE)
    level2[3] = 3 * 2 * MIB | LARGE | VMM_PRESENT | VMM_NX;
#endif
}

#if defined(DIRECT_MAP)
/* Call a function on the same stack where the direct map shows it. */
void call_above(void (*function)(void));
__asm__(".text\n"
        "call_above:\n"
        "    movabs $0xFFFF800000000000, %rax\n"
        "    add %rax, %rsp\n"
        "    call *%rdi\n"
        "    movabs $0xFFFF800000000000, %rax\n"
        "    sub %rax, %rsp\n"
        "    ret\n");
#else
static void call_above(void (*function)(void))
{
    function();
}
#endif

static void say(const char *what, bool is_so)
{
    put(what);
    put(is_so ? ": yes\n" : ": no\n");
}

static bool is_all_right(void)
{
    return heap_check() == INCRO_OK && pmm_check() == INCRO_OK && vmm_check() == INCRO_OK;
}

/* Blocks until there are none, kept in a list through their first words. */
static void **take_all_blocks(size_t nbytes, int64_t *nr_blocks)
{
    void **last = NULL;
    *nr_blocks = 0;
    for (void **block; (block = kmalloc(nbytes)) != NULL; last = block) {
        *block = last;
        ++*nr_blocks;
    }
    return last;
}

static bool give_back(void **last)
{
    while (last != NULL) {
        void **before = *last;
        if (kfree(last) != INCRO_OK)
            return false;
        last = before;
    }
    return true;
}

static void use_up_the_heap(size_t nbytes)
{
    int64_t used = heap_used_bytes(), first, second;
    void **blocks = take_all_blocks(nbytes, &first);
    say("blocks", first > 10 && is_all_right());
    say("all back", give_back(blocks) && heap_used_bytes() == used && is_all_right());
    blocks = take_all_blocks(nbytes, &second);
    say("as many again", second >= first);
    say("all back", give_back(blocks) && is_all_right());
    heap_shrink();
}

static void use_up_the_frames(void)
{
    int64_t free_before = pmm_nr_free_frames(), nr_frames = 0, last = -1;
    for (int64_t frame; (frame = pmm_alloc_page()) >= 0; last = frame) {
        *(int64_t *)pmm_address_of((uint64_t)frame) = last;
        nr_frames++;
    }
    say("frames", nr_frames == free_before && pmm_nr_free_frames() == 0);
    say("no table", vmm_map_page(UINT64_C(0x600000000000), 0xB8000, VMM_PRESENT) == INCRO_NO_FRAME || INCRO_MM_CLASSIC);
    say("a block where the heap has kept its frames", (kmalloc(200000) != NULL) == INCRO_MM_CLASSIC);
    while (last >= 0) {
        int64_t before = *(int64_t *)pmm_address_of((uint64_t)last);
        if (pmm_free_page((uint64_t)last) != INCRO_OK)
            end(FAILED);
        last = before;
    }
    say("all back", pmm_nr_free_frames() == free_before && is_all_right());
}

/* Of the first 2 MiB, what is no RAM is seen where it was, with what it was allowed: this kernel, and VGA text. */
static bool is_rest_seen(void)
{
#if defined(DIRECT_MAP)
    const uint64_t places[] = {(uint64_t)(uintptr_t)image_start, (uint64_t)(uintptr_t)&state, 0xB8000, 0xFEC00000};
    for (int index = 0; index < 3; index++)
        if (vmm_get_physical(UINT64_C(0xFFFF800000000000) + places[index]) != (int64_t)places[index])
            return false;
    return vmm_get_physical(UINT64_C(0xFFFF800000000000) + places[3]) == INCRO_NOT_MAPPED;
#else
    return true;
#endif
}

static void use_up_memory(void)
{
    if (incro_mm_init(&state, &start) != INCRO_OK)
        end(FAILED);
    say("checks", is_all_right());
    say("what is no RAM", is_rest_seen());
    use_up_the_heap(100);
    use_up_the_heap(5000);
    use_up_the_frames();
    int64_t used = heap_used_bytes();
    say("a block still", kfree(kmalloc(100)) == INCRO_OK && heap_used_bytes() == used);
}

void kmain(const struct start_info *info);

void kmain(const struct start_info *info)
{
    start.regions = regions;
    start.nr_regions = list_regions(info, regions);
    start.hooks.panic = panic_hook;
    make_world();
    call_above(use_up_memory);
    end(PASSED);
}
