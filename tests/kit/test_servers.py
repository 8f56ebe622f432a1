"""The object stores of the kit are apart and guarded; the proxy harms what it is told to."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from testkit.azurite import Azurite
from testkit.fault_proxy import Fault, fault_proxy
from testkit.s3_server import S3Server
from testkit.servers import LOOPBACK


@pytest.mark.object_stores
def test_buckets_and_containers_are_new_and_separate(s3: S3Server, azure: Azurite) -> None:
    assert s3.new_bucket() != s3.new_bucket()
    assert azure.new_container() != azure.new_container()


@pytest.mark.object_stores
def test_a_server_without_a_signature_refuses(s3: S3Server, azure: Azurite) -> None:
    assert httpx.get(f"{s3.endpoint}/{s3.new_bucket()}/object").status_code == 403
    assert httpx.get(f"{azure.endpoint}/{azure.new_container()}/object").status_code in (403, 404)


@contextmanager
def echo_server() -> Iterator[int]:
    """Answers each connection's first words with themselves, twice."""

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(2 * connection.recv(1000))

    with socket.create_server((LOOPBACK, 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def ask(port: int, words: bytes) -> bytes:
    with socket.create_connection((LOOPBACK, port)) as connection:
        connection.sendall(words)
        answer = b""
        while piece := connection.recv(1000):
            answer += piece
        return answer


def test_the_proxy_harms_one_exchange_and_passes_the_others() -> None:
    acted: list[str] = []
    with echo_server() as port, fault_proxy(port) as proxy:
        assert ask(proxy.port, b"GET 12345") == b"GET 12345GET 12345"
        proxy.set(
            Fault("PUT", answer_bytes=3, first=lambda: acted.append("answer cut")),
            Fault("GET", instead=b"no"),
            Fault("PUT", request_bytes=5),
            Fault("PUT", request_bytes=0, answer_bytes=0, first=lambda: acted.append("request cut")),
        )
        assert ask(proxy.port, b"POST 12") == b"POST 12POST 12"
        assert ask(proxy.port, b"PUT 12345") == b"PUT"
        assert ask(proxy.port, b"PUT 12345") in (b"", b"PUT 1PUT 1")
        assert ask(proxy.port, b"PUT 12345") == b""
        assert not proxy.used_up
        assert ask(proxy.port, b"GET 12345") == b"no"
        assert proxy.used_up
        assert ask(proxy.port, b"PUT 12345") == b"PUT 12345PUT 12345"
    assert acted == ["answer cut", "request cut"]
