"""Starts, upgrades, kills and stops the installed service by systemctl, under a systemd of its own. Prints what works, then `done`."""
import json
import os
import signal
import subprocess
import sys
import time


def run(*words):
    result = subprocess.run(words, capture_output=True, text=True, timeout=90, env={"PATH": "/usr/bin:/bin"})
    assert result.returncode == 0, (words, result.stdout, result.stderr)
    return result.stdout


def show(name):
    return run("systemctl", "show", "apus", "-p", name, "--value").strip()


def call(text):
    answer = json.loads(run("apus", "invoke", "hello", "--data", json.dumps({"name": text})))
    assert answer == {"hello": text}, answer


def until(what, condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(what)


try:
    run("systemctl", "start", "apus")
    assert show("ActiveState") == "active"
    os.makedirs("/tmp/hello")
    open("/tmp/hello/function.yaml", "w").write(
        "apiVersion: apus.dev/v1\nkind: Function\nmetadata: {name: hello}\n"
        "spec: {runtime: python3, handler: 'main:hello', source: .}\n")
    open("/tmp/hello/main.py", "w").write("def hello(event, context):\n    return {'hello': event.data['name']}\n")
    run("apus", "deploy", "/tmp/hello", "--wait")
    call("started")
    print("started", flush=True)

    for number in range(3):
        before = show("MainPID")
        run("systemctl", "reload", "apus")
        assert show("ActiveState") == "active" and show("MainPID") != before
        until("the old server ends", lambda: not os.path.exists(f"/proc/{before}"))
        group = open(f"/proc/{show('MainPID')}/cgroup").read()
        assert "/apus.service/" in group and ".control" not in group, group
        call(f"reloaded {number}")
    print("reloaded", flush=True)

    open("/etc/apus/apus.yaml", "w").write("shrads: 1\n")
    before = show("MainPID")
    assert subprocess.run(["systemctl", "reload", "apus"], capture_output=True).returncode != 0
    assert show("ActiveState") == "active" and show("MainPID") == before
    call("still there")
    os.unlink("/etc/apus/apus.yaml")
    print("kept", flush=True)

    os.kill(int(before), signal.SIGKILL)
    until("it is started again", lambda: show("ActiveState") == "active" and show("MainPID") not in ("0", before))
    call("restarted")
    print("restarted", flush=True)

    run("systemctl", "reload", "apus")
    run("systemctl", "stop", "apus")
    assert show("Result") == "success" and show("ActiveState") == "inactive", (show("Result"), show("ActiveState"))
    print("stopped", flush=True)
    print("done", flush=True)
except BaseException:
    print(open("/run/server.log").read() if os.path.exists("/run/server.log") else "no log", flush=True)
    raise
