/// The id of a request, as the very text it was sent as: it is echoed, never read as a number.
public struct MessageID: Sendable, Hashable {
    /// A JSON string with its quotes, or an integer.
    public let token: [UInt8]

    public init(token: [UInt8]) { self.token = token }

    /// One of ours, for requests to a client.
    public init(text: String) { self.token = Array("\"\(text)\"".utf8) }

    static let null = Array("null".utf8)
}
