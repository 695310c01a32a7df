"""What the routes work with."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from everlog.gateway.conversation import Conversation
from everlog.gateway.denials import Denials
from everlog.gateway.fairness import Buckets
from everlog.gateway.health import Health
from everlog.gateway.identity import TokenVerifier
from everlog.gateway.janitor import LeaseJanitor
from everlog.gateway.keyed import FirstTries
from everlog.gateway.leases import Leases
from everlog.gateway.listing import Listing
from everlog.gateway.metrics import GatewayMetrics
from everlog.gateway.operations import Operations
from everlog.gateway.outcomes import OutcomeFinder
from everlog.gateway.reading import SessionReader
from everlog.gateway.sessions import Sessions
from everlog.gateway.settings import GatewaySettings
from everlog.gateway.steadiness import Steadiness
from everlog.gateway.streams import Streams
from everlog.gateway.telling import Telling
from everlog.gateway.timeline import TimelineReader


@dataclass(frozen=True, slots=True)
class Services:
    """The application services of one gateway."""

    settings: GatewaySettings
    verifier: TokenVerifier
    buckets: Buckets
    sessions: Sessions
    first_tries: FirstTries
    reader: SessionReader
    timelines: TimelineReader
    finder: OutcomeFinder
    conversation: Conversation
    listing: Listing
    streams: Streams
    telling: Telling
    leases: Leases
    janitor: LeaseJanitor
    steadiness: Steadiness
    metrics: GatewayMetrics
    health: Health
    denials: Denials
    operations: Operations


def services_of(request: Request) -> Services:
    """The services of the app that a request came to."""
    services: Services = request.app.state.services
    return services
