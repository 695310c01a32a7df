"""A deployment of a test's own on the shared real services: its settings as variables of the environment."""

from __future__ import annotations

from everlog.local.stack import Addresses


def variables_of(services: Addresses, name: str, *, partitions: int) -> dict[str, str]:
    """Settings with a topic, a bucket and databases that nobody else has; ``name`` is theirs."""
    settings = {
        "KAFKA__BROKERS": services.kafka,
        "KAFKA__TOPIC": name,
        "KAFKA__PARTITIONS": str(partitions),
        "KAFKA__REPLICATION": "1",
        "REDIS__URL": services.redis,
        "MONGO__URL": services.mongo,
        "MONGO__VIEW_DATABASE": f"{name}-views",
        "MONGO__CONTROL_DATABASE": f"{name}-control",
        "S3__ENDPOINT_URL": services.s3,
        "S3__BUCKET": name,
        "S3__ACCESS_KEY": services.s3_access_key,
        "S3__SECRET_KEY": services.s3_secret_key,
    }
    return {f"EVERLOG_{field}": text for field, text in settings.items()}
