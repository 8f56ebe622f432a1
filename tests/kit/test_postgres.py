"""The throw-away PostgreSQL server answers, and its databases are separate."""

import psycopg
import pytest

from testkit.postgres import PostgresServer

pytestmark = pytest.mark.postgres


def test_databases_are_new_and_separate(postgres: PostgresServer) -> None:
    one, other = (postgres.new_database().replace("+psycopg", "") for _ in range(2))
    with psycopg.connect(one) as connection:
        connection.execute("create table t (x int)")
    with psycopg.connect(other) as connection:
        found = connection.execute("select to_regclass('t')").fetchone()
    assert found == (None,)
