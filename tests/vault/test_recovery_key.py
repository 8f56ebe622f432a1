"""Recovery keys: typed in any manner they are the same; mistakes are found and named by group."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.model.errors import VaultKeyWrong
from overwinter.vault import KeySource, create_vault, new_recovery_key, open_vault
from overwinter.vault.keys.recovery import parse_recovery_key
from tests.vault.disks import VAULT_ID

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
GROUPS, LENGTH = 8, 8

keys = st.binary(min_size=32, max_size=32)
groups = st.integers(0, GROUPS - 1)
places = st.integers(0, LENGTH - 1)


def printed(secret: bytes) -> list[str]:
    return new_recovery_key(lambda length: secret[:length]).split("-")


def named(parts: list[str]) -> list[int]:
    """The groups that the error names, counted from 0."""
    with pytest.raises(VaultKeyWrong) as caught:
        parse_recovery_key("-".join(parts))
    assert not any(part in caught.value.message for part in parts), "the message shows the key"
    listed = re.search(r"group ([\d, ]+)", caught.value.message)
    assert listed
    return [int(number) - 1 for number in listed[1].strip().split(", ")]


def test_it_opens_the_vault(tmp_path: Path) -> None:
    text = new_recovery_key()
    create_vault(f"file://{tmp_path}/v", KeySource.from_recovery_key(text), vault_id=VAULT_ID)
    assert open_vault(f"file://{tmp_path}/v", KeySource.from_recovery_key(text.lower())).vault_id == VAULT_ID
    with pytest.raises(VaultKeyWrong, match="This recovery key does not open"):
        open_vault(f"file://{tmp_path}/v", KeySource.from_recovery_key(new_recovery_key()))
    assert text.encode() not in b"".join(path.read_bytes() for path in (tmp_path / "v/keys").iterdir())


def test_its_form_is_frozen() -> None:
    """What is printed today must be read for ever."""
    secret = bytes(range(32))
    text = "AAAQEA6G-AQCQMB5Z-BAEQUC4F-BQGQ4D2H-CAIREE2A-CQKRMFZ7-DAMRUGYD-DQOR4H5A"
    assert new_recovery_key(lambda _: secret) == text
    assert parse_recovery_key(text) == secret


@given(keys, st.data())
def test_case_and_gaps_do_not_matter(secret: bytes, data: st.DataObject) -> None:
    typed = ""
    for letter in "".join(printed(secret)):
        typed += data.draw(st.sampled_from([letter, letter.lower()]))
        typed += data.draw(st.sampled_from(["", "", "-", " ", "\n", " - ", "\u2013", "\u00a0"]))
    assert parse_recovery_key(typed) == secret


@given(keys)
def test_a_zero_is_an_o_and_an_eight_a_b(secret: bytes) -> None:
    text = "-".join(printed(secret))
    assert parse_recovery_key(text.replace("O", "0").replace("B", "8")) == secret


@given(keys, st.dictionaries(groups, st.tuples(places, st.integers(1, 31)), min_size=1))
def test_a_mistyped_character_is_found_and_its_group_named(
    secret: bytes, mistakes: dict[int, tuple[int, int]]
) -> None:
    parts = printed(secret)
    for group, (place, shift) in mistakes.items():
        wrong = ALPHABET[(ALPHABET.index(parts[group][place]) + shift) % len(ALPHABET)]
        parts[group] = parts[group][:place] + wrong + parts[group][place + 1 :]
    assert named(parts) == sorted(mistakes)


@given(keys, groups, places, places)
def test_swapped_characters_are_found(secret: bytes, group: int, first: int, second: int) -> None:
    parts = printed(secret)
    letters = list(parts[group])
    letters[first], letters[second] = letters[second], letters[first]
    if letters == list(parts[group]):
        return
    parts[group] = "".join(letters)
    assert named(parts) == [group]


@given(keys, groups, groups)
def test_swapped_groups_are_found(secret: bytes, first: int, second: int) -> None:
    if first == second:
        return
    parts = printed(secret)
    parts[first], parts[second] = parts[second], parts[first]
    assert named(parts) == sorted([first, second])


@given(keys, groups, places, st.sampled_from("189!?ä1"))
def test_a_foreign_character_is_found(secret: bytes, group: int, place: int, wrong: str) -> None:
    parts = printed(secret)
    parts[group] = parts[group][:place] + wrong + parts[group][place + 1 :]
    if wrong == "8" and parts[group].replace("8", "B") == printed(secret)[group]:
        return
    assert named(parts) == [group]


@given(keys, groups, places, st.booleans())
def test_a_character_too_few_or_too_many_is_found(
    secret: bytes, group: int, place: int, with_gaps: bool
) -> None:
    parts = printed(secret)
    for wrong in (
        parts[group][:place] + parts[group][place + 1 :],
        parts[group][:place] + "Q" + parts[group][place:],
    ):
        typed = [*parts[:group], wrong, *parts[group + 1 :]]
        if with_gaps:
            assert named(typed) == [group]
        else:
            (first,) = named(["".join(typed)])
            # Without gaps only the first group that cannot be right is known; one in 256 looks right.
            assert group <= first <= GROUPS


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(VaultKeyWrong, match="recovery key"):
        parse_recovery_key(text)
