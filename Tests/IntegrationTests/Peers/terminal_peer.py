"""Runs a command on a pseudo terminal, as a person would, ends it, and checks that the terminal is what it was.

terminal_peer.py END TEXT COMMAND…   END is a key (q, ctrl-c) or the name of a signal; TEXT must be seen before. Exit code 0: all is well.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

SECONDS = 30
ENTER, LEAVE, CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"


def main() -> str | None:
    end, text, command = sys.argv[1], sys.argv[2].encode(), sys.argv[3:]
    primary, secondary = pty.openpty()
    resize(secondary, rows=20, columns=90)
    before = termios.tcgetattr(secondary)
    environment = {**os.environ, "TERM": "xterm-256color"}
    child = subprocess.Popen(
        command, stdin=secondary, stdout=secondary, stderr=secondary, env=environment, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    deadline = time.monotonic() + SECONDS
    seen = b""

    def read_until(done) -> bool:
        nonlocal seen
        while not done():
            if time.monotonic() > deadline:
                return False
            if select.select([primary], [], [], 0.05)[0]:
                try:
                    seen += os.read(primary, 65536)
                except OSError:
                    return done()
        return True

    if not read_until(lambda: b"FUNCTIONS" in seen and text in seen):
        child.kill()
        return f"the screen never showed {text!r}: {seen[-2000:]!r}"
    if termios.tcgetattr(secondary)[3] & (termios.ICANON | termios.ECHO):
        return "keys are not read one by one"
    # A smaller screen is drawn anew, and nothing is wider.
    seen = b""
    resize(secondary, rows=10, columns=40)
    os.kill(child.pid, signal.SIGWINCH)
    if not read_until(lambda: b"\x1b[2J" in seen and b"FUNCTIONS" in seen.split(b"\x1b[2J")[-1]):
        return "a screen of another size was not drawn anew"
    for line in seen.split(b"\x1b[2J")[-1].split(b"\r\n"):
        plain = re.sub(rb"\x1b\[[?0-9;]*[a-zA-Z]", b"", line).decode(errors="replace")
        if len(plain) > 40:
            return f"a line is wider than the screen: {plain!r}"
    seen = ENTER
    if end.startswith("SIG"):
        os.kill(child.pid, getattr(signal, end))
        expected = -getattr(signal, end)
    else:
        os.write(primary, {"q": b"q", "ctrl-c": b"\x03"}[end])
        expected = 0
    if not read_until(lambda: child.poll() is not None):
        child.kill()
        return f"{end} did not end it"
    read_until(lambda: not select.select([primary], [], [], 0.2)[0])
    if child.returncode != expected:
        return f"it ended with {child.returncode} instead of {expected}"
    if seen.rfind(LEAVE) < seen.rfind(ENTER) or seen.rfind(CURSOR) < seen.rfind(b"\x1b[?25l"):
        return f"the first screen or the cursor is not back: {seen[-200:]!r}"
    if termios.tcgetattr(secondary) != before:
        return "the terminal's mode is not what it was"
    return None


def resize(descriptor: int, rows: int, columns: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


problem = main()
if problem:
    print(problem)
sys.exit(1 if problem else 0)
