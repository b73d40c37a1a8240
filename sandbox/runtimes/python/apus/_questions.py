"""What a handler asks of its caller, and the answers it is given."""
from apus._errors import NotAvailable, Reject

_PRIMITIVES = {"string": str, "boolean": bool}


class Declined(Reject):
    """Raised by `context.ask` when whoever was asked declined or did not answer."""

    def __init__(self, message, action="decline"):
        super().__init__(message)
        self.action = action


class Asked(BaseException):
    """Ends the handler: the questions go out, and it is called again with all answers so far."""

    def __init__(self, questions):
        super().__init__("the handler asks its caller")
        self.questions = questions


class Form:
    """A form for a person. `schema` is a flat JSON Schema: an object whose properties are text, numbers, Booleans or choices."""

    def __init__(self, schema, message):
        self.schema = _flat(schema)
        self.message = message

    def request(self):
        return {"method": "elicitation/create",
                "params": {"mode": "form", "message": self.message, "requestedSchema": self.schema}}

    def answer(self, raw):
        action = raw.get("action")
        if action not in ("accept", "decline", "cancel"):
            return None
        content = raw.get("content") or {}
        if action == "accept" and not fits(content, self.schema):
            return None
        return Answer(action, content if action == "accept" else None)


class Url:
    """A page that a person is to visit: for what no form may ask, such as a password."""

    def __init__(self, url, message, id=None):
        self.url, self.message, self.id = url, message, id

    def request(self):
        params = {"mode": "url", "message": self.message, "url": self.url}
        if self.id is not None:
            params["elicitationId"] = self.id
        return {"method": "elicitation/create", "params": params}

    def answer(self, raw):
        return Answer(raw["action"], None) if raw.get("action") in ("accept", "decline", "cancel") else None


class Sample:
    """Something for the caller's own model. `messages` is a str or a list of `{"role": ..., "content": ...}`."""

    def __init__(self, messages, max_tokens=1000, **parameters):
        if isinstance(messages, str):
            messages = [{"role": "user", "content": {"type": "text", "text": messages}}]
        self.params = {"messages": messages, "maxTokens": max_tokens, **parameters}

    def request(self):
        return {"method": "sampling/createMessage", "params": self.params}

    def answer(self, raw):
        return Sampled(raw) if "content" in raw and "role" in raw else None


class Roots:
    """The folders that the caller's client works in."""

    def request(self):
        return {"method": "roots/list", "params": {}}

    def answer(self, raw):
        return raw["roots"] if isinstance(raw.get("roots"), list) else None


class Answer:
    """To a form or a page: `action` is accept, decline or cancel; `content` is what the form holds, with accept only."""

    __slots__ = ("action", "content")

    def __init__(self, action, content):
        self.action, self.content = action, content

    @property
    def accepted(self):
        return self.action == "accept"

    def __getitem__(self, name):
        return (self.content or {})[name]


class Sampled:
    """What the caller's model said: `text`, and all of it in `raw`."""

    __slots__ = ("raw",)

    def __init__(self, raw):
        self.raw = raw

    @property
    def text(self):
        content = self.raw["content"]
        parts = content if isinstance(content, list) else [content]
        return "".join(part.get("text", "") for part in parts)


def ask(context, question, message):
    """See `Context.ask`."""
    if isinstance(question, dict) and question and all(hasattr(value, "request") for value in question.values()):
        return _ask_all(context, question)
    if hasattr(question, "request"):
        form = question
    elif isinstance(question, dict):
        form = Form(question, message or "The tool needs more to go on.")
    else:
        raise TypeError("ask(schema, message) or ask({name: apus.Form | apus.Url | apus.Sample | apus.Roots})")
    # Asked in the same order each time, so that its place is its name.
    context._asks = getattr(context, "_asks", 0) + 1
    name = f"question{context._asks}"
    answer = _ask_all(context, {name: form})[name]
    if not isinstance(answer, Answer):
        return answer
    if not answer.accepted:
        raise Declined(f"the question was answered with {answer.action}: {getattr(form, 'message', '')}", answer.action)
    return answer.content


def _ask_all(context, questions):
    given = context._answers()
    answers = {}
    for name, question in questions.items():
        raw = given.get(name)
        answer = question.answer(raw) if isinstance(raw, dict) else None
        if answer is None and isinstance(raw, dict) and raw.get("error"):
            raise Declined(f"the caller's client could not answer '{name}'", "cancel")
        if answer is not None:
            answers[name] = answer
    missing = {name: question for name, question in questions.items() if name not in answers}
    if missing:
        raise Asked({name: question.request() for name, question in missing.items()})
    return answers


def _flat(schema):
    if not isinstance(schema, dict):
        raise TypeError(f"a form needs a JSON Schema, not {type(schema).__name__}")
    if "properties" not in schema and "type" not in schema:
        # {"name": {"type": "string"}}: the properties alone.
        schema = {"type": "object", "properties": schema, "required": list(schema)}
    if schema.get("type") != "object" or not isinstance(schema.get("properties"), dict):
        raise ValueError("a form is an object with properties")
    return schema


def fits(content, schema):
    """Whether what a client sends for a form fits it: flat, as forms are."""
    if not isinstance(content, dict):
        return False
    properties = schema["properties"]
    if any(name not in content for name in schema.get("required", ())):
        return False
    return all(_value_fits(value, properties[name]) for name, value in content.items() if name in properties)


def _value_fits(value, schema):
    kind = schema.get("type")
    if kind == "array":
        items = schema.get("items", {})
        allowed = items.get("enum") or [choice.get("const") for choice in items.get("anyOf", ())]
        return (isinstance(value, list) and (not allowed or all(item in allowed for item in value))
                and schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)))
    if kind in ("number", "integer"):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or (kind == "integer" and value != int(value)):
            return False
        return schema.get("minimum", value) <= value <= schema.get("maximum", value)
    if kind in _PRIMITIVES and not isinstance(value, _PRIMITIVES[kind]):
        return False
    if kind == "string":
        choices = schema.get("enum") or [choice.get("const") for choice in schema.get("oneOf", ())]
        if choices and value not in choices:
            return False
        return schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
    return True


def frame(stream, questions):
    """INPUT_REQUEST: the final frame of its attempt."""
    from apus import _wire as wire
    from apus._text import encoded

    payload = encoded(questions)
    if len(payload) > wire.PAYLOAD_BYTES:
        raise NotAvailable(f"the questions have {len(payload)} bytes; at most {wire.PAYLOAD_BYTES} are allowed")
    return wire.frame(wire.INPUT_REQUEST, payload, stream)
