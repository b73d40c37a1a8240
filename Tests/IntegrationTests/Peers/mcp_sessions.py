"""The checks of the public conformance suite for the eras with sessions, by its names, against the fixtures of Tests/Fixtures/conformance.

    mcp_sessions.py PACKAGES URL TOKEN

Each message that comes is read with the SDK's own types of that revision. Prints a line for each check that fails, and at the end
`N checks of M scenarios, F failed`. A scenario without a check is a failure.
"""
import asyncio
import base64
import json
import sys

sys.path.insert(0, sys.argv[1])
import httpx2  # noqa: E402
from mcp_types import methods  # noqa: E402

URL, TOKEN = sys.argv[2], sys.argv[3]
BASE = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
CAPABILITIES = {"elicitation": {}, "sampling": {}, "roots": {"listChanged": True}}
COMMON = [
    "server-initialize", "ping", "logging-set-level", "completion-complete", "tools-list", "tools-call-simple-text", "tools-call-image",
    "tools-call-audio", "tools-call-embedded-resource", "tools-call-mixed-content", "tools-call-with-logging", "tools-call-error",
    "tools-call-with-progress", "tools-call-sampling", "tools-call-elicitation", "server-sse-multiple-streams", "resources-list",
    "resources-read-text", "resources-read-binary", "resources-templates-read", "resources-subscribe", "resources-unsubscribe",
    "prompts-list", "prompts-get-simple", "prompts-get-with-args", "prompts-get-embedded-resource", "prompts-get-with-image",
    "dns-rebinding-protection", "server-session-lifecycle"]
SCENARIOS = {
    "2025-06-18": COMMON,
    "2025-11-25": COMMON + ["elicitation-sep1034-defaults", "elicitation-sep1330-enums", "json-schema-2020-12"]}
results = {}


class Checks:
    """Those of one scenario."""

    def __init__(self, revision, name):
        self.key = (revision, name)

    def __call__(self, good, what, detail=""):
        results.setdefault(self.key, []).append(bool(good))
        if not good:
            print(f"FAILED {self.key}: {what}: {str(detail)[:400]}", flush=True)
        return good


class Session:
    """A client that answers what it is asked, on whatever stream that comes."""

    def __init__(self, revision):
        self.revision = revision
        self.client = httpx2.AsyncClient(timeout=60, headers={"Authorization": f"Bearer {TOKEN}"})
        self.head = {}
        self.next = 0
        self.asked = []
        self.notes = []
        self.schema = Checks(revision, "server-initialize")

    async def begin(self):
        answer, response = await self.send("initialize", {
            "protocolVersion": self.revision, "capabilities": CAPABILITIES, "clientInfo": {"name": "t", "version": "1"}})
        self.head = {"Mcp-Session-Id": response.headers["mcp-session-id"], "MCP-Protocol-Version": self.revision}
        done = await self.client.post(
            URL, content=json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}), headers={**BASE, **self.head})
        self.schema(done.status_code == 202 and not done.content, "initialized", done.status_code)
        return answer["result"]

    def validate(self, message, method):
        """With the SDK's types: what does not fit them no client of it could read."""
        try:
            if "method" in message and "id" in message:
                methods.parse_server_request(message["method"], self.revision, message.get("params"))
            elif "method" in message:
                methods.parse_server_notification(message["method"], self.revision, message.get("params"))
            elif "result" in message:
                methods.parse_server_result(method, self.revision, message["result"])
            else:
                self.schema(isinstance(message["error"]["code"], int) and message["error"]["message"], "an error", message)
        except Exception as error:
            self.schema(False, f"the form of {message.get('method', method)}", f"{type(error).__name__} {error} {message}")

    async def reply(self, request):
        self.asked.append(request)
        if request["method"] == "sampling/createMessage":
            result = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "Paris"}}
        elif request["method"] == "roots/list":
            result = {"roots": [{"uri": "file:///work"}]}
        else:
            result = {"action": "accept", "content": {"username": "ada", "email": "ada@example.com"}}
            if "username" not in request["params"]["requestedSchema"]["properties"]:
                result = {"action": "accept", "content": {}}
        done = await self.client.post(
            URL, content=json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), headers={**BASE, **self.head})
        self.schema(done.status_code == 202, "an answer is taken", done.status_code)

    async def send(self, method, params=None, id=None):
        """The answer, and the response that it came in."""
        self.next += 1
        id = self.next if id is None else id
        body = {"jsonrpc": "2.0", "id": id, "method": method, **({} if params is None else {"params": params})}
        self.notes = []
        answer = {}
        async with self.client.stream("POST", URL, content=json.dumps(body), headers={**BASE, **self.head}) as response:
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                text = await response.aread()
                answer = json.loads(text) if text else {}
                if answer:
                    self.validate(answer, method)
                return answer, response
            async for line in response.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                message = json.loads(line[6:])
                self.validate(message, method)
                if "method" not in message:
                    answer = message
                elif "id" in message:
                    await self.reply(message)
                else:
                    self.notes.append(message)
        return answer, response

    async def ask(self, method, params=None):
        answer, _ = await self.send(method, params)
        return answer.get("result") or answer

    async def call(self, name, arguments=None, **more):
        return await self.ask("tools/call", {"name": name, "arguments": arguments or {}, **more})


def text(result):
    return "".join(part.get("text", "") for part in result.get("content", ()))


async def basics(session, of):
    check = of("server-initialize")
    result = await session.begin()
    check(result["protocolVersion"] == session.revision and result["serverInfo"]["name"] and result["capabilities"]["tools"], "agreed", result)
    answer, _ = await session.send("ping")
    of("ping")(answer.get("result") == {}, "an empty answer", answer)
    answer, _ = await session.send("logging/setLevel", {"level": "info"})
    of("logging-set-level")(answer.get("result") == {}, "an empty answer", answer)
    answer, _ = await session.send("logging/setLevel", {"level": "loud"})
    of("logging-set-level")(answer["error"]["code"] == -32602, "no level", answer)
    result = await session.ask("completion/complete", {
        "ref": {"type": "ref/prompt", "name": "test_prompt_with_arguments"}, "argument": {"name": "arg1", "value": "par"}})
    of("completion-complete")(result["completion"]["values"] == ["paris", "park", "party"], "values", result)
    check = of("dns-rebinding-protection")
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    own = URL.split("/mcp")[0]
    for change, good in (({"Host": "evil.example"}, False), ({"Origin": "http://evil.example"}, False), ({"Origin": own}, True),
                         ({"Host": own.split("//")[1]}, True)):
        response = await session.client.post(URL, content=body, headers={**BASE, **session.head, **change})
        check((response.status_code == 200) == good and (good or 400 <= response.status_code < 500), f"{change}", response.status_code)


async def tools(session, of):
    listed = {tool["name"]: tool for tool in (await session.ask("tools/list"))["tools"]}
    of("tools-list")(all(tool.get("description") and tool["inputSchema"]["type"] == "object" for tool in listed.values())
                     and len(listed) > 25, "names, descriptions, schemas", list(listed))
    result = await session.call("test_simple_text")
    of("tools-call-simple-text")(text(result) == "This is a simple text response for testing.", "its text", result)
    for kind, mime in (("image", "image/png"), ("audio", "audio/wav")):
        part = (await session.call(f"test_{kind}_content"))["content"][0]
        of(f"tools-call-{kind}")(part["type"] == kind and part["mimeType"] == mime and base64.b64decode(part["data"], validate=True),
                                 "its bytes", part)
    part = (await session.call("test_embedded_resource"))["content"][0]
    of("tools-call-embedded-resource")(
        part["type"] == "resource" and part["resource"]["uri"] == "test://embedded-resource"
        and part["resource"]["mimeType"] == "text/plain" and part["resource"]["text"], "the resource", part)
    parts = (await session.call("test_multiple_content_types"))["content"]
    of("tools-call-mixed-content")([part["type"] for part in parts] == ["text", "image", "resource"]
                                   and parts[2]["resource"]["mimeType"] == "application/json", "the parts", parts)
    await session.call("test_tool_with_logging")
    said = [note["params"] for note in session.notes if note["method"] == "notifications/message"]
    of("tools-call-with-logging")(len(said) == 3 and all(one["level"] == "info" and one.get("data") for one in said), "three lines", said)
    result = await session.call("test_error_handling")
    of("tools-call-error")(result.get("isError") is True and "intentionally" in text(result), "an error for the model", result)
    await session.call("test_tool_with_progress", _meta={"progressToken": "token-1"})
    said = [(note["params"]["progressToken"], note["params"]["progress"], note["params"].get("total"))
            for note in session.notes if note["method"] == "notifications/progress"]
    of("tools-call-with-progress")(said == [("token-1", 0, 100), ("token-1", 50, 100), ("token-1", 100, 100)], "three steps", said)
    result = await session.call("test_sampling", {"prompt": "capital?"})
    of("tools-call-sampling")("Paris" in text(result) and session.asked[-1]["method"] == "sampling/createMessage", "the model's words", result)
    result = await session.call("test_elicitation", {"message": "who?"})
    of("tools-call-elicitation")("ada@example.com" in text(result) and session.asked[-1]["params"]["message"] == "who?", "the answer", result)


async def sep_questions(session, of):
    await session.call("test_elicitation_sep1034_defaults")
    properties = session.asked[-1]["params"]["requestedSchema"]["properties"]
    check = of("elicitation-sep1034-defaults")
    for name, standard in (("name", "John Doe"), ("age", 30), ("score", 95.5), ("status", "active"), ("verified", True)):
        check(properties[name].get("default") == standard, f"the default of {name}", properties[name])
    await session.call("test_elicitation_sep1330_enums")
    properties = session.asked[-1]["params"]["requestedSchema"]["properties"]
    check = of("elicitation-sep1330-enums")
    check(properties["untitledSingle"]["enum"] == ["option1", "option2", "option3"], "untitled", properties)
    check([one["const"] for one in properties["titledSingle"]["oneOf"]] == ["value1", "value2", "value3"], "titled", properties)
    check(properties["legacyEnum"]["enumNames"] == ["Option One", "Option Two", "Option Three"], "with names beside", properties)
    check(properties["untitledMulti"]["items"]["enum"] and properties["untitledMulti"]["type"] == "array", "several", properties)
    check(all(one["title"] for one in properties["titledMulti"]["items"]["anyOf"]), "several, titled", properties)
    tool = next(one for one in (await session.ask("tools/list"))["tools"] if one["name"] == "json_schema_2020_12_tool")
    check = of("json-schema-2020-12")
    schema = tool["inputSchema"]
    check(schema["$schema"] == "https://json-schema.org/draft/2020-12/schema", "its dialect", schema)
    for word in ("$defs", "allOf", "if", "then", "else", "additionalProperties"):
        check(word in schema, f"{word} is kept", schema)
    check(schema["$defs"]["address"]["$anchor"] == "addressDef" and "anyOf" in schema["allOf"][0], "inner words are kept", schema)


async def reading(session, of):
    uris = {one["uri"] for one in (await session.ask("resources/list"))["resources"]}
    of("resources-list")({"test://static-text", "test://static-binary"} <= uris, "both", uris)
    one = (await session.ask("resources/read", {"uri": "test://static-text"}))["contents"][0]
    of("resources-read-text")(one["text"] == "This is the content of the static text resource." and one["mimeType"] == "text/plain", "it", one)
    one = (await session.ask("resources/read", {"uri": "test://static-binary"}))["contents"][0]
    of("resources-read-binary")(base64.b64decode(one["blob"]).startswith(b"\x89PNG") and one["mimeType"] == "image/png", "it", one)
    templates = (await session.ask("resources/templates/list"))["resourceTemplates"]
    one = (await session.ask("resources/read", {"uri": "test://template/123/data"}))["contents"][0]
    of("resources-templates-read")(
        any(template["uriTemplate"] == "test://template/{id}/data" for template in templates)
        and one["uri"] == "test://template/123/data" and json.loads(one["text"])["id"] == "123", "it", one)
    for name in ("subscribe", "unsubscribe"):
        answer, _ = await session.send(f"resources/{name}", {"uri": "test://watched-resource"})
        of(f"resources-{name}")(answer.get("result") == {}, "an empty answer", answer)
    names = {one["name"] for one in (await session.ask("prompts/list"))["prompts"]}
    of("prompts-list")({"test_simple_prompt", "test_prompt_with_arguments", "test_prompt_with_image"} <= names, "them", names)

    async def get(name, **arguments):
        return (await session.ask("prompts/get", {"name": name, "arguments": arguments}))["messages"]

    messages = await get("test_simple_prompt")
    of("prompts-get-simple")(messages[0]["content"]["text"] == "This is a simple prompt for testing.", "it", messages)
    messages = await get("test_prompt_with_arguments", arg1="hello", arg2="world")
    of("prompts-get-with-args")("arg1='hello', arg2='world'" in messages[0]["content"]["text"], "it", messages)
    messages = await get("test_prompt_with_embedded_resource", resourceUri="test://x")
    of("prompts-get-embedded-resource")(messages[0]["content"]["resource"]["uri"] == "test://x", "it", messages)
    messages = await get("test_prompt_with_image")
    of("prompts-get-with-image")(messages[0]["content"]["type"] == "image" and messages[0]["content"]["mimeType"] == "image/png", "it", messages)


async def transport(session, of):
    async def one(number):
        other = Session(session.revision)
        other.head, other.next = session.head, 1_000 * number
        return text(await other.call("test_simple_text"))

    texts = await asyncio.gather(*(one(number) for number in range(1, 5)))
    of("server-sse-multiple-streams")(len(set(texts)) == 1 and texts[0], "several at once", texts)
    check = of("server-session-lifecycle")
    check(all(0x21 <= ord(letter) <= 0x7E for letter in session.head["Mcp-Session-Id"]), "visible ASCII", session.head)
    response = await session.client.delete(URL, headers=session.head)
    check(response.status_code in (200, 204), "DELETE", response.status_code)
    answer, response = await session.send("ping")
    check(response.status_code == 404, "over", (response.status_code, answer))


async def main():
    for revision, names in SCENARIOS.items():
        session = Session(revision)

        def of(name, revision=revision, names=names):
            assert name in names, name
            return Checks(revision, name)

        parts = [basics, tools, reading] + ([sep_questions] if "json-schema-2020-12" in names else []) + [transport]
        for part in parts:
            try:
                await part(session, of)
            except Exception as error:  # a part that breaks is one failed check, and the others run
                import traceback

                of("server-initialize")(False, part.__name__, "".join(traceback.format_exception(error)[-3:]))
    every = [(revision, name) for revision, names in SCENARIOS.items() for name in names]
    for key in every:
        if key not in results:
            print(f"FAILED {key}: nothing was checked")
            results[key] = [False]
    checks = [good for one in results.values() for good in one]
    print(f"{len(checks)} checks of {len(every)} scenarios, {checks.count(False)} failed")
    return 1 if False in checks else 0


sys.exit(asyncio.run(main()))
