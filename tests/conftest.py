"""What holds for all tests: no random test is judged by the clock."""

import hypothesis

# Hypothesis would fail an example that takes 200 ms, and a test whose examples take a second to make.
hypothesis.settings.register_profile('untimed', deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile('untimed')
