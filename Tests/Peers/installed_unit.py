"""Starts, upgrades and stops a service by its unit file, as systemd would: ExecStart, READY=1, ExecReload, MAINPID, SIGTERM."""
import json
import os
import pwd
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request

unit = dict(
    line.split("=", 1) for line in open(sys.argv[1]).read().splitlines() if "=" in line and not line.startswith("#"))
assert unit["Type"] == "notify" and unit["Delegate"], unit
notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notices.bind("/run/notify.sock")
# As systemd's: the server speaks as its own user.
os.chmod("/run/notify.sock", 0o777)
notices.settimeout(60)
environment = {"PATH": "/usr/bin:/bin", "NOTIFY_SOCKET": "/run/notify.sock"}


def hear(wanted):
    text = notices.recv(4096).decode()
    assert wanted in text, f"expected {wanted}, heard {text!r}"
    return dict(line.split("=", 1) for line in text.splitlines())


def call(*words):
    result = subprocess.run(["/usr/bin/apus", *words], capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin"})
    assert result.returncode == 0, (words, result.stderr)
    return result.stdout


def get(path):
    token = open("/var/lib/apus/run/admin.token").read().strip()
    request = urllib.request.Request(f"http://127.0.0.1:8787{path}", headers={"Authorization": f"Bearer {token}"})
    return urllib.request.urlopen(request, timeout=10).read().decode()


def gone(process):
    for _ in range(2000):
        if not os.path.exists(f"/proc/{process}"):
            return True
        time.sleep(0.01)
    return False


server_log = open("/run/server.log", "a")
server = subprocess.Popen(shlex.split(unit["ExecStart"]), env=environment, stderr=server_log)
try:
    hear("READY=1")
    status = open(f"/proc/{server.pid}/status").read()
    assert f"Uid:\t{pwd.getpwnam('apus').pw_uid}\t" in status, status
    assert os.stat("/var/lib/apus").st_uid == pwd.getpwnam("apus").pw_uid
    print("started", flush=True)

    os.makedirs("/tmp/hello")
    open("/tmp/hello/function.yaml", "w").write(
        "apiVersion: apus.dev/v1\nkind: Function\nmetadata: {name: hello}\n"
        "spec: {runtime: python3, handler: 'main:hello', source: .}\n")
    open("/tmp/hello/main.py", "w").write("def hello(event, context):\n    return {'hello': event.data['name']}\n")
    call("deploy", "/tmp/hello", "--wait")
    assert json.loads(call("invoke", "hello", "--data", '{"name": "unit"}')) == {"hello": "unit"}
    ready = json.loads(get("/readyz"))
    assert ready["ready"] is True and ready["functions"] == 1, ready
    assert "\napus_requests_total 1\n" in get("/metrics")
    print("invoked", flush=True)

    # The successor keeps what the command was given as standard error.
    reload = subprocess.run(shlex.split(unit["ExecReload"]), env=environment, timeout=60, stderr=server_log)
    assert reload.returncode == 0
    successor = int(hear("MAINPID=")["MAINPID"])
    assert successor != server.pid and server.wait(60) == 0
    assert json.loads(call("invoke", "hello", "--data", '{"name": "again"}')) == {"hello": "again"}
    print("reloaded", flush=True)

    os.kill(successor, signal.SIGTERM)
    hear("STOPPING=1")
    assert gone(successor)
    print("stopped", flush=True)
except BaseException:
    sys.stderr.write(open("/run/server.log").read())
    raise
finally:
    if server.poll() is None:
        server.kill()
