"""The smallest function: what comes in goes out, its content type with it."""


def echo(event, context):
    return event
