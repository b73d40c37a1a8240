internal import ApusCore
internal import ApusHTTP
public import ApusJSON
internal import ApusStore

/// The description of all operations, made from their table.
public enum OpenAPI {
    /// Encoded once, at its first use: not on a loop.
    public static let document: [UInt8] = Self.json.encoded()

    /// OpenAPI 3.1.
    public static let json: JSONValue = OpenAPIDocument(Routes.operations).json

    /// The page docs/reference/http.md.
    public static let reference: String = HTTPReference(Routes.operations).text
}

/// Writes the OpenAPI document.
struct OpenAPIDocument {
    let operations: [Operation]

    init(_ operations: [Operation]) { self.operations = operations }

    var json: JSONValue {
        var paths = JSONObject()
        for operation in self.operations {
            self.add(operation, at: operation.path, isInNamespace: false, to: &paths)
            guard operation.isNamespaced else { continue }
            let path = "/v1/namespaces/{ns}/" + operation.path.dropFirst(4)
            self.add(operation, at: path, isInNamespace: true, to: &paths)
        }
        let schemas = JSONObject(Schema.components.map { ($0.name, $0.schema) })
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "Apus", "version": "v1",
                "description": .string(Self.introduction),
                "license": ["name": "Apache-2.0", "identifier": "Apache-2.0"],
            ],
            "servers": [["url": "/"]],
            "security": [["token": []], ["session": []]],
            "tags": .array(OperationDescription.groups.map { ["name": .string($0.name)] }),
            "paths": .object(paths),
            "components": [
                "schemas": .object(schemas),
                "securitySchemes": [
                    "token": [
                        "type": "http", "scheme": "bearer",
                        "description": "What `apus token create` printed, or run/admin.token holds.",
                    ],
                    "session": [
                        "type": "apiKey", "in": "cookie", "name": .string(PresentedCredential.cookie),
                        "description": "Of a browser that used the link of `apus console`; writes need our own Origin.",
                    ],
                ],
            ],
        ]
    }

    private static let introduction = """
        Every path of a namespace exists for the namespace `default` and, below `/v1/namespaces/{ns}`, for the others. Errors are \
        problem details (RFC 9457) with a stable `code`, except those that the HTTP library gives before a request is whole: see \
        docs/operating/http.md.
        """

    private func add(_ operation: Operation, at path: String, isInNamespace: Bool, to paths: inout JSONObject) {
        // A parameter for the rest of a path is to OpenAPI one like the others.
        let key = path.replacing("...}", with: "}")
        var item = paths[key]?.object ?? JSONObject()
        for method in operation.describedMethods {
            var id = operation.id + (isInNamespace ? "InNamespace" : "")
            if operation.method == "*" { id += "By\(method.prefix(1))\(method.dropFirst().lowercased())" }
            item[method.lowercased()] = self.described(operation, id: id, path: key)
        }
        paths[key] = .object(item)
    }

    private func described(_ operation: Operation, id: String, path: String) -> JSONValue {
        // A test holds the descriptions complete; a server must not end because of one.
        let description = OperationDescription.of(operation) ?? OperationDescription(answers: [])
        let group = OperationDescription.groups.first { $0.descriptions[operation.id] != nil }
        var json: JSONValue = [
            "operationId": .string(id), "summary": .string(operation.summary),
            "tags": .array(group.map { [.string($0.name)] } ?? []),
        ]
        if !description.details.isEmpty { json["description"] = .string(description.details) }
        let parameters = Self.pathParameters(path, description) + description.parameters.filter { $0.place != .path }
        if !parameters.isEmpty { json["parameters"] = .array(parameters.map(\.json)) }
        if !description.body.isEmpty {
            json["requestBody"] = [
                "required": .boolean(!description.isBodyOptional), "content": Self.contents(description.body),
            ]
        }
        json["responses"] = Self.responses(description, of: operation)
        if operation.access == .open { json["security"] = [] }
        json["x-apus-access"] = .string(operation.access.sentence)
        if description.isEndless { json["x-apus-endless"] = true }
        return json
    }

    /// The parameters that the path names, with what the description says of them or else what all of that name are.
    static func pathParameters(_ path: String, _ description: OperationDescription) -> [OperationDescription.Parameter]
    {
        path.split(separator: "/").filter { $0.hasPrefix("{") }.map { part in
            let name = String(part.dropFirst().dropLast())
            if let own = description.parameters.first(where: { $0.place == .path && $0.name == name }) { return own }
            switch name {
            case "ns": return .path(name, Schema.text("default", pattern: Schema.labelPattern), "The namespace.")
            case "topic":
                let schema = Schema.text("documents", pattern: "^[A-Za-z0-9._-]{1,249}$")
                return .path(name, schema, "The topic's name in its namespace.")
            case "name": return .path(name, Schema.label, "The name in its namespace.")
            case "partition", "offset": return .path(name, Schema.text("0", pattern: "^[0-9]{1,18}$"), "Its number.")
            default: return .path(name, Schema.text("0", pattern: "^.+$"), "As lists show it.")
            }
        }
    }

    private static func contents(_ contents: [OperationDescription.Content]) -> JSONValue {
        var json = JSONObject()
        for content in contents {
            var form = JSONObject()
            if let schema = content.schema { form["schema"] = schema }
            if let example = content.example { form["example"] = example }
            json[content.mediaType] = .object(form)
        }
        return .object(json)
    }

    private static func responses(_ description: OperationDescription, of operation: Operation) -> JSONValue {
        var json = JSONObject()
        for answer in description.answers {
            var response: JSONValue = ["description": .string(answer.summary)]
            if !answer.headers.isEmpty {
                response["headers"] = .object(
                    JSONObject(
                        answer.headers.map {
                            ($0.name, ["description": .string($0.summary), "schema": Schema.text])
                        }))
            }
            if !answer.contents.isEmpty { response["content"] = Self.contents(answer.contents) }
            json[String(answer.status)] = response
        }
        for (status, codes) in description.errors(of: operation) {
            let problem: JSONValue = [
                "schema": [
                    "allOf": [
                        Schema.named("Problem"),
                        ["properties": ["code": Schema.oneOf(codes.map(\.rawValue))]],
                    ]
                ]
            ]
            // A status may be an answer and an error, as 503 is of a server that is not ready.
            var response =
                json[String(status)] ?? ["description": .string(codes.map(\.rawValue).joined(separator: ", "))]
            var content = response["content"] ?? [:]
            content[Problem.mediaType] = problem
            response["content"] = content
            json[String(status)] = response
        }
        return .object(json)
    }
}

extension OperationDescription.Parameter {
    var json: JSONValue {
        [
            "name": .string(self.name), "in": .string(self.place.rawValue), "required": .boolean(self.isRequired),
            "description": .string(self.summary), "schema": self.schema,
        ]
    }
}

extension Operation {
    /// The methods that a description names.
    var describedMethods: [String] {
        self.method == "*" ? ["GET", "POST", "PUT", "PATCH", "DELETE"] : [self.method]
    }
}

extension Access {
    /// For people.
    var sentence: String {
        let roles = self.roles.map(\.rawValue).joined(separator: ", ")
        return switch self {
        case .open: "anybody"
        case .authenticated: "any token"
        case .inNamespace: "\(roles) in the namespace"
        case .server: "\(roles) in the namespace *"
        case .decidedByRequest: "what is asked for says it"
        }
    }
}
