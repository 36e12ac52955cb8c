"""QEMU's machine protocol (QMP) over a connected socket: commands, answers, events.

Synchronous, because its users wait for nothing else or wait with a selector; an event loop and its import would cost
a tenth of a warm boot. The protocol: "QEMU Machine Protocol Specification" of the QEMU documentation.
"""

import json
import socket
from typing import Any, Final

MAX_LINE_BYTES: Final = 1 << 24  # of one message


class MonitorError(Exception):
    """The monitor is of no use any more."""


class MonitorLost(MonitorError):
    """QEMU closed the monitor, or answered something that is not QMP."""


class CommandRefused(MonitorError):
    """QEMU answered a command with an error."""


class NoAnswer(MonitorError):
    """QEMU is silent for longer than it may be."""


class Monitor:
    """One connection. `events` holds what QEMU told without being asked, in order."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._rest = b''
        self._messages: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []

    def fileno(self) -> int:
        return self._connection.fileno()

    def negotiate(self, seconds: float) -> None:
        """Wait for the greeting and accept it."""
        self._connection.settimeout(seconds)
        greeting = self._next_message()
        if 'QMP' not in greeting:
            raise MonitorLost(f'not a greeting: {greeting}')
        self.execute('qmp_capabilities')

    def execute(self, command: str, **arguments: Any) -> Any:
        """Give a command and wait for its answer."""
        try:
            self._connection.sendall(json.dumps({'execute': command, 'arguments': arguments}).encode() + b'\n')
        except OSError as lost:
            raise MonitorLost(str(lost)) from lost
        answer = self._next_message()
        if 'error' in answer:
            raise CommandRefused(f'it refuses {command}: {answer["error"]}')
        if 'return' not in answer:
            raise MonitorLost(f'not an answer: {answer}')
        return answer['return']

    def ask_human_monitor(self, line: str) -> str:
        """What QEMU's monitor for people prints for a line, such as `info tlb`."""
        return str(self.execute('human-monitor-command', **{'command-line': line}))

    def receive(self) -> bool:
        """Take in what is there, once; False at the end of the connection."""
        try:
            data = self._connection.recv(1 << 16)
        except ConnectionError:
            return False
        except TimeoutError:
            raise NoAnswer from None
        lines = (self._rest + data).split(b'\n')
        self._rest = lines.pop()
        if len(self._rest) > MAX_LINE_BYTES:
            raise MonitorLost(f'a message without an end: {self._rest[:80]!r}')
        for line in filter(None, (line.strip() for line in lines)):
            try:
                message = json.loads(line)
            except (ValueError, RecursionError) as garbage:
                raise MonitorLost(f'not JSON: {line[:80]!r}') from garbage
            if not isinstance(message, dict):
                raise MonitorLost(f'not a message: {line[:80]!r}')
            (self.events if 'event' in message else self._messages).append(message)
        return bool(data)

    def shutdown_reasons(self) -> set[str]:
        """Why the machine was shut down, as far as QEMU told."""
        details = [event.get('data') for event in self.events if event['event'] == 'SHUTDOWN']
        return {str(detail.get('reason')) for detail in details if isinstance(detail, dict)}

    def _next_message(self) -> dict[str, Any]:
        while not self._messages:
            if not self.receive():
                raise MonitorLost('the connection ended')
        return self._messages.pop(0)
