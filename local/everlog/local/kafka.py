"""Apache Kafka as one process: broker and controller (KRaft), no ZooKeeper, replication 1."""

from __future__ import annotations

import base64
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from everlog.local import readiness
from everlog.local.ports import HOST
from everlog.local.process import Child, Command, tail
from everlog.local.service import Place
from everlog.schemas.errors import UnavailableError

_FORMAT_TIMEOUT_S = 60.0
# A clean stop writes its checkpoints within 2 s here; after a kill the next start scans the last segments.
_STOP_TIMEOUT_S = 15.0
_HEAP = ("-Xms128m", "-Xmx384m")

# session.timeout: after a kill the broker is let in again only when its former session has ended (default 9 s).
# auto.create: only `everlog init` creates topics. rebalance.delay: one machine has no crowd to wait for. The internal
# topics get few partitions and one replica, and the log cleaner a buffer that fits the heap (its default is 128 MB).
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners={listeners}
advertised.listeners={advertised}
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,BEHIND:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={log_directory}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.cleaner.dedupe.buffer.size=16777216
"""

_LOGGING = """\
Configuration:
  status: error
  Appenders:
    Console:
      name: STDOUT
      PatternLayout:
        pattern: "%d{ISO8601} %p %m (%c{1})%n"
  Loggers:
    Root:
      level: WARN
      AppenderRef:
        ref: STDOUT
"""


@dataclass(frozen=True, slots=True)
class Kafka:
    """The log."""

    place: Place
    name: str = "kafka"

    def prepare(self) -> None:
        """Write the configuration; format the storage the first time."""
        data = self.place.layout.data(self.name)
        (data / "server.properties").write_text(self._text(data / "log"))
        (data / "log4j2.yaml").write_text(_LOGGING)
        if not (data / "log" / "meta.properties").exists():
            self._format()

    def _text(self, log_directory: Path) -> str:
        ports, behind = self.place.ports, self.place.settings.kafka_behind
        listeners = [f"PLAINTEXT://{HOST}:{ports.kafka}", f"CONTROLLER://{HOST}:{ports.kafka_controller}"]
        advertised = [f"PLAINTEXT://{HOST}:{ports.kafka}"]
        if behind is not None:
            listeners.append(f"BEHIND://{HOST}:{behind.port}")
            advertised.append(f"BEHIND://{behind.advertised}")
        return _PROPERTIES.format(
            host=HOST,
            controller_port=ports.kafka_controller,
            listeners=",".join(listeners),
            advertised=",".join(advertised),
            log_directory=log_directory,
        )

    def command(self) -> Command:
        """The broker."""
        return self._java(*_HEAP, main=("kafka.Kafka", str(self._properties)))

    def probe(self) -> None:
        """The controller answers, and would create a topic."""
        readiness.kafka(f"{HOST}:{self.place.ports.kafka}")

    @property
    def _properties(self) -> os.PathLike[str]:
        return self.place.layout.data(self.name) / "server.properties"

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=").decode()
        # "--name=value": an id may begin with a dash
        arguments = ("format", f"--cluster-id={cluster}", f"--config={self._properties}", "--ignore-formatted")
        formatting = Child(self._java(main=("kafka.tools.StorageTool", *arguments)))
        if not formatting.wait(_FORMAT_TIMEOUT_S) or formatting.exit_code != 0:
            formatting.kill()
            log = self.place.layout.log(self.name)
            raise UnavailableError("Kafka", f"its storage could not be formatted:\n{tail(log)}", hint=f"See {log}")

    def _java(self, *options: str, main: tuple[str, ...]) -> Command:
        logging = self.place.layout.data(self.name) / "log4j2.yaml"
        classes = os.pathsep.join(map(str, self.place.jar_cache.jars(self.name)))
        java = self.place.java(self.name, *options, f"-Dlog4j2.configurationFile={logging}", "-cp", classes)
        return self.place.command(self.name, (*java, *main), stop_timeout_s=_STOP_TIMEOUT_S)
