"""Debian's Chromium, driven over the DevTools protocol through a pipe. The standard library is all it needs.

    with Chromium() as browser:
        browser.open("http://127.0.0.1:8787/")
        browser.click("nav a", "Functions")
        browser.screenshot("functions.png")
        assert not browser.complaints

Clicks and keys are the browser's own input events: what lies under something else, or has no size, cannot be clicked.
"""
import base64
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time

SECONDS_MAX = 40.0
"""How long a command may take, and how long a condition is waited for."""

# Windows' codes of keys that have no character of their own.
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowUp": 38, "ArrowDown": 40, "Home": 36, "End": 35}


class Failed(Exception):
    """The browser, or the page in it, did not do what it should."""


def program():
    """Where Chromium is, or None."""
    return shutil.which("chromium")


class Chromium:
    """A browser with one page. `complaints` collects what a person would see in red or yellow in its console, `hosts` whom it asked."""

    def __init__(self):
        self.complaints = []
        self.hosts = set()
        self.requests = []
        self.session = None
        self.number = 0
        self.buffer = b""
        self.folder = tempfile.mkdtemp(prefix="apus-chromium-", dir="/var/tmp")
        self.pid = None

    def __enter__(self):
        # Chromium reads descriptor 3 and writes descriptor 4. Ours lie above, so that putting them there overwrites none.
        theirs_in, self.out = (self._above(each) for each in os.pipe())
        self.into, theirs_out = (self._above(each) for each in os.pipe())
        words = [
            program(), "--headless=new", "--remote-debugging-pipe", "--no-sandbox", f"--user-data-dir={self.folder}", "--no-first-run",
            "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
            "--disable-default-apps", "--disable-extensions", "--disable-sync", "--hide-scrollbars", "--force-color-profile=srgb",
            "--font-render-hinting=none", "--no-default-browser-check", "--lang=en-US", "about:blank",
        ]
        silent = self._above(os.open("/dev/null", os.O_RDWR))
        actions = [(os.POSIX_SPAWN_DUP2, theirs_in, 3), (os.POSIX_SPAWN_DUP2, theirs_out, 4)]
        actions += [(os.POSIX_SPAWN_DUP2, silent, each) for each in (0, 1, 2)]
        self.pid = os.posix_spawn(words[0], words, {**os.environ, "HOME": self.folder}, file_actions=actions, setpgroup=0)
        for each in (theirs_in, theirs_out, silent):
            os.close(each)
        target = [each for each in self._call("Target.getTargets")["targetInfos"] if each["type"] == "page"][0]
        self.session = self._call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        try:
            # Asked to, it ends its own processes; killed, they write into the folder for a moment more.
            self._call("Browser.close")
            while self._next(time.monotonic() + SECONDS_MAX):
                pass
        except (Failed, OSError):
            pass
        finally:
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _above(descriptor):
        copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 20)
        os.close(descriptor)
        return copy

    # ---- the protocol

    def call(self, method, **parameters):
        """One command for the page."""
        return self._call(method, session=self.session, **parameters)

    def _call(self, method, session=None, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.out, data):]
        deadline = time.monotonic() + SECONDS_MAX
        while True:
            answer = self._next(deadline)
            if answer is None:
                raise Failed(f"{method} was not answered within {SECONDS_MAX:.0f} s")
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise Failed(f"{method}: {answer['error'].get('message')}")
                return answer.get("result", {})

    def _next(self, deadline):
        """The next message; what it says on its own is taken down. None at the deadline."""
        while b"\0" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.into], [], [], left)[0]:
                return None
            data = os.read(self.into, 1 << 20)
            if not data:
                raise Failed("the browser ended")
            self.buffer += data
        text, _, self.buffer = self.buffer.partition(b"\0")
        message = json.loads(text)
        if "method" in message:
            self._note(message["method"], message.get("params", {}))
        return message

    def _note(self, method, told):
        if method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.complaints.append(f"console.{told['type']}: {[each.get('value', each.get('description')) for each in told['args']]}")
        elif method == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.complaints.append(f"exception: {details.get('exception', {}).get('description') or details['text']}")
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{told['entry']['level']}: {told['entry']['text']} {told['entry'].get('url', '')}")
        elif method == "Audits.issueAdded" and "NavigationEntryMarkedSkippable" not in str(told):
            # That one says only that a script went to another page without a click, as tests do.
            self.complaints.append(f"issue: {told['issue']['code']} {json.dumps(told['issue']['details'])[:400]}")
        elif method == "Network.requestWillBeSent":
            url = told["request"]["url"]
            if url.startswith("http"):
                self.hosts.add(url.split("/")[2])
                self.requests.append(url)
            elif not url.startswith(("data:", "about:")):
                self.hosts.add(url)

    # ---- the page

    def emulate(self, width=1280, height=800, dark=False, phone=False, scale=1):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone)
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
                                                          {"name": "prefers-reduced-motion", "value": "reduce"}])

    def open(self, url):
        answer = self.call("Page.navigate", url=url)
        if answer.get("errorText"):
            raise Failed(f"{url}: {answer['errorText']}")

    def evaluate(self, script):
        """The value of a JavaScript expression; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise Failed(f"{script[:200]}: {details.get('exception', {}).get('description') or details['text']}")
        return answer["result"].get("value")

    def wait(self, script, what=None, seconds=SECONDS_MAX):
        """Waits until the expression is true, and returns its value."""
        deadline = time.monotonic() + seconds
        failure = ""
        while True:
            try:
                value = self.evaluate(f"Promise.resolve({script}).then((value) => value instanceof Node ? true : value)")
            except Failed as error:
                # A page that is just being left has no context to ask in.
                value, failure = None, f" ({error})"
            if value:
                return value
            if time.monotonic() > deadline:
                raise Failed(f"{what or script} did not come true within {seconds:.0f} s{failure}; the page says: {self.text()[:1500]}")
            self._next(time.monotonic() + 0.03)

    def text(self, selector="body"):
        return self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def find(self, selector, text=None):
        """A JavaScript expression for the first visible element that matches and whose text contains `text`."""
        return (f"[...document.querySelectorAll({json.dumps(selector)})].find((each) => each.getClientRects().length"
                f" && (each.innerText ?? '').includes({json.dumps(text or '')}))")

    def click(self, selector, text=None):
        """Clicks into the middle of an element, once it is there, stands still and nothing covers it."""
        script = f"""(async () => {{
            const element = {self.find(selector, text)};
            if (!element) return null;
            element.scrollIntoView({{block: "center", inline: "nearest", behavior: "instant"}});
            const before = element.getClientRects()[0];
            await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
            const box = element.getClientRects()[0];
            if (!box || box.x !== before.x || box.y !== before.y) return null;
            const x = box.x + box.width / 2, y = box.y + box.height / 2;
            const top = document.elementFromPoint(x, y);
            return top && (element.contains(top) || top.contains(element)) ? [x, y] : null;
        }})()"""
        x, y = self.wait(script, f"{selector} {text or ''} to click")
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="none" if kind == "mouseMoved" else "left", clickCount=1)

    def key(self, name, shift=False):
        """Presses a key: a character, or a name of KEYS."""
        text = "\r" if name == "Enter" else name if len(name) == 1 else ""
        code = KEYS.get(name) or ord(name.upper())
        common = {"key": name, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **common, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def screenshot(self, path):
        data = self.call("Page.captureScreenshot", format="png", optimizeForSpeed=False)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
