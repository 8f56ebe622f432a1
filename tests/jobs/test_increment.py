"""The decision that makes increments safe."""

from dataclasses import replace
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from overwinter.catalog.tracks import Track
from overwinter.images.identity import LayerIdentity
from overwinter.jobs.increment import decide

SIZE, CHUNK = 1 << 30, 1 << 18


def layer(number: int) -> LayerIdentity:
    return LayerIdentity(path=f"/i/{number}", device=1, inode=number, size=100, mtime_ns=number)


def track(*numbers: int) -> Track:
    return Track(uuid4(), "vda", SIZE, tuple(layer(n).to_json() for n in numbers), "root", CHUNK)


def depth(known: Track | None, *chain: LayerIdentity, size: int = SIZE) -> int | None:
    return decide(known, size=size, chunk_size=CHUNK, chain=chain).depth


def test_new_layers_over_the_known_ones_are_read_alone() -> None:
    assert depth(track(1), layer(2), layer(1)) == 1
    assert depth(track(2, 1), layer(4), layer(3), layer(2), layer(1)) == 2
    assert depth(track(2, 1), layer(2), layer(1)) == 0


def test_everything_else_is_read_in_full() -> None:
    assert depth(None, layer(1)) is None
    assert depth(track(2, 1), layer(3), layer(1)) is None
    assert depth(track(1), layer(2)) is None
    assert depth(track(1), layer(2), layer(1), size=SIZE + 512) is None
    assert depth(track(2), layer(3), layer(2), layer(1)) is None, "the track must reach the bottom"
    assert depth(replace(track(1), chunk_size=CHUNK * 2), layer(2), layer(1)) is None


@given(
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from(["path", "device", "inode", "size", "mtime_ns"]),
    st.integers(0, 3),
)
def test_any_trace_of_a_change_below_is_noticed(new: int, old: int, field: str, at: int) -> None:
    layers = [layer(n) for n in range(new + old + 1, 0, -1)]
    known = track(*range(old + 1, 0, -1))
    assert depth(known, *layers) == new
    index = new + at % (old + 1)
    value = getattr(layers[index], field)
    layers[index] = replace(layers[index], **{field: value + "x" if isinstance(value, str) else value + 1})
    assert depth(known, *layers) is None
