"""What a function written in Python sees of Apus.

A handler is any callable ``def embed(event, context)``. It returns something JSON-able, bytes, an ``apus.Event``, nothing, or
a generator whose parts are streamed. For an HTTP trigger ``event.http`` is the request, and an ``apus.Response`` chooses the
status and headers of the answer. With ``batch`` it gets a list and returns a list of the same length. It may raise
``apus.Retry`` or ``apus.Reject``; any other exception is a failed attempt that may be tried again.

For agents a tool may return ``apus.Text``, ``Image``, ``Audio``, ``Link``, ``Embedded``, a list of them, or an ``apus.Result``; a prompt
a list of ``apus.Message``. ``context.call`` calls another tool, and raises ``apus.CallFailed``. ``context.ask`` asks the caller with ``apus.Form``, ``Url``, ``Sample`` and ``Roots``.
"""
from apus._event import Event
from apus._errors import InvalidData, NotAvailable, Reject, Retry

_CONTENT = ("Text", "Image", "Audio", "Link", "Embedded", "Message", "Result")
_CALLS = ("CallFailed",)
_QUESTIONS = ("Form", "Url", "Sample", "Roots", "Answer", "Declined")

__all__ = ["Event", "InvalidData", "NotAvailable", "Reject", "Response", "Retry", "serve", *_CONTENT, *_QUESTIONS, *_CALLS]


def __getattr__(name):
    # Most functions answer no HTTP trigger: what they do not use costs them nothing.
    if name == "Response":
        from apus._http import Response

        return Response
    if name in _CONTENT:
        from apus import _content

        return getattr(_content, name)
    if name in _QUESTIONS:
        from apus import _questions

        return getattr(_questions, name)
    if name in _CALLS:
        from apus import _calls

        return getattr(_calls, name)
    raise AttributeError(f"module 'apus' has no attribute '{name}'")


def serve(fd_in=3, fd_out=4, fd_ancillary=5):
    """Speaks the worker protocol on these descriptors until the server ends the session; returns the exit code.

    Nothing of a function is loaded before INIT names it, so that a process may import this module long before it is
    known which function it will run.
    """
    from apus._session import Session

    return Session(fd_in, fd_out, fd_ancillary).run()
