internal import ApusCore
internal import ApusJSON
internal import ApusLoop
internal import Synchronization

/// Waits for a start while telling a person at a terminal how far it is. The request waits on a thread of its own; this one asks what there is.
struct WarmProgress {
    let context: CommandContext
    let name: String

    private static let stepMilliseconds: UInt32 = 100
    /// Steps between two questions.
    private static let asked = 5

    func wait(for request: APIRequest) throws -> JSONValue {
        let (caller, watcher) = (try self.context.client(), try self.context.client())
        let done = Outcome()
        let thread = WorkThread()
        // SAFETY: this client is used on that thread alone.
        nonisolated(unsafe) let client = caller
        thread.run {
            do throws(ApusError) { done.fill(.success(try client.call(request).json())) } catch {
                done.fill(.failure(error))
            }
        }
        let terminal = self.context.terminal
        let began = terminal.now
        var states = "starting"
        var step = 0
        while done.value == nil {
            terminal.pause(milliseconds: Self.stepMilliseconds)
            step += 1
            if step % Self.asked == 0, let seen = self.states(watcher) { states = seen }
            let line = "\(self.name): \(states), \(TimeText.span(terminal.now - began))"
            terminal.writeError("\r\u{1B}[K\(line)")
        }
        terminal.writeError("\r\u{1B}[K")
        thread.stop()
        guard let result = done.value else { preconditionFailure("waited until it was there") }
        return try result.get()
    }

    /// `1 starting, 2 ready`; nil where nobody says.
    private func states(_ client: APIClient) -> String? {
        let answer: JSONValue
        do throws(ApusError) {
            answer = try client.call(APIRequest(.get, client.path("functions", self.name))).json()
        } catch { return nil }
        var counts: [String: Int] = [:]
        for instance in answer["instances"]?.array ?? [] { counts[instance["state"]?.string ?? "", default: 0] += 1 }
        guard !counts.isEmpty else { return nil }
        return counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    }

    private final class Outcome: Sendable {
        private let result = Mutex<Result<JSONValue, ApusError>?>(nil)
        var value: Result<JSONValue, ApusError>? { self.result.withLock { $0 } }
        func fill(_ result: Result<JSONValue, ApusError>) { self.result.withLock { $0 = result } }
    }
}
