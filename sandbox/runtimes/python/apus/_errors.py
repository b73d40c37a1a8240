"""The exceptions between a handler and the runtime."""


class Retry(Exception):
    """Raised by a handler: this attempt failed, try again, `after` seconds from now if given."""

    def __init__(self, message="the handler asked for another attempt", after=None):
        if isinstance(message, (int, float)) and after is None:
            message, after = "the handler asked for another attempt", message
        if after is not None and not (isinstance(after, (int, float)) and 0 <= after <= RETRY_SECONDS_MAX):
            raise ValueError(f"apus.Retry(after={after!r}): expected seconds between 0 and {RETRY_SECONDS_MAX}")
        super().__init__(message)
        self.after = after


class Reject(Exception):
    """Raised by a handler: this event will never succeed; no further attempt."""

    def __init__(self, reason="the handler rejected the event"):
        super().__init__(reason)
        self.reason = reason


class InvalidData(ValueError):
    """The data of an event is not what its datacontenttype says. Unless the handler catches it, no further attempt."""


class NotAvailable(RuntimeError):
    """The handler asked for something that this function does not have, or that Apus cannot do yet."""


class ProtocolError(Exception):
    """The server sent bytes that the protocol does not allow. It ends the worker."""


class ResultTooLarge(Exception):
    """A result is over its bound."""


# What fits the 32-bit milliseconds of an ERROR frame, all ones being "not given".
RETRY_SECONDS_MAX = 4_294_967
