"""Takes a function on a device from nothing to ready, to sleep, awake again and back to nothing, and checks itself.

    python3 examples/gpu-scale-to-zero/run.py [--apus PATH]

A server with a device must be running, as with the server.yaml beside this file; the command line finds it and its token by itself
(APUS_SERVER, APUS_TOKEN). Only the standard library is used. The exit code is 0 when every check held.
"""
import argparse
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = "generate-briefly"
DEPLOY_SECONDS_MAX = 600
WAIT_SECONDS_MAX = 60
REQUEST = json.dumps({"prompt": "The swift ", "tokens": 24, "stream": False})


class Failed(Exception):
    """A check did not hold, or a command failed."""


class Apus:
    """The command line of Apus."""

    def __init__(self, binary):
        self.binary = binary

    def __call__(self, *arguments, limit=60):
        try:
            done = subprocess.run([self.binary, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  timeout=limit, check=False)
        except FileNotFoundError:
            raise Failed(f"there is no program {self.binary}: build it, or name it with --apus") from None
        except subprocess.TimeoutExpired:
            raise Failed(f"`apus {' '.join(arguments)}` took more than {limit} s") from None
        if done.returncode != 0:
            raise Failed(f"`apus {' '.join(arguments)}` ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def describe(self):
        return json.loads(self("describe", NAME, "--output", "json"))


def check(holds, what):
    if not holds:
        raise Failed(what)


def states(apus):
    return [instance["state"] for instance in apus.describe()["instances"]]


def wait_for(apus, wanted):
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while states(apus) != wanted:
        if time.monotonic() > deadline:
            raise Failed(f"the instances are {states(apus)}, expected {wanted} within {WAIT_SECONDS_MAX} s")
        time.sleep(0.2)


def call(apus, what):
    began = time.monotonic()
    answer = json.loads(apus("invoke", NAME, "--data", REQUEST))
    took = time.monotonic() - began
    start = apus.describe().get("lastStart") or {}
    print(f"  {what}: {took:.2f} s; {start.get('why', 'it was ready')}", flush=True)
    return answer["text"], took, start


def run(apus):
    print("deploying", flush=True)
    apus("deploy", os.path.join(HERE, "function.yaml"), "--wait", limit=DEPLOY_SECONDS_MAX)
    wait_for(apus, [])
    print("nothing is there: no process, no memory of the device")
    cold_text, cold, start = call(apus, "cold")
    check(start.get("from") == "disk", f"the first start came from {start.get('from')}, expected disk")
    warm_text, warm, _ = call(apus, "warm")
    wait_for(apus, ["sleeping"])
    print("asleep: the device is free, the weights are in the host's memory")
    woken_text, woken, start = call(apus, "woken")
    check(start.get("from") == "host", f"the second start came from {start.get('from')}, expected host: {start.get('why')}")
    check(cold_text == warm_text == woken_text, "the texts differ, expected the same weights")
    check(woken < cold, f"the wake took {woken:.2f} s and the cold start {cold:.2f} s")
    wait_for(apus, [])
    print("nothing is there again")
    _, _, start = call(apus, "cold again")
    check("idle" in start.get("why", ""), f"it says {start.get('why')!r}, expected that it was idle")
    apus("delete", "function", NAME)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--apus", default="apus", help="the command line of Apus")
    arguments = parser.parse_args()
    try:
        run(Apus(arguments.apus))
    except Failed as failure:
        print(f"failed: {failure}", file=sys.stderr)
        return 1
    print("all checks held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
