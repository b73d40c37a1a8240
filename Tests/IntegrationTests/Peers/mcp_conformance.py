"""Our own port of the checks of the public conformance suite, against a server with the fixtures of Tests/Fixtures/conformance.

    mcp_conformance.py PACKAGES URL TOKEN SCHEMA

Every message of the era of 2026-07-28 is checked against the official JSON Schema where that is given. Prints a line for each check that
fails, and `N checks of M scenarios, F failed` at the end; a scenario of that revision without a check is a failure. Its scenarios of tasks are
in mcp_kept.py, those of the eras with sessions in mcp_sessions.py.
"""
import asyncio
import base64
import json
import sys
import time

sys.path.insert(0, sys.argv[1])
import httpx2  # noqa: E402

URL, TOKEN = sys.argv[2], sys.argv[3]
MODERN = "2026-07-28"
META = "io.modelcontextprotocol/"
ALL = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}
results = []
# What the public suite runs against a server of 2026-07-28, by its names, but for tasks.
SCENARIOS = {name: 0 for name in """
    server-stateless completion-complete tools-list tools-call-simple-text tools-call-image tools-call-audio tools-call-embedded-resource
    tools-call-mixed-content tools-call-error tools-call-with-progress server-sse-multiple-streams resources-list resources-read-text
    resources-read-binary resources-templates-read sep-2164-resource-not-found prompts-list prompts-get-simple prompts-get-with-args
    prompts-get-embedded-resource prompts-get-with-image dns-rebinding-protection caching input-required-result-basic-elicitation
    input-required-result-result-type input-required-result-missing-input-response input-required-result-ignore-extra-params
    input-required-result-validate-input input-required-result-basic-sampling input-required-result-basic-list-roots
    input-required-result-request-state input-required-result-tampered-state input-required-result-multiple-input-requests
    input-required-result-multi-round input-required-result-capability-check input-required-result-non-tool-request
    input-required-result-unsupported-methods json-schema-2020-12 http-header-validation http-custom-header-server-validation
    """.split()}
under = []


def covers(*names):
    """What is checked from here on is of these scenarios; of none where no name is given."""
    assert all(name in SCENARIOS for name in names), names
    under[:] = names


class Schema:
    """The official schema; says what of a message does not fit."""

    def __init__(self, path):
        import jsonschema

        with open(path) as file:
            self.document = json.load(file)
        self.validator = jsonschema.Draft202012Validator
        self.kinds = {}

    def check(self, message, kind):
        if kind not in self.kinds:
            self.kinds[kind] = self.validator({**self.document, "$ref": f"#/$defs/{kind}"})
        for error in self.kinds[kind].iter_errors(message):
            note(False, f"schema {kind}: {error.message[:200]}")


schema = None
RESULTS = {
    "server/discover": "DiscoverResultResponse", "tools/list": "ListToolsResultResponse", "tools/call": "CallToolResultResponse",
    "prompts/list": "ListPromptsResultResponse", "prompts/get": "GetPromptResultResponse",
    "resources/list": "ListResourcesResultResponse", "resources/templates/list": "ListResourceTemplatesResultResponse",
    "resources/read": "ReadResourceResultResponse", "completion/complete": "CompleteResultResponse",
    "subscriptions/listen": "SubscriptionsListenResultResponse"}
NOTES = {
    "notifications/progress": "ProgressNotification", "notifications/message": "LoggingMessageNotification",
    "notifications/tools/list_changed": "ToolListChangedNotification",
    "notifications/prompts/list_changed": "PromptListChangedNotification",
    "notifications/resources/list_changed": "ResourceListChangedNotification",
    "notifications/resources/updated": "ResourceUpdatedNotification",
    "notifications/subscriptions/acknowledged": "SubscriptionsAcknowledgedNotification"}


def note(good, name, detail=""):
    results.append(bool(good))
    for scenario in under:
        SCENARIOS[scenario] += 1
    if not good:
        print(f"FAILED {name} {str(detail)[:400]}", flush=True)
    return good


def validate(message, method):
    if schema is None:
        return
    if "method" in message:
        schema.check(message, NOTES.get(message["method"], "JSONRPCNotification"))
    elif "error" in message:
        if message.get("id") is not None:
            schema.check(message, "JSONRPCErrorResponse")
    elif message["result"].get("resultType") == "input_required":
        schema.check(message["result"], "InputRequiredResult")
    elif message["result"].get("resultType") == "task":
        pass  # of an extension; mcp_kept.py has a schema of it
    else:
        schema.check(message, RESULTS.get(method, "JSONRPCResultResponse"))


class Answer:
    def __init__(self, response, messages, seconds):
        self.status, self.headers, self.messages, self.seconds = response.status_code, response.headers, messages, seconds

    @property
    def last(self):
        return self.messages[-1] if self.messages else {}

    @property
    def result(self):
        return self.last.get("result") or {}

    @property
    def code(self):
        return (self.last.get("error") or {}).get("code")

    @property
    def texts(self):
        return "".join(part.get("text", "") for part in self.result.get("content", ()))

    def notes(self, method):
        return [message["params"] for message in self.messages if message.get("method") == method]


def events(text):
    for block in text.replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(line[5:].lstrip(" ") for line in block.split("\n") if line.startswith("data:"))
        if data:
            yield json.loads(data)


class Raw:
    """Requests of the modern era with whatever head and body."""

    def __init__(self, url=URL):
        self.url = url
        self.client = httpx2.AsyncClient(timeout=60, headers={"Authorization": f"Bearer {TOKEN}"})
        self.next = 0

    async def post(self, body, headers, method=None, check=True):
        start = time.monotonic()
        response = await self.client.post(self.url, content=body if isinstance(body, bytes) else json.dumps(body), headers=headers)
        kind = response.headers.get("content-type", "")
        if kind.startswith("text/event-stream"):
            messages = list(events(response.text))
        elif kind.startswith("application/json"):
            messages = [response.json()]
        else:
            messages = []
        if check:
            for message in messages:
                validate(message, method)
        return Answer(response, messages, time.monotonic() - start)

    def request(self, method, params=None, capabilities=None, meta=None, id=None, headers=None):
        self.next += 1
        params = dict(params or {})
        params["_meta"] = {f"{META}protocolVersion": MODERN, f"{META}clientCapabilities": capabilities or {}, **(meta or {})}
        body = {"jsonrpc": "2.0", "id": self.next if id is None else id, "method": method, "params": params}
        head = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
                "MCP-Protocol-Version": MODERN, "Mcp-Method": method}
        name = params.get("name") if method in ("tools/call", "prompts/get") else params.get("uri")
        if isinstance(name, str) and method in ("tools/call", "prompts/get", "resources/read"):
            head["Mcp-Name"] = name
        for key, value in (headers or {}).items():
            if value is None:
                head.pop(key, None)
            else:
                head[key] = value
        return body, head

    async def ask(self, method, params=None, **more):
        body, head = self.request(method, params, **more)
        return await self.post(body, head, method)

    async def call(self, name, arguments=None, **more):
        extra = more.pop("extra", {})
        return await self.ask("tools/call", {"name": name, "arguments": arguments or {}, **extra}, **more)


async def stateless(raw):
    covers("server-stateless")
    discover = await raw.ask("server/discover")
    note(discover.status == 200 and MODERN in discover.result.get("supportedVersions", ()), "discover", discover.last)
    note(discover.result.get("_meta", {}).get(f"{META}serverInfo", {}).get("name"), "serverInfo in _meta")
    note("ttlMs" in discover.result and discover.result.get("cacheScope") in ("public", "private"), "discover may be kept")
    # What is said to be there is, and so is what is not.
    capabilities = discover.result["capabilities"]
    probes = {"tools": "tools/list", "prompts": "prompts/list", "resources": "resources/list", "completions": "completion/complete"}
    for capability, method in probes.items():
        answer = await raw.ask(method)
        note((capability in capabilities) == (answer.code != -32601), f"{capability} is told as it is", answer.last)
    covers("caching", "input-required-result-unsupported-methods")
    asking = {"inputResponses": {"user_name": {"action": "accept", "content": {"name": "Ada"}}}}
    for method, params in (("tools/list", {}), ("prompts/list", {}), ("resources/list", {}), ("resources/templates/list", {}),
                           ("resources/read", {"uri": "test://static-text"})):
        answer = await raw.ask(method, {**params, **asking}, capabilities=ALL)
        ttl = answer.result["ttlMs"]
        note(answer.status == 200 and type(ttl) is int and ttl >= 0 and answer.result["cacheScope"] in ("public", "private")
             and answer.result["resultType"] == "complete", f"caching of {method}", answer.last)
    answer = await raw.ask("completion/complete", {
        "ref": {"type": "ref/prompt", "name": "test_prompt_with_arguments"}, "argument": {"name": "arg1", "value": "par"}, **asking},
        capabilities=ALL)
    note(answer.result.get("resultType") == "complete", "a completion asks nothing", answer.last)
    covers("server-stateless")
    for id in (7, "text", "\u00e9", 9007199254740993, -1):
        answer = await raw.ask("tools/list", id=id)
        note(answer.last.get("id") == id and type(answer.last.get("id")) is type(id), f"the id {id} is echoed", answer.last)
    for method in ("initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "tasks/list",
                   "unknown/method"):
        answer = await raw.ask(method, id="x")
        note((answer.status, answer.code, answer.last.get("id")) == (404, -32601, "x"), f"{method} is not known", answer.last)
    body, head = raw.request("tools/list")
    del body["params"]["_meta"]
    answer = await raw.post(body, head)
    note((answer.status, answer.code) == (400, -32602), "meta is needed", answer.last)
    for key in ("protocolVersion", "clientCapabilities"):
        body, head = raw.request("tools/list")
        del body["params"]["_meta"][META + key]
        answer = await raw.post(body, head)
        note((answer.status, answer.code) == (400, -32602), f"{key} is needed", answer.last)
    body, head = raw.request("tools/list")
    body["params"]["_meta"][META + "protocolVersion"] = head["MCP-Protocol-Version"] = "1900-01-01"
    answer = await raw.post(body, head)
    data = (answer.last.get("error") or {}).get("data", {})
    note((answer.status, answer.code) == (400, -32022) and MODERN in data.get("supported", ())
         and data.get("requested") == "1900-01-01", "an old revision", answer.last)
    answer = await raw.call("test_missing_capability")
    data = (answer.last.get("error") or {}).get("data", {})
    note((answer.status, answer.code) == (400, -32021) and data.get("requiredCapabilities") == {"sampling": {}},
         "a capability that is missing", answer.last)
    answer = await raw.call("test_logging_tool")
    note(not answer.notes("notifications/message"), "no logs unless asked for", answer.messages)
    answer = await raw.call("test_logging_tool", meta={f"{META}logLevel": "info"})
    note(len(answer.notes("notifications/message")) == 1, "logs where asked for", answer.messages)
    answer = await raw.call("test_streaming_elicitation", capabilities={"elicitation": {}}, meta={"progressToken": "p"})
    note(answer.result.get("resultType") == "input_required" and all("id" not in m or "result" in m for m in answer.messages),
         "no requests on a stream", answer.messages)
    note((await raw.post({"jsonrpc": "2.0", "method": "notifications/whatever"}, raw.request("x")[1])).status == 202, "notifications")


async def headers(raw):
    covers("http-header-validation")
    arguments = {"name": "test_simple_text", "arguments": {}}
    bad = [
        ("no revision", {"MCP-Protocol-Version": None}), ("another revision", {"MCP-Protocol-Version": "2025-11-25"}),
        ("no method", {"Mcp-Method": None}), ("another method", {"Mcp-Method": "tools/list"}),
        ("another case", {"Mcp-Method": "TOOLS/CALL"}), ("no name", {"Mcp-Name": None}), ("another name", {"Mcp-Name": "other"}),
        ("bad base64", {"Mcp-Name": "=?base64?***?="})]
    for name, change in bad:
        answer = await raw.ask("tools/call", arguments, headers=change)
        note((answer.status, answer.code) == (400, -32020), f"head: {name}", (answer.status, answer.last))
    for method, params in (("prompts/get", {"name": "test_simple_prompt"}), ("resources/read", {"uri": "test://static-text"})):
        note((await raw.ask(method, params)).status == 200, f"head: {method}")
        answer = await raw.ask(method, params, headers={"Mcp-Name": "other"})
        note((answer.status, answer.code) == (400, -32020), f"head: another name of {method}", answer.last)
    body, head = raw.request("tools/call", arguments)
    names = {"mcp-protocol-version": "MCP-Protocol-Version", "MCP-METHOD": "Mcp-Method", "mcp-NAME": "Mcp-Name"}
    swapped = {key: value for key, value in head.items() if key not in names.values()}
    swapped.update({name: f"  {head[usual]} " for name, usual in names.items()})
    note(await raw_status(raw, swapped, json.dumps(body).encode()) == 200, "head: other case of names, blanks around values")
    answer = await raw.post(body, [*head.items(), ("Mcp-Method", "tools/call")], "tools/call")
    note((answer.status, answer.code) == (400, -32020), "head: said twice", answer.last)
    for text in ("=?base64?dGVzdF9zaW1wbGVfdGV4dA==", "=?BASE64?dGVzdF9zaW1wbGVfdGV4dA==?="):
        answer = await raw.ask("tools/call", arguments, headers={"Mcp-Name": text})
        note((answer.status, answer.code) == (400, -32020), "head: what is not wrapped is literal", answer.last)
    wrapped = "=?base64?" + base64.b64encode(b"test_simple_text").decode() + "?="
    answer = await raw.ask("tools/call", arguments, headers={"Mcp-Name": wrapped})
    note(answer.status == 200 and answer.texts, "head: wrapped name", answer.last)
    covers("http-custom-header-server-validation")
    call = {"name": "test_header_tool", "arguments": {"region": "eu", "count": 42}}
    good = {"Mcp-Param-Region": "eu", "Mcp-Param-Count": "42"}
    cases = [
        ("both", good, 200), ("other case of names", {"mcp-param-REGION": "eu", "mcp-param-count": "42"}, 200),
        ("an integer as decimal", {**good, "Mcp-Param-Count": "42.0"}, 200),
        ("wrapped", {**good, "Mcp-Param-Region": "=?base64?ZXU=?="}, 200),
        ("missing", {"Mcp-Param-Count": "42"}, 400), ("different", {**good, "Mcp-Param-Region": "us"}, 400),
        ("another number", {**good, "Mcp-Param-Count": "43"}, 400), ("bad base64", {**good, "Mcp-Param-Region": "=?base64?*?="}, 400),
        ("case of values", {**good, "Mcp-Param-Region": "EU"}, 400)]
    for name, change, status in cases:
        answer = await raw.ask("tools/call", call, headers=change)
        note(answer.status == status and (status == 200 or answer.code == -32020), f"parameter head: {name}", answer.last)
    answer = await raw.ask("tools/call", {"name": "test_header_tool", "arguments": {"region": None}})
    note(answer.status == 200, "parameter head: null needs none", answer.last)
    answer = await raw.ask("tools/call", {"name": "test_header_tool", "arguments": {}}, headers={"Mcp-Param-Region": "eu"})
    note((answer.status, answer.code) == (400, -32020), "parameter head: without argument", answer.last)


async def tools(raw):
    covers("tools-list")
    listed = {tool["name"]: tool for tool in (await raw.ask("tools/list")).result.get("tools", ())}
    import re
    note(all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) and tool["inputSchema"]["type"] == "object" and tool.get("description")
             for name, tool in listed.items()) and len(listed) > 25, "names, descriptions and schemas", list(listed))
    covers("json-schema-2020-12")
    text = json.dumps(listed["json_schema_2020_12_tool"]["inputSchema"])
    note(all(f'"{word}"' in text for word in ("$schema", "$defs", "$anchor", "allOf", "anyOf", "if", "then", "else",
                                              "additionalProperties")), "words of schemas are kept", text)
    covers("tools-call-simple-text")
    answer = await raw.call("test_simple_text")
    note(answer.texts == "This is a simple text response for testing." and not answer.result.get("isError"), "text", answer.last)
    for name, kind, mime in (("test_image_content", "image", "image/png"), ("test_audio_content", "audio", "audio/wav")):
        covers(f"tools-call-{kind}")
        part = (await raw.call(name)).result["content"][0]
        note(part["type"] == kind and part["mimeType"] == mime and base64.b64decode(part["data"], validate=True), kind, part)
    covers("tools-call-embedded-resource")
    part = (await raw.call("test_embedded_resource")).result["content"][0]
    note(part["type"] == "resource" and part["resource"]["uri"] == "test://embedded-resource", "embedded", part)
    covers("tools-call-mixed-content")
    parts = (await raw.call("test_multiple_content_types")).result["content"]
    note([part["type"] for part in parts] == ["text", "image", "resource"]
         and parts[2]["resource"]["mimeType"] == "application/json", "several parts", parts)
    covers("tools-call-error")
    answer = await raw.call("test_error_handling")
    note(answer.status == 200 and answer.result.get("isError") is True and "intentionally" in answer.texts, "an error", answer.last)
    covers("tools-call-with-progress")
    answer = await raw.call("test_tool_with_progress", meta={"progressToken": "token-1"})
    said = [(p["progressToken"], p["progress"], p.get("total")) for p in answer.notes("notifications/progress")]
    note(said == [("token-1", 0, 100), ("token-1", 50, 100), ("token-1", 100, 100)], "progress", said)
    answer = await raw.call("test_tool_with_progress")
    note(not answer.notes("notifications/progress"), "no progress without a token")
    answer = await raw.call("flood", meta={"progressToken": 7})
    said = [p["progress"] for p in answer.notes("notifications/progress")]
    note(said == sorted(set(said)) and len(said) <= 3 + 21 * max(1, answer.seconds), "progress is paced", (len(said), answer.seconds))
    covers()
    answer = await raw.call("no_such_tool")
    note((answer.status, answer.code) == (200, -32602) and "no_such_tool" in answer.last["error"]["message"], "unknown tool", answer.last)
    for arguments, pointer in (({}, "(arguments)"), ({"a": 1, "b": "x"}, "/b"), ({"a": 1, "b": 2, "c": 3}, "/c")):
        answer = await raw.call("add", arguments)
        note(answer.status == 200 and answer.result.get("isError") is True, f"arguments {arguments}", answer.texts)
    for raw_arguments in ('{"a":1,"a":2,"b":3}', '{"a":18446744073709551616,"b":1}'):
        body, head = raw.request("tools/call", {"name": "add", "arguments": "@"})
        answer = await raw.post(json.dumps(body).replace('"@"', raw_arguments).encode(), head, "tools/call")
        note(answer.result.get("isError") is True, f"doubtful arguments {raw_arguments}", answer.last)
    answer = await raw.call("add", {"a": 1, "b": 2})
    note(answer.result.get("structuredContent") == {"sum": 3} and json.loads(answer.texts) == {"sum": 3}, "structure", answer.last)
    answer = await raw.call("liar")
    note(answer.result.get("isError") is True and "structuredContent" not in answer.result, "a broken promise", answer.last)
    answer = await raw.call("unclean")
    note("\x1b" not in answer.texts and "\x07" not in answer.texts and answer.texts.endswith("end\ttab\nline"), "clean", answer.texts)
    covers("server-sse-multiple-streams")
    answers = await asyncio.gather(*(raw.call("test_simple_text") for _ in range(4)))
    note(all(answer.texts for answer in answers), "several at once")
    covers()
    answer = await raw.call("large", {"lines": 40000})
    link = next((part for part in answer.result["content"] if part["type"] == "resource_link"), None)
    if note(link and "line 1 of many" in answer.texts and "line 40000 of many" in answer.texts, "a large result", answer.texts[:200]):
        whole = (await raw.ask("resources/read", {"uri": link["uri"]})).result["contents"][0]["text"]
        part = (await raw.ask("resources/read", {"uri": link["uri"] + "?bytes=0-9"})).result["contents"][0]["text"]
        lines = (await raw.ask("resources/read", {"uri": link["uri"] + "?lines=2-3"})).result["contents"][0]["text"]
        note(len(part.encode()) == 10 and len(whole.encode()) <= 256 << 10 and lines == "line 2 of many\nline 3 of many\n",
             "parts of a large result", (part, lines, len(whole)))
        answer = await raw.ask("resources/read", {"uri": link["uri"][:-2] + "AA"})
        note(answer.code == -32602, "another's result", answer.last)
    answer = await raw.ask("tools/list", {"cursor": "bad"})
    note((answer.status, answer.code) == (200, -32602), "a bad cursor", answer.last)
    answer = await raw.ask("tools/list", {"cursor": ""})
    note(answer.status == 200 and answer.result.get("tools"), "an empty cursor", answer.last)


async def resources(raw):
    covers("resources-list")
    answer = await raw.ask("resources/list")
    note({"test://static-text", "test://static-binary"} <= {one["uri"] for one in answer.result["resources"]}, "resources", answer.last)
    covers("resources-templates-read")
    answer = await raw.ask("resources/templates/list")
    note("test://template/{id}/data" in {one["uriTemplate"] for one in answer.result["resourceTemplates"]}, "templates", answer.last)
    covers("resources-read-text")
    one = (await raw.ask("resources/read", {"uri": "test://static-text"})).result["contents"][0]
    note(one["text"] == "This is the content of the static text resource." and one["mimeType"] == "text/plain", "a text", one)
    covers("resources-read-binary")
    one = (await raw.ask("resources/read", {"uri": "test://static-binary"})).result["contents"][0]
    note(base64.b64decode(one["blob"]).startswith(b"\x89PNG"), "bytes", one)
    covers("resources-templates-read")
    one = (await raw.ask("resources/read", {"uri": "test://template/123/data"})).result["contents"][0]
    note(one["uri"] == "test://template/123/data" and json.loads(one["text"])["id"] == "123", "a template", one)
    covers("sep-2164-resource-not-found")
    answer = await raw.ask("resources/read", {"uri": "test://nonexistent"})
    note(answer.code == -32602 and answer.last["error"]["data"] == {"uri": "test://nonexistent"}, "no such resource", answer.last)


async def prompts(raw):
    covers("prompts-list")
    names = {one["name"] for one in (await raw.ask("prompts/list")).result["prompts"]}
    note("test_simple_prompt" in names, "prompts", names)
    covers("prompts-get-simple")
    answer = await raw.ask("prompts/get", {"name": "test_simple_prompt"})
    note(answer.result["messages"][0]["content"]["text"] == "This is a simple prompt for testing.", "a prompt", answer.last)
    covers("prompts-get-with-args")
    answer = await raw.ask("prompts/get", {"name": "test_prompt_with_arguments", "arguments": {"arg1": "hello", "arg2": "world"}})
    note("arg1='hello', arg2='world'" in answer.result["messages"][0]["content"]["text"], "a prompt with arguments", answer.last)
    answer = await raw.ask("prompts/get", {"name": "test_prompt_with_arguments", "arguments": {"arg1": "hello"}})
    note(answer.code == -32602, "a prompt without its arguments", answer.last)
    covers("prompts-get-embedded-resource")
    answer = await raw.ask("prompts/get", {"name": "test_prompt_with_embedded_resource", "arguments": {"resourceUri": "test://x"}})
    note(answer.result["messages"][0]["content"]["resource"]["uri"] == "test://x", "a prompt with a resource", answer.last)
    covers("prompts-get-with-image")
    answer = await raw.ask("prompts/get", {"name": "test_prompt_with_image"})
    note(answer.result["messages"][0]["content"]["type"] == "image", "a prompt with an image", answer.last)
    covers("completion-complete")
    answer = await raw.ask("completion/complete", {
        "ref": {"type": "ref/prompt", "name": "test_prompt_with_arguments"}, "argument": {"name": "arg1", "value": "par"}})
    note(answer.result.get("completion", {}).get("values") == ["paris", "park", "party"], "completion", answer.last)


def form(content, action="accept"):
    return {"action": action, "content": content} if action == "accept" else {"action": action}


async def questions(raw):
    async def ask(name, answers=None, state=None, capabilities=ALL, arguments=None):
        extra = {}
        if answers is not None:
            extra["inputResponses"] = answers
        if state is not None:
            extra["requestState"] = state
        return await raw.call(name, arguments, capabilities=capabilities, extra=extra)

    covers("input-required-result-basic-elicitation", "input-required-result-result-type")
    tool = "test_input_required_result_elicitation"
    first = await ask(tool)
    state = first.result.get("requestState")
    note(first.result.get("resultType") == "input_required" and "user_name" in first.result["inputRequests"], "it asks", first.last)
    answer = await ask(tool, {"user_name": form({"name": "Ada"})}, state)
    note(answer.texts == "Hello, Ada!" and answer.result["resultType"] == "complete", "it takes the answer", answer.last)
    covers("input-required-result-missing-input-response")
    answer = await ask(tool, {}, state)
    note(answer.result.get("resultType") == "input_required", "it asks again", answer.last)
    covers("input-required-result-ignore-extra-params")
    answer = await ask(tool, {"user_name": form({"name": "Ada"}), "other": form({})}, state)
    note(answer.texts == "Hello, Ada!", "it ignores what it did not ask", answer.last)
    covers("input-required-result-validate-input")
    for wrong in ({"name": 7}, {}, []):
        answer = await ask(tool, {"user_name": form(wrong)}, state)
        note(answer.result.get("resultType") == "input_required" or answer.code == -32602, f"a bad answer {wrong}", answer.last)
    answer = await ask(tool, {"user_name": form({}, "decline")}, state)
    note("decline" in answer.texts, "it takes a no", answer.last)
    covers("input-required-result-basic-sampling")
    answer = await ask("test_input_required_result_sampling", {"capital_question": {
        "role": "assistant", "model": "m", "content": {"type": "text", "text": "Paris"}}},
        (await ask("test_input_required_result_sampling")).result.get("requestState"))
    note("Paris" in answer.texts, "sampling", answer.last)
    covers("input-required-result-basic-list-roots")
    answer = await ask("test_input_required_result_list_roots", {"client_roots": {"roots": [{"uri": "file:///a"}]}},
                       (await ask("test_input_required_result_list_roots")).result.get("requestState"))
    note("file:///a" in answer.texts, "roots", answer.last)
    covers("input-required-result-request-state")
    state = (await ask("test_input_required_result_request_state")).result.get("requestState")
    answer = await ask("test_input_required_result_request_state", {"confirm": form({"ok": True})}, state)
    note("state-ok" in answer.texts, "a state", answer.last)
    covers("input-required-result-tampered-state")
    tool = "test_input_required_result_tampered_state"
    state = (await ask(tool)).result["requestState"]
    for bad in (state[:-1] + ("A" if state[-1] != "A" else "B"), "x", "", state + "A"):
        answer = await ask(tool, {"confirm": form({"ok": True})}, bad)
        note(answer.code == -32602, "a changed state", answer.last)
    answer = await ask("test_input_required_result_request_state", {"confirm": form({"ok": True})}, state)
    note(answer.code == -32602, "a state of another tool", answer.last)
    answer = await ask(tool, {"confirm": form({"ok": True})}, state, arguments={"other": 1})
    note(answer.code == -32602 or answer.result.get("isError"), "a state of other arguments", answer.last)
    covers("input-required-result-multiple-input-requests")
    tool = "test_input_required_result_multiple_inputs"
    first = await ask(tool)
    note(set(first.result["inputRequests"]) == {"user_name", "greeting", "client_roots"}, "three at once", first.last)
    answer = await ask(tool, {"user_name": form({"name": "Ada"})}, first.result["requestState"])
    note(set(answer.result.get("inputRequests", ())) == {"greeting", "client_roots"}, "the rest is asked for", answer.last)
    answer = await ask(tool, {"greeting": {"role": "assistant", "model": "m", "content": {"type": "text", "text": "Hi"}},
                              "client_roots": {"roots": []}}, answer.result["requestState"])
    note("Ada" in answer.texts and "Hi" in answer.texts, "all of three", answer.last)
    covers("input-required-result-multi-round")
    tool = "test_input_required_result_multi_round"
    first = await ask(tool)
    second = await ask(tool, {"step1": form({"name": "Ada"})}, first.result["requestState"])
    note("step2" in second.result.get("inputRequests", ()), "a second round", second.last)
    third = await ask(tool, {"step2": form({"color": "blue"})}, second.result["requestState"])
    note("Ada" in third.texts and "blue" in third.texts, "both rounds", third.last)
    covers("input-required-result-capability-check")
    for capabilities, keys in (({}, set()), ({"sampling": {}}, {"greeting"}), ({"elicitation": {}, "roots": {}}, {"user_name", "client_roots"})):
        answer = await ask("test_input_required_result_capabilities", capabilities=capabilities)
        note(set(answer.result.get("inputRequests", ())) == keys, f"asks only what {sorted(capabilities)} can", answer.last)
    answer = await ask("test_input_required_result_elicitation", capabilities={"sampling": {}})
    note((answer.status, answer.code) == (400, -32021), "asks nothing that cannot be answered", answer.last)
    covers("input-required-result-non-tool-request")
    params = {"name": "test_input_required_result_prompt"}
    first = await raw.ask("prompts/get", params, capabilities=ALL)
    note("user_context" in first.result.get("inputRequests", ()), "a prompt asks", first.last)
    answer = await raw.ask("prompts/get", {**params, "inputResponses": {"user_context": form({"name": "Ada"})},
                                           "requestState": first.result.get("requestState")}, capabilities=ALL)
    note("Ada" in json.dumps(answer.result.get("messages")), "a prompt is answered", answer.last)


async def jobs(raw):
    """Questions before a task, and of one: tasks-mrtr-composition, beside tasks-mrtr-input, which mcp_kept.py looks at closely."""
    covers()
    capabilities = {**ALL, "extensions": {f"{META}tasks": {}}}

    async def call(name, arguments=None, **extra):
        return await raw.call(name, arguments, capabilities=capabilities, extra=extra)

    async def ended(id):
        for _ in range(300):
            task = (await raw.ask("tasks/get", {"taskId": id}, capabilities=capabilities)).result
            if task.get("status") in ("completed", "failed", "cancelled"):
                return task
            await asyncio.sleep(0.1)
        return task

    def text(task):
        return "".join(part.get("text", "") for part in task.get("result", {}).get("content", []))

    first = await call("test_tool_with_task", {})
    note(first.result.get("resultType") == "input_required" and set(first.result.get("inputRequests", ())) == {"user_name"}
         and "taskId" not in first.result, "tasks-mrtr-composition: it asks before there is a task", first.last)
    again = await call("test_tool_with_task", {}, inputResponses={}, requestState=first.result["requestState"])
    note(again.result.get("resultType") == "input_required", "tasks-mrtr-composition: without an answer it asks again", again.last)
    answered = {"inputResponses": {"user_name": form({"name": "Alice"})}, "requestState": again.result["requestState"]}
    second = await call("test_tool_with_task", {}, **answered)
    note(second.result.get("resultType") == "task" and "requestState" not in second.result and "inputRequests" not in second.result,
         "tasks-mrtr-composition: then it is a task", second.last)
    task = await ended(second.result.get("taskId"))
    note(task.get("status") == "completed" and "Alice" in text(task), "tasks-mrtr-composition: which knows the answer", task)
    third = await call("test_tool_with_task", {}, **answered)
    note(third.result.get("taskId") == second.result.get("taskId"), "the same answer leads to the same task", third.last)
    answer = await call("test_tool_with_task", {"other": 1}, **answered)
    note(answer.code == -32602 or answer.result.get("isError"), "a state of other arguments leads to none", answer.last)
    answer = await raw.call("test_tool_with_task", {}, capabilities=ALL)
    note((answer.status, answer.code) == (400, -32021), "tasks-required-task-error", answer.last)
    made = await call("confirm_delete", {"filename": "mrtr.txt"})
    note(made.result.get("resultType") == "task", "tasks-mrtr-input: a task at once, which asks as one", made.last)
    await raw.ask("tasks/cancel", {"taskId": made.result.get("taskId")}, capabilities=capabilities)
    note((await ended(made.result.get("taskId")))["status"] == "cancelled", "a task that asks is cancelled")


async def listening(raw):
    covers("server-stateless")
    body, head = raw.request("subscriptions/listen", {"notifications": {
        "toolsListChanged": True, "resourceSubscriptions": ["test://watched-resource", "test://no"]}}, id="sub-1")
    seen = asyncio.Queue()

    async def listen():
        async with raw.client.stream("POST", raw.url, content=json.dumps(body), headers=head) as response:
            note(response.headers.get("x-accel-buffering") == "no", "no buffering on the way")
            buffer = ""
            async for text in response.aiter_text():
                buffer += text
                while "\n\n" in buffer:
                    block, buffer = buffer.split("\n\n", 1)
                    for message in events(block + "\n\n"):
                        validate(message, "subscriptions/listen")
                        await seen.put(message)

    task = asyncio.create_task(listen())
    first = await asyncio.wait_for(seen.get(), 10)
    note(first["method"] == "notifications/subscriptions/acknowledged"
         and first["params"]["_meta"][f"{META}subscriptionId"] == "sub-1"
         and first["params"]["notifications"] == {"toolsListChanged": True, "resourceSubscriptions": ["test://watched-resource"]},
         "acknowledged first", first)
    await raw.call("test_trigger_prompt_change")
    await raw.call("test_trigger_tool_change")
    try:
        second = await asyncio.wait_for(seen.get(), 15)
        note(second["method"] == "notifications/tools/list_changed"
             and second["params"]["_meta"][f"{META}subscriptionId"] == "sub-1", "a change is told, and no other", second)
    except TimeoutError:
        note(False, "a change is told")
    task.cancel()
    # The same of prompts.
    body, head = raw.request("subscriptions/listen", {"notifications": {"promptsListChanged": True}}, id=7)
    seen = asyncio.Queue()
    task = asyncio.create_task(listen())
    first = await asyncio.wait_for(seen.get(), 10)
    note(first["params"]["_meta"][f"{META}subscriptionId"] == 7
         and first["params"]["notifications"] == {"promptsListChanged": True}, "prompts are listened to", first)
    await raw.call("test_trigger_prompt_change")
    try:
        second = await asyncio.wait_for(seen.get(), 15)
        note(second["method"] == "notifications/prompts/list_changed", "a change of prompts is told", second)
    except TimeoutError:
        note(False, "a change of prompts is told")
    task.cancel()


async def busy(raw, function):
    """How many workers of a function have something to do."""
    answer = (await raw.client.get(raw.url.split("/mcp")[0] + "/v1/instances")).json()
    return sum(1 for one in answer["items"] if one["function"].endswith(function) and one.get("inFlight"))


async def head_only(raw, headers):
    """The status that a request is answered with whose body never comes."""
    return await raw_status(raw, headers, b"")


async def raw_status(raw, headers, body):
    """The status of a request that no library would send; its length is said where it is not among the headers."""
    if "Content-Length" not in headers:
        headers = {**headers, "Content-Length": len(body)}
    host, port = raw.url.split("/")[2].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = ["POST /mcp HTTP/1.1", f"Host: {host}:{port}", f"Authorization: Bearer {TOKEN}"]
    writer.write(("\r\n".join(lines + [f"{key}: {value}" for key, value in headers.items()]) + "\r\n\r\n").encode() + body)
    line = await asyncio.wait_for(reader.readline(), 30)
    writer.close()
    return int(line.split()[1])


async def chunked(raw, headers, size):
    """The status that a body of unannounced length is answered with; None where the connection is closed without an answer."""
    host, port = raw.url.split("/")[2].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = ["POST /mcp HTTP/1.1", f"Host: {host}:{port}", f"Authorization: Bearer {TOKEN}", "Transfer-Encoding: chunked"]
    writer.write(("\r\n".join(lines + [f"{key}: {value}" for key, value in headers.items()]) + "\r\n\r\n").encode())
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    try:
        for _ in range(size // 0x10000):
            writer.write(piece)
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        line = await asyncio.wait_for(reader.readline(), 20)
        return int(line.split()[1]) if line else None
    except ConnectionError:
        return None
    finally:
        writer.close()


async def sessions(raw):
    """The era with sessions, by hand."""
    covers()
    client = raw.client
    base = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}

    async def send(body, headers, status=200):
        response = await client.post(raw.url, content=json.dumps(body), headers={**base, **headers})
        note(response.status_code == status, f"session: {body.get('method')}", (response.status_code, response.text))
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            return response, list(events(response.text))
        return response, [response.json()] if response.content else []

    async def begin(version="2025-11-25", capabilities=None):
        response, messages = await send({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": version, "capabilities": capabilities or {}, "clientInfo": {"name": "t", "version": "1"}}}, {})
        session = {"Mcp-Session-Id": response.headers["mcp-session-id"],
                   "MCP-Protocol-Version": messages[0]["result"]["protocolVersion"]}
        await send({"jsonrpc": "2.0", "method": "notifications/initialized"}, session, 202)
        return session, messages[0]["result"]

    for version, agreed in (("2025-11-25", "2025-11-25"), ("2025-06-18", "2025-06-18"), ("2025-03-26", "2025-11-25")):
        session, result = await begin(version)
        note(result["protocolVersion"] == agreed and result["serverInfo"]["name"] and "resultType" not in result, "initialize", result)
    note(all(0x21 <= ord(letter) <= 0x7E for letter in session["Mcp-Session-Id"]), "the id is visible ASCII")
    _, [pong] = await send({"jsonrpc": "2.0", "id": 2, "method": "ping"}, session)
    note(pong["result"] == {}, "ping", pong)
    _, [listed] = await send({"jsonrpc": "2.0", "id": 3, "method": "tools/list"}, session)
    note("ttlMs" not in listed["result"] and "resultType" not in listed["result"], "lists of sessions are lean", listed["result"].keys())
    await send({"jsonrpc": "2.0", "id": 4, "method": "logging/setLevel", "params": {"level": "info"}}, session)
    _, messages = await send({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "test_tool_with_logging"}}, session)
    note(len([m for m in messages if m.get("method") == "notifications/message"]) == 3, "three logs", messages)
    for method in ("resources/subscribe", "resources/unsubscribe"):
        _, [answer] = await send({"jsonrpc": "2.0", "id": 6, "method": method, "params": {"uri": "test://watched-resource"}}, session)
        note(answer.get("result") == {}, method, answer)
    _, [answer] = await send({"jsonrpc": "2.0", "id": 7, "method": "resources/read", "params": {"uri": "test://no"}}, session)
    note(answer["error"]["code"] == -32002, "no such resource, in a session", answer)
    _, [answer] = await send({"jsonrpc": "2.0", "id": 8, "method": "no/such"}, session)
    note(answer["error"]["code"] == -32601, "no such method, in a session", answer)
    await send({"jsonrpc": "2.0", "id": 9, "method": "ping"}, {}, 400)
    await send({"jsonrpc": "2.0", "id": 9, "method": "ping"}, {"Mcp-Session-Id": "made-up"}, 404)
    await send({"jsonrpc": "2.0", "id": 9, "method": "ping"}, {**session, "MCP-Protocol-Version": "2024-11-05"}, 400)
    # A stream that breaks is read on elsewhere.
    call = {"jsonrpc": "2.0", "id": 10, "method": "tools/call", "params": {
        "name": "test_tool_with_progress", "_meta": {"progressToken": "p"}}}
    last, seen = None, []
    async with client.stream("POST", raw.url, content=json.dumps(call), headers={**base, **session}) as response:
        async for line in response.aiter_lines():
            if line.startswith("id:"):
                last = line[3:].strip()
            if line.startswith("data: {"):
                seen.append(json.loads(line[6:]))
                break
    async with client.stream("GET", raw.url, headers={"Accept": "text/event-stream", "Last-Event-ID": last, **session}) as response:
        note(response.status_code == 200, "resuming", response.status_code)
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                seen.append(json.loads(line[6:]))
    note([m["params"]["progress"] for m in seen if "params" in m] == [0, 50, 100] and seen[-1].get("id") == 10,
         "a stream is read on without gap or repetition", seen)
    # What cancels.
    task = asyncio.create_task(send({"jsonrpc": "2.0", "id": 11, "method": "tools/call", "params": {
        "name": "slow", "arguments": {"seconds": 30}}}, session))
    await asyncio.sleep(0.5)
    start = time.monotonic()
    await send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 11}}, session, 202)
    await asyncio.wait_for(task, 10)
    note(time.monotonic() - start < 5, "a call is cancelled by its id")
    response = await client.delete(raw.url, headers=session)
    note(response.status_code in (200, 204), "DELETE", response.status_code)
    await send({"jsonrpc": "2.0", "id": 12, "method": "ping"}, session, 404)


async def transport(raw):
    covers("dns-rebinding-protection")
    body, head = raw.request("tools/list")
    for name, change, statuses in (
            ("another type", {"Content-Type": "text/plain"}, (400, 415)), ("no streams", {"Accept": "application/json"}, (406,)),
            ("an evil origin", {"Origin": "http://evil.example"}, (403,)), ("an evil host", {"Host": "evil.example"}, (421,)),
            ("a wrong token", {"Authorization": "Bearer no"}, (401,))):
        answer = await raw.post(body, {**head, **change}, check=False)
        note(answer.status in statuses, name, answer.status)
    origin = raw.url.split("/mcp")[0]
    note((await raw.post(body, {**head, "Origin": origin})).status == 200, "our own origin")
    note((await raw.post(body, {**head, "Host": origin.split("//")[1]})).status == 200, "our own host")
    covers()
    for method in ("GET", "DELETE"):
        response = await raw.client.request(method, raw.url, headers={"Accept": "text/event-stream"})
        note(response.status_code == 405 and response.headers.get("allow") == "POST", f"{method} without session", response.status_code)
    note(await head_only(raw, {**head, "Content-Length": str((4 << 20) + 1)}) == 413, "a large body is refused by its head")

    async def chunks():
        for _ in range(6):
            yield b" " * (1 << 20)

    response = await raw.client.post(raw.url, content=chunks(), headers=head)
    note(response.status_code == 413, "a large body in chunks", response.status_code)
    # One that ends within 16 MiB is read to its end, so that its client hears why; beyond that nobody reads on.
    note(await chunked(raw, head, (16 << 20) - (1 << 16)) == 413, "a body of nearly 16 MiB")
    note(await chunked(raw, head, (16 << 20) + (1 << 20)) is None, "a body of more than 16 MiB is dropped")
    note((await raw.post(body, head)).status == 200, "and the server goes on")
    start = time.monotonic()
    try:
        async with raw.client.stream("POST", raw.url, content=json.dumps(
                raw.request("tools/call", {"name": "slow", "arguments": {"seconds": 30}}, meta={"progressToken": 1})[0]),
                headers=raw.request("tools/call", {"name": "slow"})[1]) as stream:
            async for _ in stream.aiter_text():
                break
    except httpx2.HTTPError as error:
        note(False, "a call is broken off", error)
    note(time.monotonic() - start < 20, "a call is broken off at once")
    left = time.monotonic()
    while await busy(raw, "slow") > 1 and time.monotonic() - left < 10:
        await asyncio.sleep(0.05)
    note(time.monotonic() - left < 5, "its sandbox is killed", time.monotonic() - left)  # the one of `quiet` goes on


async def quiet():
    """A call that says nothing for long: its stream is kept alive, has no ids and ends with the answer."""
    raw = Raw()
    body, head = raw.request("tools/call", {"name": "slow", "arguments": {"seconds": 24}})
    async with raw.client.stream("POST", raw.url, content=json.dumps(body), headers=head) as response:
        lines = [line async for line in response.aiter_lines()]
    return response.headers, lines


async def main():
    global schema
    if len(sys.argv) > 4:
        schema = Schema(sys.argv[4])
    raw = Raw()
    waiting = asyncio.create_task(quiet())
    for part in (transport, sessions, stateless, headers, tools, resources, prompts, questions, jobs, listening):
        try:
            await part(raw)
        except Exception as error:  # a part that breaks is one failed check, and the others run
            import traceback

            note(False, part.__name__, "".join(traceback.format_exception(error)[-3:]))
    covers()
    head, lines = await waiting
    note(head.get("x-accel-buffering") == "no" and head["content-type"] == "text/event-stream", "a quiet stream", head)
    note(len([line for line in lines if line.startswith(":")]) >= 2, "a quiet stream is kept alive", lines)
    note(not any(line.startswith("id:") for line in lines) and "result" in json.loads(
        [line for line in lines if line.startswith("data:")][-1][5:]), "a quiet stream ends with the answer, without ids", lines)
    for name in [name for name, count in SCENARIOS.items() if count == 0]:
        note(False, f"nothing was checked of {name}")
    print(f"{len(results)} checks of {len(SCENARIOS)} scenarios, {results.count(False)} failed")
    return 1 if False in results else 0


sys.exit(asyncio.run(main()))
