"""Tools whose calls last: named by a key, made tasks, or answered from what is kept."""
import os
import random
import time

import apus

NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
CONFIRM = {"type": "object", "properties": {"confirm": {"type": "boolean"}}, "required": ["confirm"]}


def draw(event, context):
    """Another number each time that it runs."""
    time.sleep(event.data.get("seconds", 0))
    return {"number": random.getrandbits(48), "caller": context.caller, "invocation": context.invocation}


def fail(event, context):
    raise RuntimeError(f"broken by {random.getrandbits(48)}")


def large(event, context):
    return f"{random.getrandbits(48)}\n" + "line\n" * 20_000


def steps(event, context):
    for done in (1, 2, 3):
        context.progress(done, 3, f"step {done}")
        time.sleep(1.3)
    return {"number": random.getrandbits(48)}


def greet(event, context):
    return apus.Text(f"Hello, {event.data['name']}!")


def slow_compute(event, context):
    left = event.data.get("seconds", 0)
    while left > 0 and not context.cancelled:
        context.progress(1, 2, "computing")
        time.sleep(min(left, 0.2))
        left -= 0.2
    return {"computed": True}


def failing_job(event, context):
    time.sleep(1)
    raise apus.Reject("This job fails, as it is meant to.")


def protocol_error_job(event, context):
    os._exit(3)


def stubborn(event, context):
    """Heeds nothing: only its end stops it."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        time.sleep(0.1)


def confirm_delete(event, context):
    answer = context.ask({"confirm": apus.Form(CONFIRM, f"Delete {event.data['filename']}?")})["confirm"]
    return apus.Text(f"deleted {event.data['filename']}" if answer.action == "accept" else "kept")


def multi_input(event, context):
    answers = context.ask({"first": apus.Form(NAME, "Who?"), "second": apus.Form(NAME, "And who else?")})
    return apus.Text(f"{answers['first'].content['name']} and {answers['second'].content['name']}")


def two_rounds(event, context):
    first = context.ask({"first": apus.Form(NAME, "Who?")})["first"]
    second = context.ask({"second": apus.Form(NAME, "And who else?")})["second"]
    return apus.Text(f"{first.content['name']} and {second.content['name']} {random.getrandbits(32)}")
