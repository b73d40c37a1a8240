"""The tools that the public conformance suite of the Model Context Protocol calls."""
import time

import apus

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc000000301"
    "0100c9fe92ef0000000049454e44ae426082")
WAV = b"RIFF&\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00@\x1f\x00\x00\x80>\x00\x00\x02\x00\x10\x00data\x02\x00\x00\x00\x00\x00"

NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def simple_text(event, context):
    return apus.Text("This is a simple text response for testing.")


def image_content(event, context):
    return apus.Image(PNG, "image/png")


def audio_content(event, context):
    return apus.Audio(WAV, "audio/wav")


def embedded_resource(event, context):
    return apus.Embedded("test://embedded-resource", "This is an embedded resource content.", "text/plain")


def multiple_content_types(event, context):
    return [
        apus.Text("Multiple content types test:"),
        apus.Image(PNG, "image/png"),
        apus.Embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
    ]


def error_handling(event, context):
    raise apus.Reject("This tool intentionally returns an error for testing")


def with_progress(event, context):
    for done in (0, 50, 100):
        context.progress(done, 100, f"Completed step {done} of 100")
        time.sleep(0.06)
    return apus.Text("done")


def with_logging(event, context):
    context.log.info("Tool execution started")
    time.sleep(0.05)
    context.log.info("Tool processing data")
    time.sleep(0.05)
    context.log.info("Tool execution completed")
    return apus.Text("logged")


def logging_tool(event, context):
    context.log.info("a message of the tool")
    return apus.Text("logged")


def echo(event, context):
    return event.data


def missing_capability(event, context):
    answer = context.ask({"sample": apus.Sample("Say hello", 100)})
    return apus.Text(answer["sample"].text)


def streaming_elicitation(event, context):
    context.progress(1, 2, "about to ask")
    answer = context.ask({"user_name": apus.Form(NAME, "What is your name?")})["user_name"]
    return apus.Text(f"action={answer.action}")


def sampling(event, context):
    answer = context.ask({"sample": apus.Sample(event.data["prompt"], 100)})["sample"]
    return apus.Text(f"LLM response: {answer.text}")


def elicitation(event, context):
    schema = {"type": "object", "properties": {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"}}, "required": ["username", "email"]}
    answer = context.ask({"form": apus.Form(schema, event.data["message"])})["form"]
    return apus.Text(f"User response: action={answer.action}, content={answer.content}")


def elicitation_defaults(event, context):
    schema = {"type": "object", "properties": {
        "name": {"type": "string", "description": "User name", "default": "John Doe"},
        "age": {"type": "integer", "description": "User age", "default": 30},
        "score": {"type": "number", "description": "User score", "default": 95.5},
        "status": {"type": "string", "description": "User status", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "description": "Verification status", "default": True}}, "required": []}
    answer = context.ask({"form": apus.Form(schema, "Please review and update the form fields with defaults")})["form"]
    return apus.Text(f"Elicitation completed: action={answer.action}, content={answer.content}")


def elicitation_enums(event, context):
    options = ["option1", "option2", "option3"]
    titled = [{"const": f"value{n}", "title": f"{word} Option"} for n, word in enumerate(("First", "Second", "Third"), 1)]
    schema = {"type": "object", "properties": {
        "untitledSingle": {"type": "string", "description": "Select one option", "enum": options},
        "titledSingle": {"type": "string", "description": "Select one option with titles", "oneOf": titled},
        "legacyEnum": {"type": "string", "description": "Select one option (legacy)", "enum": ["opt1", "opt2", "opt3"],
                       "enumNames": ["Option One", "Option Two", "Option Three"]},
        "untitledMulti": {"type": "array", "description": "Select multiple options", "minItems": 1, "maxItems": 3,
                          "items": {"type": "string", "enum": options}},
        "titledMulti": {"type": "array", "description": "Select multiple options with titles", "minItems": 1, "maxItems": 3,
                        "items": {"anyOf": titled}}}, "required": []}
    answer = context.ask({"form": apus.Form(schema, "Please select options from the enum fields")})["form"]
    return apus.Text(f"Elicitation completed: action={answer.action}, content={answer.content}")


# What asks on the way, by results that require input.

def ask_elicitation(event, context):
    answer = context.ask({"user_name": apus.Form(NAME, "What is your name?")})["user_name"]
    return apus.Text(f"Hello, {answer['name']}!" if answer.accepted else f"You said {answer.action}.")


def ask_sampling(event, context):
    answer = context.ask({"capital_question": apus.Sample("What is the capital of France?", 100)})
    return apus.Text(f"The model said: {answer['capital_question'].text}")


def ask_roots(event, context):
    roots = context.ask({"client_roots": apus.Roots()})["client_roots"]
    return apus.Text(f"{len(roots)} roots: {', '.join(root.get('uri', '') for root in roots)}")


CONFIRM = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}


def ask_state(event, context):
    answer = context.ask({"confirm": apus.Form(CONFIRM, "Please confirm")})["confirm"]
    return apus.Text(f"state-ok: {answer.action}")


def ask_several(event, context):
    answers = context.ask({
        "user_name": apus.Form(NAME, "What is your name?"),
        "greeting": apus.Sample("Write a short greeting", 50),
        "client_roots": apus.Roots()})
    name = answers["user_name"]
    return apus.Text(f"{answers['greeting'].text} {name.content} {len(answers['client_roots'])} roots")


def ask_rounds(event, context):
    first = context.ask({"step1": apus.Form(NAME, "Step 1: what is your name?")})["step1"]
    color = {"type": "object", "properties": {"color": {"type": "string"}}, "required": ["color"]}
    second = context.ask({"step2": apus.Form(color, "Step 2: what is your favorite color?")})["step2"]
    return apus.Text(f"{first.content} likes {second.content}")


def ask_capabilities(event, context):
    questions = {}
    if "elicitation" in context.capabilities:
        questions["user_name"] = apus.Form(NAME, "What is your name?")
    if "sampling" in context.capabilities:
        questions["greeting"] = apus.Sample("Write a short greeting", 50)
    if "roots" in context.capabilities:
        questions["client_roots"] = apus.Roots()
    if questions:
        context.ask(questions)
    return apus.Text(f"asked for: {', '.join(sorted(questions)) or 'nothing'}")


def slow(event, context):
    context.progress(1, 10, "started")
    time.sleep(float(event.data.get("seconds", 30)))
    return apus.Text("slept")


def large(event, context):
    return "\n".join(f"line {number} of many" for number in range(1, int(event.data["lines"]) + 1))


def flood(event, context):
    for number in range(2000):
        context.progress(number, 2000)
    return apus.Text("flooded")


def unclean(event, context):
    return apus.Text("red: \x1b[31mred\x1b[0m bell: \x07 title: \x1b]0;owned\x07end\ttab\nline")


def structured(event, context):
    return {"sum": event.data["a"] + event.data["b"]}


def liar(event, context):
    return {"sum": "seven"}


def caller(event, context):
    return apus.Text(f"{context.caller} {' '.join(sorted(context.capabilities))}")
