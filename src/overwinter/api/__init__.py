"""The ARM-compatible HTTP API."""
