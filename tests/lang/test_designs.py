"""Designs: modules that a configuration names, by a Protocol that each of them fits."""

import copy
import io
import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
from elftools.elf.elffile import ELFFile
from mypy import api

from incroos.build.codegen import compile_bare
from incroos.lang import Config, ConfigError, VirtAddr, load_design
from incroos.lang.frontend import BARE, RAW, Refused, compile_unit

from .compiled import Memory, compiled
from .flat import FlatMachine

# As in the kernel: the configuration's class knows the Protocol by name alone; what the Protocol is about lies above.
FILES: Final = {
    'choices.py': """
from dataclasses import dataclass
from typing import TYPE_CHECKING

from incroos.lang import Config, word

if TYPE_CHECKING:
    from .zone import Frames


@dataclass(frozen=True)
class Choice(Config):
    frames: 'Frames'
    nr_frames: word = 64
""",
    'state.py': """
from typing import Annotated

from incroos.lang import Array, Struct, u64

from .choices import Choice


class Zone(Struct):
    free: u64
    config: Choice


class Top(Struct):
    config: Choice
    zone: Zone
    zones: Annotated[Array[Zone], 2]
""",
    'zone.py': """
from typing import Protocol

from incroos.lang import Order, Pfn, word

from .state import Zone


class Frames(Protocol):
    HAS_ORDERS: bool
    FIRST: Pfn

    def take(self, zone: Zone, order: Order, step: word) -> Pfn: ...

    def put(self, zone: Zone, pfn: Pfn) -> None: ...
""",
    'up.py': """
from typing import Final

from incroos.lang import Order, Pfn, kernel, word

from .state import Zone

HAS_ORDERS: Final = True
FIRST: Final = Pfn(100)


@kernel
def take(zone: Zone, order: Order, step: word) -> Pfn:
    zone.free -= step << order
    return Pfn(zone.free + zone.config.frames.FIRST)


@kernel
def put(zone: Zone, pfn: Pfn) -> None:
    zone.free += pfn
""",
    'down.py': """
from typing import Final

from incroos.lang import Order, Pfn, kernel, word

from .state import Zone

HAS_ORDERS: Final = False
FIRST: Final = Pfn(1)


@kernel
def take(zone: Zone, order: Order, step: word) -> Pfn:
    zone.free += step
    return FIRST


@kernel
def put(zone: Zone, pfn: Pfn) -> None:
    zone.free = pfn
""",
    'use.py': """
from typing import Final

from incroos.lang import Order, Pfn, VirtAddr, kernel, write_cr2, word

from . import down, up
from .choices import Choice
from .state import Top, Zone

UP: Final = Choice(up)
DOWN: Final = Choice(down, nr_frames=3)


@kernel
def in_zone(zone: Zone) -> Pfn:
    config = zone.config
    first = config.frames.FIRST
    first = zone.config.frames.take(zone, Order(1), 2)
    zone.config.frames.put(zone, first)
    return config.frames.take(zone, Order(0), config.nr_frames)


@kernel
def f(k: Top) -> word:
    if k.zone.config.frames.HAS_ORDERS:
        k.zone.free = 1000
    else:
        k.zone.free = 7
    pfn = k.config.frames.take(k.zone, Order(2), 5)
    k.config.frames.put(k.zones[1], pfn)
    return in_zone(k.zone) + pfn
""",
}
TEMPORARY: Final = 'designs_under_test'


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The package of these files; called with a file's name and changes of its text, it imports them anew."""
    folder = tmp_path / TEMPORARY
    folder.mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, 'dont_write_bytecode', True)  # files change within a second
    (folder / '__init__.py').write_text('')
    for name, text in FILES.items():
        (folder / name).write_text(text)

    def load(name: str = '', *changes: tuple[str, str]) -> ModuleType:
        if name:
            text = (folder / name).read_text()
            for old, new in changes:
                assert text.count(old) == 1, old
                text = text.replace(old, new)
            (folder / name).write_text(text)
        forget(TEMPORARY)
        return __import__(f'{TEMPORARY}.use').use  # type: ignore[no-any-return]

    yield load
    forget(TEMPORARY)


def forget(package: str) -> None:
    for name in [name for name in sys.modules if name == package or name.startswith(f'{package}.')]:
        del sys.modules[name]


def test_each_configuration_calls_its_own_design(world: Any) -> None:
    use = world()
    memory = Memory(64)
    assert use.Top.SIZE == 24
    for config, free, wanted in ((use.UP, 1988, 3168), (use.DOWN, 4, 2)):
        machine = FlatMachine(memory.addr, 64, config)
        result = use.f(use.Top(machine, VirtAddr(memory.addr)))
        for checked in (False, True):
            memory.clear()
            build = compiled([use.f], checked=checked, config=config)
            assert build.call('f', memory.addr) == result
            assert memory.content() == bytes(machine.bytes)
        assert (result, memory.words()[0]) == (wanted, free)
    assert [config.frames.__name__.rpartition('.')[2] for config in (use.UP, use.DOWN)] == ['up', 'down']


def test_mypy_accepts_what_runs_and_no_other_design(world: Any, tmp_path: Path) -> None:
    def errors_of() -> str:
        project = Path(__file__).parents[2] / 'pyproject.toml'
        options = ['--config-file', str(project), '--cache-dir', str(tmp_path / 'cache')]
        limit = sys.getrecursionlimit()
        output, errors, _ = api.run([*options, str(tmp_path / TEMPORARY)])
        sys.setrecursionlimit(limit)  # which mypy raises
        assert errors == ''
        return output

    assert 'no issues found' in errors_of()
    with pytest.raises(ConfigError):
        world('up.py', ('order: Order, step: word', 'step: word'))
    assert 'incompatible type Module' in errors_of()


def test_only_the_chosen_design_is_compiled(world: Any) -> None:
    use = world()
    for config, there, absent in ((use.UP, 'up.take', 'down.take'), (use.DOWN, 'down.take', 'up.take')):
        text = compile_unit({'f': use.f}, RAW, config).ir
        assert there in text
        assert absent not in text


def test_a_constant_of_a_design_excludes_code(world: Any) -> None:
    use = world('use.py', ('        k.zone.free = 1000\n', '        write_cr2(k.m, VirtAddr(1))\n'))
    compile_unit({'f': use.f}, RAW, use.DOWN)
    with pytest.raises(Refused, match='the target raw has no primitive write_cr2'):
        compile_unit({'f': use.f}, RAW, use.UP)


REFUSED: Final = {
    'a function is missing': (
        'up.py',
        ('def put', 'def other'),
        r'up.py is no Frames: define @kernel def put\(zone: Zone, pfn: Pfn\) -> None',
    ),
    'a parameter is missing': (
        'up.py',
        ('order: Order, step: word', 'order: Order'),
        r'up.py:12: def take\(zone: Zone, order: Order\) -> Pfn does not fit Frames: '
        r'write def take\(zone: Zone, order: Order, step: word\) -> Pfn',
    ),
    'a parameter means something else': ('up.py', ('order: Order', 'order: Pfn'), r'up.py:12: def take\(.* write def'),
    'a parameter has a star': ('up.py', ('order: Order, step: word', 'order: Order, step: word, *x: word'), 'up.py:12'),
    'a parameter has a name only': (
        'up.py',
        ('order: Order, step: word', 'order: Order, step: word, *, x: word'),
        'up.py:12',
    ),
    'an annotation is missing': (
        'up.py',
        ('order: Order', 'order'),
        r'take\(zone: Zone, order: \?, step: word\) -> Pfn',
    ),
    'an annotation means nothing': ('up.py', ('order: Order', "order: 'Nothing'"), "'Nothing' means nothing here"),
    'the result means something else': ('up.py', ('step: word) -> Pfn', 'step: word) -> word'), 'up.py:12'),
    'a function is not marked': (
        'up.py',
        ('@kernel\ndef take', 'def take'),
        'up.py:12: take is no kernel function: mark it @kernel',
    ),
    'a constant is missing': (
        'up.py',
        ('HAS_ORDERS: Final = True\n', ''),
        'up.py is no Frames, it has no HAS_ORDERS: define HAS_ORDERS: Final, a bool',
    ),
    'a constant is of another type': ('up.py', ('Final = True', 'Final = 1'), 'its HAS_ORDERS is 1: define'),
    'a choice is no module': ('use.py', ('Choice(up)', 'Choice(Zone)'), 'Choice.frames is .*: give it a module that'),
    'a module is no choice': ('use.py', ('Choice(up)', 'Choice(up, up)'), 'Choice.nr_frames is the module .*Protocol'),
    'a Protocol is not to be found': ('choices.py', ('import Frames', 'import Frame'), "'Frames' means nothing here"),
}


@pytest.mark.parametrize('name', REFUSED)
def test_what_does_not_fit_is_refused_where_the_configuration_is_made(world: Any, name: str) -> None:
    file, change, message = REFUSED[name]
    world()
    with pytest.raises(ConfigError, match=message) as caught:
        world(file, change)
    assert '\n' not in str(caught.value)


TEXTS: Final = {
    'zone.config.frames.take(zone, Order(1), 2)': (
        'zone.config.frames.drop(zone, Order(1), 2)',
        'Frames has no drop\n.*\n.*\n  its members are HAS_ORDERS, FIRST, take, put',
    ),
    'config.frames.FIRST': ('config.frames', 'config.frames is a module, not a number'),
    'put(zone, first)': ('put(zone, 4)', 'pfn wants Pfn, found word'),
    'k.config.frames.put(k.zones[1], pfn)': (
        'k.zones[1].config.frames.put(k.zones[1], pfn)',
        'put is not a function\n.*\n.*\n  .*give the view a name first',
    ),
    'k.config.frames.take(k.zone, Order(2), 5)': ('k.config.pages.take(k.zone)', 'Choice has no field pages'),
    'first = zone.config.frames.take(zone, Order(1), 2)': ('first = 5', 'first is Pfn, this makes it word'),
}


@pytest.mark.parametrize('old', TEXTS)
def test_uses_that_are_refused(world: Any, old: str) -> None:
    new, message = TEXTS[old]
    use = world('use.py', (old, new))
    with pytest.raises(Refused, match=message):
        compile_unit({'f': use.f}, RAW, use.UP)


def test_a_refusal_and_debug_information_name_the_file_of_the_design(world: Any) -> None:
    use = world()
    unit = compile_unit({'f': use.f}, BARE, use.DOWN, debug=True)
    dwarf = ELFFile(io.BytesIO(compile_bare(unit.ir, '', debug=True).object_bytes)).get_dwarf_info()
    (cu,) = dwarf.iter_CUs()
    program: Any = dwarf.line_program_for_CU(cu)
    files = {entry.name.decode() for entry in program['file_entry']}
    assert {'use.py', 'down.py'} <= files
    assert 'up.py' not in files
    use = world('down.py', ('return FIRST', 'return [FIRST]'))
    compile_unit({'f': use.f}, RAW, use.UP)
    with pytest.raises(Refused, match=r'/down\.py:15:12: a list is not kernel Python'):
        compile_unit({'f': use.f}, RAW, use.DOWN)


def test_designs_that_call_each_other_in_a_circle_are_refused(world: Any) -> None:
    use = world(
        'down.py', ('zone.free += step', 'zone.config.frames.put(zone, zone.config.frames.take(zone, order, 1))')
    )
    with pytest.raises(Refused, match='take calls take: kernel code does not recurse'):
        compile_unit({'f': use.f}, RAW, use.DOWN)


def test_configurations_are_copied_changed_compared_and_pickled(world: Any) -> None:
    use = world()
    assert copy.deepcopy(use.UP) == copy.copy(use.UP) == use.UP != use.DOWN
    assert pickle.loads(pickle.dumps(use.DOWN)) == use.DOWN
    assert replace(use.UP, frames=use.DOWN.frames, nr_frames=3) == use.DOWN
    assert json.loads(json.dumps(use.DOWN.described())) == {'frames': f'{TEMPORARY}.down', 'nr_frames': 3}
    with pytest.raises(ConfigError, match=r'Choice\.frames is 5'):
        replace(use.UP, frames=5)


def test_a_key_holds_the_content_of_designs(world: Any) -> None:
    use = world()
    first = use.UP.identity()
    assert use.UP.identity() == world().UP.identity() == first
    assert len({first, use.DOWN.identity(), replace(use.UP, nr_frames=9).identity()}) == 3
    changed = world('up.py', ('free -= step', 'free -= step + 1')).UP.identity()
    assert changed != first
    assert world('up.py', ('step + 1', 'step')).UP.identity() == first
    assert world('down.py', ('free += step', 'free += step + 1')).UP.identity() != first  # it may use its neighbour


OUTSIDE: Final = f"""
from typing import Final
from {TEMPORARY}.state import Zone
from incroos.lang import Order, Pfn, kernel, word
from .helper import STEP

HAS_ORDERS: Final = False
FIRST: Final = Pfn(9)


@kernel
def take(zone: Zone, order: Order, step: word) -> Pfn:
    zone.free += STEP
    return FIRST


@kernel
def put(zone: Zone, pfn: Pfn) -> None:
    zone.free = pfn
"""


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / 'elsewhere'
    folder.mkdir()
    (folder / 'mine.py').write_text(OUTSIDE)
    (folder / 'helper.py').write_text('STEP = 17\n')
    yield folder / 'mine.py'
    for name in [name for name in sys.modules if name.startswith('design_')]:
        del sys.modules[name]


def test_a_design_outside_of_the_package(world: Any, outside: Path) -> None:
    use = world()
    design = load_design(outside)
    assert load_design(outside) is design
    config = replace(use.UP, frames=design)
    memory = Memory(64)
    machine = FlatMachine(memory.addr, 64, config)
    result = use.f(use.Top(machine, VirtAddr(memory.addr)))
    assert compiled([use.f], config=config).call('f', memory.addr) == result == 18
    assert memory.content() == bytes(machine.bytes)
    assert memory.words()[0] == 9 + 17
    first = config.identity()
    outside.with_name('helper.py').write_text('STEP = 18\n')
    assert config.identity() != first


def test_a_configuration_with_a_design_outside_goes_to_another_process(world: Any, outside: Path) -> None:
    use = world()
    config = replace(use.UP, frames=load_design(outside))
    assert pickle.loads(pickle.dumps(config)) == config
    program = 'import pickle, sys; print(pickle.load(sys.stdin.buffer).frames.__file__)'
    folder = str(outside.parents[1])
    output = subprocess.run(
        [sys.executable, '-c', f'import sys; sys.path.insert(0, {folder!r}); {program}'],
        input=pickle.dumps(config),
        capture_output=True,
        check=True,
    ).stdout
    assert output.decode().strip() == str(outside)


@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        ('mine.py', 'x = 1 +\n', r'mine\.py:1:8: invalid syntax\n    x = 1 \+\n           \^\n  mend the text$'),
        (
            'mine.py',
            'x = missing\n',
            r"mine\.py:1:5: name 'missing' is not defined\n    x = missing\n        \^{7}\n  mend the text$",
        ),
        ('mine.py', 'import not_there_at_all\n', r"mine\.py:1:1: No module named 'not_there_at_all'\n"),
        ('mine.py', '\nx = 1 // 0\n', r'mine\.py:2:5: ZeroDivisionError: '),
        ('mine.py', 'x = 1\0\n', r'mine\.py:1:6: source code string cannot contain null bytes\n'),
        ('other.py', '', r'other\.py is not there: name the file of a design'),
        ('not-a-name.py', 'x = 1', r'not-a-name\.py is no module: name a file of Python text'),
        ('mine.txt', 'x = 1', r'mine\.txt is no module'),
    ],
)
def test_a_file_that_cannot_be_loaded(outside: Path, name: str, text: str, message: str) -> None:
    if text:
        outside.with_name(name).write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_design(outside.with_name(name))


def test_a_configuration_without_designs_is_as_before() -> None:
    from incroos.kernel.configs import MODERN

    assert isinstance(MODERN, Config)
    assert MODERN.described()['space'] == 1
    assert copy.deepcopy(MODERN) is MODERN
