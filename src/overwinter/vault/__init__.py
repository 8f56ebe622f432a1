"""The store of the vault tier: crypto, packs, index, disk maps, manifests. See docs/vault-format.md."""
