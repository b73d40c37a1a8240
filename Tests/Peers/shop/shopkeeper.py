"""Gives the shop's functions work over HTTP: orders and reviews as they come over the day, calls, invocations. Arguments: host, token."""
import http.client
import json
import math
import random
import sys
import time

CITIES = ["Praha", "Paris", "Porto", "Lund", "Graz", "Gent", "Turku", "Cork"]
TICKETS = ["The parcel came open. One of two cups is missing.", "May I change the address? I moved last week.", "Thank you. It fits."]


class Shopkeeper:
    def __init__(self, host, token, seed=7):
        self.connection = http.client.HTTPConnection(host, timeout=30)
        self.token = token
        self.random = random.Random(seed)
        self.is_open = True
        self.orders = 1000
        self.reviews = 200

    def send(self, method, path, body, kind="application/json", **headers):
        self.connection.request(method, path, body, {"Authorization": f"Bearer {self.token}", "Content-Type": kind, **headers})
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text[:1] in (b"{", b"[") else text

    def publish(self, topic, events):
        status, answer = self.send("POST", f"/v1/topics/{topic}/events", json.dumps(events), "application/cloudevents-batch+json")
        if status >= 300:
            raise SystemExit(f"publishing to {topic}: {status} {answer}")

    def order(self, **more):
        self.orders += 1
        city = self.random.choice(CITIES)
        data = {"order": self.orders, "city": city, "items": self.random.randint(1, 9), "total": self.random.randint(9, 400), **more}
        return self._event("shop.order.placed", "/shop", f"order-{self.orders}", f"customer-{self.random.randint(1, 400)}", data)

    def review(self, **more):
        self.reviews += 1
        data = {"review": self.reviews, "stars": self.random.randint(1, 5), "text": self.random.choice(TICKETS), **more}
        return self._event("shop.review.written", "/shop/reviews", f"review-{self.reviews}", f"customer-{self.random.randint(1, 400)}", data)

    @staticmethod
    def _event(kind, source, name, key, data):
        return {"specversion": "1.0", "id": name, "source": source, "type": kind, "partitionkey": key, "data": data}

    def ticket(self, wait=True):
        text = json.dumps({"text": self.random.choice(TICKETS)})
        return self.send("POST", "/v1/functions/summarize-ticket/invoke", text, **({} if wait else {"Prefer": "respond-async"}))

    def report(self):
        return self.send("POST", "/v1/functions/nightly-report/invoke", "{}", Prefer="respond-async")

    def refund(self, order):
        """A call of a tool by an agent whose client asks nobody: it waits for somebody to accept it."""
        meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
        call = {"name": "refund_order", "arguments": {"order": order, "amount": 40}, "_meta": meta}
        message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call})
        head = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "refund_order"}
        return self.send("POST", "/mcp", message, **head)[1]["result"]

    def trade(self, seconds, rate=30):
        """Orders in waves, and now and then one that fails once or for good; until `is_open` is false, too."""
        begun = time.monotonic()
        turn = 0
        while self.is_open and (passed := time.monotonic() - begun) < seconds:
            wave = rate * (1 + 0.6 * math.sin(passed / 5)) * 0.25
            self.publish("orders", [self.order() for _ in range(max(1, round(wave * self.random.uniform(0.7, 1.3))))])
            if turn % 3 == 0:
                self.publish("reviews", [self.review() for _ in range(self.random.randint(1, 4))])
            if turn % 23 == 11:
                self.publish("orders", [self.order(flaky=True)])
            if turn % 60 == 30:
                self.publish("orders", [self.order(broken=self.random.choice(["00000", "99999"]))])
            if turn % 80 == 50:
                self.publish("reviews", [self.review(broken="Klingon")])
            if self.random.random() < 0.2:
                self.ticket(wait=turn % 3 > 0)
            if turn % 70 == 20:
                self.report()
            turn += 1
            time.sleep(max(0.0, begun + turn * 0.25 - time.monotonic()))

    def open_shop(self):
        """A little of everything: deliveries that succeed, are retried, become dead letters; calls and invocations."""
        self.publish("orders", [self.order() for _ in range(20)] + [self.order(flaky=True), self.order(broken="00000"), self.order(broken="99999")])
        self.publish("reviews", [self.review() for _ in range(5)] + [self.review(broken="Klingon")])
        self.ticket()
        status, answer = self.report()
        identity = answer["id"]
        status, answer = self.send("GET", f"/v1/invocations/{identity}?wait=20", None)
        if answer["state"] != "succeeded":
            raise SystemExit(f"the report did not succeed: {answer}")


if __name__ == "__main__":
    Shopkeeper(*sys.argv[1:3]).open_shop()
