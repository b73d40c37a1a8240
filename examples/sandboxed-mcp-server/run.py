#!/usr/bin/env python3
"""Deploys an MCP server from the Python package index as a sandboxed tool, and calls it as an agent does; checks what comes back."""
import json
import os
import subprocess
import sys
import time

APUS = os.environ.get("APUS", "apus")
HERE = os.path.dirname(os.path.abspath(__file__))
WAIT_SECONDS = 120


def apus(*words, check=True):
    done = subprocess.run([APUS, *words], capture_output=True, text=True)
    if check and done.returncode != 0:
        sys.exit(f"apus {' '.join(words)} ended with {done.returncode}: {done.stderr.strip()}")
    return done


def tools():
    return {tool["name"]: tool for tool in json.loads(apus("tools", "list", "--output", "json").stdout)["items"]}


def main():
    apus("deploy", HERE, "--wait")
    end = time.monotonic() + WAIT_SECONDS
    while not {"clock_get_current_time", "clock_convert_time"} <= tools().keys():
        if time.monotonic() > end:
            sys.exit(f"its tools are not listed: {apus('get', 'upstreams').stdout}")
        time.sleep(0.5)
    print("listed:", ", ".join(sorted(name for name in tools() if name.startswith("clock_"))))
    question = {"source_timezone": "Europe/Zurich", "time": "12:00", "target_timezone": "Asia/Tokyo"}
    answer = apus("tools", "call", "clock_convert_time", "--data", json.dumps(question)).stdout
    print(answer.strip())
    if "Asia/Tokyo" not in answer:
        sys.exit("the server did not convert the time")
    wrong = apus("tools", "call", "clock_convert_time", "--data", '{"time": 12}', check=False)
    if wrong.returncode == 0 or "source_timezone" not in wrong.stderr + wrong.stdout:
        sys.exit("arguments that do not fit the schema were not refused")
    print("arguments that do not fit were refused before the server saw them")


main()
