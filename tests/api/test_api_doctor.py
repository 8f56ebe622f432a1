"""The doctor's route: an action on a virtual machine, in the client's language."""

from tests.api.served import MACHINES, Served


def test_an_examination(served: Served) -> None:
    answer = served.http.post(f"{MACHINES}/Web01/overwinter/doctor")
    assert answer.status_code == 200
    found = answer.json()
    assert (found["vm"], found["taken"], found["status"]) == ("Web01", "2026-01-02T03:04:05Z", "fail")
    assert [step["step"] for step in found["steps"]] == [1, 2, 3, 4]
    assert found["steps"][3]["checks"][-1] == {
        "id": "X4.1",
        "title": "There is space for what the guest writes",
        "status": "fail",
        "statusText": "failed",
        "reason": "/images has 12 MiB free, and a backup needs 1024 MiB.",
        "evidence": {"directory": "/images", "free": "12", "needed": "1024"},
        "causes": ["C-OVERLAY-SPACE"],
    }
    assert found["notApplicable"] == ["H3.2"]
    asked = {"Accept-Language": "nl"}
    assert served.http.post(f"{MACHINES}/Web01/overwinter/doctor", headers=asked).status_code == 200


def test_a_vm_that_nobody_knows(served: Served) -> None:
    assert served.http.post(f"{MACHINES}/nobody/overwinter/doctor").status_code == 404
    elsewhere = MACHINES.replace("/default/", "/lab/")
    assert served.http.post(f"{elsewhere}/Web01/overwinter/doctor").status_code == 404
    assert served.http.get(f"{MACHINES}/Web01/overwinter/doctor").status_code == 405
