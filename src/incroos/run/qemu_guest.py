"""A guest in QEMU whose RAM the host shares: the host reads and writes it while the guest runs.

The RAM is a file without a name, which QEMU and this process map. The video card's memory is not part of it: the
screen is read through the monitor.
"""

import contextlib
import mmap
import threading
from pathlib import Path
from typing import Self

from incroos.build.own_folder import own_folder

from . import outcome
from .firmware import PVH
from .guest_ram import file_offset, ram_file
from .outcome import Outcome
from .qemu import judge
from .qemu_process import Qemu
from .qemu_screen import TEXT_ADDR, TEXT_BYTES, png_of_ppm, text_rows


class Guest:
    """A guest, started by `with` and ended with the block. Physical address `pa` is `ram[offset_of(pa)]`.

    Without its exit port a kernel that is done stands still, and what it left on the screen can be seen.
    """

    def __init__(
        self,
        image: Path,
        memory_bytes: int,
        accel: str = 'tcg',
        *,
        can_exit: bool = True,
        firmware: str = PVH,
        extra: tuple[str, ...] = (),
    ) -> None:
        self._image, self.memory_bytes, self._accel = image, memory_bytes, accel
        self._can_exit, self._firmware, self._extra = can_exit, firmware, extra
        self._console = bytearray()
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as closing:
            file = closing.enter_context(ram_file(self.memory_bytes))
            self.ram = mmap.mmap(file.fileno(), self.memory_bytes)  # not closed here: views of it may be in use
            qemu = Qemu(
                self._image,
                self.memory_bytes,
                self._accel,
                ram=file,
                can_exit=self._can_exit,
                firmware=self._firmware,
                extra=self._extra,
            )
            self._qemu = closing.enter_context(qemu)
            self._reader = threading.Thread(target=self._read_serial, daemon=True)
            self._reader.start()
            closing.callback(self._reader.join)
            closing.callback(self._qemu.end)
            self._qemu.go()
            self._closing = closing.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def offset_of(self, pa: int) -> int:
        """Where a physical address of RAM is in the file: RAM above 4 GiB follows what lies below."""
        return file_offset(self.memory_bytes, pa)

    def console(self) -> bytes:
        """What came from the serial port so far."""
        return bytes(self._console)

    def ask(self, line: str) -> str:
        """What QEMU's monitor answers to a line, such as `info tlb`."""
        return self._qemu.monitor.ask_human_monitor(line)

    def read(self, pa: int, nbytes: int) -> bytes:
        """Physical memory as the processor sees it, that of devices included."""
        return self._save('pmemsave', val=pa, size=nbytes)

    def screen_text(self) -> list[str]:
        """The rows of the screen."""
        return text_rows(self.read(TEXT_ADDR, TEXT_BYTES))

    def screenshot(self) -> bytes:
        """The screen as PNG."""
        return png_of_ppm(self.screen())

    def screen(self) -> bytes:
        """The screen as QEMU's command writes it: PPM."""
        return self._save('screendump')

    def is_running(self) -> bool:
        """Has the guest not ended yet?"""
        return self._qemu.process.poll() is None

    def wait(self, seconds: float) -> Outcome:
        """Wait until the guest has ended, and say how."""
        self._reader.join(seconds)
        if self._reader.is_alive():
            return outcome.hang(seconds)
        while self._qemu.monitor.receive():
            pass
        return judge(self._qemu)

    def _save(self, command: str, **arguments: int) -> bytes:
        """What QEMU's command writes into a file."""
        with own_folder() as folder:
            file = folder / 'saved'
            self._qemu.monitor.execute(command, filename=str(file), **arguments)
            return file.read_bytes()

    def _read_serial(self) -> None:
        while data := self._qemu.serial.read(1 << 16):
            self._console += data
