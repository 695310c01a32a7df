"""``up``, ``down``, ``status`` and ``token``: everything on this machine, in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from everlog.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from everlog.local.spec import Spec, State

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
SERVICES = ("projector", "gateway", "archiver")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command()(token)


def up(
    everything: Annotated[bool, typer.Option("--all", help="Also gateway, projector and archiver.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start Kafka, Valkey, MongoDB's stand-in and SeaweedFS in the background; find them if they run."""
    from everlog.cli.addresses import ensure_key_pair, settings_tables, write_settings_file
    from everlog.local import supervisor
    from everlog.local.layout import open_layout
    from everlog.local.ports import Ports
    from everlog.local.settings import LocalSettings
    from everlog.local.stack import addresses

    settings = LocalSettings.load()
    layout = open_layout(settings.directory)
    running = supervisor.status(layout.root)
    ports = running.ports if running is not None else Ports.fixed(settings.port_base)
    ensure_key_pair()
    write_settings_file(settings_tables(addresses(layout, ports), ports), layout.root)
    seen: dict[str, str] = {}
    state = supervisor.up(layout.root, _spec(settings, ports, everything), lambda state: _progress(state, seen))
    _show(state, as_json)


def down() -> None:
    """Stop everything that ``up`` started; the data stays."""
    from everlog.cli.output import note
    from everlog.local import supervisor
    from everlog.local.settings import LocalSettings

    stopped = supervisor.down(LocalSettings.load().directory)
    note("stopped" if stopped else "nothing was running")


def status(as_json: AsJson = False) -> None:
    """Show what runs, and where."""
    from everlog.local import supervisor
    from everlog.local.settings import LocalSettings

    state = supervisor.status(LocalSettings.load().directory)
    if state is None:
        if as_json:
            print_json({"services": {}})
        else:
            note("nothing is running; start it with: everlog up --all")
        raise typer.Exit(3)
    _show(state, as_json)


def token(
    tenant: Annotated[str, typer.Option(help="Tenant of the token.")] = "default",
    principal: Annotated[str, typer.Option(help="Whom the token names.")] = "local-user",
    role: Annotated[str, typer.Option(help="owner, editor, viewer, analyst, operator or auditor.")] = "owner",
    ttl_s: Annotated[int, typer.Option(min=1, help="Lifetime, seconds.")] = 3600,
) -> None:
    """Print a token for the local gateway."""
    from everlog.cli.tokens import local_token

    typer.echo(local_token(tenant=tenant, principal=principal, role=role, ttl_s=ttl_s))


def _spec(settings: Any, ports: Any, everything: bool) -> Spec:
    from everlog.cli.children import INIT, service
    from everlog.local.spec import Spec

    extras = tuple(service(name, ports, settings.directory) for name in SERVICES) if everything else ()
    return Spec(ports=ports, settings=settings, initialise=service(INIT, ports, settings.directory), extras=extras)


def _progress(state: State, seen: dict[str, str]) -> None:
    """Say each change of a service once."""
    for name, now in state.services.items():
        if seen.get(name) != now.state:
            seen[name] = now.state
            note(f"{name}: {now.state}{f' ({now.detail})' if now.detail else ''}")


def _show(state: State, as_json: bool) -> None:
    services = {
        name: {"state": str(now.state), "pid": now.pid, "log": str(now.log)} for name, now in state.services.items()
    }
    addresses = {
        "gateway": f"http://127.0.0.1:{state.ports.gateway}",
        "kafka": state.addresses.kafka,
        "redis": state.addresses.redis,
        "mongo": state.addresses.mongo,
        "s3": state.addresses.s3,
    }
    if as_json:
        print_json({**addresses, "services": services})
        return
    rows = [
        (name, now["state"], now["pid"] or "", addresses.get(name, ""), now["log"]) for name, now in services.items()
    ]
    print_table("local services", ("service", "state", "pid", "address", "log"), rows)
