"""A function that a zygote loads and calls once, before it makes workers (_zygote.py)."""


def sample(event, context):
    return event
