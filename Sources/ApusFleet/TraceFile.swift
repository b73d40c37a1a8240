public import ApusCore

/// A trace in CSV, with a header line.
///
/// Two forms: `at,function,seconds` (seconds since the start, a name, the length of the run; more columns are ignored), and the Azure LLM
/// inference traces, `TIMESTAMP,ContextTokens,GeneratedTokens`, all of one function, whose runs take as long as ``TokenTimes`` says.
public struct TraceFile: Sendable {
    /// How long a model takes for its tokens.
    public struct TokenTimes: Sendable {
        public var start: TimeSpan = .milliseconds(50)
        public var perContextToken: TimeSpan = .microseconds(100)
        public var perGeneratedToken: TimeSpan = .milliseconds(20)
        public init() {}
    }

    public private(set) var arrivals: [Arrival] = []
    /// By their place in the arrivals.
    public private(set) var functions: [String] = []

    /// - Throws: `invalid_argument` with the line that cannot be read.
    public init(parsing text: String, tokens: TokenTimes = TokenTimes()) throws(ApusError) {
        var places: [Substring: Int] = [:]
        var columns: Columns?
        var number = 0
        var origin: Int64?
        for line in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
            number += 1
            guard !line.isEmpty else { continue }
            let fields = line.split(separator: ",", omittingEmptySubsequences: false)
            guard let known = columns else {
                columns = try Columns(fields)
                continue
            }
            guard fields.count > known.last else {
                throw ApusError(
                    .invalidArgument, "line \(number) of the trace has \(fields.count) columns, not \(known.last + 1)")
            }
            let arrival = try Self.arrival(fields, known, number, tokens, &places)
            let start = origin ?? arrival.at.microseconds
            origin = start
            guard arrival.at.microseconds >= start else {
                throw ApusError(
                    .invalidArgument, "line \(number) of the trace is earlier than its first; sort it by time")
            }
            self.arrivals.append(
                Arrival(
                    at: Timestamp(microseconds: arrival.at.microseconds - start), function: arrival.function,
                    service: arrival.service))
        }
        guard !self.arrivals.isEmpty else { throw ApusError(.invalidArgument, "the trace holds no arrivals") }
        self.arrivals.sort { ($0.at, $0.function) < ($1.at, $1.function) }
        self.functions = places.sorted { $0.value < $1.value }.map { String($0.key) }
    }

    private enum Columns {
        case plain(at: Int, function: Int, seconds: Int)
        case tokens(at: Int, context: Int, generated: Int)

        init(_ header: [Substring]) throws(ApusError) {
            func place(_ name: String) -> Int? { header.firstIndex { $0.lowercased() == name } }
            if let at = place("at"), let function = place("function"), let seconds = place("seconds") {
                self = .plain(at: at, function: function, seconds: seconds)
            } else if let at = place("timestamp"), let context = place("contexttokens"),
                let generated = place("generatedtokens")
            {
                self = .tokens(at: at, context: context, generated: generated)
            } else {
                throw ApusError(
                    .invalidArgument,
                    "the trace's first line names no known columns; give 'at,function,seconds' or 'TIMESTAMP,ContextTokens,GeneratedTokens'"
                )
            }
        }

        var last: Int {
            switch self {
            case .plain(let at, let function, let seconds): max(at, function, seconds)
            case .tokens(let at, let context, let generated): max(at, context, generated)
            }
        }
    }

    private static func arrival(
        _ fields: [Substring], _ columns: Columns, _ line: Int, _ tokens: TokenTimes, _ places: inout [Substring: Int]
    ) throws(ApusError) -> Arrival {
        func number(_ place: Int, _ name: String) throws(ApusError) -> Double {
            guard let value = Double(fields[place]), value.isFinite, value >= 0, value < 1e9 else {
                throw ApusError(.invalidArgument, "line \(line) of the trace: '\(fields[place])' is no \(name)")
            }
            return value
        }
        func place(_ name: Substring) -> Int {
            if let known = places[name] { return known }
            places[name] = places.count
            return places.count - 1
        }
        switch columns {
        case .plain(let at, let function, let seconds):
            return Arrival(
                at: Timestamp(microseconds: Int64(try number(at, "number of seconds") * 1e6)),
                function: place(fields[function]),
                service: TimeSpan(microseconds: Int64(try number(seconds, "number of seconds") * 1e6)))
        case .tokens(let at, let context, let generated):
            guard let moment = Self.moment(fields[at]) else {
                throw ApusError(
                    .invalidArgument,
                    "line \(line) of the trace: '\(fields[at])' is no time like 2023-11-16 18:15:46.68")
            }
            let contextTime = try number(context, "number of tokens") * Double(tokens.perContextToken.microseconds)
            let generatedTime =
                try number(generated, "number of tokens") * Double(tokens.perGeneratedToken.microseconds)
            return Arrival(
                at: moment, function: place("model"),
                service: TimeSpan(
                    microseconds: tokens.start.microseconds + Int64(contextTime) + Int64(generatedTime)))
        }
    }

    /// `2023-11-16 18:15:46.6805900`, within one month: only differences count.
    private static func moment(_ text: Substring) -> Timestamp? {
        let parts = text.split(whereSeparator: { "-: T".contains($0) })
        guard parts.count == 6, let day = Int64(parts[2]), let hour = Int64(parts[3]), let minute = Int64(parts[4]),
            let second = Double(parts[5]), (1...31).contains(day), (0...23).contains(hour), (0...59).contains(minute),
            second >= 0, second < 61
        else { return nil }
        let minutes = (day * 24 + hour) * 60 + minute
        return Timestamp(microseconds: minutes * 60_000_000 + Int64(second * 1e6))
    }
}
