"""Real servers in Docker containers, the same images as in docker-compose.yml: used where a Docker engine answers."""

from __future__ import annotations

import gc
import json
import os
import secrets
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from everlog.local import readiness
from everlog.local.ports import Ports

_KAFKA, _REDIS, _MONGO, _S3 = "apache/kafka:4.3.1", "valkey/valkey:9.1-alpine", "mongo:8.0", "chrislusf/seaweedfs:4.48"
_ENGINE_TIMEOUT_S = 5
_ACCESS_KEY = "everlog-test"


def engine_answers() -> bool:
    """Whether containers can be started here; asks nothing where there is neither a socket nor DOCKER_HOST."""
    if "DOCKER_HOST" not in os.environ and not Path("/var/run/docker.sock").exists():
        return False
    import docker  # type: ignore[import-untyped]
    from docker.errors import DockerException  # type: ignore[import-untyped]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # a refused client leaves its socket open
        try:
            client = docker.from_env(timeout=_ENGINE_TIMEOUT_S)
            client.ping()
            client.close()
        except (DockerException, OSError):
            gc.collect()
            return False
    return True


@contextmanager
def running(names: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Start the named services; gives the fields of ``Addresses`` that they fill."""
    from testcontainers.core.docker_client import DockerClient

    with ExitStack() as containers:
        host, ports = DockerClient().host(), Ports.free()
        fields: dict[str, str] = {}
        for name in names:
            fields |= _STARTERS[name](containers, host, ports)
        yield fields


def _start(containers: ExitStack, image: str, inner: int, outer: int, **options: Any) -> None:
    from testcontainers.core.container import DockerContainer

    container = DockerContainer(image, **options.pop("kwargs", {})).with_bind_ports(inner, outer)
    for name, value in options.pop("environment", {}).items():
        container = container.with_env(name, value)
    containers.enter_context(container)


def _kafka(containers: ExitStack, host: str, ports: Ports) -> dict[str, str]:
    address = f"{host}:{ports.kafka}"
    environment = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{address}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    }
    _start(containers, _KAFKA, 9092, ports.kafka, environment=environment)
    _ready(lambda: readiness.kafka(address))
    return {"kafka": address}


def _redis(containers: ExitStack, host: str, ports: Ports) -> dict[str, str]:
    url = f"redis://{host}:{ports.redis}/0"
    _start(containers, _REDIS, 6379, ports.redis)
    _ready(lambda: readiness.redis(url))
    return {"redis": url}


def _mongo(containers: ExitStack, host: str, ports: Ports) -> dict[str, str]:
    url = f"mongodb://{host}:{ports.mongo}"
    _start(containers, _MONGO, 27017, ports.mongo)
    _ready(lambda: readiness.mongo(url))
    return {"mongo": url}


def _s3(containers: ExitStack, host: str, ports: Ports) -> dict[str, str]:
    url, secret = f"http://{host}:{ports.s3}", secrets.token_urlsafe(24)
    pair = {"accessKey": _ACCESS_KEY, "secretKey": secret}
    actions = ["Admin", "Read", "List", "Tagging", "Write"]
    config = json.dumps({"identities": [{"name": "everlog", "credentials": [pair], "actions": actions}]})
    script = (
        'printf "%s" "$S3_CONFIG" > /tmp/s3.json && exec weed server -dir=/data -s3 -s3.port=8333'
        " -s3.config=/tmp/s3.json -master.telemetry=false"
    )
    kwargs = {"entrypoint": ["sh", "-c", script]}
    _start(containers, _S3, 8333, ports.s3, environment={"S3_CONFIG": config}, kwargs=kwargs)
    _ready(lambda: readiness.s3(url, _ACCESS_KEY, secret))
    return {"s3": url, "s3_access_key": _ACCESS_KEY, "s3_secret_key": secret}


def _ready(probe: Callable[[], None]) -> None:
    from stamina import retry_context

    for attempt in retry_context(on=Exception, attempts=None, timeout=90.0, wait_initial=0.2, wait_max=1.0):
        with attempt:
            probe()


_STARTERS: dict[str, Callable[[ExitStack, str, Ports], dict[str, str]]] = {
    "kafka": _kafka,
    "redis": _redis,
    "mongo": _mongo,
    "s3": _s3,
}
