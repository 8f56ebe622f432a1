"""The route of the support bundle: a zip in pieces, or an error like any other."""

from tests.api.fake_doctor import BUNDLE
from tests.api.served import MACHINES, Served


def test_a_bundle(served: Served) -> None:
    answer = served.http.post(f"{MACHINES}/Web01/overwinter/supportBundle")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert answer.content == BUNDLE


def test_a_vm_that_nobody_knows(served: Served) -> None:
    assert served.http.post(f"{MACHINES}/nobody/overwinter/supportBundle").status_code == 404
    elsewhere = MACHINES.replace("/default/", "/lab/")
    assert served.http.post(f"{elsewhere}/Web01/overwinter/supportBundle").status_code == 404
    assert served.http.get(f"{MACHINES}/Web01/overwinter/supportBundle").status_code == 405
