internal import ApusCore
internal import ApusEngine

extension Shard {
    /// Writes a failed attempt to the function's log: the message, then where it happened, a line each. A detail that only repeats what
    /// was printed is in the log already.
    func log(_ failure: Failure, of attempt: Attempt?, by channel: WorkerChannel, now: Timestamp) {
        let which = attempt.map { "attempt \($0.number) failed: " } ?? ""
        let isLogged =
            attempt?.extras?.hasLoggedErrors ?? false
            || (!failure.detail.isEmpty && failure.detail == channel.budget.lastText)
        let detail = (isLogged ? "" : failure.detail).split(separator: "\n", omittingEmptySubsequences: true).suffix(
            Limits.Host.failureLines)
        for line in ["\(which)\(failure.message) [\(failure.code)]"] + detail.map(String.init) {
            self.logged(Array(line.utf8), isCut: false, level: .error, by: channel, attempt, now: now)
        }
    }
}
