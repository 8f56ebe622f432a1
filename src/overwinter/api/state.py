"""The files in the state directory by which clients on this host find the service and prove themselves."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from overwinter.api.certificates import TlsFiles
from overwinter.api.files import PRIVATE, PUBLIC, create_file, replace_file
from overwinter.model.errors import NotPermitted, ServiceUnreachable


@dataclass(frozen=True)
class ServiceInfo:
    """Where a service answers, and how to trust it. No secret."""

    endpoint: str
    subscription_id: UUID
    ca_file: Path


@dataclass(frozen=True)
class StateDirectory:
    """Token, certificates and address of one service."""

    root: Path

    @property
    def tls(self) -> TlsFiles:
        """Certificates and keys."""
        return TlsFiles(self.root / "tls")

    @property
    def token_file(self) -> Path:
        """The bearer token, readable by its owner only."""
        return self.root / "token"

    @property
    def info_file(self) -> Path:
        """The service's address."""
        return self.root / "service.json"

    def ensure_token(self) -> str:
        """The token; made at the first start, never overwritten."""
        if not self.token_file.exists():
            create_file(self.token_file, f"{secrets.token_urlsafe(32)}\n".encode(), PRIVATE)
        return self.token()

    def token(self) -> str:
        """The token; raises NotPermitted when it cannot be read, ServiceUnreachable when there is none."""
        try:
            token = self.token_file.read_text(encoding="ascii").strip()
        except PermissionError:
            raise NotPermitted(f"The token file {self.token_file} belongs to another user.") from None
        except FileNotFoundError:
            raise ServiceUnreachable(f"There is no token file {self.token_file}.") from None
        except (ValueError, OSError) as error:
            raise NotPermitted(f"The token file {self.token_file} cannot be read: {error}.") from None
        if not token:
            raise NotPermitted(
                f"The token file {self.token_file} is empty. Remove it and restart the service."
            )
        return token

    def write_info(self, info: ServiceInfo) -> None:
        """Tell clients where the service answers."""
        document = {
            "endpoint": info.endpoint,
            "subscriptionId": str(info.subscription_id),
            "caFile": str(info.ca_file),
        }
        replace_file(self.info_file, json.dumps(document, indent=1).encode() + b"\n", PUBLIC)

    def info(self) -> ServiceInfo:
        """Where the service answers; raises ServiceUnreachable or NotPermitted when that cannot be told."""
        try:
            document = json.loads(self.info_file.read_bytes())
            return ServiceInfo(
                endpoint=str(document["endpoint"]),
                subscription_id=UUID(document["subscriptionId"]),
                ca_file=Path(document["caFile"]),
            )
        except PermissionError:
            raise NotPermitted(f"{self.info_file} cannot be read by this user.") from None
        except (FileNotFoundError, NotADirectoryError):
            raise ServiceUnreachable(f"No service was ever started in {self.root}.") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ServiceUnreachable(
                f"{self.info_file} is damaged. Restart the service; it writes it anew."
            ) from None
