"""Everlog in memory, for the tests of who uses the SDK: no servers, the same clients, the real law.

    from everlog.client.testing import MemoryEverlog

    async def test_the_planner_answers() -> None:
        async with MemoryEverlog().connect(principal="ada") as log:
            chat = await log.create("rome-42")
            ...

What a test meets is the SDK itself, whose requests are answered in this process: events are judged and folded by the
same code as in production, so conflicts, fencing, limits and repeated ids are real. Every session starts empty and
ends with its ``MemoryEverlog``. A test can make the gateway go away, lose answers, withhold verdicts, and let leases
lapse. Needs the extra ``everlog[core]``.
"""

try:
    from everlog.client.testing.world import MemoryEverlog
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"everlog.client.testing needs the law ({error}): pip install 'everlog[core]'", name=error.name
    ) from error

__all__ = ["MemoryEverlog"]
