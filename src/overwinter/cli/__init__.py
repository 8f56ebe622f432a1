"""The overwinter command: a client of the API, and the service's starter."""
