#!/usr/bin/env python3
"""Writes the manifest of the fixtures: one function for each tool, prompt and resource. `make.py > function.yaml`."""
import json

TOOLS = [
    ("test_simple_text", "simple_text", "Returns a text.", None, None),
    ("test_image_content", "image_content", "Returns an image.", None, None),
    ("test_audio_content", "audio_content", "Returns a sound.", None, None),
    ("test_embedded_resource", "embedded_resource", "Returns an embedded resource.", None, None),
    ("test_multiple_content_types", "multiple_content_types", "Returns text, an image and a resource.", None, None),
    ("test_error_handling", "error_handling", "Fails, always.", None, None),
    ("test_tool_with_progress", "with_progress", "Reports its progress.", None, None),
    ("test_tool_with_logging", "with_logging", "Logs three messages.", None, None),
    ("test_logging_tool", "logging_tool", "Logs one message.", None, None),
    ("test_missing_capability", "missing_capability", "Needs sampling.", None, None),
    ("test_streaming_elicitation", "streaming_elicitation", "Reports progress, then asks.", None, None),
    ("test_sampling", "sampling", "Asks the caller's model.",
     {"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]}, None),
    ("test_elicitation", "elicitation", "Asks the caller.",
     {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]}, None),
    ("test_elicitation_sep1034_defaults", "elicitation_defaults", "Asks with defaults.", None, None),
    ("test_elicitation_sep1330_enums", "elicitation_enums", "Asks with choices.", None, None),
    ("test_input_required_result_elicitation", "ask_elicitation", "Asks for a name.", None, None),
    ("test_input_required_result_sampling", "ask_sampling", "Asks the model for a capital.", None, None),
    ("test_input_required_result_list_roots", "ask_roots", "Asks for roots.", None, None),
    ("test_input_required_result_request_state", "ask_state", "Asks for a confirmation.", None, None),
    ("test_input_required_result_tampered_state", "ask_state", "Asks for a confirmation.", None, None),
    ("test_input_required_result_multiple_inputs", "ask_several", "Asks three things at once.", None, None),
    ("test_input_required_result_multi_round", "ask_rounds", "Asks twice.", None, None),
    ("test_input_required_result_capabilities", "ask_capabilities", "Asks for what the client can do.", None, None),
    ("json_schema_2020_12_tool", "echo", "Has a schema with the words of JSON Schema 2020-12.", {
        "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
        "$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {
            "street": {"type": "string"}, "city": {"type": "string"}}}},
        "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"},
                       "contactMethod": {"type": "string", "enum": ["phone", "email"]}, "phone": {"type": "string"},
                       "email": {"type": "string"}},
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}, {"required": ["name"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]}, "else": {"required": []}, "additionalProperties": False}, None),
    ("test_header_tool", "echo", "Repeats an argument in a header.",
     {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"},
                                       "count": {"type": "integer", "x-mcp-header": "Count"}}}, None),
    ("test_trigger_tool_change", "tool_change", "Has the list of tools changed.", None, None),
    ("test_trigger_prompt_change", "prompt_change", "Has the list of prompts changed.", None, None),
    ("slow", "slow", "Sleeps.", {"type": "object", "properties": {"seconds": {"type": "number"}}}, None),
    ("large", "large", "Returns many lines.",
     {"type": "object", "properties": {"lines": {"type": "integer", "minimum": 1}}, "required": ["lines"]}, None),
    ("flood", "flood", "Reports progress as fast as it can.", None, None),
    ("unclean", "unclean", "Returns what would steer a terminal.", None, None),
    ("add", "structured", "Adds two numbers.",
     {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"],
      "additionalProperties": False},
     {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}),
    ("liar", "liar", "Breaks its own promise.", None,
     {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}),
    ("whoami", "caller", "Says who calls.", None, None),
]
PROMPTS = [
    ("test_simple_prompt", "simple", [], None),
    ("test_prompt_with_arguments", "complete", [("arg1", True), ("arg2", True)], "function"),
    ("test_prompt_with_embedded_resource", "embedded", [("resourceUri", True)], None),
    ("test_prompt_with_image", "image", [], None),
    ("test_input_required_result_prompt", "asking", [], None),
]
RESOURCES = [
    ("static-text", "static_text", {"uri": "test://static-text", "mimeType": "text/plain"}),
    ("static-binary", "static_binary", {"uri": "test://static-binary", "mimeType": "image/png"}),
    ("watched", "watched", {"uri": "test://watched-resource", "mimeType": "text/plain"}),
    ("templated", "template", {"template": "test://template/{id}/data", "mimeType": "application/json"}),
]


def document(name, handler, about, **offer):
    spec = {"description": about, "runtime": "python3", "handler": handler, "source": "code", "timeout": "40s"}
    spec.update(offer)
    return {"apiVersion": "apus.dev/v1", "kind": "Function", "metadata": {"name": name}, "spec": spec}


def documents():
    for name, handler, about, schema, output in TOOLS:
        tool = {"name": name}
        if schema is not None:
            tool["input"] = schema
        if output is not None:
            tool["output"] = output
        function = name.replace("_", "-").replace("test-input-required-result", "ask")
        more = {"emits": ["conformance.changes"]} if name.startswith("test_trigger") else {}
        module = "changes" if name.startswith("test_trigger") else "tools"
        yield document(function, f"{module}:{handler}", about, tool=tool, **more)
    for name, handler, arguments, complete in PROMPTS:
        prompt = {"name": name}
        if arguments:
            prompt["arguments"] = [{"name": key, "required": needed} for key, needed in arguments]
        if complete:
            prompt["complete"] = complete
        function = name.replace("_", "-").replace("test-input-required-result", "ask")
        yield document(function, f"prompts:{handler}", "A prompt for testing.", prompt=prompt)
    for name, handler, resource in RESOURCES:
        yield document(f"resource-{name}", f"prompts:{handler}", "A resource for testing.", resource={"name": name, **resource})
    yield {"apiVersion": "apus.dev/v1", "kind": "Topic", "metadata": {"name": "conformance.changes"},
           "spec": {"partitions": 1}}
    yield {"apiVersion": "apus.dev/v1", "kind": "ToolServer", "metadata": {"name": "open"},
           "spec": {"tools": "all", "prompts": "all", "resources": "all", "auth": "none",
                    "instructions": "What the public conformance suite needs."}}
    yield {"apiVersion": "apus.dev/v1", "kind": "ToolServer", "metadata": {"name": "one"},
           "spec": {"tools": {"names": ["add"]}, "prompts": "none", "resources": "none", "instructions": "It adds."}}


if __name__ == "__main__":
    print("\n---\n".join(json.dumps(one, indent=1) for one in documents()))
