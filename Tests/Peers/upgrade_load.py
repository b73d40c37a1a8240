"""Load on a server that is upgraded meanwhile. Prints one JSON object: what was done, and what no client may see.

usage: load.py PORT TOKEN STOP_FILE
Clients call and publish until STOP_FILE exists. A 503 is an answer: it is counted and tried again. A connection that is refused, reset
or closed before an answer is a failure, except that of a kept-alive connection that said `Connection: close` before.
"""
import http.client
import json
import os
import socket
import sys
import threading

port, token, stop = int(sys.argv[1]), sys.argv[2], sys.argv[3]
parent = os.getppid()


def is_over():
    # A test that was killed leaves nobody to say so.
    return os.path.exists(stop) or os.getppid() != parent


headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
lock = threading.Lock()
seen = {"invoked": 0, "published": [], "unavailable": 0, "failures": [], "statuses": {}}


def ask(connection, path, body):
    """One request until it is answered otherwise than with 503."""
    while True:
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            with lock:
                seen["failures"].append(f"{path}: {type(error).__name__}: {error}")
            connection.close()
            return None
        if answer.status != 503:
            return answer.status, text
        with lock:
            seen["unavailable"] += 1


def note(status):
    with lock:
        seen["statuses"][str(status)] = seen["statuses"].get(str(status), 0) + 1


def invoke(name, keeps):
    """Synchronous calls, on one connection or on one each."""
    connection, number = http.client.HTTPConnection("127.0.0.1", port, timeout=60), 0
    while not is_over():
        number += 1
        text = f"{name}-{number}"
        answer = ask(connection, "/v1/functions/worker/invoke", json.dumps({"text": text}))
        if not keeps:
            connection.close()
        if answer is None:
            continue
        note(answer[0])
        if answer[0] == 200 and json.loads(answer[1])["text"] != text:
            with lock:
                seen["failures"].append(f"{text}: another's answer {answer[1]!r}")
        with lock:
            seen["invoked"] += answer[0] == 200


def publish(name, keeps):
    """Events, each with an id of its own: what got a 202 must be delivered exactly once."""
    connection, number = http.client.HTTPConnection("127.0.0.1", port, timeout=60), 0
    while not is_over():
        number += 1
        text = f"{name}-{number}"
        answer = ask(connection, "/v1/topics/in/events", json.dumps({"text": text}))
        if not keeps:
            connection.close()
        if answer is None:
            continue
        note(answer[0])
        if answer[0] in (200, 202):
            with lock:
                seen["published"].append(text)


def connect():
    """Connections that are opened and asked at once, many more than the others."""
    while not is_over():
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                answer = b""
                while part := connection.recv(65536):
                    answer += part
            if not answer.startswith(b"HTTP/1.1 200"):
                raise OSError(f"answer {answer[:80]!r}")
        except OSError as error:
            with lock:
                seen["failures"].append(f"/healthz: {type(error).__name__}: {error}")
        else:
            note("healthy")


threads = [threading.Thread(target=invoke, args=(f"keep{i}", True)) for i in range(2)]
threads += [threading.Thread(target=invoke, args=(f"new{i}", False)) for i in range(2)]
threads += [threading.Thread(target=publish, args=(f"pub-keep{i}", True)) for i in range(2)]
threads += [threading.Thread(target=publish, args=("pub-new", False)), threading.Thread(target=connect)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
json.dump(seen, sys.stdout)
