internal import ApusCore
internal import ApusJSON
internal import ApusSchema

/// What a tool's schemas must be, besides JSON Schemas.
enum ToolSchema {
    struct Problem: Equatable {
        /// Where in the schema, as a JSON pointer.
        var pointer: String
        var message: String
    }

    /// That of a tool without arguments.
    static let nothing = #"{"type":"object","additionalProperties":false}"#

    /// Whether a text of the manifest is a schema itself, not a path to one.
    static func isText(_ text: String) -> Bool {
        text.utf8.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) } == UInt8(ascii: "{")
    }

    /// The same JSON without what stands between its tokens: one line, all tokens as they were written.
    static func compact(_ text: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var isInString = false
        var isEscaped = false
        for byte in text {
            if isInString {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString = false
                }
                result.append(byte)
            } else if ![0x20, 0x09, 0x0A, 0x0D].contains(byte) {
                if byte == UInt8(ascii: "\"") { isInString = true }
                result.append(byte)
            }
        }
        return result
    }

    static func problems(_ text: [UInt8], isInput: Bool) -> [Problem] {
        let schema: JSONValue
        do throws(ApusError) { schema = try JSONValue.parse(text) } catch {
            return [Problem(pointer: "", message: "is no JSON: \(error.message)")]
        }
        guard schema.object != nil else {
            return [Problem(pointer: "", message: "is no JSON Schema, expected a mapping such as {type: object}")]
        }
        do throws(SchemaError) { _ = try CompiledSchema(parsing: text) } catch {
            return [Problem(pointer: error.pointer, message: "cannot be used: \(error.message)")]
        }
        guard isInput else { return [] }
        var problems: [Problem] = []
        if schema["type"] != "object" {
            problems.append(
                Problem(pointer: "", message: "is not about an object, expected `type: object`: arguments have names"))
        }
        return problems + HeaderRules.problems(schema)
    }
}

/// What `x-mcp-header` may say. Clients drop a tool that breaks these rules, without a word.
private struct HeaderRules {
    private var problems: [ToolSchema.Problem] = []
    private var headers: Set<String> = []

    static func problems(_ schema: JSONValue) -> [ToolSchema.Problem] {
        var rules = HeaderRules()
        rules.visit(schema, pointer: "", isReachable: true, depth: 0)
        return rules.problems
    }

    private mutating func visit(_ schema: JSONValue, pointer: String, isReachable: Bool, depth: Int) {
        guard depth < Limits.Manifest.depth else { return }
        if case .array(let elements) = schema {
            for (index, element) in elements.enumerated() {
                self.visit(element, pointer: "\(pointer)/\(index)", isReachable: false, depth: depth + 1)
            }
        }
        guard let object = schema.object else { return }
        if let header = object["x-mcp-header"] { self.check(header, schema, pointer, isReachable && depth > 0) }
        for member in object where !["const", "enum", "default", "examples"].contains(member.name) {
            let place = "\(pointer)/\(Self.escaped(member.name))"
            if member.name == "properties", isReachable, let properties = member.value.object {
                for property in properties {
                    self.visit(
                        property.value, pointer: "\(place)/\(Self.escaped(property.name))", isReachable: true,
                        depth: depth + 1)
                }
            } else {
                self.visit(member.value, pointer: place, isReachable: false, depth: depth + 1)
            }
        }
    }

    private mutating func check(_ header: JSONValue, _ schema: JSONValue, _ pointer: String, _ isReachable: Bool) {
        func fail(_ message: String) {
            self.problems.append(.init(pointer: pointer, message: "has an `x-mcp-header` \(message)"))
        }
        guard let name = header.string, !name.isEmpty, name.utf8.allSatisfy(Self.isTokenByte) else {
            return fail("that is no name of a header, expected letters, digits and -")
        }
        if !isReachable { fail("where no argument is, expected it on a property, reached through `properties` alone") }
        guard ["string", "integer", "boolean"].contains(schema["type"]?.string ?? "") else {
            return fail("on something other than text, expected `type: string`, `integer` or `boolean`")
        }
        if !self.headers.insert(name.lowercased()).inserted {
            fail("`\(name)` for the second time, expected names that differ, not only in case")
        }
    }

    /// A byte of a token of RFC 9110.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    private static func escaped(_ name: String) -> String {
        name.replacing("~", with: "~0").replacing("/", with: "~1")
    }
}
