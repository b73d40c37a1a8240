internal import ApusCore
internal import ApusHTTP
internal import ApusHost
internal import ApusJSON

/// How answers and states say where an attempt's time went.
extension AttemptTiming {
    /// For browsers and proxies: milliseconds, as their tools show them.
    static let serverTimingHeader = "Server-Timing"
    /// For programs: whole microseconds.
    static let header = "Apus-Timing"
    /// `standard` or `hostile`, and what of it this host could not give.
    static let isolationHeader = "Apus-Isolation"

    /// `queued;dur=0.041, starting;dur=0;desc="ready", running;dur=1.207, committing;dur=0`
    var serverTiming: String {
        TimingLine.text { line in
            line.add("queued;dur=", milliseconds: self.queued)
            line.add(", starting;dur=", milliseconds: self.starting)
            line.add(";desc=\"")
            line.add(self.startTier.rawValue)
            line.add("\", running;dur=", milliseconds: self.running)
            if let committing = self.committing { line.add(", committing;dur=", milliseconds: committing) }
        }
    }

    /// `queued=41, start=ready, starting=0, running=1207, committing=0`
    var headerValue: String {
        TimingLine.text { line in
            line.add("queued=", microseconds: self.queued)
            line.add(", start=")
            line.add(self.startTier.rawValue)
            line.add(", starting=", microseconds: self.starting)
            line.add(", running=", microseconds: self.running)
            if let committing = self.committing { line.add(", committing=", microseconds: committing) }
        }
    }

    /// `socket(AF_INET, SOCK_STREAM) x1, execve x2`; not there when nothing was denied.
    static let deniedHeader = "Apus-Denied"

    static let headerCount = 4

    /// What a head says of it. Into the array that the answer needs anyway, since every answer of an invocation has it.
    func addHeaders(to headers: inout [(String, String)]) {
        headers.append((Self.serverTimingHeader, self.serverTiming))
        headers.append((Self.header, self.headerValue))
        headers.append((Self.isolationHeader, self.isolation.headerValue))
        guard !self.denials.isEmpty else { return }
        headers.append((Self.deniedHeader, self.denials.text(max: Limits.Host.denialsInHeader)))
    }

    /// As recent deliveries hold it: with when it was committed, once it is.
    var json: JSONValue {
        let committing = self.committing.map { JSONValue.number($0.microseconds) } ?? .null
        return .object(JSONObject(self.members + [("committing", committing)]))
    }
}

/// A line with times in it, written into its string's own memory: every answer of an invocation has two.
private struct TimingLine {
    /// Five times of at most 20 characters, and what stands between them.
    private static let capacity = 192

    private let memory: UnsafeMutableBufferPointer<UInt8>
    private var count = 0

    static func text(_ write: (inout TimingLine) -> Void) -> String {
        String(unsafeUninitializedCapacity: Self.capacity) { memory in
            var line = TimingLine(memory: memory)
            write(&line)
            return line.count
        }
    }

    private init(memory: UnsafeMutableBufferPointer<UInt8>) { self.memory = memory }

    private mutating func add(byte: UInt8) {
        self.memory[self.count] = byte
        self.count += 1
    }

    mutating func add(_ text: String) {
        for byte in text.utf8 { self.add(byte: byte) }
    }

    mutating func add(_ text: String, microseconds span: TimeSpan) {
        self.add(text)
        self.add(span.microseconds)
    }

    /// With three digits after the point, or none.
    mutating func add(_ text: String, milliseconds span: TimeSpan) {
        self.add(text)
        self.add(span.microseconds / 1_000)
        let rest = (span.microseconds % 1_000).magnitude
        guard rest != 0 else { return }
        self.add(byte: UInt8(ascii: "."))
        self.add(byte: UInt8(ascii: "0") + UInt8(rest / 100))
        self.add(byte: UInt8(ascii: "0") + UInt8(rest / 10 % 10))
        self.add(byte: UInt8(ascii: "0") + UInt8(rest % 10))
    }

    private mutating func add(_ number: Int64) {
        if number < 0 { self.add(byte: UInt8(ascii: "-")) }
        var unit: UInt64 = 1
        while number.magnitude / unit >= 10 { unit *= 10 }
        while unit > 0 {
            self.add(byte: UInt8(ascii: "0") + UInt8(number.magnitude / unit % 10))
            unit /= 10
        }
    }
}

extension HTTPExchange {
    /// Puts the timing into the head of the answer that follows.
    func add(_ timing: AttemptTiming) {
        var headers: [(String, String)] = []
        timing.addHeaders(to: &headers)
        for (name, value) in headers { self.add(header: name, value) }
    }
}
