internal import ApusCore
internal import ApusEngine

/// What a record says that the log found to be no valid event.
enum InvalidEvent {
    private static let header = Array(InternalHeader.invalid.utf8)

    static func failure(_ block: UnsafeRawBufferPointer) -> Failure {
        var reason = "the record is no valid event"
        // Attributes that cannot be walked do not say why.
        try? EventLayout(parsing: block.bytes).forEachAttribute(in: block.bytes) { name, kind, value in
            guard kind == Attribute.Kind.header.rawValue, block[name].elementsEqual(Self.header) else { return true }
            reason = "the record is no valid event: " + String(decoding: block[value], as: UTF8.self)
            return false
        }
        return Failure(.invalidEvent, clipped(reason, to: Limits.Host.messageBytes))
    }
}
