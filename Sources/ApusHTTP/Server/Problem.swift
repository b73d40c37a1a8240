public import ApusCore

/// An error as JSON callers see it: RFC 9457 problem details with the stable code of an ``ApusError``.
public struct Problem: Sendable, Equatable {
    public let code: ErrorCode
    /// What happened, where, and what to try.
    public let detail: String
    /// Further lines on the same problem, as a manifest has many errors at once.
    public var errors: [String] = []
    /// How a caller comes by a token that would do, for the header WWW-Authenticate.
    public var challenge: String?

    public init(_ code: ErrorCode, _ detail: String, errors: [String] = []) {
        self.code = code
        self.detail = detail
        self.errors = errors
    }

    public init(_ error: ApusError) { self.init(error.code, error.message) }

    public var status: UInt32 { self.code.httpStatus }

    public static let mediaType = "application/problem+json"

    /// One line of JSON: `type`, `title`, `status`, `code`, `detail` and, where there are any, `errors`.
    /// - Parameter status: for answers whose status says more than the code's own.
    public func json(status: UInt32? = nil) -> [UInt8] {
        var bytes = Array(#"{"type":"urn:apus:error:\#(self.code)","title":"#.utf8)
        JSONText.append(self.code.rawValue.split(separator: "_").joined(separator: " "), to: &bytes)
        bytes.append(contentsOf: #","status":\#(status ?? self.status),"code":"\#(self.code)","detail":"#.utf8)
        JSONText.append(self.detail, to: &bytes)
        if !self.errors.isEmpty {
            bytes.append(contentsOf: #","errors":["#.utf8)
            for (index, error) in self.errors.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                JSONText.append(error, to: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        }
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }
}

extension HTTPExchange {
    /// Answers with a problem.
    public func respond(_ problem: Problem, status: UInt32? = nil, headers: [(String, String)] = []) {
        let status = status ?? problem.status
        var all = [("Content-Type", Problem.mediaType)]
        if let challenge = problem.challenge ?? (status == 401 ? "Bearer" : nil) {
            all.append(("WWW-Authenticate", challenge))
        }
        all.append(contentsOf: headers)
        self.respond(status: status, headers: all, body: problem.json(status: status))
    }

    public func respond(_ error: ApusError) { self.respond(Problem(error)) }

    /// Answers with JSON that is already written.
    public func respond(status: UInt32 = 200, json: [UInt8], headers: [(String, String)] = []) {
        self.respond(status: status, headers: [("Content-Type", "application/json")] + headers, body: json)
    }
}

extension HeadCheck.Refusal {
    var answer: (status: UInt32, problem: Problem) {
        switch self {
        case .malformed(let why): (400, Problem(.invalidArgument, "malformed request: \(why)"))
        case .unknownCoding: (501, Problem(.invalidArgument, "the only transfer coding that is understood is chunked"))
        case .unknownVersion: (505, Problem(.invalidArgument, "only HTTP/1.1 and HTTP/1.0 are spoken here"))
        }
    }
}
