public import ApusJSON

/// What a client can be asked for while its request is answered.
public struct ClientCapabilities: OptionSet, Sendable, Hashable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let elicitationForm = ClientCapabilities(rawValue: 1)
    public static let elicitationURL = ClientCapabilities(rawValue: 2)
    public static let sampling = ClientCapabilities(rawValue: 4)
    public static let samplingTools = ClientCapabilities(rawValue: 8)
    public static let roots = ClientCapabilities(rawValue: 16)
    public static let tasks = ClientCapabilities(rawValue: 32)

    public static let tasksName = "io.modelcontextprotocol/tasks"

    /// Reads the object that a client declares them in.
    init(_ object: JSONSlices.Value, in text: UnsafeRawBufferPointer) {
        var found: ClientCapabilities = []
        JSONSlices.forEachMember(of: object, in: text) { name, value in
            guard value.kind == .object else { return }
            if name.isText("elicitation") {
                found.formUnion(Self.elicitation(value, in: text))
            } else if name.isText("sampling") {
                found.insert(.sampling)
                if Self.has("tools", in: value, text) { found.insert(.samplingTools) }
            } else if name.isText("roots") {
                found.insert(.roots)
            } else if name.isText("extensions"), Self.has(Self.tasksName, in: value, text) {
                found.insert(.tasks)
            }
        }
        self = found
    }

    /// One that names no mode takes forms.
    private static func elicitation(_ object: JSONSlices.Value, in text: UnsafeRawBufferPointer) -> ClientCapabilities {
        var found: ClientCapabilities = []
        if self.has("form", in: object, text) { found.insert(.elicitationForm) }
        if self.has("url", in: object, text) { found.insert(.elicitationURL) }
        return found.isEmpty ? .elicitationForm : found
    }

    private static func has(_ name: String, in object: JSONSlices.Value, _ text: UnsafeRawBufferPointer) -> Bool {
        var has = false
        JSONSlices.forEachMember(of: object, in: text) {
            has = has || $0.elementsEqual(name.utf8) && $1.kind == .object
        }
        return has
    }

    /// As a client would declare them.
    public var json: [UInt8] {
        var parts: [String] = []
        if self.contains(.elicitationURL) {
            parts.append(
                self.contains(.elicitationForm) ? #""elicitation":{"form":{},"url":{}}"# : #""elicitation":{"url":{}}"#)
        } else if self.contains(.elicitationForm) {
            parts.append(#""elicitation":{}"#)
        }
        if self.contains(.sampling) || self.contains(.samplingTools) {
            parts.append(self.contains(.samplingTools) ? #""sampling":{"tools":{}}"# : #""sampling":{}"#)
        }
        if self.contains(.roots) { parts.append(#""roots":{}"#) }
        if self.contains(.tasks) { parts.append(#""extensions":{"\#(Self.tasksName)":{}}"#) }
        return Array(("{" + parts.joined(separator: ",") + "}").utf8)
    }

    private static let known: [(ClientCapabilities, String)] = [
        (.elicitationForm, "elicitation"), (.elicitationURL, "elicitation.url"), (.sampling, "sampling"),
        (.samplingTools, "sampling.tools"), (.roots, "roots"), (.tasks, "tasks"),
    ]

    /// As functions and people read them.
    public var names: [String] { Self.known.filter { self.contains($0.0) }.map(\.1) }

    /// - Parameter names: separated by blanks; what is not known counts for nothing.
    public init(names: String) {
        let said = Set(names.split(separator: " ").map(String.init))
        self = Self.known.reduce(into: []) { if said.contains($1.1) { $0.insert($1.0) } }
    }
}

extension UnsafeRawBufferPointer {
    /// Whether these bytes are that text.
    func isText(_ text: StaticString) -> Bool {
        self.count == text.utf8CodeUnitCount
            && self.elementsEqual(UnsafeBufferPointer(start: text.utf8Start, count: self.count))
    }
}

extension Envelope {
    /// What a client declares in an object of this message.
    public func capabilities(_ object: JSONSlices.Value) -> ClientCapabilities {
        self.body.withUnsafeBytes { ClientCapabilities(object, in: $0) }
    }
}
