"""Microseconds per event of the Python worker over pipes: one in flight, and 32.

    /usr/bin/python3 sandbox/runtimes/python/tests/bench.py [--events 100000] [--json]

The driver is Python too; with 32 in flight its own time shows beside the worker's, so the worker's CPU time per event is
printed as well, from its process accounting.
"""
import argparse
import json
import os
import statistics
import struct
import time

from fake_server import FakeServer, block, encode, invoke_head

SOURCES = {
    "def": ("def handle(event, context):\n    return event.data\n", 1),
    "async def": ("async def handle(event, context):\n    return event.data\n", 32),
    "async def, asyncio imported": ("import asyncio\nasync def handle(event, context):\n    return event.data\n", 32),
}


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_frames(server, count):
    """Reads until `count` whole frames have come; returns nothing."""
    rest = b""
    while count:
        raw = rest + os.read(server.from_worker, 1 << 18)
        at = 0
        while count and len(raw) - at >= 24:
            end = at + 24 + struct.unpack_from("<I", raw, at)[0]
            if end > len(raw):
                break
            at = end
            count -= 1
        rest = raw[at:]


def measure(name, events):
    source, concurrency = SOURCES[name]
    payload = invoke_head() + block(b"x" * 1024, pairs=[("id", "a" * 20), ("source", "/bench"), ("type", "com.example.bench")])
    figures = {"worker": name}
    with FakeServer(source, concurrency=concurrency) as server:
        server.ready()
        one = encode("INVOKE", payload, 1)
        times = []
        for _ in range(events // 10):
            start = time.perf_counter()
            os.write(server.to_worker, one)
            read_frames(server, 1)
            times.append((time.perf_counter() - start) * 1e6)
        times.sort()
        figures["one_p50_us"] = round(statistics.median(times), 1)
        figures["one_p99_us"] = round(times[len(times) * 99 // 100], 1)
        if concurrency > 1:
            window = b"".join(encode("INVOKE", payload, stream) for stream in range(1, 33))
            cpu, start = cpu_seconds(server.pid), time.perf_counter()
            for _ in range(events // 32):
                server.write(window)
                read_frames(server, 32)
            wall = time.perf_counter() - start
            figures["rate_32"] = round(events // 32 * 32 / wall)
            figures["worker_cpu_us"] = round((cpu_seconds(server.pid) - cpu) / (events // 32 * 32) * 1e6, 2)
    return figures


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--events", type=int, default=100_000)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    for name in SOURCES:
        figures = measure(name, options.events)
        print(json.dumps(figures) if options.json else "  ".join(f"{key} {value}" for key, value in figures.items()), flush=True)


if __name__ == "__main__":
    main()
