"""The worst-case stack of compiled code, read from LLVM's assembly text: after inlining, as it will run.

A function's frame is its return address and all that it pushes or subtracts from rsp. This is exact if each happens
once on a path through the function, and otherwise too much, never too little. There is no recursion, so the deepest
chain of calls has an end; a call through a pointer or a frame of variable size is refused, because nothing bounds it.

Unit: the byte.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from .errors import BuildError

WORD_BYTES: Final = 8

_FUNCTION_TYPE: Final = re.compile(r'^\s+\.type\s+("[^"]+"|[^,\s]+),@function')
_LABEL: Final = re.compile(r'^("[^"]+"|[^\s:#]+):')
_BRANCH: Final = re.compile(r'^\s+(call\w*|j\w+)\s+(\*\S+|"[^"]+"|[^\s#]+)(.*)$')
_ADJUST: Final = re.compile(r'^\s+(sub|add|and)q?\s+(\S+), %rsp')
_PUSH: Final = re.compile(r'^\s+push\w*\b')
_TAIL_CALL: Final = '# TAILCALL'


@dataclass
class Frame:
    """One function: the bytes of its own frame, and whom it calls."""

    nbytes: int = WORD_BYTES  # the return address
    callees: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class StackAnalysis:
    """All functions of a module."""

    frames: Mapping[str, Frame]

    @cached_property
    def _worst(self) -> dict[str, int]:
        return {}

    def worst_bytes(self, root: str) -> int:
        """The most stack that a call of root takes, including its return address."""
        if root not in self._worst:
            frame = self.frames[root]
            self._worst[root] = frame.nbytes + max(map(self.worst_bytes, sorted(frame.callees)), default=0)
        return self._worst[root]

    def deepest_chain(self, root: str) -> list[str]:
        """The calls that take the most stack, from root down."""
        chain = [root]
        while callees := sorted(self.frames[chain[-1]].callees):
            chain.append(max(callees, key=self.worst_bytes))
        return chain


def analyse(assembly: str, *, hooks_may_be_called: bool = False) -> StackAnalysis:
    """Read the frames and calls of all functions in LLVM's assembly text (AT&T syntax).

    If hooks are allowed, a call through a pointer counts as a hook, and its stack is not included.
    """
    lines = assembly.splitlines()
    functions = {_plain(match[1]) for line in lines if (match := _FUNCTION_TYPE.match(line))}
    frames: dict[str, Frame] = {}
    current = ''
    for line in lines:
        if match := _LABEL.match(line):
            name = _plain(match[1])
            if name in functions:
                current = name
                frames[name] = Frame()
        elif current:
            _take_instruction(line, current, frames[current], functions, hooks_may_be_called)
    return StackAnalysis(frames)


def _take_instruction(line: str, name: str, frame: Frame, functions: set[str], hooks_may_be_called: bool) -> None:
    if _PUSH.match(line):
        frame.nbytes += WORD_BYTES
    elif match := _ADJUST.match(line):
        frame.nbytes += _adjustment(match[1], match[2], name)
    elif match := _BRANCH.match(line):
        mnemonic, target, rest = match.groups()
        if target.startswith('*'):
            if not hooks_may_be_called and (mnemonic.startswith('call') or _TAIL_CALL in rest):
                raise BuildError(f'{name} calls through a pointer, so its stack has no bound: call functions by name')
        elif _plain(target) in functions:
            frame.callees.add(_plain(target))


def _adjustment(operation: str, operand: str, name: str) -> int:
    """The bytes that an instruction takes from the stack; bytes that it returns do not count."""
    if not operand.startswith('$'):
        raise BuildError(f'{name} has a frame of variable size, so its stack has no bound')
    amount = int(operand[1:], 0)
    if operation == 'and':  # aligns: as much as the alignment at most
        return -amount
    return max(amount if operation == 'sub' else -amount, 0)


def _plain(name: str) -> str:
    return name.strip('"')
