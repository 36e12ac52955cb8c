"""A small kernel with one program in ring 3: the boot code's ways in and out, without tasks, files or a fault handler.

The program is the loader's module: its bytes lie at CODE, and it has a page of stack below STACK_END. A page of FRESH
gets a frame when it is touched. What the program asks for is in rax:
"""

from typing import Final

from incroos.kernel import heap, pmm, vmm
from incroos.kernel.arch.pvh import find_large_module
from incroos.kernel.arch.x86 import BREAKPOINT, NMI, PAGE_FAULT, USER_CODE, USER_DATA
from incroos.kernel.boot.run import keep_module
from incroos.kernel.codes import EXIT_FAILED, EXIT_PASSED, OK
from incroos.kernel.cpu import this_cpu
from incroos.kernel.devices import idle, interrupts, serial_input, timer
from incroos.kernel.io import console
from incroos.kernel.io.panic import end_machine, panic
from incroos.kernel.layout import DIRECT_MAP_START, IMAGE_WINDOW, MAILBOX, PAGE_BYTES, STACK_START
from incroos.kernel.state import Kernel, Registers, Space, user_registers
from incroos.kernel.trap import init as processor
from incroos.kernel.trap import kernel_faults
from incroos.kernel.vmm import NX, PRESENT, USER, WRITABLE
from incroos.lang import (
    PhysAddr,
    Struct,
    VirtAddr,
    apart,
    are_interrupts_enabled,
    copy,
    fill,
    kernel,
    load64,
    read_cr0,
    read_cr2,
    read_cr4,
    read_msr,
    store64,
    u64,
    wait_for_interrupt,
    word,
    write_msr,
)

PUT: Final = 1  # put rdi in hexadecimal
END: Final = 2  # end the machine, passed if rdi is 0
RETURN_TO: Final = 3  # go on at rdi, by IRET
TOUCH: Final = 4  # read the word at rdi as the kernel
ENTER: Final = 5  # execute rdi as the kernel
NR_NMIS: Final = 6  # how many came
TRIVIAL: Final = 7  # 0
COPY: Final = 8  # 0 if the kernel's own string instructions go upwards
TELL: Final = 9  # put CR0, CR4, EFER and the three bases
SET_GS: Final = 10  # let rdi be the base of GS
RECOVER: Final = 11  # go on at rdi after exceptions, with what it was in rdi, rsi, rdx and rcx
ENTER_WITHOUT_STACK: Final = 12  # the same where all of the stack is used up
START: Final = 13  # let the timer interrupt, every rdi nanoseconds
STOP: Final = 14
NR_TICKS: Final = 15  # how often it did in ring 3
IDLE: Final = 16  # be idle for rdi nanoseconds; how many have passed
NR_WAKES: Final = 17  # how often the timer interrupted ring 0
LISTEN: Final = 18  # let bytes of the first serial port end a wait
GET: Final = 19  # the byte that came there, or -1
IDLE_RAW: Final = 20  # wait for an interrupt of the lines of rdi

CODE: Final = VirtAddr(0x40_0000)
STACK_END: Final = VirtAddr(0x50_0000)
FRESH: Final = VirtAddr(0x60_0000)
FRESH_END: Final = VirtAddr(0x61_0000)
STATE: Final = IMAGE_WINDOW + MAILBOX
TOUCHING: Final = 0x70_0C4  # in rax at a breakpoint: the kernel reads the word at rdi


class State(Struct):
    """What it remembers."""

    space: VirtAddr
    nr_nmis: u64
    recovery: u64
    nr_ticks: u64
    nr_wakes: u64
    nr_bad_ticks: u64


@kernel
def state_of(k: Kernel) -> State:
    return State(k.m, VirtAddr(STATE))


@kernel
def start_program(k: Kernel, start_info: PhysAddr) -> None:
    """The kernel's first function: all but the interrupt controllers is as in boot/run.py."""
    console.init(k, start_info)
    pmm.init(k, start_info)
    vmm.init(k)
    heap.init(k)
    processor.init(k)
    start, nbytes = find_large_module(k, start_info)
    keep_module(k, start, (nbytes + PAGE_BYTES - 1) & -PAGE_BYTES)
    expect(k, OK, vmm.check_space(k))
    space = Space(k.m, heap.kmalloc(k, Space.SIZE))
    expect(k, OK, vmm.init_space(k, space))
    state = state_of(k)
    fill(k.m, VirtAddr(state.addr), 0, State.SIZE)
    state.space = VirtAddr(space.addr)
    code = map_fresh(k, CODE, PRESENT | USER)
    copy(k.m, code, VirtAddr(DIRECT_MAP_START + start), nbytes)
    map_fresh(k, VirtAddr(STACK_END - PAGE_BYTES), PRESENT | USER | WRITABLE | NX)
    vmm.switch_to(this_cpu(k), space)
    regs = user_registers(k)
    fill(k.m, VirtAddr(regs.addr), 0, Registers.SIZE)
    regs.rip = CODE
    regs.cs = USER_CODE
    regs.rflags = 0x202
    regs.rsp = STACK_END
    regs.ss = USER_DATA


@kernel
def expect(k: Kernel, wanted: word, found: word) -> None:
    if found != wanted:
        panic(k, b'ring 3: wanted, found', wanted, found, 0)


@kernel
def map_fresh(k: Kernel, va: VirtAddr, flags: word) -> VirtAddr:
    """A page of the program; where the kernel sees it."""
    frame = pmm.alloc_page(k)
    expect(k, OK, vmm.map_in(Space(k.m, state_of(k).space), va, frame, flags))
    return pmm.address_of(k, frame)


# ------------------------------------------------------------------ system calls
@kernel
def on_syscall(k: Kernel, regs: Registers) -> word:
    if regs.rax == TRIVIAL:
        regs.rax = 0
        return 0
    return serve(k, regs)


@apart
@kernel
def serve(k: Kernel, regs: Registers) -> word:
    number = regs.rax
    regs.rax = 0
    if number == PUT:
        put(k, regs.rdi)
    elif number == END:
        end_machine(k.m, EXIT_PASSED if regs.rdi == 0 else EXIT_FAILED)
    elif number == TOUCH:
        put(k, load64(k.m, VirtAddr(regs.rdi)))
    elif number == NR_NMIS:
        regs.rax = state_of(k).nr_nmis
    elif number == COPY:
        regs.rax = do_strings_go_up(k)
    elif number == TELL:
        tell(k)
    elif number == SET_GS:
        write_msr(k.m, 0xC000_0102, regs.rdi)
    elif number == RECOVER:
        state_of(k).recovery = regs.rdi
    elif number >= START:
        regs.rax = serve_timer(k, number, regs.rdi)
    else:
        regs.rip = regs.rdi
        if number != RETURN_TO:
            regs.cs = 8
            regs.ss = 16
            regs.rsp = IMAGE_WINDOW + STACK_START + (PAGE_BYTES if number == ENTER else 0)
        return 1
    return 0


@kernel
def serve_timer(k: Kernel, number: word, argument: word) -> word:
    state = state_of(k)
    result = 0
    if number == START:
        timer.set_period(k, argument)
        timer.start(k)
    elif number == STOP:
        timer.stop(k)
    elif number == NR_TICKS:
        result = state.nr_ticks if state.nr_bad_ticks == 0 else -1
    elif number == NR_WAKES:
        result = state.nr_wakes
    elif number == IDLE:
        result = idle.idle(k, argument)
    elif number == LISTEN:
        serial_input.init(k)
    elif number == GET:
        result = serial_input.get_byte(k) if serial_input.has_byte(k) else -1
    elif number == IDLE_RAW:
        interrupts.let_through(k, argument)
        wait_for_interrupt(k.m)
        result = 1 if are_interrupts_enabled(k.m) else 0
        interrupts.let_through(k, 0)
    return result


@kernel
def put(k: Kernel, value: word) -> None:
    console.put_hex(k, value)
    console.put_text(k, b'\n')


@kernel
def tell(k: Kernel) -> None:
    put(k, read_cr0(k.m))
    put(k, read_cr4(k.m))
    put(k, read_msr(k.m, 0xC000_0080))
    put(k, read_msr(k.m, 0xC000_0100))
    put(k, read_msr(k.m, 0xC000_0101))
    put(k, read_msr(k.m, 0xC000_0102))


@kernel
def do_strings_go_up(k: Kernel) -> word:
    """0, or 1 where the direction flag is still the program's."""
    memory = VirtAddr(STATE + 1024)
    store64(k.m, VirtAddr(memory + 8), 5)
    fill(k.m, memory, 0, 16)
    return 1 if load64(k.m, VirtAddr(memory + 8)) != 0 else 0


# ------------------------------------------------------------------ traps
@kernel
def on_trap(k: Kernel, regs: Registers) -> None:
    """Give a page of FRESH; else put what came, and end or recover."""
    va = read_cr2(k.m)
    if regs.vector == NMI:  # not where NMIs have a stack of their own
        state_of(k).nr_nmis += 1
        return
    if regs.vector == timer.VECTOR:
        interrupts.acknowledge(k, regs.vector)
        state_of(k).nr_ticks += 1
        state_of(k).nr_bad_ticks += do_strings_go_up(k) + (1 if are_interrupts_enabled(k.m) else 0)
        return
    if regs.vector == PAGE_FAULT and FRESH <= va < FRESH_END and regs.error & 1 == 0:
        map_fresh(k, VirtAddr(va & -PAGE_BYTES), PRESENT | USER | WRITABLE | NX)
        return
    if regs.vector == BREAKPOINT and regs.rax == TOUCHING:
        expect(k, 0, do_strings_go_up(k))
        put(k, load64(k.m, VirtAddr(regs.rdi)))
    state = state_of(k)
    if state.recovery != 0:
        regs.rdi = regs.vector
        regs.rsi = regs.error
        regs.rdx = va
        regs.rcx = regs.rflags
        regs.rip = state.recovery
        regs.rsp = STACK_END
        regs.rflags = 0x202
        return
    put(k, regs.vector)
    put(k, regs.error)
    put(k, regs.rip)
    put(k, va)
    put(k, regs.rflags)
    end_machine(k.m, EXIT_PASSED)


@kernel
def on_kernel_trap(k: Kernel, regs: Registers) -> None:
    """Count NMIs and the timer's interrupts; the rest is the kernel's own."""
    if regs.vector == timer.VECTOR:
        state_of(k).nr_wakes += 1
    if regs.vector == NMI:
        state_of(k).nr_nmis += 1
    kernel_faults.on_kernel_trap(k, regs)
