"""The set-up script, the Makefile and the lock file: what a newcomer's first command goes through."""

import importlib.machinery
import importlib.util
import io
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).resolve().parent.parent
SCRIPT = CHECKOUT / 'tools' / 'setup'


def load_script(path: Path) -> ModuleType:
    loader = importlib.machinery.SourceFileLoader('setup_script', str(path))
    spec = importlib.util.spec_from_loader('setup_script', loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script in a checkout of its own, on a machine whose PATH holds nothing."""
    monkeypatch.setattr(sys, 'dont_write_bytecode', True)
    for name in ('tools/setup', 'requirements.lock', 'pyproject.toml'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((CHECKOUT / name).read_bytes())
    (tmp_path / 'bin').mkdir()
    monkeypatch.setenv('PATH', str(tmp_path / 'bin'))
    return load_script(tmp_path / 'tools' / 'setup')


def put_command(tmp_path: Path, name: str, script: str) -> None:
    path = tmp_path / 'bin' / name
    path.write_text(f'#!/bin/sh\n{script}\n')
    path.chmod(0o755)


def record_commands(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replaces what runs pip and venv: notes which is called, and makes the interpreter's file as venv does."""
    called = []

    def note(command: list[str], on_failure: str) -> None:
        called.append('venv' if 'venv' in command else 'project' if '--editable' in command else 'packages')
        if called[-1] == 'venv':
            python = Path(setup.VENV_PYTHON)
            python.parent.mkdir(parents=True, exist_ok=True)
            if not python.exists():
                python.symlink_to(sys.executable)

    monkeypatch.setattr(setup, 'run_quietly', note)
    return called


def test_an_unknown_tool_is_wrong_usage(setup: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup.main(['qemu', 'emacs']) == 2
    assert capsys.readouterr().err == f'setup: emacs is not one of {", ".join(setup.COMMANDS)}.\n'


def test_a_missing_tool_without_a_package_manager_is_one_sentence(
    setup: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert setup.main(['qemu', 'gdb']) == 6
    assert capsys.readouterr().err == (
        'setup: install qemu-system-x86_64, gdb with your package manager, so that it is on the PATH, and try again.\n'
    )


def test_missing_tools_come_from_apt(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, 'geteuid', lambda: 0)
    log = tmp_path / 'apt.log'
    for name in ('gdb', 'ld'):
        put_command(tmp_path, name, 'exit 0')
    qemu = tmp_path / 'bin' / 'qemu-system-x86_64'
    put_command(
        tmp_path, 'apt-get', f'echo "$@" >> {log}; echo noise; case "$*" in *install*) /bin/cp /bin/sh {qemu};; esac'
    )
    monkeypatch.setattr(setup, 'set_up_venv', lambda: None)
    assert setup.main(['qemu', 'linker', 'gdb']) == 0
    assert capsys.readouterr().err == 'setup: installing qemu-system-x86 with apt-get\n'
    updated, installed = log.read_text().splitlines()
    assert updated.endswith(' update')
    assert installed.endswith(' install --no-install-recommends qemu-system-x86')
    # All is there now: the package manager is not called again.
    assert setup.main(['qemu', 'linker', 'gdb']) == 0
    assert len(log.read_text().splitlines()) == 2


def test_firmware_is_there_when_its_file_is(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / 'OVMF_CODE.fd'
    monkeypatch.setattr(os, 'geteuid', lambda: 0)
    monkeypatch.setitem(setup.FILES, 'ovmf', [str(tmp_path / 'elsewhere'), str(file)])
    monkeypatch.setattr(setup, 'set_up_venv', lambda: None)
    put_command(tmp_path, 'apt-get', f'case "$*" in *"install --no-install-recommends ovmf") echo > {file};; esac')
    for remark in ('setup: installing ovmf with apt-get\n', ''):
        assert setup.main(['ovmf']) == 0
        assert capsys.readouterr().err == remark
    file.unlink()
    (tmp_path / 'bin' / 'apt-get').unlink()
    assert setup.main(['ovmf']) == 6
    assert capsys.readouterr().err.startswith('setup: install ovmf with your package manager')


def test_a_dynamic_busybox_does_not_count(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, 'geteuid', lambda: 0)
    monkeypatch.setattr(setup, 'set_up_venv', lambda: None)
    put_command(tmp_path, 'busybox', '# /lib64/ld-linux-x86-64.so.2')
    static = tmp_path / 'bin' / 'busybox'
    put_command(tmp_path, 'apt-get', f'case "$*" in *install*) echo "#!/bin/sh" > {static};; esac')
    for remark in ('setup: installing busybox-static with apt-get\n', ''):
        assert setup.main(['busybox']) == 0
        assert capsys.readouterr().err == remark


def test_servers_are_not_installed_where_the_system_would_start_them(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, 'geteuid', lambda: 0)
    monkeypatch.setattr(setup, 'set_up_venv', lambda: None)
    redis = tmp_path / 'bin' / 'redis-server'
    put_command(tmp_path, 'apt-get', f'case "$*" in *install*) /bin/cp /bin/sh {redis};; esac')
    monkeypatch.setattr(setup, 'STARTS_SERVERS', str(tmp_path))
    assert setup.main(['redis']) == 6
    assert capsys.readouterr().err == (
        'setup: redis-server redis-tools would start with the system: install them yourself if that is all right.\n'
    )
    monkeypatch.setattr(setup, 'STARTS_SERVERS', str(tmp_path / 'none'))
    assert setup.main(['redis']) == 0
    assert capsys.readouterr().err == 'setup: installing redis-server redis-tools with apt-get\n'


def test_a_failing_package_manager_is_quoted(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, 'geteuid', lambda: 0)
    put_command(tmp_path, 'apt-get', 'echo E: no such package; exit 100')
    assert setup.main(['gdb']) == 6
    err = capfd.readouterr().err
    assert 'E: no such package\n' in err
    assert 'as root, run `apt-get install gdb` and try again' in err


@pytest.mark.parametrize('sudo', [None, 'echo sudo: a password is required >&2; exit 1'])
def test_no_way_to_become_root_is_one_sentence(
    setup: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    sudo: str | None,
) -> None:
    monkeypatch.setattr(os, 'geteuid', lambda: 1000)
    monkeypatch.setattr(sys, 'stdin', io.StringIO())
    put_command(tmp_path, 'apt-get', 'exit 99')
    if sudo:
        put_command(tmp_path, 'sudo', sudo)
    assert setup.main(['gcc']) == 6
    assert capfd.readouterr().err == (
        'setup: something is missing that only root can install: '
        'as root, run `apt-get install gcc libc6-dev` and try again.\n'
    )


def test_an_old_python_is_refused(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, 'OLDEST_PYTHON', (4, 2))
    assert setup.main([]) == 6
    assert re.fullmatch(
        r'setup: Python \S+ is too old: install Python 4\.2 or newer and try again\.\n', capsys.readouterr().err
    )


def test_set_up_that_is_done_is_not_done_again(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    called = record_commands(setup, monkeypatch)
    assert setup.main([]) == 0
    assert called == ['venv', 'packages', 'project']
    assert setup.main([]) == 0
    assert called == ['venv', 'packages', 'project']


@pytest.mark.parametrize('name', ['requirements.lock', 'pyproject.toml'])
def test_a_changed_lock_or_project_installs_packages_again(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    called = record_commands(setup, monkeypatch)
    setup.main([])
    called.clear()
    with (tmp_path / name).open('a') as file:
        file.write('# changed\n')
    assert setup.main([]) == 0
    assert called == ['packages', 'project']


def test_an_interrupted_installation_starts_over(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    called = record_commands(setup, monkeypatch)
    note = setup.run_quietly

    def interrupt_packages(command: list[str], on_failure: str) -> None:
        note(command, on_failure)
        if called[-1] == 'packages':
            raise KeyboardInterrupt

    monkeypatch.setattr(setup, 'run_quietly', interrupt_packages)
    assert setup.main([]) == 130
    monkeypatch.setattr(setup, 'run_quietly', note)
    called.clear()
    assert setup.main([]) == 0
    assert called == ['venv', 'packages', 'project']


def test_another_interpreter_makes_the_environment_anew(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    called = record_commands(setup, monkeypatch)
    setup.main([])
    called.clear()
    Path(setup.VENV_PYTHON).unlink()
    assert setup.main([]) == 0
    assert called == ['venv', 'packages', 'project']


def test_make_help_lists_every_target() -> None:
    declared = re.findall(r'^([a-z-]+):', (CHECKOUT / 'Makefile').read_text(), re.MULTILINE)
    shown = subprocess.run(['make', '-C', str(CHECKOUT), '-s', 'help'], capture_output=True, text=True, check=True)
    assert [line.split()[1] for line in shown.stdout.splitlines()] == declared


def test_the_lock_answers_every_range_with_hashes_and_names_no_host() -> None:
    project = tomllib.loads((CHECKOUT / 'pyproject.toml').read_text())['project']
    lock = (CHECKOUT / 'requirements.lock').read_text()
    assert '://' not in lock
    entries = re.findall(
        r'^(\S+)==(\S+)(?: ;[^\\]*)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)', lock, re.MULTILINE
    )
    assert len(entries) == len(re.findall(r'^[a-z]', lock, re.MULTILINE))
    locked = {canonicalize_name(name): version for name, version, _hashes in entries}
    for line in [*project['dependencies'], *project['optional-dependencies']['dev']]:
        requirement = Requirement(line)
        version = locked[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f'{line}: the lock has {version}; run `make lock`'
