"""Fixtures that give tests the real ground of ``testkit``."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import settings

from testkit.azurite import Azurite, azurite
from testkit.domains import GuestMaker
from testkit.ground import Ground, prepare
from testkit.postgres import PostgresServer, postgres_server
from testkit.s3_server import S3Server, s3_server

# Machines that run tests are shared and slow at times; how long an example takes says nothing.
settings.register_profile("overwinter", deadline=None)
settings.load_profile("overwinter")

# Commands answer in the language of their environment; tests read English.
os.environ["LC_ALL"] = "C.UTF-8"


@pytest.fixture(scope="session")
def ground() -> Iterator[Ground]:
    """libvirt, this session's run, the accelerator; leftovers of killed sessions are gone."""
    with prepare() as prepared:
        yield prepared


@pytest.fixture(scope="session")
def guests(ground: Ground) -> GuestMaker:
    """Makes guests; they live until removed or until the session ends."""
    return ground.guests


@pytest.fixture
def image_directory(ground: Ground) -> Path:
    """A new directory that QEMU's own user can reach, unlike ``tmp_path``."""
    directory = ground.run.directory / uuid4().hex[:8]
    directory.mkdir(mode=0o755)
    return directory


@pytest.fixture(scope="session")
def postgres(ground: Ground) -> Iterator[PostgresServer]:
    """A PostgreSQL server of this session, in the run's directory so that a killed session leaves none."""
    with postgres_server(ground.run.directory / "postgres") as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """URL of a new, empty database."""
    return postgres.new_database()


@pytest.fixture(scope="session")
def s3(ground: Ground) -> Iterator[S3Server]:
    """An S3 server of this session, in the run's directory."""
    with s3_server(ground.run.directory / "s3") as server:
        yield server


@pytest.fixture(scope="session")
def azure(ground: Ground) -> Iterator[Azurite]:
    """An Azure Blob server of this session, in the run's directory."""
    with azurite(ground.run.directory / "azurite") as server:
        yield server
