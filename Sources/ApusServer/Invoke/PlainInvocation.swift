internal import ApusCore
internal import ApusHTTP

/// The event of an invocation whose request says nothing of events: a body, perhaps its media type. Most are such, and their
/// block is written without building the event.
///
/// It takes only what ``CloudEventDecoder`` would take, and makes the block that the decoded event encodes to; everything else,
/// what is wrong included, is left to that.
struct PlainInvocation {
    /// The event comes from a trace, or may.
    private(set) var isTraced = false
    private var isPlain = true
    private var type: UnsafeRawBufferPointer?

    /// - Returns: nil for what it does not take. The type lies in the library's buffer: it is used before the handler returns.
    init?(_ exchange: HTTPExchange) {
        var head = Self()
        exchange.forEachHeader { head.add($0, $1) }
        guard head.isPlain else { return nil }
        self = head
    }

    init() {}

    /// Takes one header line.
    mutating func add(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        if name.hasPrefix(ignoringCase: "ce-") || name.equals(ignoringCase: "apus-key")
            || name.equals(ignoringCase: "prefer") || name.equals(ignoringCase: "apus-timeout")
        {
            self.isPlain = false
        } else if name.equals(ignoringCase: "traceparent") {
            self.isTraced = true
        } else if name.equals(ignoringCase: "content-type") {
            self.type = value
            self.isPlain = self.isPlain && Self.isPlain(type: value)
        }
    }

    /// Of data and nothing else, in visible characters.
    private static func isPlain(type: UnsafeRawBufferPointer) -> Bool {
        guard !type.isEmpty, type.count <= Limits.Server.plainTypeBytes else { return false }
        return type.allSatisfy { $0 >= 0x20 && $0 < 0x7F } && !type.contains(ignoringCase: "cloudevents")
    }

    /// - Returns: nil for more than an event may have.
    func block(_ identity: String, body: [UInt8]) -> [UInt8]? {
        guard self.isPlain, body.count <= Limits.eventBytes - Limits.Server.plainTypeBytes - Self.attributesRoom else {
            return nil
        }
        let type = self.type.map { EventBlock.attributeHeadBytes + Self.typeName.utf8CodeUnitCount + $0.count } ?? 0
        let attributes = EventBlock.attributeHeadBytes + 2 + identity.utf8.count + Self.origin.count + type
        // Without a type an empty body is no data; with one it is data of no bytes.
        let isNull = body.isEmpty && self.type == nil
        var block: [UInt8] = []
        block.reserveCapacity(EventBlock.headBytes + attributes + body.count)
        EventBlock.appendHead(key: nil, attributes: attributes, data: body.count, isNull: isNull, to: &block)
        Self.append("id", .string, identity, to: &block)
        block.append(contentsOf: Self.origin)
        if let type = self.type { EventBlock.appendAttribute(Self.typeName, .string, type, to: &block) }
        block.append(contentsOf: body)
        return block
    }

    private static let typeName: StaticString = "datacontenttype"
    static let source = "/apus/http"
    static let eventType = "dev.apus.invoke"
    private static let attributesRoom = 256

    /// What all of them have between the id and the type of the data.
    private static let origin: [UInt8] = {
        var bytes: [UInt8] = []
        append("source", .uriReference, source, to: &bytes)
        append("type", .string, eventType, to: &bytes)
        return bytes
    }()

    private static func append(
        _ name: StaticString, _ kind: Attribute.Kind, _ value: String, to bytes: inout [UInt8]
    ) {
        var value = value
        value.withUTF8 { EventBlock.appendAttribute(name, kind, UnsafeRawBufferPointer($0), to: &bytes) }
    }
}
