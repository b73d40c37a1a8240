/// One header line of a message.
public struct HTTPHeader: Sendable, Equatable {
    public let name: String
    public let value: String

    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }

    /// Names compare without case.
    public func isNamed(_ name: String) -> Bool { self.name.lowercased() == name.lowercased() }
}
