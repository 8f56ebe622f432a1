"""Vault URLs and credentials: what is understood, and what is refused without repeating a secret."""

import os
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.model.errors import VaultError
from overwinter.vault.storage import LocalStorage, ObjectStorage, open_storage
from overwinter.vault.storage.credentials import azure_credential, s3_credential
from overwinter.vault.storage.location import AzureLocation, LocalLocation, S3Location, parse_location
from tests.vault.stores import credentials_file

KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("file:///srv/vault%20one", LocalLocation(Path("/srv/vault one"))),
        ("file://localhost/srv/vault", LocalLocation(Path("/srv/vault"))),
        ("s3://bucket", S3Location("bucket", "", "https://s3.us-east-1.amazonaws.com", "us-east-1", None)),
        (
            "s3://bucket/?region=eu-north-1",
            S3Location("bucket", "", "https://s3.eu-north-1.amazonaws.com", "eu-north-1", None),
        ),
        (
            "s3://bucket/a/b/?endpoint=http://127.0.0.1:9000/&credentials=/etc/s3",
            S3Location("bucket", "a/b", "http://127.0.0.1:9000", "us-east-1", Path("/etc/s3")),
        ),
        (
            "azure://account/container",
            AzureLocation("account", "container", "", "https://account.blob.core.windows.net", None),
        ),
        (
            "azure://account/container/a/b?endpoint=http://[::1]:1/account",
            AzureLocation("account", "container", "a/b", "http://[::1]:1/account", None),
        ),
    ],
)
def test_what_urls_name(url: str, location: object) -> None:
    assert parse_location(url) == location


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("/srv/vault", "no known kind"),
        ("gs://bucket", "no known kind"),
        ("file:relative", "file:///path"),
        ("file://elsewhere/vault", "file:///path"),
        ("file:///vault?mode=1", "settings"),
        ("s3://", "no valid bucket"),
        ("s3:///prefix", "no valid bucket"),
        ("s3://bucket/a//b", "no valid prefix"),
        ("s3://bucket/../other", "no valid prefix"),
        ("s3://bucket/a%2fb", "no valid prefix"),
        ("s3://bucket?region=a/b", "no valid region"),
        ("s3://bucket:port", "malformed"),
        ("s3://bucket?region=a&region=b", "settings"),
        ("s3://bucket?endpoint=127.0.0.1:9000", "no address"),
        ("s3://bucket?endpoint=ftp://127.0.0.1", "no address"),
        ("s3://bucket?endpoint=http://store.example:9000", r"plain http; over a network only https"),
        ("s3://bucket?endpoint=http://127.0.0.1.example:9000", "plain http"),
        ("s3://bucket?endpoint=http://10.0.0.1", "plain http"),
        ("s3://bucket?credentials=keys", "absolute path"),
        ("azure://account", "no valid container"),
        ("azure://account/con tainer", "no valid container"),
        ("azure:///container", "no valid storage account"),
    ],
)
def test_wrong_urls_say_what_is_wrong(url: str, complaint: str) -> None:
    with pytest.raises(VaultError, match=complaint):
        parse_location(url)


@pytest.mark.parametrize(
    "url",
    [
        "s3://id:SECRET@bucket/prefix",
        "s3://SECRET@bucket",
        "s3://bucket?secret_access_key=SECRET",
        "s3://bucket?AWS_SECRET_ACCESS_KEY=SECRET&region=x",
        "s3://bucket?endpoint=https://id:SECRET@store",
        "s3://bucket#SECRET",
        "azure://account:SECRET@account/container",
        "azure://account/container?sv=2021-12-02&sp=rl&sig=SECRET",
        "azure://account/container?endpoint=https%3A%2F%2Fstore%3Fsig%3DSECRET",
    ],
)
def test_secrets_in_urls_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(VaultError, match="Credentials are never part of a vault URL") as refusal:
        open_storage(url)
    assert "SECRET" not in str(refusal.value)


@given(st.sampled_from(["file", "s3", "azure", ""]), st.text(), st.text(), st.text())
def test_any_text_is_understood_or_refused(scheme: str, host: str, path: str, query: str) -> None:
    for text in (f"{scheme}:{host}", f"{scheme}://{host}/{path}?{query}", f"{scheme}://a/b?endpoint={query}"):
        try:
            location = parse_location(text)
        except VaultError:
            continue
        assert isinstance(location, LocalLocation) or location.endpoint.startswith(("https://", "http://"))


def test_storages_are_opened_by_url(tmp_path: Path) -> None:
    file = quote(str(credentials_file(tmp_path, **KEYS, AZURE_STORAGE_ACCOUNT_KEY="a2V5")))
    assert isinstance(open_storage(f"file://{tmp_path}"), LocalStorage)
    assert isinstance(open_storage(f"s3://bucket?credentials={file}"), ObjectStorage)
    assert isinstance(open_storage(f"azure://account/container?credentials={file}"), ObjectStorage)


def test_credentials_are_from_the_environment_unless_a_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**KEYS, "AWS_SESSION_TOKEN": "token", "AZURE_STORAGE_ACCOUNT_KEY": "key"}.items():
        monkeypatch.setenv(name, value)
    assert s3_credential(None)["secret_access_key"] == "secret"
    assert s3_credential(None)["token"] == "token"
    assert azure_credential(None) == {"access_key": "key", "expires_at": None}
    file = credentials_file(tmp_path, AWS_ACCESS_KEY_ID="other", AWS_SECRET_ACCESS_KEY="a=b")
    assert s3_credential(file) == {
        "access_key_id": "other",
        "secret_access_key": "a=b",
        "token": None,
        "expires_at": None,
    }
    with pytest.raises(VaultError, match=r"AZURE_STORAGE_SAS_TOKEN and AZURE_STORAGE_ACCOUNT_KEY"):
        azure_credential(file)
    both = credentials_file(tmp_path, AZURE_STORAGE_ACCOUNT_KEY="key", AZURE_STORAGE_SAS_TOKEN="?sp=r")
    assert azure_credential(both) == {"sas_token": "sp=r", "expires_at": None}


def test_missing_credentials_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_"))]:
        monkeypatch.delenv(name)
    with pytest.raises(VaultError, match=r"environment lacks AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        open_storage("s3://bucket")
    with pytest.raises(VaultError, match="environment lacks AZURE_STORAGE_SAS_TOKEN"):
        open_storage("azure://account/container")


def test_a_credentials_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = credentials_file(tmp_path, **KEYS)
    for mode in (0o640, 0o604, 0o660, 0o601):
        file.chmod(mode)
        with pytest.raises(VaultError, match="chmod 600"):
            s3_credential(file)
    file.chmod(0o600)
    assert s3_credential(file)["access_key_id"] == "id"
    if os.geteuid() == 0:
        os.chown(file, 12345, -1)
        with pytest.raises(VaultError, match="own user"):
            s3_credential(file)
    for wrong in (tmp_path, tmp_path / "missing"):
        with pytest.raises(VaultError, match="Credentials file"):
            s3_credential(wrong)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    with pytest.raises(VaultError, match="must be a file"):
        s3_credential(pipe)
