"""Windows of several guests at once, and who waits for them."""

import threading

from overwinter.jobs.freezing import frozen, none_frozen


def test_one_window_does_not_wait_for_another() -> None:
    both = threading.Barrier(2, timeout=60)
    met: list[bool] = []

    def window() -> None:
        with frozen():
            both.wait()
            met.append(True)

    threads = [threading.Thread(target=window) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert met == [True, True]


def test_whoever_wants_none_frozen_waits_for_the_last_one() -> None:
    events: list[str] = []
    waits = threading.Event()

    def end() -> None:
        waits.set()
        with none_frozen():
            events.append("none frozen")

    ending = threading.Thread(target=end)
    with frozen():
        with frozen():
            ending.start()
            assert waits.wait(60)
            events.append("inner ends")
        events.append("outer ends")
    ending.join()
    assert events == ["inner ends", "outer ends", "none frozen"]
