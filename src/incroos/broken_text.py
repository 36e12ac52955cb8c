"""What is said about a text that Python cannot load: the place, a caret under it, what is wrong there.

    kernel/pmm/bitmap.py:41:9: expected ':'
        while bits
                  ^
      mend the text

That is a wrong syntax, indentation or encoding, an import that leads nowhere or in a circle, and whatever else a module
raises while it is imported. This module needs no other one of the package: any of them may be the broken one.
"""

import importlib.util
import linecache
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, NamedTuple

PACKAGE: Final = Path(__file__).resolve().parent
MODULE: Final = '<module>'  # how CPython calls the code of a module that is imported
OUTSIDE: Final = 'design_'  # how the packages begin that stand for folders of designs outside of any package
ZERO_BYTE: Final = 'null bytes'  # in what CPython says of one
REPLACEMENT: Final = '\N{REPLACEMENT CHARACTER}'  # shown for a byte that is no character


class Spot(NamedTuple):
    """Where something stands in a file; line and columns count from 1, and the end is the first column behind."""

    file: str
    line: int
    column: int
    end_column: int
    text: str


def sentence_about(error: Exception, folder: Path = PACKAGE) -> str:
    """What to say about an error that a text of ours, or a design, is to blame for. Empty where none is.

    A text without a name may be any one in the folder.
    """
    if isinstance(error, ValueError) and ZERO_BYTE in str(error):  # CPython before 3.11.4
        error = SyntaxError(str(error))
    if isinstance(error, SyntaxError):
        spot, what, instead = _spot_of_syntax(error, folder), error.msg, 'mend the text'
    else:
        spot, what, instead = _spot_of_import(error), str(error), 'mend the text'
        if isinstance(error, ImportError):
            instead = 'mend the import, or what it leads to'
        elif not isinstance(error, NameError):
            what = f'{type(error).__name__}: {error}'
    if spot is None:
        return ''
    line = quoted(spot.text, spot.column, spot.end_column)
    return f'{spot.file}:{spot.line}:{spot.column}: {what}\n{line}\n  {instead}'


def quoted(text: str, column: int, end_column: int) -> str:
    """A line, and carets under a part of it."""
    indent = len(text) - len(text.lstrip())
    before, under = text[indent : column - 1], text[max(column - 1, indent) : end_column - 1]
    marker = ''.join('\t' if char == '\t' else ' ' * width(char) for char in before)
    marker += '^' * max(1, sum(map(width, under)))
    return f'    {text[indent:]}\n    {marker}'


def width(char: str) -> int:
    """The columns that a character takes on a terminal."""
    return 0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in 'WF')


def _spot_of_syntax(error: SyntaxError, folder: Path) -> Spot | None:
    """Where CPython found a text wrong. Of a byte that is no character it knows the line at best; we look for it."""
    file = error.filename or _file_with_zero(folder)
    try:
        content = Path(file).read_bytes()
    except (OSError, ValueError):  # it was no file's text
        return None
    lines = content.decode(errors='replace').split('\n')
    bad = _bad_byte(content, error.msg)
    if bad >= 0:
        before = content[:bad].decode(errors='replace').split('\n')
        line, column = len(before), len(before[-1]) + 1
        return Spot(file, line, column, column + 1, lines[line - 1].replace('\0', REPLACEMENT))
    error = _with_characters(error, content)
    line, column = max(error.lineno or 1, 1), max(error.offset or 1, 1)
    text = (error.text or lines[min(line, len(lines)) - 1]).rstrip()
    ends_here = error.end_lineno == line and (error.end_offset or 0) > column
    return Spot(file, line, column, (error.end_offset or 0) if ends_here else column + 1, text)


def _with_characters(error: SyntaxError, content: bytes) -> SyntaxError:
    """The error with columns counted in characters: where a text came as bytes, CPython 3.11 counts those."""
    try:
        compile(importlib.util.decode_source(content), str(error.filename), 'exec', dont_inherit=True)
    except SyntaxError as again:
        return again if again.msg == error.msg else error
    except Exception:  # it cannot be decoded
        return error
    return error


def _bad_byte(content: bytes, message: str) -> int:
    """Where the byte is that CPython does not take for a part of a text; negative if a message is about none."""
    if ZERO_BYTE in message:
        return content.find(0)
    if 'codec' in message:
        try:
            content.decode()
        except UnicodeDecodeError as error:
            return error.start
    return -1


def _file_with_zero(folder: Path) -> str:
    """The text with a zero byte: CPython 3.11 does not say which one it is."""
    files = (path for path in sorted(folder.rglob('*.py')) if path.is_file())
    return next((str(path) for path in files if b'\0' in path.read_bytes()), '')


def _spot_of_import(error: Exception) -> Spot | None:
    """The statement of the last module that was being imported; of an import elsewhere, the last one of ours."""
    if isinstance(error, OSError | MemoryError):  # no fault of a text
        return None
    found = None
    for frame, line, instruction in _frames(error.__traceback__):
        code = frame.f_code
        package = str(frame.f_globals.get('__name__')).partition('.')[0]
        is_ours = package == PACKAGE.name or package.startswith(OUTSIDE)
        is_import = code.co_name == MODULE or isinstance(error, ImportError)
        is_part = found is not None and code.co_filename == found[0].co_filename  # a class, or a function of the module
        if is_ours and (is_import or is_part):
            found = code, line, instruction
    if found is None:
        return None
    code, line, instruction = found
    text = linecache.getline(code.co_filename, line).rstrip('\n')
    _, end_line, start, end = list(code.co_positions())[instruction // 2]
    encoded = text.encode()
    column = len(encoded[: start or 0].decode(errors='replace')) + 1
    end_column = len((encoded[:end] if end_line == line else encoded).decode(errors='replace')) + 1
    return Spot(code.co_filename, line, column, end_column, text)


def _frames(trace: TracebackType | None) -> Iterator[tuple[FrameType, int, int]]:
    """Frame, line and instruction of each call on the way of an exception."""
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno, trace.tb_lasti
        trace = trace.tb_next
