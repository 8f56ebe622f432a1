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


def test_an_examination_in_the_language_of_the_client(served: Served) -> None:
    asked = {"Accept-Language": "xx, sv-FI;q=0.5, nl;q=0.8"}
    found = served.http.post(f"{MACHINES}/Web01/overwinter/doctor", headers=asked).json()
    assert found["steps"][3]["title"] == "4. De back-up"
    shown = found["steps"][3]["checks"][-1]
    assert (shown["status"], shown["statusText"]) == ("fail", "fout")
    assert shown["title"] == "Er is ruimte voor wat de gast schrijft"
    assert shown["reason"] == "In /images is 12 MiB vrij, terwijl een back-up 1024 MiB nodig heeft."


def test_a_vm_that_nobody_knows(served: Served) -> None:
    assert served.http.post(f"{MACHINES}/nobody/overwinter/doctor").status_code == 404
    elsewhere = MACHINES.replace("/default/", "/lab/")
    assert served.http.post(f"{elsewhere}/Web01/overwinter/doctor").status_code == 404
    assert served.http.get(f"{MACHINES}/Web01/overwinter/doctor").status_code == 405
