"""UEFI in QEMU: the firmware's own files, and the disk that it finds.

The firmware is OVMF, two files: code, which a run only reads, and the template of the memory for its settings. Which
folders have it differs from system to system; QEMU brings its own, too.
"""

import shutil
from pathlib import Path
from typing import Final

from .outcome import Unusable

FOLDERS: Final = ('/usr/share/OVMF', '/usr/share/edk2/ovmf', '/usr/share/edk2/x64', '/usr/share/edk2-ovmf/x64')
NAMES: Final = (  # code and settings; first what signs nothing and has most room
    ('OVMF_CODE_4M.fd', 'OVMF_VARS_4M.fd'),
    ('OVMF_CODE.4m.fd', 'OVMF_VARS.4m.fd'),
    ('OVMF_CODE.fd', 'OVMF_VARS.fd'),
    ('ovmf-x86_64-code.bin', 'ovmf-x86_64-vars.bin'),
    ('edk2-x86_64-code.fd', 'edk2-i386-vars.fd'),
)


def find_firmware() -> tuple[Path, Path]:
    """The files with code and settings. Raises Unusable where there are none."""
    program = shutil.which('qemu-system-x86_64')
    own = [Path(program).resolve().parents[1] / 'share' / 'qemu'] if program else []
    for folder in (*map(Path, FOLDERS), *own):
        for names in NAMES:
            code, settings = (folder / name for name in names)
            if code.is_file() and settings.is_file():
                return code, settings
    raise Unusable(
        'the UEFI firmware OVMF is not installed: install it (on Debian and Ubuntu: apt install ovmf)'
        ' or take --firmware bios'
    )


def options(volume: Path) -> list[str]:
    """What QEMU is told: the firmware, and a disk with its volume. What a guest writes to either is forgotten."""
    code, settings = find_firmware()
    return [
        *('-drive', f'if=pflash,unit=0,format=raw,readonly=on,file={escaped(code)}'),
        *('-drive', f'if=pflash,unit=1,format=raw,snapshot=on,file={escaped(settings)}'),
        *('-drive', f'if=ide,format=raw,snapshot=on,file={escaped(volume)}'),
    ]


def escaped(path: Path) -> str:
    """A path inside one of QEMU's options."""
    return str(path).replace(',', ',,')
