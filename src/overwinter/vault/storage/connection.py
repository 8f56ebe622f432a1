"""Connections to object stores: ``obstore``'s clients with nothing left to chance.

``obstore`` reads every ``AWS_…`` and ``AZURE_…`` variable of the environment. What decides where data go, who
is asked and whether puts are conditional is therefore always given here.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError
from obstore.store import AzureStore, S3Store

from overwinter.model.errors import VaultError
from overwinter.vault.storage.credentials import azure_credential, s3_credential
from overwinter.vault.storage.location import AzureLocation, S3Location

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig


@dataclass(frozen=True)
class Patience:
    """How long a store is waited for, in seconds.

    ``connect``: for a connection. ``request``: for one request with its whole content; an index object of
    48 MiB then needs 2.2 Mbit/s. ``retry``: how long after an operation began a new attempt may still begin;
    longer than ``request``, so that one that hangs is repeated, and shorter than the 5 minutes for which
    ``obstore`` may repeat a request with the credentials it was given at first.
    """

    connect: float = 10
    request: float = 180
    retry: float = 240


PATIENCE = Patience()

#: First and longest pause between attempts, in seconds; each is about twice the one before.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0

#: The time decides when to give up, not the number of attempts.
_MOST_RETRIES = 1000


def connect(location: S3Location | AzureLocation, patience: Patience) -> S3Store | AzureStore:
    """A client for a location; asks nothing of the store yet.

    Raises ``VaultError`` when credentials are missing or cannot be understood.
    """
    plain = location.endpoint.startswith("http:")
    client: ClientConfig = {
        "allow_http": plain,
        "connect_timeout": timedelta(seconds=patience.connect),
        "timeout": timedelta(seconds=patience.request),
    }
    retry: RetryConfig = {
        "max_retries": _MOST_RETRIES,
        "retry_timeout": timedelta(seconds=patience.retry),
        "backoff": {
            "init_backoff": timedelta(seconds=FIRST_PAUSE),
            "max_backoff": timedelta(seconds=LONGEST_PAUSE),
            "base": 2,
        },
    }
    try:
        if isinstance(location, S3Location):
            access_key = s3_credential(location.credentials)
            return S3Store(
                location.bucket,
                prefix=location.prefix or None,
                endpoint=location.endpoint,
                aws_endpoint_url_s3=location.endpoint,
                region=location.region,
                virtual_hosted_style_request=False,
                conditional_put="etag",
                skip_signature=False,
                client_options=client,
                retry_config=retry,
                credential_provider=lambda: access_key,
            )
        secret = azure_credential(location.credentials)
        return AzureStore(
            location.container,
            prefix=location.prefix or None,
            account_name=location.account,
            endpoint=location.endpoint,
            use_emulator=False,
            skip_signature=False,
            client_options=client,
            retry_config=retry,
            credential_provider=lambda: secret,
        )
    except (BaseError, ValueError) as error:
        raise VaultError(f"The {location} cannot be used: {str(error).splitlines()[0]}") from error
