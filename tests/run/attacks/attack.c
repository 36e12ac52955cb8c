/* One attack a run: the first argument names it, to the first dot. An attack ends in a signal, or is refused and the program goes on; what
   it says then is compared. Numbers of vectors and ports are given as the second argument. */
#include "check.h"

#define ASM(text) __asm__ volatile(text ::: "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r11", "memory", "cc")
#define KERNEL_TEXT 0xFFFFFFFF80100000
#define KERNEL_STATE 0xFFFFFFFF801E0000
#define DIRECT_MAP 0xFFFF800000100000

static char read_at(uintptr_t at) { return *(volatile char *)at; }
static void write_at(uintptr_t at) { *(volatile char *)at = 1; }
static void call_at(uintptr_t at) { ((void (*)(void))at)(); }

/* A byte pattern of code that is made at run time: the number after `int` cannot be a register. */
static void run_code(const char *code, size_t nbytes) {
    char *page = map_pages(1, PROT_READ | PROT_WRITE);
    memcpy(page, code, nbytes);
    page[nbytes] = (char)0xc3;
    CHECK(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
    call_at((uintptr_t)page);
}

static void interrupt(int vector) { run_code((char[]){(char)0xcd, (char)vector}, 2); }

static void last_page(void) { /* below the hole: a system call in its last bytes would come back to no address */
    char *at = (char *)0x7ffffffff000;
    FAILS(mmap(at, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), ENOMEM);
    call_at((uintptr_t)at + 4094);
}

static void stack_in_kernel_and_call(void) { /* the kernel must not use the program's stack */
    long result;
    __asm__ volatile("mov %%rsp, %%rbx; mov %1, %%rsp; syscall; mov %%rbx, %%rsp"
                     : "=a"(result) : "r"(KERNEL_STATE), "a"(SYS_getpid) : "rbx", "rcx", "r11", "memory");
    CHECK(result == getpid());
}

static void flags_and_call(void) { /* AC, DF and NT set: cleared in the kernel, as they were afterwards */
    uint64_t after;
    long result;
    __asm__ volatile("pushf; orq $0x44400, (%%rsp); popf; syscall; pushf; pop %1; pushf; andq $~0x44500, (%%rsp); popf"
                     : "=a"(result), "=r"(after) : "a"(SYS_getpid) : "rcx", "r11", "memory", "cc");
    CHECK(result == getpid() && (after & 0x44400) == 0x44400);
    char *page = map_pages(1, PROT_READ | PROT_WRITE);
    __asm__ volatile("pushf; orq $0x44400, (%%rsp); popf; movb $1, (%1); syscall; pushf; andq $~0x44500, (%%rsp); popf"
                     : "=a"(result) : "r"(page), "a"(SYS_uname), "D"(page) : "rcx", "r11", "memory", "cc");
    CHECK(result == 0 && strcmp(page, "Linux") == 0);
}

static void io_privilege(void) { /* IOPL by popf is ignored */
    uint64_t after;
    __asm__ volatile("pushf; orq $0x3000, (%%rsp); popf; pushf; pop %0" : "=r"(after) :: "memory", "cc");
    CHECK((after & 0x3000) == 0);
    ASM("in $0x60, %%al");
}

static void gs_base(void) {
    FAILS(syscall(SYS_arch_prctl, 0x1001, DIRECT_MAP), EPERM);
    FAILS(syscall(SYS_arch_prctl, 0x1002, KERNEL_STATE), EPERM);
    FAILS(syscall(SYS_arch_prctl, 0x1001, 0x800000000000), EPERM);
    CHECK(syscall(SYS_arch_prctl, 0x1001, 0x12345000) == 0);
    uint64_t base = 0;
    CHECK(syscall(SYS_arch_prctl, 0x1004, &base) == 0 && base == 0x12345000 && getpid() > 0);
    __asm__ volatile("mov %%gs:0, %%rax" ::: "rax");
}

static void selectors(void) {
    unsigned cs, ss;
    __asm__ volatile("mov %%cs, %0; mov %%ss, %1" : "=r"(cs), "=r"(ss));
    CHECK((cs & 0xffff) == 0x33 && (ss & 0xffff) == 0x2b);
}

static const struct attack { const char *name; void (*run)(void); } attacks[];

#define ATTACK(name, code) static void name(void) { code; }
ATTACK(hlt, ASM("hlt"))
ATTACK(cli, ASM("cli"))
ATTACK(sti, ASM("sti"))
ATTACK(in_byte, ASM("in $0x60, %%al"))
ATTACK(in_debug_port, ASM("mov $0xe9, %%edx; in %%dx, %%al"))
ATTACK(out_exit_port, ASM("mov $0x10, %%eax; out %%al, $0xf4"))
ATTACK(out_debug_port, ASM("mov $0xeb, %%edx; mov $65, %%eax; out %%al, %%dx"))
ATTACK(out_word, ASM("mov $0xcf8, %%edx; xor %%eax, %%eax; out %%eax, %%dx"))
ATTACK(rep_insb, ASM("mov $0x60, %%edx; mov $1, %%ecx; lea -300(%%rsp), %%rdi; rep insb"))
ATTACK(rep_outsb, ASM("mov $0xe9, %%edx; mov $1, %%ecx; mov %%rsp, %%rsi; rep outsb"))
ATTACK(rdmsr, ASM("mov $0xC0000080, %%ecx; rdmsr"))
ATTACK(wrmsr, ASM("mov $0xC0000082, %%ecx; xor %%eax, %%eax; xor %%edx, %%edx; wrmsr"))
ATTACK(read_cr0, ASM("mov %%cr0, %%rax"))
ATTACK(write_cr0, ASM("xor %%eax, %%eax; mov %%rax, %%cr0"))
ATTACK(read_cr3, ASM("mov %%cr3, %%rax"))
ATTACK(write_cr3, ASM("xor %%eax, %%eax; mov %%rax, %%cr3"))
ATTACK(write_cr4, ASM("xor %%eax, %%eax; mov %%rax, %%cr4"))
ATTACK(write_cr8, ASM("xor %%eax, %%eax; mov %%rax, %%cr8"))
ATTACK(read_dr7, ASM("mov %%dr7, %%rax"))
ATTACK(write_dr7, ASM("mov $0x401, %%eax; mov %%rax, %%dr7"))
ATTACK(lgdt, ASM("lgdt -64(%%rsp)"))
ATTACK(lidt, ASM("lidt -64(%%rsp)"))
ATTACK(lldt, ASM("xor %%eax, %%eax; lldt %%ax"))
ATTACK(ltr, ASM("mov $0x18, %%eax; ltr %%ax"))
ATTACK(lmsw, ASM("xor %%eax, %%eax; lmsw %%ax"))
ATTACK(clts, ASM("clts"))
ATTACK(invlpg, ASM("invlpg (%%rsp)"))
ATTACK(invpcid, ASM("xor %%eax, %%eax; .byte 0x66, 0x0f, 0x38, 0x82, 0x04, 0x24"))
ATTACK(wbinvd, ASM("wbinvd"))
ATTACK(invd, ASM("invd"))
ATTACK(swapgs, ASM("swapgs"))
ATTACK(sysret, ASM("lea 1f(%%rip), %%rcx; mov $0x202, %%r11d; sysretq; 1:"))
ATTACK(sysexit, ASM("sysexitl"))
ATTACK(sysenter, ASM("mov %%rsp, %%rbx; sysenter"))
ATTACK(xsetbv, ASM("xor %%ecx, %%ecx; mov $7, %%eax; xor %%edx, %%edx; xsetbv"))
ATTACK(stac, ASM("stac"))
ATTACK(clac, ASM("clac"))
ATTACK(rdfsbase, ASM("rdfsbase %%rax"))
ATTACK(wrfsbase, ASM("xor %%eax, %%eax; rdfsbase %%rax; wrfsbase %%rax"))
ATTACK(wrgsbase, ASM("mov $-1, %%rax; wrgsbase %%rax"))
ATTACK(sgdt, ASM("sgdt -64(%%rsp)"))
ATTACK(sidt, ASM("sidt -64(%%rsp)"))
ATTACK(sldt, ASM("sldt %%rax"))
ATTACK(str, ASM("str %%rax"))
ATTACK(smsw, ASM("smsw %%rax"))
ATTACK(rdpmc, ASM("xor %%ecx, %%ecx; rdpmc"))
ATTACK(monitor, ASM("mov %%rsp, %%rax; xor %%ecx, %%ecx; xor %%edx, %%edx; monitor"))
ATTACK(mwait, ASM("xor %%eax, %%eax; xor %%ecx, %%ecx; mwait"))
ATTACK(vmcall, ASM("vmcall"))
ATTACK(vmmcall, ASM("vmmcall"))
ATTACK(icebp, ASM(".byte 0xf1"))
ATTACK(rsm, ASM("rsm"))
ATTACK(ud0, ASM(".byte 0x0f, 0xff, 0xc0"))
ATTACK(trap_flag, ASM("pushf; orl $0x100, (%%rsp); popf; nop; nop"))
ATTACK(trap_flag_and_call, ASM("mov $39, %%eax; pushf; orl $0x100, (%%rsp); popf; syscall; nop"))
ATTACK(trap_flag_behind_ss, ASM("mov %%ss, %%ebx; mov $39, %%eax; pushf; orl $0x100, (%%rsp); popf; mov %%ebx, %%ss; syscall; nop"))
ATTACK(nested_task, ASM("pushf; orl $0x4000, (%%rsp); popf; iretq"))
ATTACK(aligned_check, ASM("pushf; orl $0x40000, (%%rsp); popf; mov 1(%%rsp), %%rax; pushf; andl $~0x40000, (%%rsp); popf"))
ATTACK(direction_and_fault, ASM("std; hlt"))
ATTACK(far_to_32_bit, ASM("push $0x23; lea 1f(%%rip), %%rax; push %%rax; lretq; 1: pop %%rax; pop %%rax"))
ATTACK(far_to_own, ASM("push $0x33; lea 1f(%%rip), %%rax; push %%rax; lretq; 1:"))
ATTACK(iret_to_own, ASM("mov %%rsp, %%rbx; push $0x2b; push %%rbx; pushf; push $0x33; lea 1f(%%rip), %%rax; push %%rax; iretq; 1:"))
ATTACK(rdtsc, ASM("rdtsc"))
ATTACK(far_to_20, ASM("push $0x20; push %%rax; lretq"))
ATTACK(far_to_kernel, ASM("push $8; lea 1f(%%rip), %%rax; push %%rax; lretq; 1:"))
ATTACK(far_to_kernel_3, ASM("push $0xb; lea 1f(%%rip), %%rax; push %%rax; lretq; 1:"))
ATTACK(iret_to_kernel, ASM("mov %%rsp, %%rbx; push $0x10; push %%rbx; pushf; push $8; lea 1f(%%rip), %%rax; push %%rax; iretq; 1:"))
ATTACK(iret_to_kernel_stack, ASM("mov %%rsp, %%rbx; push $0x10; push %%rbx; pushf; push $0x33; lea 1f(%%rip), %%rax; push %%rax; iretq; 1:"))
ATTACK(far_call_to_gate, ASM("sub $16, %%rsp; movl $0, (%%rsp); movw $0x18, 4(%%rsp); lcall *(%%rsp)"))
ATTACK(null_ss, ASM("xor %%eax, %%eax; mov %%eax, %%ss"))
ATTACK(kernel_ss, ASM("mov $0x10, %%eax; mov %%eax, %%ss"))
ATTACK(kernel_ds, ASM("mov $0x10, %%eax; mov %%eax, %%ds"))
ATTACK(own_ds, ASM("mov $0x2b, %%eax; mov %%eax, %%ds; mov %%eax, %%es; xor %%eax, %%eax; mov %%eax, %%ds; mov %%eax, %%es"))
ATTACK(tss_ds, ASM("mov $0x1b, %%eax; mov %%eax, %%ds"))
ATTACK(stack_in_kernel, ASM("mov $0xFFFFFFFF801E0000, %%rsp; push %%rax"))
ATTACK(stack_in_kernel_and_fault, ASM("mov $0xFFFFFFFF801E0000, %%rsp; hlt"))
ATTACK(stack_non_canonical, ASM("mov $0x800000000008, %%rsp; push $0"))
ATTACK(stack_unmapped_and_fault, ASM("mov $0x10000, %%rsp; hlt"))
ATTACK(read_page_0, read_at(16))
ATTACK(write_page_0, write_at(0))
ATTACK(call_page_0, call_at(0))
ATTACK(read_kernel_text, read_at(KERNEL_TEXT))
ATTACK(read_kernel_state, read_at(KERNEL_STATE))
ATTACK(write_kernel_state, write_at(KERNEL_STATE))
ATTACK(call_kernel_text, call_at(KERNEL_TEXT))
ATTACK(read_direct_map, read_at(DIRECT_MAP))
ATTACK(write_direct_map, write_at(DIRECT_MAP))
ATTACK(call_direct_map, call_at(DIRECT_MAP))
ATTACK(read_nothing_of_kernel, read_at(0xFFFFF90000000000))
ATTACK(read_last_byte, read_at(~0ull))
ATTACK(read_non_canonical, read_at(0x800000000000))
ATTACK(write_non_canonical, write_at(0xFFFF7FFFFFFFFFFF))
ATTACK(call_non_canonical, call_at(0x800000000000))
ATTACK(straddle_the_hole, (void)*(volatile uint64_t *)0x7FFFFFFFFFFC)
ATTACK(locked_in_kernel, ASM("mov $0xFFFFFFFF801E0000, %%rbx; lock incq (%%rbx)"))
ATTACK(string_into_kernel, ASM("mov $0xFFFF800000100000, %%rdi; mov $8, %%ecx; xor %%eax, %%eax; rep stosq"))
ATTACK(fxsave_in_kernel, ASM("mov $0xFFFF800000100000, %%rdi; fxsave (%%rdi)"))
ATTACK(prefetch_kernel, ASM("mov $0xFFFF800000100000, %%rdi; prefetcht0 (%%rdi)"))

#define ENTRY(name) {#name, name}
static const struct attack attacks[] = {
    ENTRY(hlt), ENTRY(cli), ENTRY(sti), ENTRY(in_byte), ENTRY(in_debug_port), ENTRY(out_exit_port), ENTRY(out_debug_port),
    ENTRY(out_word), ENTRY(rep_insb), ENTRY(rep_outsb), ENTRY(rdmsr), ENTRY(wrmsr), ENTRY(read_cr0), ENTRY(write_cr0),
    ENTRY(read_cr3), ENTRY(write_cr3), ENTRY(write_cr4), ENTRY(write_cr8), ENTRY(read_dr7), ENTRY(write_dr7), ENTRY(lgdt),
    ENTRY(lidt), ENTRY(lldt), ENTRY(ltr), ENTRY(lmsw), ENTRY(clts), ENTRY(invlpg), ENTRY(invpcid), ENTRY(wbinvd), ENTRY(invd),
    ENTRY(swapgs), ENTRY(sysret), ENTRY(sysexit), ENTRY(sysenter), ENTRY(xsetbv), ENTRY(stac), ENTRY(clac), ENTRY(rdfsbase),
    ENTRY(wrfsbase), ENTRY(wrgsbase), ENTRY(sgdt), ENTRY(sidt), ENTRY(sldt), ENTRY(str), ENTRY(smsw), ENTRY(rdpmc),
    ENTRY(monitor), ENTRY(mwait), ENTRY(vmcall), ENTRY(vmmcall), ENTRY(icebp), ENTRY(rsm), ENTRY(ud0), ENTRY(trap_flag),
    ENTRY(trap_flag_and_call), ENTRY(trap_flag_behind_ss), ENTRY(nested_task), ENTRY(aligned_check),
    ENTRY(direction_and_fault), ENTRY(far_to_32_bit), ENTRY(far_to_20), ENTRY(far_to_own), ENTRY(iret_to_own), ENTRY(rdtsc), ENTRY(far_to_kernel), ENTRY(far_to_kernel_3),
    ENTRY(iret_to_kernel), ENTRY(iret_to_kernel_stack), ENTRY(far_call_to_gate), ENTRY(null_ss), ENTRY(kernel_ss),
    ENTRY(kernel_ds), ENTRY(own_ds), ENTRY(tss_ds), ENTRY(stack_in_kernel), ENTRY(stack_in_kernel_and_fault),
    ENTRY(stack_in_kernel_and_call), ENTRY(stack_non_canonical), ENTRY(stack_unmapped_and_fault), ENTRY(read_page_0),
    ENTRY(write_page_0), ENTRY(call_page_0), ENTRY(read_kernel_text), ENTRY(read_kernel_state), ENTRY(write_kernel_state),
    ENTRY(call_kernel_text), ENTRY(read_direct_map), ENTRY(write_direct_map), ENTRY(call_direct_map),
    ENTRY(read_nothing_of_kernel), ENTRY(read_last_byte), ENTRY(read_non_canonical), ENTRY(write_non_canonical),
    ENTRY(call_non_canonical), ENTRY(straddle_the_hole), ENTRY(locked_in_kernel), ENTRY(string_into_kernel),
    ENTRY(fxsave_in_kernel), ENTRY(prefetch_kernel), ENTRY(last_page), ENTRY(flags_and_call), ENTRY(io_privilege),
    ENTRY(gs_base), ENTRY(selectors), {NULL, NULL}};

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "int")) interrupt(atoi(argv[2]));
    if (argc > 1) argv[1][strcspn(argv[1], ".")] = 0;
    for (const struct attack *one = attacks; one->name; one++) {
        if (argc == 1) puts(one->name);
        else if (!strcmp(argv[1], one->name)) one->run();
    }
    puts("refused, and goes on");
    return 0;
}
