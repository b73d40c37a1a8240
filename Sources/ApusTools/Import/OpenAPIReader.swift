internal import ApusCore
internal import ApusJSON
internal import ApusSchema

/// Goes through the paths of a description and makes a tool of each operation.
struct OpenAPIReader {
    private static let methods = ["get", "put", "post", "delete", "options", "head", "patch"]

    private let document: OpenAPIDocument
    private let server: String?
    private let prefix: String
    private var toolNames = ImportedNames()
    private var functionNames = ImportedNames()
    private(set) var tools: [ImportedTool] = []
    private(set) var notes: [String] = []
    private(set) var secrets: [(name: String, holds: String)] = []

    init(_ document: OpenAPIDocument, server: String?, prefix: String) {
        self.document = document
        self.server = server
        self.prefix = prefix
    }

    /// - Throws: `import_failed` past the bound.
    mutating func read() throws(ApusError) {
        for path in self.document.root["paths"]?.object ?? [:] where path.name.hasPrefix("/") {
            let item: JSONValue
            do throws(ImportProblem) { item = try self.document.resolved(path.value) } catch {
                self.notes.append("\(path.name): \(error.message)")
                continue
            }
            for method in Self.methods {
                guard let operation = item[method] else { continue }
                guard self.tools.count < Limits.Import.operations else {
                    throw ApusError(
                        .importFailed,
                        "the description has more than \(Limits.Import.operations) operations; import a part of it")
                }
                do throws(ImportProblem) {
                    self.tools.append(try self.tool(method, path.name, operation, item))
                } catch {
                    self.notes.append("\(method.uppercased()) \(path.name): \(error.message)")
                }
            }
        }
    }

    private mutating func tool(
        _ method: String, _ path: String, _ operation: JSONValue, _ item: JSONValue
    ) throws(ImportProblem) -> ImportedTool {
        var schemas = OpenAPISchemas(self.document)
        let server = try self.server(operation, item)
        var parameters = try self.parameters(operation, item, path, &schemas)
        var body: ImportedBody?
        if let request = operation["requestBody"] {
            body = try ImportedBody(try self.document.resolved(request), &schemas)
        }
        var names = ImportedNames()
        for index in parameters.indices {
            let plain = ImportedNames.plain(parameters[index].argument)
            parameters[index].argument = names.unique(plain, separator: "_", most: Limits.Tools.nameCharacters)
        }
        if body != nil { body?.argument = names.unique("body", separator: "_", most: Limits.Tools.nameCharacters) }
        try schemas.finish()
        let input = try self.input(parameters, body, schemas.definitions)
        let credentials = try self.credentials(operation)
        let called = operation["operationId"]?.string ?? "\(method) \(path)"
        // Names are given only to what becomes a tool, so that none is skipped.
        let tool = self.toolNames.unique(
            ToolName(ImportedNames.plain(self.prefix.isEmpty ? called : "\(self.prefix)_\(called)")).text,
            separator: "_",
            most: Limits.Tools.nameCharacters)
        let name = self.functionNames.unique(
            ImportedNames.label(self.prefix.isEmpty ? called : "\(self.prefix)-\(called)"), separator: "-",
            most: Limits.labelBytes)
        self.notes += schemas.notes.map { "\(tool): \($0)" }
        return ImportedTool(
            tool: ToolName(tool), name: name, description: self.description(operation, method, path),
            method: method.uppercased(), server: server, path: path, parameters: parameters, body: body,
            credentials: credentials, input: input, labels: ["api": ImportedNames.label(self.document.title)])
    }

    private func description(_ operation: JSONValue, _ method: String, _ path: String) -> String {
        var parts: [String] = []
        if operation["deprecated"] == true { parts.append("Deprecated.") }
        for name in ["summary", "description"] {
            if let text = operation[name]?.string, !parts.contains(text) { parts.append(text) }
        }
        let text = ImportedText.shortened(parts.joined(separator: "\n"))
        return text.isEmpty ? "\(method.uppercased()) \(path)" : text
    }

    // MARK: server

    private func server(_ operation: JSONValue, _ item: JSONValue) throws(ImportProblem) -> ImportedServer {
        if let server = self.server { return try ImportedServer(server) }
        guard let entry = operation["servers"]?[0] ?? item["servers"]?[0] ?? self.document.root["servers"]?[0] else {
            throw ImportProblem("names no server; say it with --server")
        }
        var url = entry["url"]?.string ?? ""
        for variable in entry["variables"]?.object ?? [:] {
            url = url.replacing("{\(variable.name)}", with: variable.value["default"]?.string ?? "")
        }
        return try ImportedServer(url)
    }

    // MARK: parameters

    /// Those of the path and of the operation, which wins where both name one.
    private func parameters(
        _ operation: JSONValue, _ item: JSONValue, _ path: String, _ schemas: inout OpenAPISchemas
    ) throws(ImportProblem) -> [ImportedParameter] {
        var values: [(key: String, value: JSONValue)] = []
        for value in (item["parameters"]?.array ?? []) + (operation["parameters"]?.array ?? []) {
            let value = try self.document.resolved(value)
            let key = "\(value["in"]?.string ?? "") \(value["name"]?.string ?? "")"
            if let known = values.firstIndex(where: { $0.key == key }) {
                values[known].value = value
            } else {
                values.append((key, value))
            }
        }
        var parameters: [ImportedParameter] = []
        for (_, value) in values {
            if let parameter = try ImportedParameter(value, &schemas) { parameters.append(parameter) }
        }
        for name in Self.placeholders(path) where !parameters.contains(where: { $0.place == .path && $0.name == name })
        {
            throw ImportProblem("has {\(name)} in its path, which no parameter describes")
        }
        return parameters
    }

    private static func placeholders(_ path: String) -> [String] {
        path.split(separator: "{").dropFirst().compactMap { part in
            part.firstIndex(of: "}").map { String(part[..<$0]) }
        }
    }

    // MARK: arguments

    private func input(
        _ parameters: [ImportedParameter], _ body: ImportedBody?, _ definitions: JSONObject
    ) throws(ImportProblem) -> JSONValue {
        var properties = JSONObject()
        for parameter in parameters { properties[parameter.argument] = parameter.schema }
        if let body { properties[body.argument] = body.schema }
        let required =
            parameters.filter(\.isRequired).map(\.argument)
            + (body?.isRequired == true ? [body?.argument] : []).compactMap(\.self)
        var input: JSONObject = ["type": "object"]
        if !properties.isEmpty { input["properties"] = .object(properties) }
        if !required.isEmpty { input["required"] = .array(required.map { .string($0) }) }
        input["additionalProperties"] = false
        if !definitions.isEmpty { input["$defs"] = .object(definitions) }
        var schema = JSONValue.object(input)
        if schema.encoded().count > Limits.Import.schemaBytes { schema = Self.withoutTexts(schema) }
        let bytes = schema.encoded()
        guard bytes.count <= Limits.Import.schemaBytes else {
            throw ImportProblem("takes a schema of \(bytes.count) bytes, more than \(Limits.Import.schemaBytes)")
        }
        do throws(SchemaError) { _ = try CompiledSchema(parsing: bytes) } catch {
            throw ImportProblem("has a schema that cannot be used: \(error)")
        }
        return schema
    }

    /// A schema without what explains it, for one that is too large with it.
    private static func withoutTexts(_ value: JSONValue) -> JSONValue {
        switch value {
        case .array(let elements): return .array(elements.map { Self.withoutTexts($0) })
        case .object(let object):
            return .object(
                JSONObject(
                    object.filter { member in
                        // A property may be called so too, and has a schema then.
                        !(member.name == "description" && member.value.string != nil)
                            && !(member.name == "examples" && member.value.array != nil)
                    }.map { ($0.name, Self.withoutTexts($0.value)) }))
        default: return value
        }
    }

    // MARK: credentials

    /// Of the ways to prove oneself that the operation offers, the first that can be had here.
    private mutating func credentials(_ operation: JSONValue) throws(ImportProblem) -> [ImportedCredential] {
        guard let ways = (operation["security"] ?? self.document.root["security"])?.array, !ways.isEmpty else {
            return []
        }
        var problem = ImportProblem("asks for credentials that cannot be had")
        for way in ways {
            do throws(ImportProblem) {
                var credentials: [ImportedCredential] = []
                for scheme in way.object ?? [:] { credentials.append(try self.credential(scheme.name)) }
                return credentials
            } catch { problem = error }
        }
        throw problem
    }

    private mutating func credential(_ scheme: String) throws(ImportProblem) -> ImportedCredential {
        guard let named = self.document.root["components"]?["securitySchemes"]?[scheme] else {
            throw ImportProblem("asks for the credentials `\(scheme)`, which are not described")
        }
        let value = try self.document.resolved(named)
        let secret = ImportedNames.secret(self.prefix.isEmpty ? self.document.title : self.prefix, scheme)
        let name = value["name"]?.string ?? ""
        let (place, holds): (ImportedCredential.Place, String) =
            switch (value["type"]?.string, value["scheme"]?.string?.lowercased(), value["in"]?.string) {
            case ("http", "basic", _): (.header("Authorization", prefix: "Basic "), "base64 of USER:PASSWORD")
            case ("http", _, _), ("oauth2", _, _), ("openIdConnect", _, _):
                (.header("Authorization", prefix: "Bearer "), "a bearer token")
            case ("apiKey", _, "header"): (.header(name, prefix: ""), "the key for the header \(name)")
            case ("apiKey", _, "cookie"): (.cookie(name), "the value of the cookie \(name)")
            case ("apiKey", _, "query"): (.query(name), "the key for \(name) in the query")
            default: throw ImportProblem("asks for the credentials `\(scheme)`, of a kind that cannot be had here")
            }
        if !self.secrets.contains(where: { $0.name == secret }) { self.secrets.append((secret, holds)) }
        return ImportedCredential(secret: secret, place: place)
    }
}
