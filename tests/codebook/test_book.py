"""The code book is whole: every error has its entry, everything is referred to, and numbers never change."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.codebook import book
from overwinter.model import errors
from overwinter.model.profile import PROFILES

SOURCE = Path(errors.__file__).parents[1]

#: Seen by API clients: a number may be added here, never changed.
FROZEN = {
    "UserErrorGuestAgentStatusUnavailable": 1001,
    "GuestAgentSnapshotTaskStatusError": 1002,
    "UserErrorVmProvisioningStateFailed": 1003,
    "UserErrorRpCollectionLimitReached": 1004,
    "UserErrorKeyvaultPermissionsNotConfigured": 1005,
    "ExtensionSnapshotFailedNoNetwork": 1006,
    "ExtensionOperationFailedForManagedDisks": 1007,
    "BackUpOperationFailed": 1008,
    "BackUpOperationFailedV2": 1009,
    "UserErrorUnsupportedDiskSize": 1010,
    "UserErrorBackupOperationInProgress": 1011,
    "UserErrorCrpReportedUserError": 1012,
    "UserErrorBcmDatasourceNotPresent": 1013,
    "UserErrorStandardSSDNotSupported": 1014,
    "BCMV2VMNotFound": 1040,
    "VMRestorePointInternalError": 1101,
    "CopyingVHDsFromBackUpVaultTakingLongTime": 1102,
    "VmNotInDesirableState": 1103,
    "ExtensionSnapshotFailedCOM": 1104,
    "ExtensionInstallationFailedCOM": 1105,
    "ExtensionInstallationFailedMDTC": 1106,
    "ExtensionFailedVssWriterInBadState": 1107,
    "ExtensionFailedVssServiceInBadState": 1108,
    "UserErrorSkuNotAvailable": 1109,
    "UserErrorMarketPlaceVMNotSupported": 1110,
    "ExtensionConfigParsingFailure": 1111,
    "ExtensionStuckInDeletionState": 1112,
    "ExtensionFailedSnapshotLimitReachedError": 1113,
    "ExtensionFailedTimeoutVMNetworkUnresponsive": 1114,
    "UserErrorBCMPremiumStorageQuotaError": 1115,
    "AzureVmOffline": 1116,
    "ExtensionSnapshotBitlockerError": 1117,
    "ExtensionSnapshotFailedNoSecureNetwork": 1118,
    "ExtensionVCRedistInstallationFailure": 1119,
    "UserErrorRequestDisallowedByPolicy": 1120,
    "UserErrorInstantRpNotFound": 1121,
    "UserErrorMigrationFromTrustedLaunchVMToNonTrustedVMNotAllowed": 1122,
    "UserErrorUnableToOpenMount": 1123,
    "SystemBackupOperationInProgress": 1124,
    "Pre-ScriptExecutionFailed": 1125,
    "Pre-ScriptNotFound": 1126,
    "InsufficientPermissionforPre-Script": 1127,
    "Pre-ScriptTimeout": 1128,
    "Post-ScriptExecutionFailed": 1129,
    "Post-ScriptNotFound": 1130,
    "InsufficientPermissionforPost-Script": 1131,
    "Post-ScriptTimeout": 1132,
    "IncorrectPluginhostFile": 1133,
    "IncorrectJSONConfigFile": 1134,
    "BadRequest": 2001,
    "ResourceNotFound": 2002,
    "ResourceAlreadyExists": 2003,
    "AuthenticationFailed": 2004,
    "UserErrorJobNotCancellable": 2005,
    "VaultNotEmpty": 2006,
    "MethodNotAllowed": 2007,
    "RequestEntityTooLarge": 2008,
    "NotImplemented": 2009,
    "AuthorizationFailed": 2010,
    "ScopeLocked": 2011,
    "LockNotFound": 2012,
    "ResourceGroupNotFound": 2013,
    "VaultImmutable": 2020,
    "VaultSettingIrreversible": 2021,
    "ItemSoftDeleted": 2022,
    "ProtectedInAnotherVault": 2023,
    "DiskSelectionInvalid": 2024,
    "NewestPointStays": 2025,
    "BMSUserErrorInvalidPolicyInput": 2030,
    "UserErrorPolicyInUse": 2031,
    "HypervisorUnavailable": 3001,
    "UserErrorVmNotInDesirableState": 3002,
    "OverlaySpaceLow": 3003,
    "GuestCommandFailed": 3004,
    "UserErrorFsFreezeFailed": 3005,
    "GuestThawUnconfirmed": 3006,
    "ApplicationNotAtRest": 3007,
    "GuestExtensionFailed": 3020,
    "DiskImageUnreadable": 4001,
    "DiskChainUnexpected": 4002,
    "BlockJobFailed": 4003,
    "VaultUnavailable": 5001,
    "VaultKeyWrong": 5002,
    "VaultFormatUnsupported": 5003,
    "VaultDataCorrupt": 5004,
    "VaultObjectMissing": 5005,
    "VaultStorageFull": 5006,
    "VaultSessionEnded": 5007,
    "VaultCollectionInProgress": 5008,
    "VaultPointLocked": 5009,
    "VaultTokenUnavailable": 5020,
    "VaultTokenPinRefused": 5021,
    "JobCancelled": 6001,
    "InternalServerError": 7001,
    "ServiceUnreachable": 7002,
    "CatalogUnavailable": 7003,
    "RecoveryPointSnapshotOnly": 7004,
    "DiskNotCovered": 7005,
    "RepairFailed": 7006,
}


def error_classes(root: type[errors.OverwinterError]) -> Iterator[type[errors.OverwinterError]]:
    yield root
    for child in root.__subclasses__():
        yield from error_classes(child)


@pytest.mark.parametrize("kind", list(error_classes(errors.OverwinterError)), ids=lambda kind: kind.__name__)
def test_every_error_is_in_the_book(kind: type[errors.OverwinterError]) -> None:
    entry = book.find(kind.code)
    assert entry is not None and entry.code == kind.code


def test_every_code_that_a_job_writes_by_name_is_in_the_book() -> None:
    written = {
        node.args[0].value
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "JobError"
        if node.args and isinstance(node.args[0], ast.Constant)
    }
    assert "DiskNotCovered" in written
    assert written <= {entry.code for entry in book.entries()}


def test_numbers_are_frozen_and_unique() -> None:
    numbers = {entry.code: entry.number for entry in book.entries()}
    assert {code: numbers.get(code) for code in FROZEN} == FROZEN
    assert set(numbers) == set(FROZEN), "a new code: add its number here, and never change it again"
    assert len(set(numbers.values())) == len(numbers)


@pytest.mark.parametrize("entry", book.entries(), ids=lambda entry: entry.code)
def test_every_code_has_causes_and_something_to_do(entry: book.Entry) -> None:
    assert entry.causes
    assert entry.remedies_in(None)
    for cause in entry.causes:
        assert cause.remedies, cause.id
    assert entry.code not in entry.related
    assert all(book.find(code) in book.entries() for code in entry.related)


def test_every_cause_and_remedy_is_of_use() -> None:
    named = {
        cause
        for entry in book.entries()
        for causes in [entry.causes, *(causes for _, causes in entry.editions)]
        for cause in causes
    }
    assert named == set(book.causes().values())
    of_causes = {remedy for cause in named for remedy in cause.remedies}
    of_codes = {remedy for entry in book.entries() for remedy in entry.remedies}
    assert of_causes | of_codes == set(book.remedies().values())


def test_editions_are_those_of_the_support_profiles() -> None:
    editions = {profile.edition for profile in PROFILES} - {None}
    assert {since for entry in book.entries() for since, _ in entry.editions} <= editions
    assert {profile.name for profile in PROFILES if profile.edition is None} == {"overwinter"}


@pytest.mark.parametrize(
    ("code", "edition", "causes"),
    [
        ("UserErrorGuestAgentStatusUnavailable", "2018", "WIN-AGENT LIN-AGENT SNAP EXT-LOAD NO-NET"),
        ("UserErrorGuestAgentStatusUnavailable", "2019", "WIN-AGENT LIN-AGENT SNAP EXT-LOAD NO-NET"),
        ("UserErrorGuestAgentStatusUnavailable", "2021", "AGENT-STATE EXT-FAILED"),
        ("GuestAgentSnapshotTaskStatusError", "2018", "WIN-AGENT LIN-AGENT NO-NET"),
        ("GuestAgentSnapshotTaskStatusError", "2020", "WIN-AGENT LIN-AGENT SNAP LIN-CONF APPCTRL"),
        ("UserErrorRpCollectionLimitReached", "2019", "RG-LOCK MULTI-DAY"),
        ("UserErrorRpCollectionLimitReached", "2020", "RG-LOCK MULTI-DAY RP-18"),
        ("ExtensionSnapshotFailedNoNetwork", "2018", "SNAP EXT-LOAD NO-NET"),
        ("ExtensionSnapshotFailedNoNetwork", "2021", "SNAP"),
        ("ExtentionOperationFailedForManagedDisks", "2018", "SNAP EXT-LOAD WIN-AGENT LIN-AGENT"),
        ("ExtensionOperationFailedForManagedDisks", "2021", "SNAP WIN-AGENT LIN-AGENT"),
        ("BackUpOperationFailedV2", "2019", "WIN-AGENT LIN-AGENT SNAP EXT-LOAD RG-LOCK NO-NET"),
        ("BackUpOperationFailed", "2020", "WIN-AGENT LIN-AGENT SNAP RG-LOCK"),
        ("UserErrorUnsupportedDiskSize", "2018", "DISK-BIG STACK-V1"),
        ("UserErrorUnsupportedDiskSize", "2019", "DISK-BIG"),
        ("UserErrorUnsupportedDiskSize", "2020", "DISK-BIG DISK-ENC-BIG"),
        ("UserErrorBackupOperationInProgress", "2018", ""),
        ("UserErrorBackupOperationInProgress", "2019", "JOB-RUNNING JOB-OTHER-VAULT OVERLAP"),
        ("UserErrorVmProvisioningStateFailed", "2019", ""),
        ("UserErrorVmProvisioningStateFailed", "2020", "EXT-FAILED VM-UPDATING"),
        ("UserErrorStandardSSDNotSupported", "2018", "STACK-V1"),
        ("UserErrorStandardSSDNotSupported", "2019", ""),
        ("OverlaySpaceLow", "2018", "OVERLAY-SPACE"),
    ],
)
def test_causes_come_in_the_order_of_the_edition(code: str, edition: str, causes: str) -> None:
    entry = book.find(code)
    assert entry is not None
    assert [cause.id for cause in entry.causes_in(edition)] == [f"C-{name}" for name in causes.split()]


def test_no_remedy_is_told_twice() -> None:
    for entry in book.entries():
        for profile in PROFILES:
            told = entry.remedies_in(profile.edition)
            assert len(set(told)) == len(told)


def test_locks_deletions_and_protection_are_never_automatic() -> None:
    for name, remedy in book.remedies().items():
        if any(
            word in name for word in ("LOCK-DELETE", "DELETE-ALL", "UNPROTECT", "IMMUTABLE", "PIN", "KEY")
        ):
            assert remedy.repair is None, name


def test_no_two_names_of_the_book_collide() -> None:
    names = [name for entry in book.entries() for name in (entry.code, *entry.aliases, str(entry.number))]
    assert all(book.find(name) is not None for name in names)
    owners = {name: book.find(name) for name in names}
    for entry in book.entries():
        assert {owners[name] for name in (entry.code, *entry.aliases, str(entry.number))} == {entry}


@given(st.sampled_from(book.entries()), st.data())
def test_look_up_forgives_case_and_dots(entry: book.Entry, data: st.DataObject) -> None:
    spelled = "".join(
        data.draw(st.sampled_from(["i", "I", "ı", "İ"]))
        if letter in "iI"
        else data.draw(st.sampled_from([letter.lower(), letter.upper()]))
        for letter in entry.code
    )
    assert book.find(spelled) == entry


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("ExtentionOperationFailedForManagedDisks", "ExtensionOperationFailedForManagedDisks"),
        ("usererrorrpcollectionlimitulaşıldı", "UserErrorRpCollectionLimitReached"),
        ("usererrorbackupoperationınprogress", "UserErrorBackupOperationInProgress"),
        ("400094", "BCMV2VMNotFound"),
        ("1004", "UserErrorRpCollectionLimitReached"),
        (" PreScriptTimeout ", "Pre-ScriptTimeout"),
        ("insufficient permission for pre-script", "InsufficientPermissionforPre-Script"),
    ],
)
def test_historic_and_loose_spellings_are_known(written: str, code: str) -> None:
    found = book.find(written)
    assert found is not None and found.code == code


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("UserErrorGuestAgentStatusUnavailible", "UserErrorGuestAgentStatusUnavailable"),
        ("RpCollectionLimit", "UserErrorRpCollectionLimitReached"),
        ("BackupOperationFaild", "BackUpOperationFailed"),
        ("vaultful", "VaultStorageFull"),
    ],
)
def test_near_misses_are_suggested(written: str, code: str) -> None:
    assert book.find(written) is None
    assert code in [entry.code for entry in book.similar(written)]


@given(st.text())
def test_any_text_can_be_looked_up(written: str) -> None:
    assert len(book.similar(written)) <= 3
    book.find(written)


def test_nothing_is_suggested_for_what_is_like_nothing() -> None:
    assert book.similar("") == () == book.similar("%%%") == book.similar("qqqqqqqqqqqq")
