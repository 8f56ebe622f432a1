"""Real ground for tests, benchmarks and the demo: libvirt daemons, tiny guests, disks, PostgreSQL.

The modules about vaults prove what the store promises: disks that lose power, damage, many hands at once.
Nothing here is shipped. Everything works without pytest, so that the demo can use it too; the fixtures that
give it to tests are in ``tests/conftest.py``.
"""
