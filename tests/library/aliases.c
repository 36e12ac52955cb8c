/* What the library's direct map shows of a kernel that maps nothing there: its RAM, and neither its text nor a device. */
#include "console.h"

enum { PAGE_BYTES = 4096, MIB = 1 << 20, PAGE_FAULT = 14 };

static struct incro_kernel state;
static struct incro_start_info_entry regions[MAX_REGIONS];
static uint64_t gates[2 * (PAGE_FAULT + 1)];

__attribute__((noinline, noipa)) int number(void);

int number(void)
{
    return 41;
}

static void say(const char *what, bool is_so)
{
    put(what);
    put(is_so ? ": yes\n" : ": no\n");
}

static void on_page_fault(void)
{
    uint64_t address;
    __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    say("the fault is the store's", address - INCRO_DIRECT_MAP_START - (uint64_t)(uintptr_t)number < PAGE_BYTES);
    say("the function is as it was", number() == 41);
    end(PASSED);
}

static void catch_page_faults(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } table = {sizeof gates - 1, (uint64_t)(uintptr_t)gates};
    uint64_t at = (uint64_t)(uintptr_t)on_page_fault;
    gates[2 * PAGE_FAULT] = (at & 0xFFFF) | 8 << 16 | UINT64_C(0x8E) << 40 | (at >> 16 & 0xFFFF) << 48;
    gates[2 * PAGE_FAULT + 1] = at >> 32;
    __asm__ volatile("lidt %0" : : "m"(table));
}

/* Whether each entry that touches the frame calls it RAM, and one does. */
static bool is_ram(uint64_t pa, size_t nr_regions)
{
    bool found = false;
    for (size_t index = 0; index < nr_regions; index++) {
        const struct incro_start_info_entry *region = &regions[index];
        bool touches = region->start < pa + PAGE_BYTES && pa < region->start + region->nbytes;
        if (touches && region->number != INCRO_REGION_RAM)
            return false;
        found = found || (region->number == INCRO_REGION_RAM && region->start <= pa &&
                          pa + PAGE_BYTES <= region->start + region->nbytes);
    }
    return found;
}

void kmain(const struct start_info *info);

void kmain(const struct start_info *info)
{
    struct incro_start start = {0};
    start.regions = regions;
    start.nr_regions = list_regions(info, regions);
    start.hooks.panic = panic_hook;
    if (incro_mm_init(&state, &start) != INCRO_OK)
        end(FAILED);
    int nr_wrong = 0;
    for (uint64_t pa = PAGE_BYTES; pa < 4 * MIB; pa += PAGE_BYTES) {
        int64_t wanted = is_ram(pa, start.nr_regions) ? (int64_t)pa : INCRO_NOT_MAPPED;
        nr_wrong += vmm_get_physical(INCRO_DIRECT_MAP_START + pa) == wanted ? 0 : 1;
    }
    say("shows RAM alone", nr_wrong == 0 && vmm_check() == INCRO_OK);
    catch_page_faults();
    volatile uint8_t *alias = (volatile uint8_t *)(INCRO_DIRECT_MAP_START + (uint64_t)(uintptr_t)number);
    for (int index = 0; index < 16; index++)
        alias[index] = 0xC3;
    say("no store was refused", false);
    end(FAILED);
}
