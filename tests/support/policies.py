"""Policies for tests, made of the demo's."""

from bot.sandbox.demo_policy import demo_policy

ROOM = "\n[asking]\nopen_at_once = 100000\nan_hour = 100000\n"


def roomy(policy: str | None = None) -> str:
    """One in which somebody may ask as often as a test wants."""
    return (policy or demo_policy()) + ROOM
