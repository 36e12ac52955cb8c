"""The programs: two compilers, git twice, Python, perl, sqlite, and two servers."""

import random
import socket
import sys
from pathlib import Path
from shutil import which
from typing import Final

from bench.executable import C

from . import texts
from .recorded import HOST, Program, free_port, record, record_server, run

# For tools/setup; the servers apart from the others, because it does not install them everywhere
TOOLS: Final = ('gcc', 'g++', 'git', 'perl', 'sqlite', 'mimalloc', 'jemalloc', 'tcmalloc')
SERVERS: Final = ('redis', 'nginx')
NR_REDIS_REQUESTS: Final = 20_000  # of each kind
NR_CONNECTIONS: Final = 5_000
PATHS: Final = ('/', '/large.html', '/echo?{0}', '/again/large.html', '/none')
NGINX: Final = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log stderr;
events {{ worker_connections 256; }}
http {{
    access_log off; gzip on; gzip_min_length 100; gzip_types text/html;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen {host}:{port}; root {folder}; error_page 404 /index.html;
        location /echo {{ return 200 "x$request_uri\\n"; }}
        location /again/ {{ proxy_pass http://{host}:{port}/; }}
    }}
}}
"""


def compiler(folder: Path, driver: str, name: str) -> list[str]:
    """The compiler itself, which `gcc` and `g++` only start, with what they tell it about the system's headers."""
    multiarch = run(folder, driver, '-print-multiarch').strip()
    path = run(folder, driver, f'-print-prog-name={name}').strip()
    return [path, '-quiet', '-D_GNU_SOURCE', *(['-imultiarch', multiarch] if multiarch else [])]


def gcc(folder: Path, output: Path) -> None:
    record(folder, output, *compiler(folder, 'gcc', 'cc1'), '-O2', C / 'kernel_twin.c', '-o', folder / 'twin.s')


def gxx(folder: Path, output: Path) -> None:
    (folder / 'shapes.cpp').write_text(texts.CPP)
    source, target = folder / 'shapes.cpp', folder / 'shapes.s'
    record(folder, output, *compiler(folder, 'g++', 'cc1plus'), '-O1', source, '-o', target)


def repository(folder: Path) -> None:
    run(folder, 'git', 'init', '-q', '--bare', '.')
    run(folder, 'git', 'symbolic-ref', 'HEAD', 'refs/heads/main')
    run(folder, 'git', 'fast-import', '--quiet', text=texts.repository())


def git_log(folder: Path, output: Path) -> None:
    repository(folder)
    record(folder, output, 'git', 'log', '-p', '--stat', '--no-color')


def git_pack(folder: Path, output: Path) -> None:
    repository(folder)
    options = ('--all', '--stdout', '-q', '--threads=1', '--no-reuse-delta', '--delta-base-offset', '--depth=10')
    record(folder, output, 'git', 'pack-objects', *options)


def python(folder: Path, output: Path) -> None:
    """Its small objects come from pools of its own, unless it is told otherwise."""
    (folder / 'parse.py').write_text(texts.PYTHON)
    interpreter = Path(sys.executable).resolve()
    record(
        folder,
        output,
        interpreter,
        '-s',
        '-S',
        folder / 'parse.py',
        environment={'PYTHONMALLOC': 'malloc', 'PYTHONPATH': ''},
    )


def perl(folder: Path, output: Path) -> None:
    (folder / 'count.pl').write_text(texts.PERL)
    record(folder, output, 'perl', folder / 'count.pl')


def sqlite(folder: Path, output: Path) -> None:
    record(folder, output, 'sqlite3', ':memory:', text=texts.sql().encode())


def redis(folder: Path, output: Path) -> None:
    port = free_port()

    def load() -> None:
        kinds = 'set,get,incr,lpush,rpush,sadd,hset,zadd,lrange_100'
        amounts = ('-n', str(NR_REDIS_REQUESTS), '-r', '20000', '-d', '64', '-c', '20')
        run(folder, 'redis-benchmark', '-h', HOST, '-p', str(port), '-q', '-t', kinds, *amounts)

    where = ('--port', str(port), '--bind', HOST, '--dir', folder)
    record_server(folder, output, port, load, 'redis-server', *where, '--save', '', '--appendonly', 'no')


def nginx(folder: Path, output: Path) -> None:
    port = free_port()
    (folder / 'large.html').write_text(''.join(texts.commits(random.Random(texts.SEED)))[:40_000])
    (folder / 'index.html').write_text('a small page\n')
    (folder / 'nginx.conf').write_text(NGINX.format(folder=folder, host=HOST, port=port))

    def load() -> None:
        for number in range(NR_CONNECTIONS):
            ask(port, number)

    where = ('-p', folder, '-c', folder / 'nginx.conf', '-e', 'stderr')
    program = which('nginx') or '/usr/sbin/nginx'  # not on the PATH of every user
    record_server(folder, output, port, load, program, *where)


def ask(port: int, number: int) -> None:
    """Ten requests on one connection, until the server closes it."""
    requests = []
    for index in range(10):
        path = PATHS[(number + index) % len(PATHS)].format(number)
        headers = [
            'Host: a',
            f'X-Length: {"b" * (number * 7 % 300)}',
            f'Connection: {"close" if index == 9 else "keep-alive"}',
        ]
        headers += ['Accept-Encoding: gzip'] if index % 3 == 0 else []
        requests.append(f'GET {path} HTTP/1.1\r\n' + '\r\n'.join(headers) + '\r\n\r\n')
    with socket.create_connection((HOST, port), timeout=10) as connection:
        connection.sendall(''.join(requests).encode())
        while connection.recv(1 << 16):
            pass


PROGRAMS: Final = (
    Program('gcc', 'gcc compiles bench/c/kernel_twin.c with -O2', gcc),
    Program('g++', 'g++ compiles a small file with many headers with -O1', gxx),
    Program('git-log', 'git log -p --stat of 700 commits', git_log),
    Program('git-pack', 'git packs these commits', git_pack),
    Program('python', 'Python parses and compiles 25 modules of its library, PYTHONMALLOC=malloc', python),
    Program('perl', 'perl counts, sorts and matches', perl),
    Program('sqlite', 'sqlite fills, indexes and asks a table in memory', sqlite),
    Program('redis', 'redis serves redis-benchmark', redis),
    Program('nginx', 'nginx serves 50,000 requests, some by way of itself', nginx),
)
