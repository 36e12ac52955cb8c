/* A kernel of processes: many roots that share the upper half of the library's, with heap and ranges used under each. */
#include "console.h"

enum { NR_ROOTS = 6, NR_BLOCKS = 200, NR_STEPS = 20000, ENTRIES = 512, FIRST_SHARED = 256 };

#define ADDRESS UINT64_C(0x000FFFFFFFFFF000)

static struct incro_kernel state;
static struct incro_start_info_entry regions[MAX_REGIONS];
static uint64_t roots[NR_ROOTS];
static struct {
    uint8_t *start;
    int64_t nbytes;
    uint8_t byte;
    bool is_range;
} blocks[NR_BLOCKS];
static uint64_t random_state = UINT64_C(88172645463325252);

static uint64_t draw(uint64_t most)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % most;
}

static uint64_t read_cr3(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}

static void load(uint64_t root)
{
    __asm__ volatile("mov %0, %%cr3" ::"r"(root) : "memory");
}

static void say(const char *what, bool is_so)
{
    put(what);
    put(is_so ? ": yes\n" : ": no\n");
}

/* The upper half of the library's root, and this kernel's own text, which is in the lower one. */
static uint64_t make_root(uint64_t own)
{
    uint64_t root = (uint64_t)pmm_alloc_page();
    uint64_t *to = pmm_address_of(root), *from = pmm_address_of(own);
    for (int index = FIRST_SHARED; index < ENTRIES; index++)
        to[index] = from[index];
    to[0] = from[0];
    return root;
}

static bool has_same_half(uint64_t root, uint64_t own)
{
    const uint64_t *left = pmm_address_of(root), *right = pmm_address_of(own);
    uint64_t seen = VMM_ACCESSED | VMM_DIRTY;
    for (int index = FIRST_SHARED; index < ENTRIES; index++)
        if (((left[index] ^ right[index]) & ~seen) != 0)
            return false;
    return true;
}

/* A root made before anything was asked for sees what comes later; what it names is never handed out. */
static void prove_a_second_root(uint64_t own)
{
    uint64_t root = make_root(own);
    uint8_t *range = vmalloc(0x4000), *block = kmalloc(100), *large = kmalloc(100000);
    say("has all entries", has_same_half(root, own));
    load(root);
    range[0] = block[0] = large[99999] = 1;
    say("written", range[0] == 1 && block[0] == 1 && large[99999] == 1);
    load(own);
    say("given back", vfree(range) == INCRO_OK && kfree(block) == INCRO_OK && kfree(large) == INCRO_OK);
    say("has them still", has_same_half(root, own));
    pmm_free_page(root);
}

static bool step(uint64_t own)
{
    uint64_t which = draw(NR_ROOTS + 1), index = draw(NR_BLOCKS);
    load(which == NR_ROOTS ? own : roots[which]);
    if (draw(16) == 0 && which != NR_ROOTS) {
        uint64_t other = (which + 1) % NR_ROOTS;
        pmm_free_page(roots[other]);
        roots[other] = make_root(own);
    }
    if (blocks[index].start == NULL) {
        blocks[index].nbytes = (int64_t)(1 + draw(draw(8) == 0 ? 300000 : 5000));
        blocks[index].byte = (uint8_t)draw(256);
        blocks[index].is_range = draw(3) == 0;
        blocks[index].start = blocks[index].is_range ? vmalloc(blocks[index].nbytes) : kmalloc(blocks[index].nbytes);
        if (blocks[index].start == NULL)
            return false;
        blocks[index].start[0] = blocks[index].start[blocks[index].nbytes - 1] = blocks[index].byte;
        return true;
    }
    uint8_t *start = blocks[index].start;
    blocks[index].start = NULL;
    if (start[0] != blocks[index].byte || start[blocks[index].nbytes - 1] != blocks[index].byte)
        return false;
    return (blocks[index].is_range ? vfree(start) : kfree(start)) == INCRO_OK;
}

void kmain(const struct start_info *info);

void kmain(const struct start_info *info)
{
    struct incro_start start = {0};
    start.regions = regions;
    start.nr_regions = list_regions(info, regions);
    start.hooks.write = write_hook;
    start.hooks.panic = panic_hook;
    say("starts", incro_mm_init(&state, &start) == INCRO_OK);
    uint64_t own = read_cr3() & ADDRESS;
    prove_a_second_root(own);
    for (int index = 0; index < NR_ROOTS; index++)
        roots[index] = make_root(own);
    int64_t nr_bad = 0;
    for (int number = 0; number < NR_STEPS; number++)
        nr_bad += step(own) ? 0 : 1;
    load(own);
    say("all steps right", nr_bad == 0);
    say("checkers agree", pmm_check() == INCRO_OK && vmm_check() == INCRO_OK && heap_check() == INCRO_OK);
    say("mapping under an empty entry is refused",
        vmm_map_page(UINT64_C(0xFFFFD00000000000), 0, VMM_PRESENT) == INCRO_KERNEL_HALF);
    end(PASSED);
}
