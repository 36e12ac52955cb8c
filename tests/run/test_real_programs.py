"""Real programs with the hosted heap in the place of malloc: at each level, each does what it does without it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from incroos.run.images import kernel_image
from incroos.run.names import LEVELS

from ..budget import SECONDS
from ..cli.command import COMMAND
from .heap_programs import library

ROOT: Final = Path(__file__).parents[2]
# The same in every country and for every user, and at any time.
ENVIRONMENT: Final = {
    'LC_ALL': 'C',
    'TZ': 'UTC',
    'GIT_CONFIG_NOSYSTEM': '1',
    'GIT_CONFIG_GLOBAL': '/dev/null',
    **{f'GIT_{who}_NAME': 'somebody' for who in ('AUTHOR', 'COMMITTER')},
    **{f'GIT_{who}_EMAIL': 'somebody@example.org' for who in ('AUTHOR', 'COMMITTER')},
    **{f'GIT_{who}_DATE': '2000-01-01T00:00:00Z' for who in ('AUTHOR', 'COMMITTER')},
}
PYTHON: Final = """
import collections, concurrent.futures, decimal, json, re, zlib
text = ' '.join(f'{i * 7919 % 10007:x}' for i in range(60000))
decimal.getcontext().prec = 500
print(decimal.Decimal(2).sqrt(), collections.Counter(re.findall('[0-9a-f]+', text)).most_common(5))
data = json.loads(json.dumps({word: [word] * 20 for word in text.split()}))
def work(i):
    packed = zlib.compress(json.dumps(data).encode()[i * 1000:])
    return zlib.crc32(b''.join(zlib.decompress(packed).split(b',')))
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(list(pool.map(work, range(8))))
"""
PROCESSES: Final = """
import multiprocessing, subprocess
def work(i):
    text = subprocess.run(['sort', '-rn'], input='\\n'.join(map(str, range(i * 1000))), text=True, capture_output=True)
    return len(text.stdout), text.returncode
if __name__ == '__main__':
    with multiprocessing.get_context('fork').Pool(3) as pool:
        print(pool.map(work, range(9)))
"""
LLVM: Final = """
import ctypes, llvmlite.binding as llvm
llvm.initialize_native_target()
llvm.initialize_native_asmprinter()
text = 'define i64 @f{}(i64 %n) {{ %a = mul i64 %n, {} %b = xor i64 %a, %n ret i64 %b }}'
body = ''.join(text.format(i, i) for i in range(900))
machine = llvm.Target.from_default_triple().create_target_machine(opt=3)
module = llvm.parse_assembly(body)
engine = llvm.create_mcjit_compiler(module, machine)
engine.finalize_object()
call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
print([call(engine.get_function_address(f'f{i}'))(i) for i in range(0, 900, 9)], len(machine.emit_assembly(module)))
"""
SQL: Final = """
create table word (id integer primary key, text, length);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 30000)
    insert into word select i, hex(i * 7919 % 65536) || substr('some more text to store', 1, i % 20), i % 97 from n;
create index by_text on word (text);
delete from word where id % 3 = 0;
select length, count(*), min(text), group_concat(substr(text, 1, 2), '') from word group by length order by length;
vacuum;
pragma integrity_check;
"""
PERL: Final = """
my %seen; my @all;
for my $i (1 .. 60000) { my $w = sprintf '%x', $i * 7919 % 10007; $seen{$w}++; push @all, $w x ($i % 9); }
my $text = join ' ', @all; $text =~ s/([0-9]+)([a-f])/$2$1/g;
print length($text), ' ', join(',', map { "$_=$seen{$_}" } (sort { $a cmp $b } keys %seen)[0 .. 99]), "\\n";
my @sorted = sort { length $a <=> length $b or $a cmp $b } split / /, $text; print "@sorted[-9 .. -1]\\n";
"""
CXX: Final = """
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>
struct Node { std::string name; std::vector<std::unique_ptr<Node>> below; };
static std::unique_ptr<Node> tree(int depth) {
    auto node = std::make_unique<Node>();
    node->name = std::string(depth * 9, 'x');
    for (int i = 0; i < 4 && depth > 0; i++) node->below.push_back(tree(depth - 1));
    return node;
}
static size_t count(const Node &node) {
    size_t all = node.name.size();
    for (auto &one : node.below) all += count(*one);
    return all;
}
int main() {
    std::vector<std::thread> threads;
    std::vector<size_t> found(4);
    for (int i = 0; i < 4; i++)
        threads.emplace_back([&, i] { for (int j = 0; j < 9; j++) found[i] += count(*tree(6)); });
    for (auto &thread : threads) thread.join();
    std::map<std::string, int> words;
    for (int i = 0; i < 90000; i++) { std::ostringstream text; text << i * 7919 % 10007; words[text.str()]++; }
    std::string all;
    for (auto &[word, times] : words) all += word + ' ';
    std::sort(all.begin(), all.end());
    std::cout << found[0] + found[3] << ' ' << words.size() << ' ' << all.substr(all.size() - 9) << std::endl;
}
"""
SHELL: Final = """
declare -A seen
for ((i = 0; i < 6000; i++)); do word=w$((i * 7919 % 1009)); seen[$word]+=$i.; text+=$word; done
printf '%s ' "${#seen[@]}" "${seen[w7]}" "${text//w/-}" | cksum
for i in 1 2 3; do (exec sort -R --random-source=/dev/zero <<<"$(printf '%s\\n' {1..999})" | cksum) & wait; done
"""
GIT: Final = """
git init -q -b main . && for i in 1 2 3 4 5 6; do seq $((i * 999)) >file$i; seq $i $((i + 2000)) >same; git add .
git commit -qm "number $i"; done
git checkout -q -b other HEAD~2 && seq 7000 >same && git commit -qam other && git merge -q -s ours -m both main
git gc -q --aggressive --prune=now && git fsck --strict && git log --stat --graph -p | cksum && git blame same | cksum
git archive HEAD | tar -t
"""
MAKEFILE: Final = """
all: $(foreach i,1 2 3 4 5 6 7 8,part$(i))
	cat $^ | cksum
part%:
	seq $*0000 | awk '{ seen[$$1 % 997] = seen[$$1 % 997] $$1 } END { for (i = 0; i < 997; i++) print seen[i] }' >$@
"""
GDB: Final = f"""
gcc -g -c {ROOT}/bench/c/kernel_twin.c -o twin.o
gdb -nx -q -batch -ex 'info functions' -ex 'info types' -ex 'list kfree' -ex 'disassemble /s kmalloc' \\
    -ex 'python print(sorted(block.name for block in gdb.lookup_static_symbol("kmalloc").symtab.global_block()))' twin.o
"""

QEMU_REMARK: Final = 'incroos: booting in QEMU with TCG\n'
# Each is carried out in a folder of its own, which has these files.
FILES: Final = {
    'python.py': PYTHON,
    'processes.py': PROCESSES,
    'llvm.py': LLVM,
    'words.sql': SQL,
    'words.pl': PERL,
    'program.cpp': CXX,
    'Makefile': MAKEFILE,
    'text': ''.join(f'{number * 7919 % 100003} {number:b}\n' for number in range(60000)),
}
PROGRAMS: Final[Mapping[str, list[str]]] = {
    'python': [sys.executable, 'python.py'],
    'python processes': [sys.executable, 'processes.py'],
    'llvm': [sys.executable, 'llvm.py'],
    'sqlite': ['sqlite3', 'x.db', '.read words.sql'],
    'perl': ['perl', 'words.pl'],
    'gcc': ['gcc', '-O2', '-S', str(ROOT / 'bench/c/kernel_twin.c'), '-o', '-'],
    'g++': ['bash', '-c', 'g++ -std=c++17 -O1 -pthread program.cpp -o program && ./program && nm -C program | cksum'],
    'bash': ['bash', '-c', SHELL],
    'git': ['bash', '-ec', GIT],
    'make': ['make', '-s', '-j3'],
    'sort': ['bash', '-c', 'sort -k2 --parallel=4 -S 1M text | cksum; sort -u -n text | tail -2; uniq -c text | cksum'],
    'tar and gzip': [
        'bash',
        '-ec',
        'tar --mtime=@0 -czf x.tgz text *.py; tar -xzf x.tgz --to-stdout | cksum; gzip -tl x.tgz',
    ],
    'grep and sed': ['bash', '-c', r"grep -E -o '(1|01)+0{2,}' text | sed -E 's/(0+)$/<\1>/; N; P; D' | cksum"],
    'gdb': ['bash', '-ec', GDB],
    'qemu': [*COMMAND, 'boot', '--on', 'qemu', '--accel', 'tcg'],
}


@pytest.fixture(scope='module', autouse=True)
def kernel() -> None:
    """Is built before it is booted: that it has to be built would be a remark."""
    kernel_image(lambda remark: None)


def carried_out(name: str, folder: Path, preload: Path | None) -> 'subprocess.CompletedProcess[str]':
    """Run a program in a new folder, with the heap in malloc's place or without."""
    folder.mkdir()
    for file, content in FILES.items():
        (folder / file).write_text(content)
    environment = {key: value for key, value in os.environ.items() if key != 'LD_PRELOAD'} | ENVIRONMENT
    if preload is not None:
        environment['LD_PRELOAD'] = str(preload)
    return subprocess.run(
        PROGRAMS[name], cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )


@pytest.mark.parametrize('name', PROGRAMS)
def test_a_real_program_does_the_same(tmp_path: Path, name: str) -> None:
    if not shutil.which(PROGRAMS[name][0]):
        pytest.fail(f'{PROGRAMS[name][0]} is not installed: make setup should have done it')
    expected = carried_out(name, tmp_path / 'glibc', None)
    assert (expected.returncode, expected.stderr.replace(QEMU_REMARK, '')) == (0, '')
    assert expected.stdout
    for level in LEVELS:
        found = carried_out(name, tmp_path / level, library(hardening=level))
        assert (level, found.returncode, found.stdout, found.stderr) == (level, 0, expected.stdout, expected.stderr)


def test_the_heap_is_in_these_programs(tmp_path: Path) -> None:
    """What they are run with takes malloc's place in each process that they start."""
    command = ['sh', '-c', 'exec sort /proc/self/maps']
    maps = subprocess.run(command, env={'LD_PRELOAD': str(library())}, capture_output=True, text=True, check=True)
    assert str(library()) in maps.stdout
    assert '[heap]' not in maps.stdout
