"""Jobs that the public suite begins as tasks."""
import os
import time

import apus

NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
CONFIRM = {"type": "object", "properties": {"confirm": {"type": "boolean"}}, "required": ["confirm"]}


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


def confirm_delete(event, context):
    answer = context.ask({"confirm": apus.Form(CONFIRM, f"Delete {event.data['filename']}?")})["confirm"]
    return apus.Text(f"deleted {event.data['filename']}" if answer.action == "accept" else "kept")


def multi_input(event, context):
    answers = context.ask({"first": apus.Form(NAME, "Who?"), "second": apus.Form(NAME, "And who else?")})
    return apus.Text(f"{answers['first'].content['name']} and {answers['second'].content['name']}")


def ask_first(event, context):
    """What it asks is asked with the call; then it is a task."""
    answer = context.ask({"user_name": apus.Form(NAME, "What is your name?")})["user_name"]
    context.progress(1, 2, "working")
    time.sleep(0.5)
    return apus.Text(f"Hello, {answer.content['name']}!" if answer.accepted else f"You said {answer.action}.")
