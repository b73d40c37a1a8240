"""Tools whose call has a list changed: they say so on a topic, and who follows it deploys something."""
import apus


def tool_change(event, context):
    context.emit("conformance.changes", {"list": "tools"})
    return apus.Text("the list of tools is about to change")


def prompt_change(event, context):
    context.emit("conformance.changes", {"list": "prompts"})
    return apus.Text("the list of prompts is about to change")
