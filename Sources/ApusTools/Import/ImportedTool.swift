internal import ApusCore
internal import ApusJSON
internal import ApusSchema

/// One operation of an API as a tool: what its manifest and the runtime `http` need.
struct ImportedTool {
    let tool: ToolName
    /// Of the function, and of its folder.
    let name: String
    let description: String
    let method: String
    let server: ImportedServer
    let path: String
    let parameters: [ImportedParameter]
    let body: ImportedBody?
    let credentials: [ImportedCredential]
    let input: JSONValue
    let labels: [String: String]

    /// What the runtime reads: which request a call becomes.
    var operation: JSONValue {
        var json: JSONObject = [
            "method": .string(self.method), "url": .string(self.server.url + self.path),
            "parameters": .array(self.parameters.map(\.json)),
        ]
        if let body = self.body { json["body"] = body.json }
        let given = self.credentials.filter { !$0.isInjected }
        if !given.isEmpty { json["secrets"] = .array(given.map(\.json)) }
        return .object(json)
    }

    /// The manifest, as a tree for YAML.
    var manifest: JSONValue {
        var network: JSONObject = ["allow": [.string(self.server.authority)]]
        let injected = self.credentials.filter(\.isInjected)
        if !injected.isEmpty {
            network["inject"] = .array(injected.map { $0.injection(to: self.server.authority) })
        }
        var spec: JSONObject = [
            "description": .string(self.description), "runtime": "http", "handler": "operation.json",
            "source": .string(self.name), "timeout": "30s", "concurrency": 1,
            // What runs is the runtime's code alone, which keeps nothing from call to call.
            "reuse": "function", "scale": ["max": 4],
        ]
        let given = self.credentials.filter { !$0.isInjected }.map(\.secret)
        if !given.isEmpty { spec["secrets"] = .array(given.map { .string($0) }) }
        spec["sandbox"] = ["network": .object(network)]
        spec["tool"] = [
            "name": .string(self.tool.text), "input": .string("\(self.name)/input.json"),
            "annotations": self.annotations,
        ]
        return [
            "apiVersion": "apus.dev/v1", "kind": "Function",
            "metadata": [
                "name": .string(self.name),
                "labels": .object(
                    JSONObject(self.labels.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })),
            ], "spec": .object(spec),
        ]
    }

    /// What HTTP promises of the method; the API may do better, which whoever reviews the manifest can say.
    private var annotations: JSONValue {
        switch self.method {
        case "GET", "HEAD", "OPTIONS": ["readOnly": true, "idempotent": true, "openWorld": true]
        case "PUT", "DELETE": ["readOnly": false, "destructive": true, "idempotent": true, "openWorld": true]
        default: ["readOnly": false, "idempotent": false, "openWorld": true]
        }
    }
}

/// What is sent as the body.
struct ImportedBody {
    var argument: String
    let contentType: String
    let isRequired: Bool
    let schema: JSONValue

    var json: JSONValue { ["argument": .string(self.argument), "contentType": .string(self.contentType)] }

    /// The first kind that can be made of arguments; nil where there is no body.
    init?(_ value: JSONValue, _ schemas: inout OpenAPISchemas) throws(ImportProblem) {
        guard let content = value["content"]?.object, !content.isEmpty else { return nil }
        func isJSON(_ type: String) -> Bool {
            type.hasPrefix("application/json") || type.utf8.elementsEqual("*/*".utf8) || type.contains("+json")
        }
        let chosen =
            content.first { isJSON($0.name) } ?? content.first {
                $0.name.hasPrefix("application/x-www-form-urlencoded")
            }
            ?? content.first { $0.name.hasPrefix("text/") }
        guard let chosen else {
            throw ImportProblem(
                "takes \(content.names.joined(separator: ", ")), of which none can be made of arguments; JSON, forms and text can"
            )
        }
        self.argument = "body"
        self.contentType = chosen.name == "*/*" ? "application/json" : chosen.name
        self.isRequired = value["required"] == true
        var schema = try schemas.schema(chosen.value["schema"] ?? true)
        if let description = value["description"]?.string, schema["description"] == nil {
            if schema.object != nil { schema["description"] = .string(ImportedText.shortened(description)) }
        }
        self.schema = schema
    }
}

/// Where an API is.
struct ImportedServer {
    /// Scheme, host, port and the path's beginning, without a slash at the end.
    let url: String
    /// `host:port`.
    let authority: String

    /// - Throws: where it is no absolute URL of HTTP.
    init(_ text: String) throws(ImportProblem) {
        let lower = text.lowercased()
        let isSecure = lower.hasPrefix("https://")
        guard isSecure || lower.hasPrefix("http://") else {
            throw ImportProblem(
                "the server's URL is `\(text)`, expected one with https:// or http://; say it with --server")
        }
        let rest = text.dropFirst(isSecure ? 8 : 7)
        let host = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard !host.isEmpty, !host.contains("@"), !host.contains("{"), !rest.contains("?"), !rest.contains("#") else {
            throw ImportProblem("the server's URL is `\(text)`, expected a host and a path alone; say it with --server")
        }
        var path = rest.dropFirst(host.count)
        while path.hasSuffix("/") { path = path.dropLast() }
        let hasPort = host.last != "]" && host.contains(":")
        self.authority = hasPort ? String(host) : "\(host):\(isSecure ? 443 : 80)"
        self.url = (isSecure ? "https://" : "http://") + host + path
    }
}

/// What a caller proves itself with: a secret, put into a header on the way out where that is possible.
struct ImportedCredential {
    enum Place: Equatable {
        case header(String, prefix: String)
        case query(String)
        case cookie(String)
    }

    let secret: String
    let place: Place

    /// Whether the egress process puts it in, so that the function never has it.
    var isInjected: Bool { if case .query = self.place { false } else { true } }

    func injection(to authority: String) -> JSONValue {
        var json: JSONObject = ["to": .string(authority), "secret": .string(self.secret)]
        switch self.place {
        case .header(let name, let prefix):
            json["header"] = .string(name)
            if !prefix.isEmpty { json["prefix"] = .string(prefix) }
        case .cookie(let name):
            json["header"] = "Cookie"
            json["prefix"] = .string("\(name)=")
        case .query: break
        }
        return .object(json)
    }

    /// What the runtime reads, for a secret that only the request's URL can carry.
    var json: JSONValue {
        guard case .query(let name) = self.place else { return .null }
        return ["secret": .string(self.secret), "in": "query", "name": .string(name)]
    }
}
