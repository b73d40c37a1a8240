"""Answers a request with what it was, so that one sees what a function sees."""
import apus

# Headers worth showing; the others depend on the client and the way here.
SHOWN = ("accept", "accept-language", "content-type", "user-agent", "x-request-id")


def answer(event, context):
    request = event.http
    if request is None:
        raise apus.Reject("this function answers requests to its path below /fn, not direct invocations or topics")
    described = {
        "method": request.method,
        "path": request.path,
        "params": request.params,
        "query": {name: request.query.all(name) for name in request.query},
        "headers": {name: request.headers[name] for name in SHOWN if name in request.headers},
        "body": body_of(event),
    }
    # `?status=418` shows how a function chooses the status of its answer.
    status = request.query.get("status", "200")
    if not (status.isascii() and status.isdigit() and 200 <= int(status) <= 599):
        return apus.Response({"error": "status: a number from 200 to 599 is expected"}, status=400)
    return apus.Response(described, status=int(status), headers={"X-Echo": request.method})


def body_of(event):
    """The data as JSON can say it."""
    try:
        data = event.data
    except apus.InvalidData:
        data = event.raw
    if not isinstance(data, bytes):
        return data
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"bytes": len(data)}
