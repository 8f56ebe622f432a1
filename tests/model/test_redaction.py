"""Secrets taken out of text: none that is known survives, however written; what is none stays as it is."""

import base64
import json
import re
from pathlib import Path
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from overwinter.model.redaction import MARK, Redactor

#: Whoever searches a bundle looks for these; written here once more, by other means than the product's.
FORMS = {
    "raw": lambda secret: secret,
    "json": lambda secret: json.dumps(secret)[1:-1],
    "json in json": lambda secret: json.dumps(json.dumps(secret))[3:-3],
    "xml": lambda secret: quoteattr(f"'{secret}")[2:-1],
    "url": lambda secret: quote(secret, safe=""),
    "url, small": lambda secret: re.sub("%..", lambda escape: escape[0].lower(), quote(secret, safe="")),
    "path": quote,
    "form": quote_plus,
    "sql": lambda secret: secret.replace("'", "''"),
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base64 in the middle": lambda secret: base64.b64encode(b"user:" + secret.encode() + b"!").decode(),
    "base64 for URLs": lambda secret: base64.urlsafe_b64encode(b"k" + secret.encode()).decode(),
    "hex": lambda secret: secret.encode().hex(),
    "HEX": lambda secret: secret.encode().hex().upper(),
}

SECRETS = st.text(
    st.characters(codec="utf-8", exclude_characters=MARK, exclude_categories=["Cc"]), min_size=4, max_size=40
).filter(lambda secret: secret.strip() == secret)
FRAGMENTS = (
    *(
        "password",
        "token",
        "=",
        ": ",
        '"',
        "'",
        "\\",
        "x y",
        "://",
        "@",
        "k:v",
        "\n",
        "{",
        "null",
        "&",
        "--",
        ">",
    ),
    *("Authorization", "Bearer abcD1234", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "AbC9"),
)
AROUND = st.text(st.sampled_from("ab \"'=&/:%+\\\n<>{}[],;@█.0"), max_size=12)


def without_padding(form: str) -> str:
    """The characters of base64 that are wholly the secret's, which begin and end within others."""
    return form.rstrip("=")[2:-2]


@given(st.lists(SECRETS, min_size=1, max_size=4), st.data())
def test_no_known_secret_survives(secrets: list[str], data: st.DataObject) -> None:
    redactor = Redactor(secret.encode() for secret in secrets)
    parts = []
    planted = []
    for _ in range(data.draw(st.integers(1, 6))):
        kind = data.draw(st.sampled_from(sorted(FORMS)))
        written = FORMS[kind](data.draw(st.sampled_from(secrets)))
        planted.append(written)
        parts += [data.draw(AROUND), written]
    redacted = redactor.text("".join([*parts, data.draw(AROUND)]))
    for secret in secrets:
        for written in {secret, *(form(secret) for form in FORMS.values())}:
            assert written not in redacted
    for written in planted:
        assert written not in redacted
    assert MARK in redacted


@given(SECRETS, st.sampled_from(["base64", "base64 in the middle", "base64 for URLs"]))
def test_of_base64_not_even_the_middle_survives(secret: str, kind: str) -> None:
    assume(len(secret.encode()) >= 8)
    written = FORMS[kind](secret)
    start = {"base64": 0, "base64 in the middle": 7, "base64 for URLs": 2}[kind]
    redacted = Redactor([secret.encode()]).text(f"x {written} y")
    assert written[start : start + 8] not in redacted


@given(SECRETS, st.text("abdegij .,\n#", max_size=200))
def test_text_without_secrets_is_unchanged(secret: str, text: str) -> None:
    assume(secret not in text)
    assert Redactor([secret.encode()]).text(text) == text


@given(SECRETS, st.lists(st.sampled_from(FRAGMENTS)))
def test_what_is_redacted_is_not_redacted_again(secret: str, parts: list[str]) -> None:
    redactor = Redactor([secret.encode()])
    once = redactor.text("".join(parts))
    assert redactor.text(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "password = §",
        "db_password: §",
        'x password="§" y',
        "x PASSWORD='§' y",
        '{"event": "token=\\"§\\" z"}',
        '{"api_key":"§","n":1}',
        "postgresql://overwinter:§@db.example/catalog",
        "redis://:§@cache.example:6379/0",
        "proxy user:§@proxy.example:3128",
        "https://a.blob.core.windows.net/c?sv=2026-01-01&sig=§&se=1",
        "https://b.s3.amazonaws.com/o?X-Amz-Credential=§%2F2026&X-Amz-Signature=§&x=1",
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=§;EndpointSuffix=e",
        "Server=db;User Id=u;Pwd=§;",
        "> Authorization: Bearer §",
        "authorization: AWS4-HMAC-SHA256 Credential=§, SignedHeaders=host, Signature=§",
        "{'Authorization': 'Basic §'}",
        "Set-Cookie: session=§; Secure",
        "sent Bearer §",
        "export AWS_SECRET_ACCESS_KEY=§",
        "<graphics type='vnc' port='-1' passwd='§'/>",
        "<password>§</password>",
        "mysqldump --password §",
        "ALTER USER backup PASSWORD '§';",
        "CREATE USER u IDENTIFIED BY '§';",
        '{"execute": "set_password", "arguments": {"protocol": "vnc", "password": "§"}}',
        "-object secret,id=s0,format=raw,data=§ -m 1",
        '-object {"qom-type":"secret","id":"s0","data":"§","format":"base64"}',
        "-----BEGIN EC PRIVATE KEY-----\n§\n-----END EC PRIVATE KEY-----",
        "one line: -----BEGIN PRIVATE KEY-----\\n§\\n-----END PRIVATE KEY-----\\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n§\nand then it was cut",
        "§\n§=\n-----END PRIVATE KEY-----\n",
    ],
)
def test_unknown_secrets_are_found_where_they_stand(text: str) -> None:
    secret = "q7XwZ2pLm9Rt4VbN8sKd"
    redacted = Redactor([]).text(f"before.\n{text.replace('§', secret)}\nafter")
    assert secret not in redacted
    assert MARK in redacted
    assert redacted.startswith("before.")
    if "PRIVATE KEY" not in text:
        assert redacted.endswith("\nafter")


@pytest.mark.parametrize(
    "secret",
    ["AKIAIOSFODNN7EXAMPLE", f"{'Ab9/' * 21}Zz==", f"eyJhbGciOiJub25l.{'a1B2' * 5}.{'c3D4' * 5}"],
    ids=["AWS", "Azure", "JWT"],
)
def test_what_looks_like_nothing_else_is_found_anywhere(secret: str) -> None:
    assert Redactor([]).text(f"it said {secret} and left") == f"it said {MARK} and left"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22 03:14:45.001+0000: 12: error : qemuMonitorIO:563 : End of file from qemu monitor",
        "http://host:8080/path?x=1#y and mail@example.org, user@1000.service, https://example.org/a@b",
        '{"secrets": [], "token": null, "credential": {"kind": "file"}, "level": "info"}',
        "pkcs11:token=vault;object=overwinter?module-path=/usr/lib/p11.so&pin-source=/etc/pin".replace(
            "token=vault", "x=y"
        ),
        "The secret of encrypted disk vdb cannot be read. Basic authentication failed; the token is wrong.",
        "<driver name='qemu' type='qcow2'/><source file='/images/a.qcow2'/>",
        "checks: pass: 12, fail: 0",
    ],
)
def test_plain_words_stay(text: str) -> None:
    assert Redactor([b"hunter22"]).text(text) == text


def test_what_the_project_says_stays() -> None:
    root = Path(__file__).parents[2]
    # These two show how secrets are written.
    told = set((root / "docs").glob("*.md")) - {root / "docs" / "doctor.md", root / "docs" / "vaults.md"}
    assert told
    for file in (root / "README.md", *told):
        text = file.read_text()
        assert Redactor([b"hunter22"]).text(text) == text, file


def test_a_document_stays_one() -> None:
    secret = 'hunter"22\n'
    document = {
        "password": 1234,
        "pass": "x",
        "none": None,
        "token": "",
        "rows": [{"message": f'it said password="{secret}" twice: {secret}'}, {"deep": (True, 1.5, secret)}],
        secret: "name",
    }
    assert Redactor([secret.encode()]).document(document) == {
        "password": MARK,
        "pass": MARK,
        "none": None,
        "token": "",
        "rows": [{"message": f'it said password="{MARK}" twice: {MARK}'}, {"deep": [True, 1.5, MARK]}],
        MARK: "name",
    }


def test_secrets_that_overlap_leave_nothing_of_each_other() -> None:
    assert Redactor([b"abcdef", b"defghi", b"cdef"]).text("1 abcdefghi 2") == f"1 {MARK} 2"


def test_too_short_a_value_is_no_secret() -> None:
    assert Redactor([b"abc", b""]).text("abc abc") == "abc abc"


@pytest.mark.parametrize(
    "piece", ["://u:x", "token>", 'token\\"', "secret,", "eyJ", "--", "A" * 85, "password "]
)
def test_hostile_text_does_not_stop_it(piece: str) -> None:
    # What takes long grows with the square of such a text; the run's own limit would end it.
    text = piece * ((256 << 10) // len(piece))
    assert len(Redactor([b"hunter22"]).text(text)) <= len(text)
