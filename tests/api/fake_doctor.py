"""A doctor for tests of API and command line: it knows one VM, with one result of each kind."""

import io
from datetime import UTC, datetime
from typing import IO

from overwinter.doctor.check import Finding, Status
from overwinter.doctor.checks import CHECKS
from overwinter.doctor.report import Report, Result
from overwinter.model.errors import NotFound
from overwinter.model.job import Job

TAKEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

#: Longer than one piece of an answer.
BUNDLE = b"PK and so on" * 20_000

_BY_ID = {check.id: check for check in CHECKS}


class FakeDoctor:
    """Finds Web01 ill and everything else well; ``failed`` is the last backup of both."""

    def __init__(self) -> None:
        self.failed: Job | None = None

    def examine(self, vm: str) -> Report:
        if vm.casefold() not in ("web01", "db01"):
            raise NotFound(f"There is no VM {vm!r}.")
        results = [Result(_BY_ID["X1.1"], Finding(Status.PASS, "ok", {"seconds": "0.1"}))]
        if vm.casefold() == "web01":
            values = {"directory": "/images", "free": 12, "needed": 1024}
            results += [
                Result(_BY_ID["H2.13"], Finding(Status.UNKNOWN, "unknown"), "No answer within 20 s."),
                Result(_BY_ID["H2.3"], Finding(Status.UNKNOWN, "unknown"), "No answer within 20 s."),
                Result(_BY_ID["H5.2"], Finding(Status.WARN, "count", {"count": 16, "most": 18})),
                Result(_BY_ID["X4.1"], Finding(Status.FAIL, "full", values)),
            ]
        return Report(vm, TAKEN, tuple(results), ("H3.2",), self.failed)

    def bundle(self, vm: str) -> IO[bytes]:
        self.examine(vm)
        return io.BytesIO(BUNDLE)
