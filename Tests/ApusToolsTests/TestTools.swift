import ApusCore
import ApusJSON
import ApusManifest

@testable import ApusTools

/// Functions that offer tools, made as a deploy makes them.
enum TestTools {
    static func function(
        _ spec: JSONValue, function: String, about: String? = nil, labels: [String: String] = [:],
        namespace: String = "default"
    ) throws -> FunctionManifest {
        var whole: JSONValue = spec
        whole["runtime"] = "python3"
        whole["handler"] = "main:run"
        if let about { whole["description"] = .string(about) }
        let metadata: JSONValue = [
            "name": .string(function), "namespace": .string(namespace),
            "labels": .object(JSONObject(labels.map { ($0.key, .string($0.value)) })),
        ]
        let manifest = try Manifest(json: [
            "apiVersion": "apus.dev/v1", "kind": "Function", "metadata": metadata, "spec": whole,
        ])
        guard case .function(let function) = manifest else { throw ApusError(.internal, "no function") }
        return function
    }

    static func source(
        _ name: String, function: String? = nil, about: String? = nil, labels: [String: String] = [:],
        input: String = "{\"type\": \"object\"}", scopes: [String] = [], more: JSONObject = [:], revision: String = "1",
        namespace: String = "default"
    ) throws -> ToolCatalog.Source {
        var tool: JSONValue = [
            "name": .string(name), "input": .string(input), "scopes": .array(scopes.map { .string($0) }),
        ]
        for member in more { tool[member.name] = member.value }
        let manifest = try Self.function(
            ["tool": tool], function: function ?? name.replacing("_", with: "-"), about: about, labels: labels,
            namespace: namespace)
        return ToolCatalog.Source(manifest: manifest, revision: revision)
    }

    static func server(_ name: String, _ spec: JSONValue) throws -> ToolServerManifest {
        let manifest = try Manifest(json: [
            "apiVersion": "apus.dev/v1", "kind": "ToolServer", "metadata": ["name": .string(name)], "spec": spec,
        ])
        guard case .toolServer(let server) = manifest else { throw ApusError(.internal, "no tool server") }
        return server
    }

    static let secret: [UInt8] = Array(repeating: 7, count: 32)

    static func caller(
        _ name: String = "alice", scopes: Set<String> = [], roles: Set<ToolCaller.Role> = [.caller],
        namespace: Namespace = .default
    ) -> ToolCaller {
        ToolCaller(name: name, namespace: namespace, scopes: scopes, roles: roles)
    }

    /// The names of all items of a list, walked page by page.
    static func walk(_ catalog: ToolCatalog, on server: String? = nil, for caller: ToolCaller) throws -> [String] {
        var names: [String] = []
        var cursor: String?
        repeat {
            let page = try catalog.page(of: .tools, on: server, cursor: cursor, for: caller)
            names += try Self.names(page)
            cursor = page.nextCursor
        } while cursor != nil
        return names
    }

    static func names(_ page: ToolPage) throws -> [String] {
        var json = [UInt8(ascii: "[")]
        json.append(contentsOf: page.items)
        let list = try JSONValue.parse(json + [UInt8(ascii: "]")])
        return (list.array ?? []).compactMap { $0["name"]?.string }
    }
}
