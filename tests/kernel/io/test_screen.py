"""The screen on a framebuffer: its pixels in every place, which framebuffers are not used, and how they are mapped."""

import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from incroos.build.image import build_image
from incroos.guest import mailbox
from incroos.inspect.digest import differences, digests
from incroos.kernel import vmm
from incroos.kernel.boot import main
from incroos.kernel.codes import EXIT_PASSED, OK
from incroos.kernel.config import KernelConfig
from incroos.kernel.configs import CLASSIC, CLASSIC_CHECKED, MODERN, MODERN_CHECKED, MODERN_FIXMAP, MODERN_RECURSIVE
from incroos.kernel.io import console, framebuffer
from incroos.kernel.io.panic import end_machine
from incroos.kernel.layout import FRAMEBUFFER, FRAMEBUFFER_END, IMAGE_WINDOW
from incroos.kernel.pmm import memory_map
from incroos.kernel.pmm.memory_kinds import RAM, RESERVED
from incroos.kernel.state import Kernel
from incroos.kernel.trap import faults
from incroos.kernel.vmm import NX, PAT, PRESENT, WRITABLE
from incroos.kernel.vmm.check import modern as space_check
from incroos.lang import PhysAddr, VirtAddr, kernel
from incroos.lang.frontend import BARE, compile_unit
from incroos.machine.errors import MachineStopped
from incroos.run import images, jit, qemu_guest
from incroos.run.framebuffer import BLUE_FIRST, RED_FIRST, Framebuffer
from incroos.run.harness import DirectDriver, Driver, GuestEnded, MailboxDriver, call_of
from incroos.run.outcome import Status
from incroos.run.sim import Sim, run
from incroos.run.simulated import CLASSIC_ENTRIES, MEMORY_MAP, MODULE, MODULE_CONTENT, START_INFO, Entries, EntryPoints

from ...budget import SECONDS
from ..drivers import MODERN_PLAIN, PLACES, Build, booted, compiled
from ..drivers import PLAIN as PLAIN_BUILD
from .screens import picture_in, picture_of, seen_rows

MIB: Final = 1 << 20
MEMORY: Final = 64 * MIB
PATTERN: Final = b'\x5a'  # what the video card's memory is full of before the kernel starts
HUGE_TABLE: Final = 0x3000  # the boot code's table of level 2
VGA_TEXT: Final = 0xB_8000

# Where there is no RAM: below 4 GiB, above, and where QEMU's firmware puts the memory of the video card.
BASES: Final = {'sim': 0xE000_0000, 'jit': 0x12_4000_0000, 'qemu': 0xFD00_0000}
PLAIN: Final = Framebuffer(0, 640, 400, 640, BLUE_FIRST)
SHAPES: Final = {
    'as large as the text': PLAIN,
    'larger, with odd rows, inside a page': Framebuffer(0x10_1A34, 721, 483, 757, RED_FIRST),
    'twice as large, over many huge pages': Framebuffer(0x1F_F000, 1300, 811, 1301, BLUE_FIRST),
}

LINES: Final = b''.join(b'line %d of many\n' % number for number in range(21))
ALL_BYTES: Final = bytes(byte for byte in range(256) if byte != 10)
TEXT: Final = LINES + ALL_BYTES + b'\n\n' + b'x' * 79 + b'y' + b'z' * 81 + b'\n the end\n'


@kernel
def show(k: Kernel, start_info: PhysAddr) -> None:
    """Put the text and end."""
    console.init(k, start_info)
    console.put_text(k, TEXT)
    end_machine(k.m, EXIT_PASSED)


SHOW: Final = EntryPoints(show, faults.on_page_fault, faults.on_exception)


class Run(NamedTuple):
    """A kernel to be driven; what it sent once it has ended, and its framebuffer's bytes."""

    driver: Driver
    console: Callable[[], bytes]
    pixels: Callable[[], bytes]


@cache
def code_of(entries: Entries, config: KernelConfig) -> jit.KernelCode:
    """A kernel compiled for `jit`."""
    if entries == CLASSIC_ENTRIES:
        return jit.cached_kernel(print, config=config)
    return jit.compile_kernel(entries.loaded(), config, checked=True)


def image_of(entries: Entries, config: KernelConfig, folder: Path) -> Path:
    """A kernel as an image."""
    if entries == CLASSIC_ENTRIES:
        return images.kernel_image(print, config=config).path
    functions = entries.loaded()
    roots = {'kmain': functions.main, 'on_page_fault': functions.page_fault, 'on_exception': functions.exception}
    unit = compile_unit(roots, target=BARE, config=config, checked=True)
    image = folder / 'kernel.elf'
    image.write_bytes(build_image(unit.ir, unit.sites, images.boot_layout(config), debug=False).elf)
    return image


def check_picture(
    place: str, shape: Framebuffer, entries: Entries, config: KernelConfig, folder: Path
) -> tuple[bytes, Framebuffer]:
    """Run a kernel to its end, and compare what it sent with what is seen; the first."""
    at = replace(shape, address=shape.address + BASES[place])
    if place == 'qemu':
        return check_picture_in_qemu(at, image_of(entries, config, folder), folder), at
    if place == 'sim':
        sim = Sim(MEMORY, config, entries, framebuffer=at)
        pixels = at.pixels_in(sim.computer.device)
        pixels[:] = PATTERN * len(pixels)
        end = run(sim, entries.loaded().main, SECONDS)
        sent = sim.console()
    else:
        guest = jit.Guest(MEMORY, code_of(entries, config), framebuffer=at)
        pixels = at.pixels_in(guest.computer.device)
        pixels[:] = PATTERN * len(pixels)
        with guest:
            end = guest.wait(SECONDS)
        sent = guest.console()
    assert end.status == Status.PASSED, (end, sent)
    check_unseen(bytes(pixels), at)
    assert picture_in(bytes(pixels), at) == picture_of(sent, at.width, at.height)
    return sent, at


def check_unseen(pixels: bytes, at: Framebuffer) -> None:
    """What lies between the end of a row and the start of the next is left alone."""
    hidden = (at.pitch - at.width) * 4
    rows = range(at.width * 4, len(pixels), at.pitch * 4)
    assert all(pixels[start : start + hidden] == PATTERN * hidden for start in rows)


@contextmanager
def running(place: str, build: Build, at: Framebuffer, folder: Path) -> Iterator[Run]:
    """A kernel that has started, and serves its mailbox."""
    if place == 'sim':
        sim = Sim(MEMORY, build.config, framebuffer=at)
        sim.start(mailbox.start)
        yield Run(DirectDriver(sim.kernel, sim.ram), sim.console, lambda: bytes(at.pixels_in(sim.computer.device)))
    elif place == 'jit':
        with jit.Guest(MEMORY, compiled(build), framebuffer=at) as guest:

            def console() -> bytes:
                guest.wait(SECONDS)
                return guest.console()

            driver = MailboxDriver(guest.ram, guest.is_running, config=build.config)
            driver.wait_until_ready()
            yield Run(driver, console, lambda: bytes(at.pixels_in(guest.computer.device)))
    else:
        description = folder / 'framebuffer'
        description.write_bytes(at.description)
        extra = ('-initrd', str(description))
        with qemu_guest.Guest(booted(build).path, MEMORY, can_exit=False, extra=extra) as machine:
            driver = MailboxDriver(machine.ram, machine.is_running, config=build.config)
            driver.wait_until_ready()
            yield Run(driver, machine.console, lambda: machine.read(at.address, at.nbytes))


def check_picture_in_qemu(at: Framebuffer, image: Path, folder: Path) -> bytes:
    """The same in QEMU, whose loader hands a file over as a module. The kernel stands still at its end."""
    description = folder / 'framebuffer'
    description.write_bytes(at.description)
    with qemu_guest.Guest(image, MEMORY, can_exit=False, extra=('-initrd', str(description))) as guest:
        deadline = time.monotonic() + SECONDS
        while True:
            sent = guest.console()
            found = picture_in(guest.read(at.address, at.nbytes), at)
            if sent.endswith((b'the end\n', b'operational!\n')) and found == picture_of(sent, at.width, at.height):
                return sent
            assert time.monotonic() < deadline, sent
            time.sleep(0.05)


# ------------------------------------------------------------------ what is seen
@pytest.mark.parametrize('shape', SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize('place', PLACES)
def test_characters_lines_wrapping_and_scrolling(place: str, shape: Framebuffer, tmp_path: Path) -> None:
    sent, _ = check_picture(place, shape, SHOW, CLASSIC, tmp_path)
    assert sent == TEXT
    assert seen_rows(TEXT)[0].startswith('line 6 ')


@pytest.mark.parametrize('config', [CLASSIC, MODERN], ids=['classic', 'modern'])
@pytest.mark.parametrize('place', PLACES)
def test_the_whole_boot_is_seen(place: str, config: KernelConfig, tmp_path: Path) -> None:
    """From before the kernel makes its own page tables to its last words."""
    sent, _ = check_picture(place, SHAPES['larger, with odd rows, inside a page'], CLASSIC_ENTRIES, config, tmp_path)
    assert b'Hello, 64-bit kernel World!\n' in sent
    assert sent.endswith(b'Memory manager operational!\n')


@pytest.mark.parametrize('build', [PLAIN_BUILD, MODERN_PLAIN], ids=['classic', 'modern'])
def test_memory_is_equal_everywhere_and_a_panic_is_seen(build: Build, tmp_path: Path) -> None:
    at = replace(SHAPES['larger, with odd rows, inside a page'], address=BASES['qemu'] + 0x10_1A34)
    memories = []
    for place in PLACES:
        with running(place, build, at, tmp_path) as run:
            assert run.driver.call('kmalloc', 5000) != 0
            run.driver.call('put_statistics')
            memories.append(digests(run.driver.ram))
            stop(run.driver)
            deadline = time.monotonic() + SECONDS
            while True:
                sent = run.console()
                if b'PANIC: the host asked for it 0x0000000000000001' in sent and sent.endswith(b'3\n'):
                    found = picture_in(run.pixels(), at)
                    if found == picture_of(sent, at.width, at.height):
                        break
                assert time.monotonic() < deadline, sent
    assert differences(memories[0], memories[1]) == differences(memories[0], memories[2]) == []


def stop(driver: Driver) -> None:
    """Have the kernel panic."""
    call = call_of('panic', 1, 2, 3)
    if isinstance(driver, MailboxDriver):
        driver.send([call])
        return
    with pytest.raises(GuestEnded):
        driver.execute([call])


@pytest.fixture(params=[CLASSIC_CHECKED, MODERN_CHECKED], ids=['classic', 'modern'])
def sim(request: pytest.FixtureRequest) -> Sim:
    """A computer with a framebuffer whose kernel has not started."""
    return Sim(MEMORY, request.param, framebuffer=replace(PLAIN, address=BASES['sim']))


def seen_in(sim: Sim) -> list[bytes]:
    return picture_in(bytes(sim.computer.device), PLAIN)


def test_a_panic_before_the_memory_map_is_read_is_seen(sim: Sim) -> None:
    sim.machine.poke(START_INFO + 48, bytes(4))  # a map without entries
    assert run(sim, main.kmain, SECONDS).status == Status.PANIC
    assert b'PANIC: memory map: none: version, entries' in sim.console()
    assert seen_in(sim) == picture_of(sim.console(), 640, 400)


def test_a_panic_afterwards_is_seen(sim: Sim) -> None:
    sim.start(mailbox.start)
    with pytest.raises(GuestEnded):
        DirectDriver(sim.kernel, sim.ram).call('panic', 1, 2, 3)
    assert sim.console().startswith(b'PANIC: the host asked for it 0x0000000000000001')
    assert seen_in(sim) == picture_of(sim.console(), 640, 400)


def test_a_fault_while_drawing_is_told_on_the_serial_port(sim: Sim) -> None:
    """And not by drawing."""
    sim.start(mailbox.start)
    va, _, _ = framebuffer.find_frames(sim.kernel)
    level = 1 if sim.kernel.config.image_window else 2
    assert vmm.unmap_leaf(sim.kernel, va, level) == BASES['sim']
    with pytest.raises(MachineStopped):
        console.put_text(sim.kernel, b'text')
    assert b'tPANIC: page fault, write to a page that is not present: address' in sim.console()
    assert sim.console().endswith(b'\n')


def test_vga_text_is_left_alone(sim: Sim) -> None:
    """It may be the same memory as the framebuffer, and the cursor's registers may be something else."""
    sim.machine.poke(VGA_TEXT, b'firmware' * 500)
    sim.start(mailbox.start)
    console.put_text(sim.kernel, b'text\n')
    assert sim.ram[VGA_TEXT : VGA_TEXT + 4000] == b'firmware' * 500
    assert not any(sim.computer.cpu.crt)


# ------------------------------------------------------------------ which framebuffers are used
def is_used(at: Framebuffer, description: bytes | None = None, poke: tuple[int, bytes] = (MODULE, b'')) -> bool:
    """Whether a kernel that is told of a framebuffer uses it; if not, it uses VGA text."""
    sim = Sim(2 * MIB, CLASSIC, framebuffer=at)
    if description is not None:
        sim.machine.poke(MODULE_CONTENT, description)
    sim.machine.poke(*poke)
    table = bytes(sim.ram[HUGE_TABLE + 8 : HUGE_TABLE + 4096])
    console.init(sim.kernel, PhysAddr(START_INFO))
    console.put_text(sim.kernel, b'x')
    used = sim.kernel.screen.framebuffer != 0
    assert (sim.ram[VGA_TEXT] == ord('x')) == (not used)
    assert (bytes(sim.ram[HUGE_TABLE + 8 : HUGE_TABLE + 4096]) == table) == (not used)
    return used


AT: Final = replace(PLAIN, address=BASES['sim'])
U64: Final = struct.Struct('<Q')


def test_one_that_is_right_is_used() -> None:
    assert is_used(AT)
    assert is_used(replace(AT, width=639, pitch=640)) is False
    assert is_used(replace(AT, height=399)) is False


@pytest.mark.parametrize('number', [2, 3, 1 << 31])
def test_formats_that_are_not_four_bytes_a_pixel(number: int) -> None:
    assert not is_used(AT, replace(AT, format=number).description)


@pytest.mark.parametrize(
    'told',
    [
        replace(AT, pitch=639),  # rows would overlap
        replace(AT, pitch=1 << 16),
        replace(AT, height=1 << 16),
        replace(AT, address=0),
        replace(AT, address=0x10_0000),  # the kernel itself
        replace(AT, address=AT.address + 2),
        replace(AT, address=(1 << 52) - AT.nbytes + 4),
        replace(AT, address=-1 << 12 & 2**64 - 1),
        replace(AT, width=8192, pitch=8192, height=8193),  # more than the addresses that are set aside
    ],
)
def test_shapes_that_cannot_be(told: Framebuffer) -> None:
    assert not is_used(AT, told.description)


def test_fewer_bytes_than_its_rows_need() -> None:
    right = AT.description
    assert is_used(AT, right)
    assert not is_used(AT, right[:16] + U64.pack(AT.nbytes - 1) + right[24:])
    assert not is_used(AT, right[:16] + U64.pack(2**64 - 1) + right[24:])


@pytest.mark.parametrize(
    'poke',
    [
        (START_INFO, bytes(4)),  # no start information
        (START_INFO + 12, bytes(4)),  # no modules
        (START_INFO + 16, bytes(8)),
        (START_INFO + 16, U64.pack(0x1F_FFF0)),  # a list of modules, or a module, that cannot be read
        (START_INFO + 16, U64.pack(1 << 63)),
        (MODULE, U64.pack(0x1F_FFF0)),
        (MODULE, U64.pack(0)),
        (MODULE + 8, U64.pack(39)),  # too small
        (MODULE_CONTENT, b'IBUX'),
    ],
)
def test_modules_of_other_kinds(poke: tuple[int, bytes]) -> None:
    assert not is_used(AT, poke=poke)


def test_the_largest_that_fits_has_a_page_of_its_own_at_the_end() -> None:
    """Nothing is mapped behind the addresses that are set aside."""
    largest = Framebuffer(AT.address, 8192, 8192, 8192)
    assert largest.nbytes == FRAMEBUFFER_END - FRAMEBUFFER
    sim = Sim(2 * MIB, CLASSIC, framebuffer=AT)
    sim.machine.poke(MODULE_CONTENT, largest.description)
    assert framebuffer.find(sim.kernel, PhysAddr(START_INFO))
    framebuffer.map_early(sim.kernel)
    entries = struct.unpack_from('<512Q', sim.ram, HUGE_TABLE)
    assert [index for index, entry in enumerate(entries) if entry] == [0, *range(384, 512)]
    assert {entry & ~(1 << 63 | 0xF_FFFF_FFE0_0000) for entry in entries[384:]} == {0x93}


# ------------------------------------------------------------------ how it is mapped
@pytest.fixture(params=[MODERN_CHECKED, MODERN_RECURSIVE, MODERN_FIXMAP], ids=['direct map', 'recursive', 'fixmap'])
def modern(request: pytest.FixtureRequest) -> Sim:
    """A kernel that has started, with a framebuffer that begins and ends inside huge pages."""
    sim = Sim(MEMORY, request.param, framebuffer=Framebuffer(BASES['sim'] + 0x1F_E010, 1024, 768, 1024))
    sim.start(mailbox.start)
    return sim


def test_its_own_frames_are_mapped_and_no_others(modern: Sim) -> None:
    k = modern.kernel
    start, end = BASES['sim'] + 0x1F_E000, BASES['sim'] + 0x1F_E000 + 3 * MIB + 0x1000
    window = IMAGE_WINDOW + FRAMEBUFFER
    for at in range(0, 8 * MIB, 0x1000):
        pa = BASES['sim'] + at
        expected = pa if start <= pa < end else vmm.get_physical(k, VirtAddr(window - 0x1000))
        assert vmm.get_physical(k, VirtAddr(window + at)) == expected
    assert [vmm.walk(k, VirtAddr(window + at))[1] for at in (0x1F_E000, 2 * MIB, 4 * MIB)] == [1, 2, 1]
    assert vmm.check(k) == OK
    assert vmm.find_fault(k) == (OK, 0)


def test_writes_to_it_are_combined(modern: Sim) -> None:
    """The bit of the memory type lies elsewhere in a large page; the register says what it means."""
    small = vmm.walk(modern.kernel, VirtAddr(IMAGE_WINDOW + FRAMEBUFFER + 0x1F_E000))[3]
    huge = vmm.walk(modern.kernel, VirtAddr(IMAGE_WINDOW + FRAMEBUFFER + 2 * MIB))[3]
    assert small & 0x9B == PRESENT | WRITABLE | PAT
    assert huge & 0x109B == PRESENT | WRITABLE | 0x80 | 1 << 12
    assert small < 0
    assert huge < 0
    assert modern.computer.cpu.pat >> 32 & 0xFF == 1


@pytest.mark.parametrize(
    ('at', 'pa', 'flags'),
    [
        (0, BASES['sim'], NX),  # a neighbour
        (5 * MIB, 0x20_0000, NX),  # RAM
        (8 * MIB, BASES['sim'] + 2 * MIB, NX),  # elsewhere
    ],
)
def test_what_does_not_belong_there_is_found(modern: Sim, at: int, pa: int, flags: int) -> None:
    va = VirtAddr(IMAGE_WINDOW + FRAMEBUFFER + at)
    assert vmm.map_page(modern.kernel, va, PhysAddr(pa), PRESENT | WRITABLE | flags) == OK
    assert vmm.find_fault(modern.kernel) == (space_check.WRONG_FRAMEBUFFER, va)


def test_one_that_can_be_executed_is_found(modern: Sim) -> None:
    va = VirtAddr(IMAGE_WINDOW + FRAMEBUFFER + 0x1F_E000)
    assert vmm.protect(modern.kernel, va, PRESENT) == OK
    assert vmm.find_fault(modern.kernel) == (space_check.WRONG_FRAMEBUFFER, va)


def test_pages_there_without_a_framebuffer_are_found() -> None:
    sim = Sim(MEMORY, MODERN_CHECKED)
    sim.start(mailbox.start)
    va = VirtAddr(IMAGE_WINDOW + FRAMEBUFFER)
    assert vmm.find_fault(sim.kernel) == (OK, 0)
    assert vmm.map_page(sim.kernel, va, PhysAddr(BASES['sim']), PRESENT | NX) == OK
    assert vmm.find_fault(sim.kernel) == (space_check.WRONG_FRAMEBUFFER, va)


def test_it_is_no_ram_even_if_the_firmware_says_so(sim: Sim) -> None:
    entries = [(0, 0x9_F000), (0x10_0000, 0x3F0_0000), (AT.address - MIB, 4 * MIB)]
    sim.machine.poke(START_INFO + 48, struct.pack('<I', len(entries)))
    sim.machine.poke(MEMORY_MAP, b''.join(struct.pack('<QQII', *entry, 1, 0) for entry in entries))
    console.init(sim.kernel, PhysAddr(START_INFO))
    memory_map.read(sim.kernel, PhysAddr(START_INFO))
    found = [sim.kernel.memory_map.regions[index] for index in range(sim.kernel.memory_map.nr_regions)]
    end = AT.address + 250 * 4096
    assert [(region.start, region.end, region.kind) for region in found[2:]] == [
        (AT.address - MIB, AT.address, RAM),
        (AT.address, end, RESERVED),
        (end, AT.address + 3 * MIB, RAM),
    ]
