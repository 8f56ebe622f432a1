"""Real ground for tests, benchmarks and the demo: libvirt daemons, tiny guests, disks, PostgreSQL.

Nothing here is shipped. Everything works without pytest, so that the demo can use it too; the fixtures that
give it to tests are in ``tests/conftest.py``.
"""
