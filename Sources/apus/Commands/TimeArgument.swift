internal import ApusCore
internal import ApusStore

/// A moment given to a command: a time, or how long ago.
enum TimeArgument {
    /// - Throws: usage, naming the option.
    static func parse(_ text: String, _ option: String, now: Timestamp) throws(UsageError) -> Timestamp {
        if let time = RFC3339.parse(text) { return time }
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
        guard let unit = text.last.flatMap({ units[$0] }), let count = Int64(text.dropLast()), count >= 0,
            count <= Limits.Commands.sinceSeconds / unit
        else {
            throw UsageError(
                "\(option) is '\(text)'; expected how long ago (90s, 10m, 2h, 1d) or a time like 2026-03-01T12:00:00Z")
        }
        return now + .seconds(-count * unit)
    }
}

extension CommandContext {
    /// The moment that an option names, as the server's API takes it; nil without the option.
    func moment(_ option: String) throws(UsageError) -> String? {
        guard let text = self.arguments[option] else { return nil }
        return RFC3339.format(try TimeArgument.parse(text, option, now: self.terminal.now))
    }
}
