internal import ApusCore
internal import ApusJSON

/// Where the time of a call went, in a line for people. The parts are what the server says, the total is what the caller waited.
struct TimingLine {
    private let parts: [(name: String, value: String)]

    /// Of the header `Apus-Timing`: `queued=41, start=ready, starting=0, running=1207, committing=0`, in microseconds.
    init(header: String) {
        self.parts = header.split(separator: ",").compactMap { part in
            let pair = part.split(separator: "=", maxSplits: 1)
            guard pair.count == 2 else { return nil }
            return (pair[0].filter { $0 != " " }, pair[1].filter { $0 != " " })
        }
    }

    /// Of the state of an asynchronous invocation.
    init(_ timing: JSONValue) {
        self.parts = (timing.object ?? [:]).compactMap { member in
            (member.value.string ?? member.value.integer.map(String.init)).map { (member.name, $0) }
        }
    }

    /// `queued 41 us, cold start 64.0 ms, running 1.21 ms, committing 0 us, total 66.1 ms`
    func text(total: TimeSpan) -> String {
        let tier =
            switch self.parts.first(where: { $0.name == "start" })?.value {
            case "ready": "ready worker"
            case "woken": self.part("starting", as: "woken in")
            case "cold": self.part("starting", as: "cold start")
            case let other: other.map { "\($0) start" }
            }
        let known = [
            self.part("queued", as: "queued"), tier, self.part("running", as: "running"),
            self.part("committing", as: "committing"),
        ]
        return (known.compactMap { $0 } + ["total \(TimeText.span(total))"]).joined(separator: ", ")
    }

    private func part(_ name: String, as words: String) -> String? {
        guard let value = self.parts.first(where: { $0.name == name }).flatMap({ Int64($0.value) }) else { return nil }
        return "\(words) \(TimeText.span(.microseconds(value)))"
    }
}
