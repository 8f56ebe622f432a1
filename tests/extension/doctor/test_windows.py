"""Outputs of Windows programs, written by hand after their documentation: nothing here has run on Windows."""

import pytest

from overwinter.extension.doctor.facts import windows
from overwinter.extension.doctor.facts.windows_outputs import (
    Writer,
    faulting,
    service_account,
    service_running,
    vss_writers,
)
from overwinter.extension.doctor.machine import Machine

QUERY = """
SERVICE_NAME: WindowsAzureGuestAgent
        TYPE               : 10  WIN32_OWN_PROCESS
        STATE              : {number}  {word}
                                (STOPPABLE, NOT_PAUSABLE, ACCEPTS_SHUTDOWN)
        WIN32_EXIT_CODE    : 0  (0x0)
        SERVICE_EXIT_CODE  : 0  (0x0)
        CHECKPOINT         : 0x0
        WAIT_HINT          : 0x0
"""

DESCRIBED = """[SC] QueryServiceConfig SUCCESS

SERVICE_NAME: MSDTC
        TYPE               : 10  WIN32_OWN_PROCESS
        START_TYPE         : 2   AUTO_START  (DELAYED)
        BINARY_PATH_NAME   : C:\\Windows\\System32\\msdtc.exe
        DEPENDENCIES       : RPCSS
                           : SamSS
        SERVICE_START_NAME : NT AUTHORITY\\NetworkService
"""

WRITERS = """vssadmin 1.1 - Volume Shadow Copy Service administrative command-line tool

Writer name: 'Task Scheduler Writer'
   Writer Id: {d61d61c8-d73a-4eee-8cdd-f6f9786b7124}
   Writer Instance Id: {1bddd48e-5052-49db-9b07-b96f96727e6b}
   State: [1] Stable
   Last error: No error

Writer name: 'SqlServerWriter'
   Writer Id: {a65faa63-5ea8-4ebc-9dbd-a0c4db26912a}
   Writer Instance Id: {d9d4a8ed-6a36-4ac8-a4f7-6a0a1a0f1f6e}
   State: [8] Failed
   Last error: Non-retryable error
"""

EVENTS = """Event[0]:
  Log Name: Application
  Source: Application Error
  Date: 2026-11-20T02:31:07.000
  Event ID: 1000
  Description:
Faulting application name: IaaSBcdrExtension.exe, version: 1.0.0.0, time stamp: 0x5f3a
Faulting module name: ntdll.dll

Event[1]:
  Log Name: Application
  Source: Application Error
  Date: 2026-11-19T11:00:00.000
  Description:
Faulting application name: notepad.exe, version: 10.0
"""


def test_the_state_of_a_service() -> None:
    assert service_running(QUERY.format(number=4, word="RUNNING"))
    assert not service_running(QUERY.format(number=1, word="STOPPED"))
    assert service_running(QUERY.format(number=4, word="RUNNING").replace("STATE   ", "STATUS  "))
    assert service_running(QUERY.format(number=4, word="RUNNING").replace("\n", "\r\n"))
    with pytest.raises(ValueError, match="nothing of a state"):
        service_running("[SC] EnumQueryServicesStatus:OpenService FAILED 5:\n\nAccess is denied.\n")


def test_the_account_of_a_service() -> None:
    assert service_account(DESCRIBED) == "NT AUTHORITY\\NetworkService"
    assert service_account(DESCRIBED.replace("\n", "\r\n")) == "NT AUTHORITY\\NetworkService"
    assert service_account("") == ""


def test_writers() -> None:
    expected = [Writer("Task Scheduler Writer", 1, "Stable"), Writer("SqlServerWriter", 8, "Failed")]
    assert vss_writers(WRITERS) == expected
    assert vss_writers(WRITERS.replace("\n", "\r\n")) == expected
    assert vss_writers("") == []


def test_crashes() -> None:
    assert faulting(EVENTS, windows.SNAPSHOT_PROGRAM) == ["2026-11-20T02:31:07"]
    assert faulting(EVENTS.replace("\n", "\r\n"), "iaasbcdrextension.EXE") == ["2026-11-20T02:31:07"]
    assert faulting("", windows.SNAPSHOT_PROGRAM) == []


def test_elsewhere_nothing_is_known() -> None:
    nothing = Machine("/", [], 0)
    for source in (windows.services, windows.writers, windows.faults):
        with pytest.raises(ValueError, match=r"\.exe"):
            source(nothing)
    with pytest.raises(OSError, match="no registry"):
        windows.dotnet()
    with pytest.raises(OSError, match="no registry"):
        windows.reboot()
