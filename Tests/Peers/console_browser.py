"""Uses the console as a person would, in Chromium. Arguments: the server's host, its admin token, the link of `apus console`.

The shop of `Tests/Peers/shop` is deployed. Prints what was seen; the exit code is 1 with the reason where something was not as it should be.
"""
import json
import os
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, f"{HERE}/shop"]

from chromium import Chromium, Failed  # noqa: E402
from shopkeeper import Shopkeeper  # noqa: E402

SECTIONS = ["Overview", "Functions", "Topics", "Deliveries", "Invocations", "Schedules", "Dead letters", "Approvals"]
CONTRAST_MIN = 4.5
PHONE = 390

# The lowest contrast of any text on the page with what lies behind it, as WCAG computes it, and whose it is.
CONTRAST = """(() => {
    const context = Object.assign(document.createElement("canvas"), {width: 1, height: 1}).getContext("2d", {willReadFrequently: true});
    const over = (below, colour) => {
        context.clearRect(0, 0, 1, 1);
        for (const each of [below, colour]) { context.fillStyle = each; context.fillRect(0, 0, 1, 1); }
        const [r, g, b] = context.getImageData(0, 0, 1, 1).data;
        return `rgb(${r} ${g} ${b})`;
    };
    const light = (colour) => colour.match(/[\\d.]+/g).map((each) => each / 255).map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
        .reduce((sum, each, at) => sum + each * [0.2126, 0.7152, 0.0722][at], 0);
    const behind = (element) => element ? over(behind(element.parentElement), getComputedStyle(element).backgroundColor) : "rgb(255 255 255)";
    let worst = [21, "nothing"];
    for (const element of document.querySelectorAll("body *")) {
        if (!element.checkVisibility() || element.disabled || element.closest(".skip")
            || ![...element.childNodes].some((node) => node.nodeType === 3 && node.nodeValue.trim())) continue;
        const back = behind(element), [a, b] = [light(over(back, getComputedStyle(element).color)), light(back)].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < worst[0]) worst = [ratio, `${element.tagName} ${element.className} "${element.innerText.slice(0, 40)}"`];
    }
    return worst;
})()"""

# What has the focus, and whether a person sees that.
FOCUS = """(() => {
    const element = document.activeElement, style = getComputedStyle(element), box = element.getBoundingClientRect();
    return [element.matches("body, html") ? "" : `${element.tagName} ${element.id || element.innerText?.trim().slice(0, 30)}`,
        style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2, box.width > 0 && box.right > 0];
})()"""


def expect(holds, what):
    if not holds:
        raise Failed(what)


class Visit:
    def __init__(self, browser, host, token):
        self.browser = browser
        self.host = host
        self.shop = Shopkeeper(host, token)

    def section(self, name):
        self.browser.click("nav a", name)
        self.browser.wait(f"document.querySelector('main h1')?.innerText === {json.dumps(name)}", f"the section {name}")
        self.browser.wait("document.querySelector('main :is(table, .empty)')", f"what {name} shows")

    def open_row(self, section, name):
        self.section(section)
        self.browser.click("main tr[data-open] a", name)
        self.browser.wait(f"document.querySelector('main h1')?.innerText.startsWith({json.dumps(name)})", f"the page of {name}")

    def says(self, text):
        self.browser.wait(f"document.getElementById('status').innerText.includes({json.dumps(text)})", f"the message '{text}'")

    # ---- what there is to see

    def logs_in(self, link):
        started = time.monotonic()
        self.browser.open(link)
        self.browser.wait("document.querySelectorAll('main .tile').length === 6", "the overview after the login")
        took = time.monotonic() - started
        text = self.browser.text("main")
        for part in ("Traffic, last minute", "plan-shipment", "fraud.scores", "Instances by state", "Cold starts", "Recent deliveries"):
            expect(part in text, f"the overview lacks '{part}': {text}")
        expect(self.browser.evaluate("document.querySelectorAll('main .bars i:not(.none)').length") > 0, "there is no bar of a cold start")
        expect(self.browser.evaluate("[...document.querySelectorAll('main .shares li')].some((each) => /ready\\s+[1-9]/.test(each.innerText))"), "no worker is ready")
        self.browser.wait("document.querySelector('#who').innerText.includes('admin')", "who is logged in")
        self.browser.wait("document.querySelector('#health').innerText === 'Ready'", "the state of the server")
        return took

    def shows_functions(self):
        self.open_row("Functions", "plan-shipment")
        text = self.browser.text("main")
        for part in ("Revision in use", "shop:plan_shipment", "Instances", "Positions", "Revisions", "in use"):
            expect(part in text, f"the function's page lacks '{part}': {text}")
        self.browser.wait("document.querySelectorAll('.log time').length > 2", "what it has printed")
        self.shop.publish("orders", [self.shop.order(city="Nowhere-on-Sea")])
        self.browser.wait("document.querySelector('.log').innerText.includes('Nowhere-on-Sea')", "a line that arrives live")
        self.browser.click("main .head button", "Pause")
        self.browser.click("#confirm-yes")
        self.browser.wait("document.querySelector('h1 .badge')?.innerText === 'paused'", "that it is paused")
        self.browser.click("main .head button", "Resume")
        self.browser.wait("!document.querySelector('h1 .badge')", "that it runs again")

    def calls(self):
        self.open_row("Functions", "summarize-ticket")
        self.browser.evaluate("document.getElementById('try-data').select()")
        self.browser.type('{"text": "The parcel came open. One cup is missing."}')
        self.browser.click("main form button", "Invoke")
        self.browser.wait("document.querySelector('form pre')?.innerText.includes('The parcel came open')", "the answer of a call")

    def shows_topics(self):
        self.open_row("Topics", "orders")
        expect("plan-shipment" in self.browser.text("main"), "the topic does not say who reads it")
        self.browser.evaluate("document.getElementById('publish-data').select()")
        self.browser.type('{"order": 77, "city": "Published-by-hand", "items": 1}')
        self.browser.click("main form button", "Publish")
        self.says("Published to")
        self.browser.wait("document.querySelector('main').innerText.includes('Published-by-hand')", "an event that arrives live")

    def shows_deliveries(self):
        self.section("Deliveries")
        self.browser.evaluate("document.getElementById('state').focus()")
        self.browser.evaluate("(() => { const state = document.getElementById('state'); state.value = 'deadLettered'; state.dispatchEvent(new Event('change')); })()")
        self.browser.wait("(() => { const all = [...document.querySelectorAll('main td .badge')]; return all.length && all.every((each) => each.innerText === 'dead letter'); })()", "dead letters alone")
        self.browser.click("main tr[data-open] a", "plan-shipment")
        self.browser.wait("document.querySelectorAll('.attempt .track').length === 3", "three attempts on a timeline")
        text = self.browser.text("main")
        for part in ("Attempt 3", "function_failed", "after a wait of", "no carrier serves the postcode", "orders "):
            expect(part in text, f"the delivery lacks '{part}': {text}")
        widths = self.browser.evaluate("[...document.querySelectorAll('.track i')].map((each) => each.getBoundingClientRect().width)")
        expect(len(widths) >= 5 and max(widths) > 50, f"the timeline is not drawn: {widths}")
        self.browser.wait("document.querySelector('.log')?.innerText.includes('KeyError')", "what the delivery printed")

    def shows_invocations(self):
        self.open_row("Invocations", "")
        self.browser.wait("document.querySelector('main pre')?.innerText.includes('1284')", "the result of an invocation")
        self.section("Schedules")
        expect("Europe/Paris" in self.browser.text("main"), "the schedule's zone is missing")
        self.browser.click("main tr button", "Pause")
        self.says("is paused")
        self.browser.wait("document.querySelector('main td .badge')?.innerText === 'paused'", "that the schedule is paused")
        self.browser.click("main tr button", "Resume")
        self.says("fires again")

    def letters(self, state):
        return {each["id"] for each in self.shop.send("GET", f"/v1/dead-letters?state={state}", None)[1]["items"]}

    def redrives(self):
        before = self.letters("open")
        self.section("Dead letters")
        self.browser.wait(f"document.querySelectorAll('main tr[data-id]').length === {len(before)}", "the open dead letters")
        chosen = self.browser.evaluate("document.querySelector('main tr[data-id]').dataset.id")
        self.browser.click(f"main tr[data-id='{chosen}'] button", "Redrive")
        self.says("Delivered again")
        expect(chosen in self.letters("redriven"), f"{chosen} is not redriven")
        self.browser.wait(f"!document.querySelector(`main tr[data-id='{chosen}']`)", "the list without what was redriven")
        # It was delivered again: it fails as before, and so becomes another dead letter.
        self.browser.wait("[...document.querySelectorAll('main tr[data-id]')].some((row) => !" + json.dumps(sorted(before)) + ".includes(row.dataset.id))", "the dead letter of its second delivery")

        self.browser.click("main tr[data-id] a")
        self.browser.wait("document.querySelector('main pre')?.innerText.includes('specversion')", "the whole event")
        self.browser.click("main .head button", "Drop")
        self.browser.click("#confirm button", "Cancel")
        expect(not self.letters("dropped"), "it was dropped though that was cancelled")
        self.browser.click("main .head button", "Drop")
        self.browser.click("#confirm-yes")
        self.says("Dropped")
        expect(len(self.letters("dropped")) == 1, "it was not dropped")

    def approves(self):
        self.section("Approvals")
        self.browser.wait("document.querySelector('main .empty')", "that nothing waits")
        expect(self.shop.refund(1001).get("isError"), "a call that waits is none that ran")
        expect(self.shop.refund(1002).get("isError"), "the other one neither")
        self.browser.wait("document.querySelectorAll('main tr[data-open]').length === 2", "two calls that wait")
        self.browser.click("main tr[data-open] a")
        self.browser.wait("document.querySelector('main pre')?.innerText.includes('1002')", "the arguments of the newer call")
        self.browser.click("main .head button", "Accept")
        self.browser.click("#confirm button", "Cancel")
        expect(self.shop.refund(1002).get("isError"), "it was accepted though that was cancelled")
        self.browser.click("main .head button", "Accept")
        self.browser.click("#confirm-yes")
        self.says("Accepted")
        self.browser.wait("document.querySelector('main .head .badge')?.innerText === 'accepted'", "that it is accepted")
        said = self.shop.refund(1002)
        expect(said["content"][0]["text"] == "refunded order 1002", f"what was accepted does not run: {said}")
        self.section("Approvals")
        self.browser.click("main tr[data-open] button", "Decline")
        self.says("Declined")
        expect("declined" in self.shop.refund(1001)["content"][0]["text"], "what was declined is not refused")
        self.browser.wait("document.querySelector('main .empty')", "that nothing waits any more")

    # ---- the keyboard

    def is_used_by_keyboard(self):
        for number, name in enumerate(SECTIONS, 1):
            self.browser.key(str(number))
            self.browser.wait(f"document.querySelector('main h1')?.innerText === {json.dumps(name)}", f"{name} by the key {number}")
        self.browser.key(str(SECTIONS.index("Dead letters") + 1))
        self.browser.wait("document.querySelector('main tr[data-id]')", "dead letters")
        self.browser.key("r")  # Nothing is chosen: nothing happens.
        self.browser.key("j")
        self.browser.wait("document.activeElement.closest('tr[data-id]')", "a row by the key j")
        before = len(self.letters("redriven"))
        self.browser.key("r")
        self.says("Delivered again")
        expect(len(self.letters("redriven")) == before + 1, "the key r redrove nothing")

        self.browser.key("?", shift=True)
        self.browser.wait("document.getElementById('help').open", "the help")
        self.browser.key("Escape")
        self.browser.wait("!document.getElementById('help').open", "the help to close")
        self.browser.key("2")
        functions = "document.querySelector('main h1')?.innerText === 'Functions' && document.querySelector('main tr[data-open] a')"
        self.browser.wait(functions, "functions")
        self.browser.key("j")
        self.browser.key("j")
        name = self.browser.evaluate("document.activeElement.innerText")
        # What comes again every few seconds leaves the focus where it is.
        self.browser.evaluate("document.activeElement.closest('tr').cells[3].textContent = 'stale'")
        self.browser.wait("document.activeElement.closest('tr').cells[3].innerText !== 'stale'", "new figures")
        expect(self.browser.evaluate("document.activeElement.innerText") == name, "the focus was lost when figures came")
        self.browser.key("Enter")
        self.browser.wait(f"document.querySelector('main h1')?.innerText === {json.dumps(name)}", f"{name} by Enter")
        self.browser.key("u")
        self.browser.wait(functions, "the list by the key u")

        seen = []
        for _ in range(60):
            self.browser.key("Tab")
            what, is_visible, has_place = self.browser.evaluate(FOCUS)
            if what in seen[:1]:
                break
            if not what:
                # Past the last element comes the browser's own frame, then the page from its beginning.
                continue
            expect(is_visible and has_place, f"nobody sees that {what} has the focus")
            seen.append(what)
        for part in SECTIONS + ["namespace", "keys", "leave", "search", "plan-shipment"]:
            expect(any(part in each for each in seen), f"Tab does not reach {part}: {seen}")
        return len(seen)

    # ---- other eyes, other rights

    def is_legible(self, look):
        for name in SECTIONS:
            self.section(name)
            ratio, whose = self.browser.evaluate(CONTRAST)
            expect(ratio >= CONTRAST_MIN, f"{name}, {look}: the contrast of {whose} is {ratio:.2f}")
        self.open_row("Deliveries", "")
        ratio, whose = self.browser.evaluate(CONTRAST)
        expect(ratio >= CONTRAST_MIN, f"a delivery, {look}: the contrast of {whose} is {ratio:.2f}")

    def fits_a_phone(self):
        fits = f"document.documentElement.scrollWidth <= {PHONE}"
        for name in SECTIONS:
            self.section(name)
            expect(self.browser.evaluate(fits), f"{name} is wider than a phone")
            hidden = self.browser.evaluate("[...document.querySelectorAll('main :is(button, input, select)')].filter((each) => each.getClientRects().length && each.getBoundingClientRect().right > innerWidth).map((each) => each.innerText || each.name)")
            expect(not hidden, f"{name}: {hidden} lie beyond a phone's edge")
        for section, name in (("Functions", "plan-shipment"), ("Topics", "orders"), ("Deliveries", "")):
            self.open_row(section, name)
            self.browser.wait("document.querySelector('main .card')")
            expect(self.browser.evaluate(fits), f"the page of a row of {section} is wider than a phone")

    def logs_out(self):
        self.browser.click("#leave")
        self.browser.wait("document.querySelector('main').innerText.includes('apus console')", "how to log in again")
        expect(not self.browser.evaluate("document.querySelector('nav').checkVisibility()"), "the sections are still there")

    def a_reader_sees_no_buttons(self):
        body = json.dumps({"name": "onlooker", "roles": ["reader"]})
        status, token = self.shop.send("POST", "/v1/tokens", body)
        expect(status == 201, f"no token: {token}")
        link = Shopkeeper(self.host, token["token"]).send("POST", "/v1/logins", None)[1]["path"]
        self.browser.open(f"http://{self.host}{link}")
        self.browser.wait("document.querySelector('#who')?.innerText.includes('onlooker')", "the reader's session")
        self.section("Dead letters")
        expect(not self.browser.evaluate("[...document.querySelectorAll('main button')].length"), "a reader sees buttons")
        self.open_row("Functions", "plan-shipment")
        expect("Pause" not in self.browser.text("main") and "Try it" not in self.browser.text("main"), "a reader sees what it may not do")


def weight(browser):
    """What the first visit took: requests and bytes of the page itself, and what a second one asks for."""
    script = """(() => {
        const all = [performance.getEntriesByType("navigation")[0], ...performance.getEntriesByType("resource").filter((each) => each.name.includes("/console/"))];
        return [all.length, all.reduce((sum, each) => sum + each.transferSize, 0), all.filter((each) => each.transferSize > 0).length];
    })()"""
    first = browser.evaluate(script)
    browser.call("Page.reload")
    browser.wait("document.querySelector('main .tile')", "the overview again")
    again = browser.evaluate(script)
    return {"requests": first[0], "bytes": first[1], "requests again": again[2], "bytes again": again[1]}


def main():
    host, token, link = sys.argv[1:4]
    times = {}
    with Chromium() as browser:
        visit = Visit(browser, host, token)

        def timed(name, work):
            started = time.monotonic()
            value = work()
            times[name] = round(time.monotonic() - started, 2)
            return value

        browser.emulate(1280, 900)
        first = visit.logs_in(link)
        figures = weight(browser)
        timed("functions", visit.shows_functions)
        timed("calls", visit.calls)
        timed("topics", visit.shows_topics)
        timed("deliveries", visit.shows_deliveries)
        timed("invocations", visit.shows_invocations)
        timed("dead letters", visit.redrives)
        timed("approvals", visit.approves)
        stops = timed("keyboard", visit.is_used_by_keyboard)
        timed("light", lambda: visit.is_legible("light"))
        browser.emulate(1280, 900, dark=True)
        timed("dark", lambda: visit.is_legible("dark"))
        browser.emulate(PHONE, 844, phone=True, scale=2)
        timed("phone", visit.fits_a_phone)
        browser.emulate(1280, 900)
        visit.logs_out()
        timed("reader", visit.a_reader_sees_no_buttons)
        expect(browser.hosts == {host}, f"other hosts were asked: {browser.hosts}")
        expect(not browser.complaints, "the browser complained: " + "\n".join(browser.complaints[:10]))
    print(f"all seen: login to overview {first * 1000:.0f} ms, {figures}, {stops} stops of Tab, seconds {times}")


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        print(f"console: {error}", file=sys.stderr)
        sys.exit(1)
