internal import ApusCore
internal import ApusEngine

extension Shard {
    /// Writes a failed attempt to the function's log: the message, then where it happened, a line each.
    func log(_ failure: Failure, of attempt: Attempt?, by channel: WorkerChannel, now: Timestamp) {
        let which = attempt.map { "attempt \($0.number) failed: " } ?? ""
        let detail = failure.detail.split(separator: "\n", omittingEmptySubsequences: true).suffix(
            Limits.Host.failureLines)
        for line in ["\(which)\(failure.message) [\(failure.code)]"] + detail.map(String.init) {
            self.logged(Array(line.utf8), isCut: false, level: .error, by: channel, attempt, now: now)
        }
    }
}
