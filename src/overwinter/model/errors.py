"""The one tree of errors: what can go wrong, each class with its code from the code book.

The code is the stable, symbolic name users and API clients see (``UserErrorBackupOperationInProgress``);
the code book (room ``codebook``) holds its number, general text and remedies. The message of an instance
says what happened this time: which VM, which file, what to do.

Errors cross process and database borders by pickle, so an instance is made from its message, and from what
has its own default.
"""

from typing import ClassVar


class OverwinterError(Exception):
    """Base of all expected failures.

    ``code`` is the symbolic code of the code book; ``http_status`` what the API answers when the error is
    known at request time. ``cause`` is the code book's id of what is behind it, where whoever raises it has
    seen that; null where several things can be.
    """

    code: ClassVar[str] = "BackUpOperationFailed"
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, cause: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause


class InternalError(OverwinterError):
    """A defect of the service itself; the details are in its log, found by the request id."""

    code = "InternalServerError"


class ServiceUnreachable(OverwinterError):
    """The service does not answer at its address, or has never been started."""

    code = "ServiceUnreachable"


# --- requests that are wrong or cannot be carried out now -------------------------------------------------


class RequestError(OverwinterError):
    """The request itself cannot be carried out; nothing was changed."""

    code = "BadRequest"
    http_status = 400


class NotFound(RequestError):
    """A named resource does not exist."""

    code = "ResourceNotFound"
    http_status = 404


class MethodNotAllowed(RequestError):
    """The resource exists, but not with this HTTP method."""

    code = "MethodNotAllowed"
    http_status = 405


class RequestTooLarge(RequestError):
    """The request's body is larger than the service reads."""

    code = "RequestEntityTooLarge"
    http_status = 413


class NotImplementedYet(RequestError):
    """The request is valid in the API's language, but this version cannot carry it out."""

    code = "NotImplemented"
    http_status = 400


class AlreadyExists(RequestError):
    """A resource or target that must be new exists already; it was not touched."""

    code = "ResourceAlreadyExists"
    http_status = 409


class NotAuthenticated(RequestError):
    """The bearer token is missing or wrong."""

    code = "AuthenticationFailed"
    http_status = 401


class NotPermitted(RequestError):
    """The caller may not do this, or may not read what it needs for it."""

    code = "AuthorizationFailed"
    http_status = 403


class BackupOperationInProgress(RequestError):
    """Another job for the same VM has not ended."""

    code = "UserErrorBackupOperationInProgress"
    http_status = 409


class DatasourceNotPresent(RequestError):
    """The VM is not actively protected."""

    code = "UserErrorBcmDatasourceNotPresent"
    http_status = 400


class NotCancellable(RequestError):
    """The job cannot be cancelled in its present state."""

    code = "UserErrorJobNotCancellable"
    http_status = 409


class PolicyInvalid(RequestError):
    """A policy contradicts itself or the rules; the message says what to write instead."""

    code = "BMSUserErrorInvalidPolicyInput"


class PolicyInUse(RequestError):
    """A policy cannot be removed: items are bound to it, or it belongs to every vault."""

    code = "UserErrorPolicyInUse"


class ScopeLocked(RequestError):
    """A lock on a resource group or restore point collection forbids it."""

    code = "ScopeLocked"
    http_status = 409


class LockNotFound(NotFound):
    """There is no lock of that name on that scope."""

    code = "LockNotFound"


class ResourceGroupNotFound(NotFound):
    """There is no resource group of that name."""

    code = "ResourceGroupNotFound"


class VaultNotEmpty(RequestError):
    """A vault still holds items."""

    code = "VaultNotEmpty"
    http_status = 400


class VaultImmutable(RequestError):
    """The vault is immutable: nothing in it goes before it expires, and retention only grows."""

    code = "VaultImmutable"
    http_status = 409


class VaultSettingIrreversible(RequestError):
    """A vault's setting was made so that nobody can take it back."""

    code = "VaultSettingIrreversible"
    http_status = 409


class ItemSoftDeleted(RequestError):
    """The item, or the recovery point, is deleted and can be had back; until then nothing can be done."""

    code = "ItemSoftDeleted"
    http_status = 409


class ProtectedInAnotherVault(AlreadyExists):
    """The VM is actively protected in another vault."""

    code = "ProtectedInAnotherVault"


class DiskSelectionInvalid(RequestError):
    """The list of disks to back up names one that cannot be chosen."""

    code = "DiskSelectionInvalid"


class NewestPointStays(RequestError):
    """The newest recovery point of an item is never deleted alone."""

    code = "NewestPointStays"
    http_status = 409


class ProtectedVmNotFound(NotFound):
    """The protected VM does not exist any more; its recovery points do."""

    code = "BCMV2VMNotFound"


# --- the VM and its guest ---------------------------------------------------------------------------------


class HypervisorError(OverwinterError):
    """libvirt or QEMU refused a request; the message carries their words."""

    code = "UserErrorCrpReportedUserError"


class HypervisorUnavailable(HypervisorError):
    """libvirt cannot be reached."""

    code = "HypervisorUnavailable"


class VmFailed(HypervisorError):
    """The VM is in a failed state: crashed, or stopped by an error of a disk."""

    code = "UserErrorVmProvisioningStateFailed"
    http_status = 409


class DiskSizeUnsupported(OverwinterError):
    """A disk is larger than the support profile backs up."""

    code = "UserErrorUnsupportedDiskSize"


class StandardSsdUnsupported(OverwinterError):
    """A disk is labelled as Standard SSD, which the support profile does not back up."""

    code = "UserErrorStandardSSDNotSupported"


class SecretUnreadable(OverwinterError):
    """A secret that opens an encrypted disk is missing or may not be read."""

    code = "UserErrorKeyvaultPermissionsNotConfigured"


class VmNotInDesirableState(HypervisorError):
    """The VM's state does not allow the operation."""

    code = "UserErrorVmNotInDesirableState"
    http_status = 409


class SnapshotFailed(HypervisorError):
    """The snapshot was not taken; the VM runs on as before."""

    code = "ExtensionOperationFailedForManagedDisks"


class RestorePointLimitReached(OverwinterError):
    """The VM has as many restore points as allowed and clean-up could not remove any."""

    code = "UserErrorRpCollectionLimitReached"
    http_status = 409


class OverlaySpaceLow(OverwinterError):
    """The file system that would hold the overlay has too little free space."""

    code = "OverlaySpaceLow"


class GuestAgentUnavailable(OverwinterError):
    """The guest agent does not answer."""

    code = "UserErrorGuestAgentStatusUnavailable"


class GuestAgentInconsistent(GuestAgentUnavailable):
    """The guest agent gave an answer that makes no sense; it counts as none."""


class SnapshotStatusUnknown(OverwinterError):
    """The guest agent took the order to freeze and did not answer in time."""

    code = "GuestAgentSnapshotTaskStatusError"


class GuestCommandFailed(OverwinterError):
    """The guest agent answered a command with an error."""

    code = "GuestCommandFailed"


class FreezeFailed(OverwinterError):
    """The guest's file systems could not be frozen."""

    code = "UserErrorFsFreezeFailed"


class ApplicationNotAtRest(OverwinterError):
    """The policy wants application-consistent points, and no scripts brought the applications to rest."""

    code = "ApplicationNotAtRest"


class VssWriterFailed(FreezeFailed):
    """Windows: a writer of the Volume Shadow Copy Service did not come to rest, or not for long enough."""

    code = "ExtensionFailedVssWriterInBadState"


class VssServiceFailed(FreezeFailed):
    """Windows: the Volume Shadow Copy Service does not do its work."""

    code = "ExtensionFailedVssServiceInBadState"


class ComFailed(FreezeFailed):
    """Windows: COM+, over which the Volume Shadow Copy Service is reached, does not do its work."""

    code = "ExtensionSnapshotFailedCOM"


class ExtensionUnavailable(OverwinterError):
    """This guest cannot run the extension: it has no Python, or its agent runs no programs."""

    code = "GuestExtensionFailed"


class ExtensionFailed(OverwinterError):
    """The extension could not be installed, or does not do its work."""

    code = "GuestExtensionFailed"


class ScriptFailed(OverwinterError):
    """A pre-script of the guest failed, or a script did and the guest wants no backup then."""

    code = "Pre-ScriptExecutionFailed"


class PreScriptNotFound(ScriptFailed):
    """The pre-script that the guest's configuration names does not exist."""

    code = "Pre-ScriptNotFound"


class PreScriptPermission(ScriptFailed):
    """Others than root may have written the pre-script, so it was not run."""

    code = "InsufficientPermissionforPre-Script"


class PreScriptTimeout(ScriptFailed):
    """The pre-script took too long and was killed."""

    code = "Pre-ScriptTimeout"


class PostScriptFailed(ScriptFailed):
    """A post-script of the guest failed."""

    code = "Post-ScriptExecutionFailed"


class PostScriptNotFound(ScriptFailed):
    """The post-script that the guest's configuration names does not exist."""

    code = "Post-ScriptNotFound"


class PostScriptPermission(ScriptFailed):
    """Others than root may have written the post-script, so it was not run."""

    code = "InsufficientPermissionforPost-Script"


class PostScriptTimeout(ScriptFailed):
    """The post-script took too long and was killed."""

    code = "Post-ScriptTimeout"


class ScriptHostFileInvalid(ScriptFailed):
    """The guest's VMSnapshotPluginHost.conf cannot be used."""

    code = "IncorrectPluginhostFile"


class ScriptConfigInvalid(ScriptFailed):
    """The guest's VMSnapshotScriptPluginConfig.json cannot be used."""

    code = "IncorrectJSONConfigFile"


class ThawUnconfirmed(OverwinterError):
    """The guest did not confirm that it is thawed."""

    code = "GuestThawUnconfirmed"


# --- images and chains ------------------------------------------------------------------------------------


class ImageError(OverwinterError):
    """A disk image cannot be read, written or understood."""

    code = "DiskImageUnreadable"


class ChainUnexpected(ImageError):
    """The backing chain is not what the catalog expects; nothing was changed."""

    code = "DiskChainUnexpected"


class BlockJobFailed(HypervisorError):
    """A block job (commit) did not end as it should; the chain is still valid."""

    code = "BlockJobFailed"


# --- the vault --------------------------------------------------------------------------------------------


class VaultError(OverwinterError):
    """Base of the vault store's failures."""

    code = "VaultUnavailable"


class VaultKeyWrong(VaultError):
    """The given key does not open the vault."""

    code = "VaultKeyWrong"
    http_status = 400


class TokenUnavailable(VaultError):
    """The PKCS#11 token that opens the vault, its module or its key is not there, or does not work."""

    code = "VaultTokenUnavailable"


class TokenPinRefused(VaultError):
    """The token's PIN is wrong, or was not tried because that could lock the token."""

    code = "VaultTokenPinRefused"
    http_status = 400


class VaultFormatUnsupported(VaultError):
    """The vault was written by a newer or different version and must not be touched."""

    code = "VaultFormatUnsupported"


class VaultDataCorrupt(VaultError):
    """Stored data is damaged or was changed; the message names the object and what it touches."""

    code = "VaultDataCorrupt"


class VaultObjectMissing(VaultDataCorrupt):
    """An object that the vault's own structure refers to is not there."""

    code = "VaultObjectMissing"


class VaultStorageFull(VaultError):
    """The vault's storage has no space left; the vault is consistent."""

    code = "VaultStorageFull"


class VaultSessionEnded(VaultError):
    """A collection took this writer for dead and ended its session; nothing was committed."""

    code = "VaultSessionEnded"


class VaultCollectionInProgress(VaultError):
    """Another process is collecting garbage in this vault; nothing was changed."""

    code = "VaultCollectionInProgress"


class VaultPointLocked(VaultError):
    """The recovery point may not be deleted before its date."""

    code = "VaultPointLocked"
    http_status = 409


# --- the service itself -----------------------------------------------------------------------------------


class CatalogUnavailable(OverwinterError):
    """The catalog database cannot be opened or brought up to date, or does not do its work."""

    code = "CatalogUnavailable"


# --- jobs -------------------------------------------------------------------------------------------------


class JobCancelled(OverwinterError):
    """A person cancelled the job."""

    code = "JobCancelled"
