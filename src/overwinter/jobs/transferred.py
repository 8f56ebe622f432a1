"""What a transfer did, as it is kept in the manifest it committed: the host's side of a recovery point."""

from dataclasses import dataclass

from overwinter.images.identity import LayerIdentity
from overwinter.vault import Manifest

_KEY = "transfer"


@dataclass(frozen=True)
class Transferred:
    """``layers``: per disk target the layers, top first, that were read and make up the stored map."""

    layers: dict[str, tuple[LayerIdentity, ...]]
    bytes_read: int
    bytes_stored: int
    incremental: bool

    def to_properties(self) -> dict[str, object]:
        """As properties of a manifest."""
        return {
            _KEY: {
                "layers": {
                    target: [layer.to_json() for layer in layers] for target, layers in self.layers.items()
                },
                "bytesRead": self.bytes_read,
                "bytesStored": self.bytes_stored,
                "incremental": self.incremental,
            }
        }

    @classmethod
    def of(cls, manifest: Manifest) -> "Transferred":
        """The reverse of ``to_properties``; the manifest is authenticated, so its form is what we wrote.

        A manifest that no transfer wrote tells nothing: no layers, no bytes.
        """
        document = manifest.properties.get(_KEY)
        if document is None:
            return cls({}, 0, 0, incremental=False)
        assert isinstance(document, dict)
        return cls(
            layers={
                target: tuple(LayerIdentity.from_json(layer) for layer in layers)
                for target, layers in document["layers"].items()
            },
            bytes_read=int(document["bytesRead"]),
            bytes_stored=int(document["bytesStored"]),
            incremental=bool(document["incremental"]),
        )
