internal import ApusCore
internal import ApusHTTP
internal import ApusLoop
internal import Glibc
internal import Synchronization

/// Sends each request of a trace at its time, whatever became of those before, and takes the time until its answer.
struct PoolLoad: Sendable {
    struct Answer: Sendable {
        /// When it was sent, in seconds since the begin of the trace, and how long its answer took.
        var at: Double
        var function: String
        var took: Double
    }

    /// Requests that may be open at once.
    private static let threads = 64

    private let url: String
    private let token: String
    private let body: [UInt8]

    init(_ site: IdleBenchSite, body: [UInt8]) throws {
        self.url = site.url
        self.token = try site.token()
        self.body = body
    }

    /// - Returns: the seconds that it took.
    func call(_ function: String) throws -> Double {
        let client = try HTTPClient()
        let begin = seconds()
        let response = try client.request(
            "POST", "\(self.url)/v1/functions/\(function)/invoke",
            headers: [
                HTTPHeader("Authorization", "Bearer \(self.token)"), HTTPHeader("Content-Type", "application/json"),
            ], body: self.body)
        guard response.isSuccess else {
            throw BenchFailure("\(function): \(response.status) \(String(decoding: response.body, as: UTF8.self))")
        }
        return seconds() - begin
    }

    /// - Returns: the answers in the order of the trace.
    func play(_ trace: [(at: Timestamp, function: String)]) throws -> [Answer] {
        let threads = (0..<Self.threads).map { _ in WorkThread() }
        defer { for thread in threads { thread.stop() } }
        let book = PoolAnswers(threads: threads.count, requests: trace.count)
        let begin = seconds()
        for (index, request) in trace.enumerated() {
            let wait = begin + Double(request.at.microseconds) * 1e-6 - seconds()
            if wait > 0 { usleep(UInt32(wait * 1e6)) }
            guard let thread = book.thread() else {
                throw BenchFailure("more than \(Self.threads) requests are open: the server does not keep up")
            }
            threads[thread].run {
                let at = seconds() - begin
                let result: Result<Answer, BenchFailure>
                do {
                    let took = try self.call(request.function)
                    result = .success(Answer(at: at, function: request.function, took: took))
                } catch { result = .failure(BenchFailure("\(error)")) }
                book.end(index, result, on: thread)
            }
        }
        while !book.isWhole {
            guard seconds() - begin < 3_600 else { throw BenchFailure("a request was never answered") }
            usleep(10_000)
        }
        return try book.all()
    }
}

/// Who is free to send, and what was answered, for all threads.
private final class PoolAnswers: Sendable {
    private struct State {
        var free: [Int]
        var answers: [Result<PoolLoad.Answer, BenchFailure>?]
    }

    private let state: Mutex<State>

    init(threads: Int, requests: Int) {
        self.state = Mutex(
            State(free: Array(0..<threads), answers: Array(repeating: nil, count: requests)))
    }

    func thread() -> Int? { self.state.withLock { $0.free.popLast() } }

    func end(_ index: Int, _ answer: Result<PoolLoad.Answer, BenchFailure>, on thread: Int) {
        self.state.withLock { state in
            state.answers[index] = answer
            state.free.append(thread)
        }
    }

    var isWhole: Bool { self.state.withLock { !$0.answers.contains { $0 == nil } } }

    func all() throws -> [PoolLoad.Answer] {
        try self.state.withLock { $0.answers }.compactMap { try $0?.get() }
    }
}
