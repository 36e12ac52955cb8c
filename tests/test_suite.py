"""The suite itself: what tests/conftest.py does for all tests."""

import hypothesis


def test_no_random_test_is_judged_by_the_clock() -> None:
    settings = hypothesis.settings()
    assert settings.deadline is None
    assert hypothesis.HealthCheck.too_slow in settings.suppress_health_check
