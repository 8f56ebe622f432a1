"""Documents of policies with something odd in them: each is understood, or refused with a code."""

import copy
import json
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from overwinter.api.ids import Ids
from overwinter.api.requests_policy import read_policy
from overwinter.api.shapes_policies import policy_shape
from overwinter.model.errors import RequestError
from overwinter.model.policy import PolicyContent
from overwinter.model.policy_document import document_of
from overwinter.model.policy_reading import read_content
from overwinter.model.protection import Vault
from tests.api.fake_service import FakeService
from tests.model import policies

ID = UUID(int=7)
VAULT: Vault = FakeService().vaults.create("v1", "default")

odd_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10),
    st.sampled_from(
        [10**30, "", "x", "1", "Sunday", "sunday", "Weekly", "Last", "February", "V2", "é", "24:00"]
    ),
    st.sampled_from(
        ["2026-01-01T02:30:00Z", "2026-02-30", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z"]
    ),
    st.just([]),
    st.just({}),
    st.just([[]]),
    st.just([{"date": 31}, {"isLast": True}]),
)


def places(part: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [way] if way else []
    inner = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for name, value in inner:
        found += places(value, (*way, name))
    return found


@settings(max_examples=200)
@given(policies.contents(), st.data())
def test_one_odd_value_anywhere(policy: PolicyContent, data: st.DataObject) -> None:
    document = json.loads(json.dumps(document_of(policy)))
    before = copy.deepcopy(document)
    *way, last = data.draw(st.sampled_from(places(document)))
    part = document
    for name in way:
        part = part[name]
    part[last] = data.draw(odd_values)
    try:
        read = read_policy({"properties": document}, policy_id=ID, vault_id=ID, name="p")
    except RequestError as error:
        assert error.message.strip()
        return
    # What was understood is shown so that it means the same when it is sent again.
    shape = policy_shape(Ids(ID), VAULT, read, 0)
    again = read_policy(json.loads(json.dumps(shape)), policy_id=ID, vault_id=ID, name="p")
    assert again.content == read.content
    assert read_content(json.loads(json.dumps(read.document))) == read.content
    if document == before:
        assert read.content == policy
