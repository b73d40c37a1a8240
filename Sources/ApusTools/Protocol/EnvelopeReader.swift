internal import ApusCore
internal import ApusJSON

/// Finds the members of a message, while its bytes are lent.
struct EnvelopeReader {
    var id: MessageID?
    var hasID = false
    var method: String?
    var version: JSONSlices.Value?
    var params: JSONSlices.Value?
    var result: JSONSlices.Value?
    var error: JSONSlices.Value?
    var parameters = MessageParameters()
    /// A member that came twice.
    var repeated: String?

    mutating func read(_ document: JSONSlices.Value, in text: UnsafeRawBufferPointer) -> RPCError? {
        guard document.kind == .object else {
            let isBatch = document.kind == .array
            return Self.invalid(isBatch ? "batches of messages are not spoken here" : "the body is no message")
        }
        JSONSlices.forEachMember(of: document, in: text) { name, value in self.take(name, value, text) }
        if let repeated = self.repeated { return Self.invalid("the member '\(repeated)' comes twice") }
        guard let version, JSONSlices.text(of: version, in: text) == "2.0" else {
            return Self.invalid(#"`jsonrpc` must be "2.0""#)
        }
        if self.hasID, self.id == nil { return Self.invalid("`id` must be a string or an integer") }
        if self.result != nil || self.error != nil {
            return self.method == nil && self.id != nil ? nil : Self.invalid("the body is no message")
        }
        guard self.method != nil else { return Self.invalid("`method` is missing or no string") }
        guard let params else { return nil }
        guard params.kind == .object else {
            return RPCError(.invalidParams, "`params` must be an object", status: 400)
        }
        self.parameters.read(params, in: text)
        return self.parameters.repeated.map { Self.invalid("the parameter '\($0)' comes twice") }
    }

    private mutating func take(
        _ name: UnsafeRawBufferPointer, _ value: JSONSlices.Value, _ text: UnsafeRawBufferPointer
    ) {
        if name.isText("jsonrpc") {
            self.note("jsonrpc", self.version != nil)
            self.version = value
        } else if name.isText("id") {
            self.note("id", self.hasID)
            self.hasID = true
            self.id = Self.id(value, text)
        } else if name.isText("method") {
            self.note("method", self.method != nil)
            self.method = JSONSlices.text(of: value, in: text)
        } else if name.isText("params") {
            self.note("params", self.params != nil)
            self.params = value
        } else if name.isText("result") {
            self.note("result", self.result != nil)
            self.result = value
        } else if name.isText("error") {
            self.note("error", self.error != nil)
            self.error = value
        }
    }

    private mutating func note(_ name: String, _ isThere: Bool) { if isThere { self.repeated = name } }

    private static func id(_ value: JSONSlices.Value, _ text: UnsafeRawBufferPointer) -> MessageID? {
        let token = UnsafeRawBufferPointer(rebasing: text[value.range])
        guard token.count <= Limits.Tools.messageIDBytes else { return nil }
        switch value.kind {
        case .string: return MessageID(token: Array(token))
        case .number:
            let isInteger = token.allSatisfy { (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-") }
            return isInteger ? MessageID(token: Array(token)) : nil
        default: return nil
        }
    }

    private static func invalid(_ why: String) -> RPCError { RPCError(.invalidRequest, why, status: 400) }
}
