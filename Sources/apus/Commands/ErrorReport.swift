internal import ApusCore
internal import ApusJSON

/// What an error says on standard error, and the exit code it becomes.
struct ErrorReport {
    let code: ErrorCode
    let message: String
    let exitCode: Int32
    let asJSON: Bool
    private let isSilent: Bool

    init(_ error: any Error, asJSON: Bool) {
        self.asJSON = asJSON
        self.isSilent = error is TerminalClosed
        switch error {
        case let error as UsageError: (self.code, self.message, self.exitCode) = (.invalidArgument, error.message, 2)
        case let error as ApusError:
            (self.code, self.message, self.exitCode) = (error.code, error.message, Self.exitCode(error.code))
        case is TerminalClosed: (self.code, self.message, self.exitCode) = (.cancelled, "", 0)
        default: (self.code, self.message, self.exitCode) = (.internal, "unexpected: \(error); please report this", 1)
        }
    }

    static func exitCode(_ code: ErrorCode) -> Int32 {
        switch code {
        case .notFound, .functionNotFound, .topicNotFound, .deadLetterNotFound, .bundleNotFound, .revisionNotFound,
            .invocationNotFound:
            3
        case .serverUnreachable: 4
        default: 1
        }
    }

    /// The text: one line `apus: what, where, what to try [code]`. Where there are many problems, a line each comes before it;
    /// what another program said follows it.
    var text: String {
        if self.asJSON {
            let json: JSONValue = [
                "error": [
                    "code": .string(self.code.rawValue), "message": .string(self.message),
                    "exitCode": .integer(Int64(self.exitCode)),
                ]
            ]
            return String(decoding: json.encoded(), as: UTF8.self) + "\n"
        }
        let lines = self.message.split(whereSeparator: \.isNewline).map(String.init)
        guard lines.count > 1 else { return "apus: \(self.message) [\(self.code)]\n" }
        guard Self.listsProblems(self.code) else {
            // The first line says what; what follows is a stack trace or another program's own words.
            return "apus: \(lines[0]) [\(self.code)]\n" + lines.dropFirst().map { "  \($0)\n" }.joined()
        }
        return lines.joined(separator: "\n") + "\napus: \(lines.count) problems, see above [\(self.code)]\n"
    }

    /// Whether each line of a message is a problem of its own.
    private static func listsProblems(_ code: ErrorCode) -> Bool {
        switch code {
        case .manifestInvalid, .configurationInvalid, .reservedName, .notYetSupported, .topicNotFound: true
        default: false
        }
    }

    func print(to terminal: any Terminal) -> Int32 {
        if !self.isSilent { terminal.writeError(self.text) }
        return self.exitCode
    }
}
