"""An authorization server for tests, and an agent that gets its token there with the official SDK.

    mcp_oauth.py PACKAGES serve                    prints its port, and serves until it is killed
    mcp_oauth.py PACKAGES call ISSUER URL CLIENT SCOPE

CLIENT names whoever asks, `TENANT-anything`: the tenant is a claim of its tokens. The agent prints a line of JSON: the tools that it is
shown and what `whose` comes to, or why it got nothing.
"""
import asyncio
import base64
import json
import sys
import time
import urllib.parse

sys.path.insert(0, sys.argv[1])
SECRET = "of-the-client"
AUDIENCE = "http://apus.example"


def serve():
    import http.server

    import jwt
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    keys = {"keys": [{**public, "kid": "k1", "alg": "ES256", "use": "sig"}]}

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status, value):
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            issuer = f"http://127.0.0.1:{server.server_port}"
            if self.path == "/keys":
                return self.answer(200, keys)
            if self.path == "/.well-known/oauth-authorization-server":
                return self.answer(200, {
                    "issuer": issuer, "token_endpoint": f"{issuer}/token", "authorization_endpoint": f"{issuer}/authorize",
                    "response_types_supported": ["code"], "grant_types_supported": ["client_credentials"],
                    "token_endpoint_auth_methods_supported": ["client_secret_basic"]})
            self.answer(404, {})

        def do_POST(self):
            form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            given = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
            client, _, secret = given.partition(":")
            if form.get("grant_type") != ["client_credentials"] or urllib.parse.unquote(secret) != SECRET:
                return self.answer(401, {"error": "invalid_client"})
            client = urllib.parse.unquote(client)
            # What a client is granted is less than it asks for, where it is one that may only look.
            scope = "tools:look" if client.endswith("-reader") else form.get("scope", [""])[0]
            # For whom a token is, whoever asks for it says (RFC 8707); this server knows one resource, by the path that it is at.
            resource = urllib.parse.urlparse(form.get("resource", [""])[0])
            claims = {"iss": f"http://127.0.0.1:{server.server_port}", "sub": client, "scope": scope, "exp": int(time.time()) + 300,
                      "aud": AUDIENCE if resource.path == "/mcp" else "nobody", "tenant": client.split("-")[0]}
            token = jwt.encode(claims, key, algorithm="ES256", headers={"kid": "k1"})
            self.answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": 300, "scope": scope})

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


class Storage:
    """The SDK asks for a place to keep tokens; one run needs none."""

    def __init__(self):
        self.tokens = self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


async def call(issuer, url, client, scope):
    import httpx2
    from mcp import Client
    from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
    from mcp.client.streamable_http import streamable_http_client

    provider = ClientCredentialsOAuthProvider(
        server_url=url, storage=Storage(), client_id=client, client_secret=SECRET, scope=scope, issuer=issuer)
    http = httpx2.AsyncClient(auth=provider, timeout=60)
    async with Client(streamable_http_client(url, http_client=http), mode="2026-07-28") as agent:
        tools = [tool.name for tool in (await agent.list_tools()).tools]
        result = await agent.call_tool("whose", {})
        print(json.dumps({"tools": tools, "text": result.content[0].text}))


def problem(error):
    """The innermost of what went wrong."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    if sys.argv[2] == "serve":
        serve()
    try:
        asyncio.run(call(*sys.argv[3:7]))
    except BaseException as error:  # told, so that the test can look at it
        print(json.dumps({"problem": problem(error)}))
