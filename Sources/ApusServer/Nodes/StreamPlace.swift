/// The id of an event of a session's stream: of which server's part of the session, which stream there, which event of it.
struct StreamPlace: Sendable, Equatable {
    var tag: String
    var stream: Int
    /// 0 before the first.
    var event: Int

    init(tag: String, stream: Int, event: Int) {
        self.tag = tag
        self.stream = stream
        self.event = event
    }

    /// - Returns: nil for what is no such id.
    init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[0].isEmpty, parts[0].utf8.count <= 64, let stream = Int(parts[1]),
            let event = Int(parts[2]), stream >= 0, event >= 0
        else { return nil }
        self.init(tag: String(parts[0]), stream: stream, event: event)
    }

    var text: String { "\(self.tag)-\(self.stream)-\(self.event)" }
}
