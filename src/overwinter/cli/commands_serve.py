"""``overwinter serve``: start the service."""

import os
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from overwinter.cli.failure import Failure
from overwinter.cli.output import Output
from overwinter.cli.service_log import log_to
from overwinter.cli.session import AsJson, Directory
from overwinter.model.agent import AgentVersions, is_version
from overwinter.model.errors import OverwinterError
from overwinter.model.profile import OVERWINTER, find_profile
from overwinter.model.settings import DEFAULT_DIRECTORY, DEFAULT_HYPERVISOR, DEFAULT_IMAGES, Settings


def serve(
    directory: Directory = DEFAULT_DIRECTORY,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Address to answer at; port 0 takes a free one.")
    ] = "127.0.0.1:9443",
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="PostgreSQL instead of the embedded database.")
    ] = None,
    hypervisor: Annotated[
        str, typer.Option(metavar="URI", help="The libvirt to work with.")
    ] = DEFAULT_HYPERVISOR,
    images: Annotated[
        Path, typer.Option(metavar="DIR", help="Where disks of restored VMs are put by default.")
    ] = DEFAULT_IMAGES,
    profile: Annotated[
        str,
        typer.Option(metavar="NAME", help="Support profile: see overwinter profile list."),
    ] = OVERWINTER.name,
    agent_minimum: Annotated[
        str, typer.Option(metavar="VERSION", help="Guest agents older than this are not used.")
    ] = AgentVersions.minimum,
    agent_newest: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Guest agents older than this are out of date.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start the service and keep it running until Ctrl-C."""
    output = Output(as_json=as_json)
    host, port = _address(listen)
    versions = _agent_versions(agent_minimum, agent_newest)
    try:
        chosen = find_profile(profile)
    except OverwinterError as error:
        raise typer.BadParameter(error.message, param_hint="'--profile'") from None
    settings = Settings(
        host=socket.gethostname(),
        directory=directory.absolute(),
        images=images.absolute(),
        hypervisor=hypervisor,
        database=database,
        profile=chosen,
        agent_versions=versions,
    )

    def ready(endpoint: str) -> None:
        output.show(
            {"endpoint": endpoint, "directory": str(settings.directory), "profile": chosen.name},
            f"Overwinter answers at {endpoint}; its state is in {settings.directory}, its support profile is "
            f"{chosen.name}. Stop it with Ctrl-C.",
        )
        sys.stdout.flush()

    # The catalog holds definitions of VMs with their secrets; nothing of the service is for other users.
    os.umask(0o077)
    try:
        log_to(settings.log_file)
        _run(settings, host, port, ready)
    except OverwinterError as error:
        output.failure(Failure.of(error))
        raise typer.Exit(1) from None


def _run(settings: Settings, host: str, port: int, ready: Callable[[str], None]) -> None:
    # Only this command needs the service's libraries; the others start faster without them.
    from overwinter.api.server import serve as serve_api
    from overwinter.doctor.doctor import Doctor, explain
    from overwinter.jobs.start import end_process, open_service

    with open_service(settings, explain=explain) as service, service.on_its_own():
        doctor = Doctor(service.runtime)
        now = datetime.now(UTC)
        serve_api(service, doctor, settings.directory, host=host, port=port, now=now, ready=ready)
        end_process()


def _agent_versions(minimum: str, newest: str | None) -> AgentVersions:
    for option, version in (("--agent-minimum", minimum), ("--agent-newest", newest)):
        if version is not None and not is_version(version):
            raise typer.BadParameter(f"{version!r} is no version, as in 7.2.", param_hint=f"'{option}'")
    return AgentVersions(minimum, newest)


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise typer.BadParameter(
            f"{listen!r} is not HOST:PORT, as in 127.0.0.1:9443.", param_hint="'--listen'"
        )
    return host, int(port)
