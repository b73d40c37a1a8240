internal import ApusCore

/// A command line after parsing: every value is of an option or positional that the command's description names.
struct ParsedArguments: Equatable {
    private var values: [String: [String]] = [:]
    private var flags: Set<String> = []

    mutating func add(_ name: String, _ value: String) { self.values[name, default: []].append(value) }
    mutating func set(_ flag: String) { self.flags.insert(flag) }

    /// The last value of an option (`--data`) or the value of a positional (`TOPIC`).
    subscript(name: String) -> String? { self.values[name]?.last }
    func all(_ name: String) -> [String] { self.values[name] ?? [] }
    func has(_ flag: String) -> Bool { self.flags.contains(flag) }

    /// A number within bounds; nil when the option was not given.
    func integer(_ name: String, in range: ClosedRange<Int>) throws(UsageError) -> Int? {
        guard let text = self[name] else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw UsageError(
                "\(name) is '\(text)', but a number from \(range.lowerBound) to \(range.upperBound) is expected")
        }
        return number
    }
}

/// The command line is not one that can be run. Exit code 2.
struct UsageError: Error, Equatable {
    var message: String

    init(_ message: String) { self.message = message }
}
