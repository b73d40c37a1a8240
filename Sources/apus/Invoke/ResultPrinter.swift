internal import ApusCore
internal import ApusJSON

/// Prints what a function answers: for programs byte for byte as it comes, for people by what it is.
final class ResultPrinter {
    private enum Form {
        /// The bytes as they are.
        case raw
        /// Held until the end: a value that `--output` gives another form.
        case value([UInt8])
        /// Held until the end: one JSON text, which is indented.
        case json([UInt8])
        /// A JSON text a line, each shown as it comes.
        case lines(LineSplitter)
        /// What no media type tells: the first bytes decide.
        case undecided
        /// Text as it comes; what waits is a character that is not whole.
        case text([UInt8])
        /// Kept off the terminal; so many bytes.
        case binary(Int)
    }

    private let context: CommandContext
    private var form = Form.raw
    private var mediaType = ""
    private var lastByte: UInt8 = 0x0A

    init(_ context: CommandContext) { self.context = context }

    private var isForPeople: Bool { self.context.terminal.isInteractive && self.context.output == .table }
    private var json: JSONText { JSONText(paint: self.context.paint) }

    /// The head of the answer; before anything else.
    func begin(_ head: APIResponse) {
        self.mediaType = head.mediaType
        if self.context.output != .table {
            self.form = .value([])
        } else if !self.isForPeople {
            self.form = .raw
        } else if self.mediaType == "application/x-ndjson" {
            self.form = .lines(LineSplitter(lineBytes: Limits.Commands.answerLineBytes))
        } else if self.mediaType == "application/json" || self.mediaType.hasSuffix("+json") {
            self.form = .json([])
        } else {
            self.form = .undecided
        }
    }

    /// The next bytes.
    func take(_ bytes: [UInt8]) throws {
        guard !bytes.isEmpty else { return }
        switch self.form {
        case .raw: try self.context.terminal.write(bytes)
        case .value(let held): self.form = .value(try Self.join(held, bytes))
        case .json(let held): self.form = .json(try Self.join(held, bytes))
        case .lines(var lines):
            for line in try lines.take(bytes) { try self.show(line: line) }
            self.form = .lines(lines)
        case .undecided:
            self.form = Self.isText(bytes) ? .text([]) : .binary(0)
            try self.take(bytes)
        case .text(let waiting):
            let all = waiting + bytes
            let whole = Self.wholeCharacters(all)
            try self.write(SafeText.of(String(decoding: all[..<whole], as: UTF8.self)))
            self.form = .text(Array(all[whole...]))
        case .binary(let count): self.form = .binary(count + bytes.count)
        }
    }

    /// Nothing more comes.
    func finish() throws {
        switch self.form {
        case .raw, .undecided: return
        case .value(let held):
            let value: JSONValue
            do throws(ApusError) { value = try JSONValue.parse(held, refusesDuplicates: false) } catch {
                // What is not JSON is shown as it is.
                return try self.finish(bytes: held)
            }
            return try self.context.show(value) { "" }
        case .json(let held):
            guard let text = self.json.of(held) else { return try self.finish(bytes: held) }
            try self.write(text)
        case .lines(var lines): if let last = lines.finish() { try self.show(line: last) }
        case .text(let waiting): try self.write(SafeText.of(String(decoding: waiting, as: UTF8.self)))
        case .binary(let count):
            let type = self.mediaType.isEmpty ? "" : " of \(self.mediaType)"
            self.context.note(
                "the result is \(count) bytes\(type), which no terminal can show: send them to a file with '> FILE'")
        }
        // The line break that a text lacks.
        if self.lastByte != 0x0A { try self.context.terminal.write("\n") }
    }

    private func finish(bytes: [UInt8]) throws {
        guard !bytes.isEmpty else { return }
        self.form = self.context.terminal.isInteractive ? .undecided : .raw
        try self.take(bytes)
        try self.finish()
    }

    private func show(line: [UInt8]) throws {
        try self.write(
            (self.json.of(line, isIndented: false) ?? SafeText.of(String(decoding: line, as: UTF8.self))) + "\n")
    }

    private func write(_ text: String) throws {
        guard let last = text.utf8.last else { return }
        self.lastByte = last
        try self.context.terminal.write(text)
    }

    private static func join(_ held: [UInt8], _ bytes: [UInt8]) throws(ApusError) -> [UInt8] {
        guard held.count + bytes.count <= Limits.resultBytes else {
            throw ApusError(
                .resultTooLarge, "the result has more than \(Limits.resultBytes) bytes: send it to a file with '> FILE'"
            )
        }
        return held + bytes
    }

    /// Whether bytes begin a text: characters without zeros, the last of which may be cut.
    private static func isText(_ bytes: [UInt8]) -> Bool {
        let head = bytes[..<Self.wholeCharacters(bytes)]
        return !head.contains(0) && String(validating: head, as: UTF8.self) != nil
    }

    /// How many bytes are left without a last character that is not whole.
    private static func wholeCharacters(_ bytes: [UInt8]) -> Int {
        for back in 1...3 where back <= bytes.count {
            let byte = bytes[bytes.count - back]
            guard byte & 0xC0 != 0x80 else { continue }
            let length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
            return length > back ? bytes.count - back : bytes.count
        }
        return bytes.count
    }
}
