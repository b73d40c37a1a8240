#!/usr/bin/env python3
"""Has lists change when the fixtures ask for it: follows the topic `conformance.changes` and deploys something each time.

    follow.py APUS      (APUS_SERVER and the rest as for every command)
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from make import documents

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    apus = sys.argv[1]
    known = {one["metadata"]["name"]: one for one in documents()}
    folder = tempfile.mkdtemp(prefix="apus-conformance-")
    shutil.copytree(os.path.join(HERE, "code"), os.path.join(folder, "code"))
    follower = subprocess.Popen(
        [apus, "consume", "conformance.changes", "--follow", "--from", "latest", "--output", "json"],
        stdout=subprocess.PIPE, text=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        return follow(apus, known, folder, follower)
    finally:
        follower.kill()
        follower.wait()
        shutil.rmtree(folder)


def follow(apus, known, folder, follower):
    print("following", flush=True)
    for number, line in enumerate(follower.stdout):
        which = json.loads(line)["data"]["list"]
        changed = known["whoami" if which == "tools" else "test-simple-prompt"]
        changed["spec"]["description"] = f"It was changed {number + 1} times."
        with open(os.path.join(folder, "function.yaml"), "w") as file:
            json.dump(changed, file)
        subprocess.run([apus, "deploy", folder], check=True, stdout=subprocess.DEVNULL)
    return follower.wait()


if __name__ == "__main__":
    sys.exit(main())
