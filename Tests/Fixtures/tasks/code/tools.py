"""Tools whose calls last: named by a key, made tasks, or answered from what is kept."""
import random
import time

import apus


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
