/// One of the five fields of a cron line: what it may hold, and how it is read.
struct CronField {
    let name: String
    let range: ClosedRange<Int>
    /// Names of the values from the lowest on.
    let names: [String]

    static let minute = CronField(name: "minute", range: 0...59, names: [])
    static let hour = CronField(name: "hour", range: 0...23, names: [])
    static let day = CronField(name: "day of the month", range: 1...31, names: [])
    static let month = CronField(
        name: "month", range: 1...12,
        names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])
    /// 7 is Sunday too.
    static let weekday = CronField(
        name: "day of the week", range: 0...7, names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"])

    /// The values that a list of items names, a bit for each.
    func values(_ text: Substring) throws(CronError) -> UInt64 {
        var bits: UInt64 = 0
        for item in text.split(separator: ",", omittingEmptySubsequences: false) { bits |= try self.item(item) }
        return bits
    }

    /// `*`, `5`, `1-5`, `*/10`, `0-30/10`, `mon-fri`.
    private func item(_ text: Substring) throws(CronError) -> UInt64 {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let body = parts.first, !body.isEmpty else { throw self.wrong("is empty in `\(text)`", self.expected) }
        let ends: ClosedRange<Int>
        if body == "*" {
            ends = self.range
        } else {
            let words = body.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
            let first = try self.value(words[0])
            let last = words.count == 2 ? try self.value(words[1]) : first
            guard first <= last else {
                throw self.wrong("`\(body)` ends before it starts", "two ranges, or a list such as fri,sat,sun")
            }
            ends = first...last
            if parts.count == 2, words.count == 1 {
                throw self.wrong(
                    "`\(text)` has a step and no range",
                    "`\(body)-\(self.range.upperBound)/\(parts[1])` or `*/\(parts[1])`")
            }
        }
        var step = 1
        if parts.count == 2 {
            guard let number = Self.number(parts[1]), number >= 1, number <= self.range.upperBound else {
                throw self.wrong("has the step `\(parts[1])`", "1 to \(self.range.upperBound)")
            }
            step = number
        }
        return stride(from: ends.lowerBound, through: ends.upperBound, by: step).reduce(0) { $0 | 1 << UInt64($1) }
    }

    private func value(_ text: Substring) throws(CronError) -> Int {
        let lower = text.lowercased()
        if let place = self.names.firstIndex(of: lower) { return place + self.range.lowerBound }
        if let number = Self.number(text), self.range.contains(number) { return number }
        // What other schedulers know: told apart, since the line may be right elsewhere.
        if lower == "?" { throw self.wrong("is `?`, which is not supported", "`*`") }
        if lower.contains("#") || ["l", "w", "lw"].contains(lower)
            || (Self.number(text.dropLast()) != nil && "LWlw".contains(text.suffix(1)))
        {
            throw self.wrong("is `\(text)`: L, W and # are not supported", self.expected)
        }
        throw self.wrong("is `\(text)`", self.expected)
    }

    private var expected: String {
        "\(self.range.lowerBound) to \(self.range.upperBound)"
            + (self.names.isEmpty ? "" : ", or \(self.names[0]) to \(self.names[self.names.count - 1])")
    }

    private func wrong(_ what: String, _ expected: String) -> CronError {
        CronError(message: "the \(self.name) \(what), expected \(expected)")
    }

    private static func number(_ text: Substring) -> Int? {
        guard (1...2).contains(text.utf8.count),
            text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
        else { return nil }
        return Int(text)
    }
}

/// Why a text is no cron line.
public struct CronError: Error, Sendable, Equatable {
    /// What is wrong and what was expected.
    public let message: String
}
