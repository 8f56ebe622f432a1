"""What a backup costs the guest: how long it stands still, and how long its writes wait."""
