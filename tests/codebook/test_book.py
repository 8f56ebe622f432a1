"""The code book is whole: every error has its entry, and numbers never change."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.codebook import book
from overwinter.model import errors

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
    "BMSUserErrorInvalidPolicyInput": 2030,
    "UserErrorPolicyInUse": 2031,
    "ScopeLocked": 2011,
    "LockNotFound": 2012,
    "ResourceGroupNotFound": 2013,
    "VaultImmutable": 2020,
    "VaultSettingIrreversible": 2021,
    "ItemSoftDeleted": 2022,
    "ProtectedInAnotherVault": 2023,
    "DiskSelectionInvalid": 2024,
    "NewestPointStays": 2025,
    "HypervisorUnavailable": 3001,
    "UserErrorVmNotInDesirableState": 3002,
    "OverlaySpaceLow": 3003,
    "GuestCommandFailed": 3004,
    "UserErrorFsFreezeFailed": 3005,
    "GuestThawUnconfirmed": 3006,
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
}


def error_classes(root: type[errors.OverwinterError]) -> Iterator[type[errors.OverwinterError]]:
    yield root
    for child in root.__subclasses__():
        yield from error_classes(child)


@pytest.mark.parametrize("kind", list(error_classes(errors.OverwinterError)), ids=lambda kind: kind.__name__)
def test_every_error_is_in_the_book(kind: type[errors.OverwinterError]) -> None:
    assert book.find(kind.code) is not None


def test_numbers_are_frozen_and_unique() -> None:
    numbers = {entry.code: entry.number for entry in book.entries()}
    assert {code: numbers.get(code) for code in FROZEN} == FROZEN
    assert set(numbers) == set(FROZEN), "a new code: add its number here, and never change it again"
    assert len(set(numbers.values())) == len(numbers)


def test_every_entry_says_what_happened_and_what_to_do() -> None:
    for entry in book.entries():
        assert entry.title and entry.message.endswith("."), entry.code
        assert entry.recommendations, entry.code
        assert all(sentence.endswith((".", "`.")) for sentence in entry.recommendations), entry.code


def test_no_two_names_of_the_book_collide() -> None:
    names = [name for entry in book.entries() for name in (entry.code, *entry.aliases)]
    assert {book.find(name) for name in names} == set(book.entries())
    assert len({name.casefold() for name in names}) == len(names)


@given(st.sampled_from(book.entries()), st.data())
def test_look_up_forgives_case_and_dots(entry: book.Entry, data: st.DataObject) -> None:
    spelled = "".join(
        data.draw(st.sampled_from(["i", "I", "ı", "İ"]))
        if letter in "iI"
        else data.draw(st.sampled_from([letter.lower(), letter.upper()]))
        for letter in entry.code
    )
    assert book.find(spelled) == entry


def test_old_spelling_is_known_and_unknown_is_not() -> None:
    found = book.find("ExtentionOperationFailedForManagedDisks")
    assert found is not None and found.code == "ExtensionOperationFailedForManagedDisks"
    assert book.find("UserErrorThatIsNone") is None
