/// Writes the text that browsers and agents read as `text/event-stream`.
public enum ServerSentEvent {
    public static let mediaType = "text/event-stream"
    /// Keeps proxies from closing a quiet stream; readers ignore it.
    public static let keepAlive: [UInt8] = Array(":\n\n".utf8)

    /// Headers of an answer that is such a stream.
    public static let headers = [
        ("Content-Type", mediaType), ("Cache-Control", "no-store"), ("X-Accel-Buffering", "no"),
    ]

    /// - Parameters:
    ///   - data: any text; each of its lines becomes a `data:` line, and the reader joins them again.
    ///   - event, id: one line each; what comes after a line break is left out, since it would be read as another field.
    public static func encode(data: some Collection<UInt8>, event: String? = nil, id: String? = nil) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(data.count + 32)
        if let event { Self.append("event", event, to: &bytes) }
        if let id { Self.append("id", id, to: &bytes) }
        bytes.append(contentsOf: "data: ".utf8)
        var isAfterReturn = false
        for byte in data {
            // CR, LF and CR LF all end a line for the reader.
            if byte == 0x0D || (byte == 0x0A && !isAfterReturn) { bytes.append(contentsOf: "\ndata: ".utf8) }
            if byte != 0x0D, byte != 0x0A { bytes.append(byte) }
            isAfterReturn = byte == 0x0D
        }
        bytes.append(contentsOf: "\n\n".utf8)
        return bytes
    }

    private static func append(_ field: String, _ value: String, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "\(field): ".utf8)
        bytes.append(contentsOf: value.utf8.prefix { $0 != 0x0A && $0 != 0x0D && $0 != 0 })
        bytes.append(0x0A)
    }
}
