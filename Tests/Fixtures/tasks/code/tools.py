"""Tools whose calls last: named by a key, made tasks, or answered from what is kept."""
import os
import random
import time

import apus

NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


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


def stubborn(event, context):
    """Heeds nothing: only its end stops it."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        time.sleep(0.1)


def wipe(event, context):
    return apus.Text(f"wiped {event.data.get('what')} {random.getrandbits(48)}")


def endless(event, context):
    for number in range(100):
        context.ask({f"q{number}": apus.Form(NAME, "And then?")})


def wordy(event, context):
    context.ask({"q": apus.Form(NAME, "x" * (64 << 10))})


def which(event, context):
    version = os.environ["VERSION"]
    answer = context.ask({version: apus.Form(NAME, "Who?")})[version]
    return {"version": version, "name": answer["name"]}


def two_rounds(event, context):
    first = context.ask({"first": apus.Form(NAME, "Who?")})["first"]
    second = context.ask({"second": apus.Form(NAME, "And who else?")})["second"]
    return apus.Text(f"{first.content['name']} and {second.content['name']} {random.getrandbits(32)}")
