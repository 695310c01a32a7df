"""An append that is to be sent: everything that sending it again needs, also by another process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from everlog.client.answers import Appended, appended
from everlog.client.link import Link

WITHOUT_VERDICT: Final = {"Prefer": "respond-async"}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An append to ``session``. The body holds the event's id, so that sending it twice appends it once."""

    session: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]

    @property
    def event_id(self) -> str:
        """The id that was chosen here."""
        return str(self.body["id"])

    async def send(self, link: Link, timeout_s: float | None = None) -> Appended:
        """Hand it over. Raises ``EverlogError``."""
        path = f"/v1/sessions/{self.session}/events"
        return appended(
            link, await link.request("POST", path, body=self.body, headers=self.headers, timeout_s=timeout_s)
        )
