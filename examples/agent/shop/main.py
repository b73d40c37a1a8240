"""The tools of a shop. What they know is made up, so that every run sees the same."""
import time

import apus

ORDERS = 40


def find_order(event, context):
    number = event.data["number"]
    if number > ORDERS:
        raise apus.Reject(f"There is no order {number}; the last one is {ORDERS}.")
    return {"number": number, "state": "lost" if number % 7 == 0 else "delivered", "euros": number * 10}


def refund_order(event, context):
    number = event.data["number"]
    answer = context.ask(
        {"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"]},
        f"Pay back {number * 10} euros for order {number}?")
    if not answer["sure"]:
        raise apus.Reject("The refund was not wanted.")
    return f"Paid back {number * 10} euros for order {number}."


def delete_order(event, context):
    return f"Deleted order {event.data['number']}."


def count_stock(event, context):
    shelves = 97
    pause = event.data.get("seconds", 600) / shelves
    for shelf in range(1, shelves + 1):
        if context.cancelled:
            raise apus.Reject("The count was given up.")
        time.sleep(pause)
        context.progress(shelf, shelves, f"shelf {shelf}")
    return f"{shelves} shelves, 40000 pieces."


def make_report(event, context):
    pause = event.data.get("seconds", 12) / 12
    for month in range(1, 13):
        end = time.monotonic() + pause
        while time.monotonic() < end:
            if context.cancelled:
                raise apus.Reject("The report was given up.")
            time.sleep(0.02)
        context.progress(month, 12, f"month {month}")
    return f"{event.data['year']}: 12 months, {ORDERS * (ORDERS + 1) // 2 * 10} euros."


def read_journal(event, context):
    return "\n".join(f"{line:05d} shelf {line % 97:02d}: {'in' if line % 3 else 'out'}" for line in range(1, 40_001))
