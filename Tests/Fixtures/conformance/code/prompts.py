"""The prompts and resources that the public conformance suite reads."""
import apus
from tools import NAME, PNG


def simple(event, context):
    return [apus.Message("user", "This is a simple prompt for testing.")]


def with_arguments(event, context):
    return [apus.Message("user", f"Prompt with arguments: arg1='{event.data['arg1']}', arg2='{event.data['arg2']}'")]


def complete(event, context):
    if event.type == "dev.apus.completion":
        start = event.data["argument"]["value"]
        return [word for word in ("paris", "park", "party", "test", "testing") if word.startswith(start)]
    return with_arguments(event, context)


def embedded(event, context):
    return [
        apus.Message("user", apus.Embedded(event.data["resourceUri"], "Embedded resource content for testing.", "text/plain")),
        apus.Message("user", "Please process the embedded resource above."),
    ]


def image(event, context):
    return [apus.Message("user", apus.Image(PNG, "image/png")), apus.Message("user", "Please analyze the image above.")]


def asking(event, context):
    answer = context.ask({"user_context": apus.Form(NAME, "Who is it for?")})["user_context"]
    return [apus.Message("user", f"For {answer.content}")]


def static_text(event, context):
    return "This is the content of the static text resource."


def static_binary(event, context):
    return PNG


def template(event, context):
    number = event.data["params"]["id"]
    return {"id": number, "templateTest": True, "data": f"Data for ID: {number}"}


def watched(event, context):
    return "Watched resource content"
