"""What holds for all tests: no random test is judged by the clock, a failure is told as soon as it is known,
and a test that is skipped is a failure.
"""

from collections.abc import Generator

import hypothesis
import pytest

from .budget import FULL

# Hypothesis would fail an example that takes 200 ms, and a test whose examples take a second to make. The number of
# examples is for tests that name none.
hypothesis.settings.register_profile(
    'untimed',
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    max_examples=200 if FULL else 50,
)
hypothesis.settings.load_profile('untimed')


class Failures:
    """Prints a line for each failure at once; pytest itself names them after the last test."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            crash = getattr(report.longrepr, 'reprcrash', None)
            words = (crash.message if crash else str(report.longrepr)).strip().splitlines() or ['']
            where = '' if report.when == 'call' else f' ({report.when})'
            self._terminal.write(f'\nFAILED {report.nodeid}{where}: {words[0]}\n', flush=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What cannot run here is left out by its parameters, where a reader sees it, and not passed over in a run."""
    report = yield
    if report.skipped and not hasattr(report, 'wasxfail'):
        reason = call.excinfo.value if call.excinfo else report.longrepr
        report.outcome, report.longrepr = 'failed', f'skipped, and no test may be: {reason}'
    return report


@pytest.hookimpl(trylast=True)  # after the terminal's own plugin is there
def pytest_configure(config: pytest.Config) -> None:
    terminal = config.pluginmanager.get_plugin('terminalreporter')
    if terminal is not None and not hasattr(config, 'workerinput'):  # a worker has no terminal of its own
        config.pluginmanager.register(Failures(terminal))
