"""Latency at a constant rate of requests, independent of responses; and requests per second without a pause."""

from __future__ import annotations

import http.client
import itertools
import statistics
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx


@dataclass(frozen=True)
class Latency:
    """Milliseconds from the due time of a request to its response, so that queueing is included."""

    requests: int
    p50: float
    p99: float
    worst: float


def measure_latency(
    urls: list[str], headers: dict[str, str], *, rate: int, seconds: int
) -> Latency:
    """Send `rate` requests a second for `seconds`, cycling through `urls`. Raises HTTPError for a failed request."""
    total = rate * seconds
    taken = [0.0] * total
    failures: list[Exception] = []
    turn = iter(range(total))
    lock = threading.Lock()
    with httpx.Client(headers=headers, timeout=10) as client:
        for url in urls[
            :20
        ]:  # connections and the first look at the snapshot are not what is measured
            client.get(url).raise_for_status()
        began = time.monotonic() + 0.1

        def work() -> None:
            while True:
                with lock:
                    number = next(turn, None)
                if number is None:
                    return
                due = began + number / rate
                time.sleep(max(0.0, due - time.monotonic()))
                try:
                    client.get(urls[number % len(urls)]).raise_for_status()
                except httpx.HTTPError as exc:
                    failures.append(exc)
                taken[number] = 1000 * (time.monotonic() - due)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]
    cuts = statistics.quantiles(taken, n=100)
    return Latency(total, cuts[49], cuts[98], max(taken))


def measure_throughput(
    urls: list[str], headers: dict[str, str], *, clients: int, seconds: float
) -> float:
    """Return the requests answered per second while `clients` send one after the other. Raises for a failed request."""
    host = urlsplit(urls[0]).netloc
    paths = [urlsplit(url).path for url in urls]
    answered = [0] * clients
    failures: list[str] = []
    end = time.monotonic() + seconds

    def work(client: int) -> None:
        connection = http.client.HTTPConnection(host, timeout=10)
        for path in itertools.cycle(paths):
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                failures.append(f"{path}: {response.status}")
            if failures or time.monotonic() > end:
                break
            answered[client] += 1
        connection.close()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(clients)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(failures[0])
    return sum(answered) / (time.monotonic() - began)
