"""How many examples hypothesis tries: its own number, or few and always the same while mutants are hunted."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("domain", deadline=None)
settings.register_profile(
    "mutants", max_examples=15, stateful_step_count=30, deadline=None, derandomize=True, database=None
)


def pytest_configure() -> None:
    """No deadline: machines are busy; what is slow is measured elsewhere."""
    if settings.get_current_profile_name() == "default":
        settings.load_profile("domain")
