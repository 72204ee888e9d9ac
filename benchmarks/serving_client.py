"""Clients on raw sockets: each keeps a connection, sends one photo after the other, and compares every answer.

    python benchmarks/serving_client.py PORT MODEL CLIENTS SECONDS EXPECTED.json

`EXPECTED.json` is a list of [photo, label, probability]. One thread waits for all sockets. It prints one JSON object:
answers, wrong ones, refusals, latencies in seconds, and the processor's time that the client itself took.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from pathlib import Path

GAP = 5e-3


class Client:
    """A connection that always has one request under way."""

    def __init__(self, port: int, requests: list[bytes], first: int) -> None:
        self.requests, self.number = requests, first
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def ask(self) -> None:
        """Send the next photo."""
        self.number = (self.number + 1) % len(self.requests)
        self.buffer, self.began = b"", time.perf_counter()
        self.socket.sendall(self.requests[self.number])

    def answered(self) -> tuple[int, bytes] | None:
        """Return status and body once all of it has come."""
        came = self.socket.recv(1 << 16)
        if not came:
            raise ConnectionError("the server has closed a connection")
        self.buffer += came
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return None
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        return (int(head[9:12]), body) if len(body) >= length else None


def main() -> None:
    """Ask until the time is over."""
    port, model, clients, seconds, path = sys.argv[1:]
    expected = json.loads(Path(path).read_text())
    requests = []
    for photo, _, _ in expected:
        body = Path(photo).read_bytes()
        head = f"POST /v1/models/{model}/predict?top=1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        requests.append(f"{head}Content-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    waiting = selectors.DefaultSelector()
    for number in range(int(clients)):
        client = Client(int(port), requests, number)
        waiting.register(client.socket, selectors.EVENT_READ, client)
        client.ask()
    began, cpu = time.perf_counter(), time.process_time()
    latencies: list[float] = []
    wrong = refused = 0
    while time.perf_counter() - began < float(seconds):
        for key, _ in waiting.select(1):
            client = key.data
            found = client.answered()
            if found is None:
                continue
            status, body = found
            if status == 200:
                best = json.loads(body)["predictions"][0]["predictions"][0]
                _, label, probability = expected[client.number]
                wrong += best["label"] != label or abs(best["probability"] - probability) > GAP
                latencies.append(time.perf_counter() - client.began)
            else:
                refused += 1
            client.ask()
    took = time.perf_counter() - began
    print(json.dumps({
        "answers": len(latencies), "wrong": wrong, "refused": refused, "seconds": took,
        "client_seconds": time.process_time() - cpu, "latencies": latencies,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
