"""What the recorded programs are given: made up from a seed, so that it is the same every time."""

import random
from collections.abc import Iterator
from typing import Final

SEED: Final = 4
NR_COMMITS: Final = 700
NR_FILES: Final = 120
NR_LINES: Final = 160
NR_ROWS: Final = 40_000
NR_QUERIES: Final = 4_000

CPP: Final = """
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

struct Shape {
    virtual ~Shape() = default;
    virtual double area() const = 0;
};
struct Square : Shape {
    double side;
    explicit Square(double s) : side(s) {}
    double area() const override { return side * side; }
};

int main() {
    std::map<std::string, std::vector<std::unique_ptr<Shape>>> shapes;
    std::unordered_map<int, std::string> names;
    for (int i = 0; i < 10; i++) {
        shapes["squares"].push_back(std::make_unique<Square>(i));
        names[i] = std::to_string(i);
    }
    auto &squares = shapes["squares"];
    std::sort(squares.begin(), squares.end(), [](auto &a, auto &b) { return a->area() > b->area(); });
    for (auto &[key, list] : shapes) std::cout << key << list.size() << names.size() << std::endl;
}
"""

PERL: Final = r"""
my (%by_key, @rows);
for my $i (1 .. 60000) {
    my $key = 'key' . ($i * 7919 % 50021);
    $by_key{$key} .= "v$i;";
    push @rows, [$i, $key];
    delete $by_key{'key' . ($i * 31 % 50021)} if $i % 3 == 0;
}
my $text = join "\n", map { "$_->[0]:$_->[1]" } sort { $a->[1] cmp $b->[1] } @rows;
my %count;
$count{$_}++ for $text =~ /(\d+)/g;
my @often = sort { $count{$b} <=> $count{$a} || $a <=> $b } keys %count;
print "$often[0] ", scalar(@often), "\n";
"""

PYTHON: Final = """
import ast, json, os, re
from collections import Counter
from pathlib import Path

words = Counter()
for file in sorted(Path(os.__file__).parent.glob('*.py'))[:25]:
    text = file.read_text(errors='replace')
    tree = ast.parse(text)
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            names.setdefault(node.id, []).append(node.lineno)
    assert json.loads(json.dumps(names)) == names
    words.update(re.findall(r'\\\\w+', text))
    compile(tree, file.name, 'exec')
print(words.most_common(3))
"""


def sql() -> str:
    """A table is filled, indexed, changed and asked."""
    queries = (f"select a, b, c from t where b = 'row {i * 13 % 40009}' or a = {i};" for i in range(NR_QUERIES))
    return '\n'.join(
        [
            'create table t(a integer primary key, b text, c real);',
            f'with recursive n(i) as (select 1 union all select i + 1 from n where i < {NR_ROWS})'
            " insert into t select i, 'row ' || (i * 7919 % 40009), i * 0.5 from n;",
            'create index ib on t(b);',
            "select count(*), sum(c) from t where b like 'row 1%';",
            'select substr(b, 1, 6) as g, count(*), group_concat(a) from t group by g order by 2 desc limit 5;',
            "update t set b = b || 'x' where a % 7 = 0;",
            'delete from t where a % 5 = 0;',
            *queries,
            '',
        ]
    )


def repository() -> bytes:
    """A stream for `git fast-import`: commits that each change some files by a few lines."""
    return ''.join(commits(random.Random(SEED))).encode()


def commits(source: random.Random) -> Iterator[str]:
    files = [[line(source) for _ in range(NR_LINES)] for _ in range(NR_FILES)]
    for number in range(NR_COMMITS):
        changed = range(NR_FILES) if number == 0 else source.sample(range(NR_FILES), 4)
        yield f'commit refs/heads/main\ncommitter A <a@example.org> {1_700_000_000 + number * 60} +0000\n'
        yield data(f'Change {number}: {line(source)}')
        for index in changed:
            for _ in range(8):
                files[index][source.randrange(len(files[index]))] = line(source)
            yield f'M 100644 inline src/part{index % 10}/file{index}.txt\n' + data('\n'.join(files[index]) + '\n')


def data(text: str) -> str:
    return f'data {len(text)}\n{text}\n'


def line(source: random.Random) -> str:
    return ' '.join(f'{source.randrange(1 << 30):x}' for _ in range(source.randrange(3, 10)))
