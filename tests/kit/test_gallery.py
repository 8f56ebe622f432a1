"""The fault gallery: a few of its faults shown, and what must be true of all of them."""

from collections.abc import Iterator

import pytest

from overwinter.codebook import book
from testkit.gallery.faults import FAULTS
from testkit.gallery.page import PAGE, page
from testkit.gallery.scene import Scene, open_scene
from testkit.gallery.showing import show
from testkit.gallery.texts import missing
from testkit.ground import Ground

#: They need no guest that runs.
SHOWN = (
    "middle overlay lost",
    "overlay store read-only",
    "secret private",
    "two backups at once",
    "vault full",
    "index damaged",
)


@pytest.fixture(scope="module")
def scene(ground: Ground) -> Iterator[Scene]:
    with open_scene(ground) as opened:
        yield opened


@pytest.mark.libvirt
@pytest.mark.parametrize("name", SHOWN)
def test_a_fault_is_told_and_mended(scene: Scene, name: str) -> None:
    (fault,) = [each for each in FAULTS if each.name == name]
    shown = show(scene, fault)
    assert shown.is_right, shown


def test_there_are_enough_and_no_two_are_one() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names) >= 60


def test_every_fault_speaks_the_words_of_the_code_book() -> None:
    repairs = {remedy.repair for remedy in book.remedies().values()}
    for fault in FAULTS:
        assert fault.repair is None or fault.repair in repairs, fault.name
        if not fault.code:
            assert fault.cause is None and fault.repair in (None, "backup"), fault.name
            continue
        entry = book.find(fault.code)
        assert entry is not None and entry.code == fault.code, fault.name
        named = {*entry.causes, *(cause for _, causes in entry.editions for cause in causes)}
        assert fault.cause in {cause.id for cause in named}, fault.name


def test_the_page_is_that_of_the_faults() -> None:
    assert PAGE.read_text() == page(FAULTS), "write it anew: python -m testkit.gallery --page"


def test_no_text_of_the_code_book_is_missing() -> None:
    assert missing() == 0
