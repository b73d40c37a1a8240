internal import ApusCore
internal import ApusEngine
internal import Glibc

/// What workers were denied, brought to whom it concerns: the invocation, the function's log, the metrics.
///
/// A call is counted before its caller goes on, so that it is there when the frame arrives that the worker writes next. It is the
/// invocation's that ran alone; of several it is the worker's, since nobody can tell whose thread it was.
extension Shard {
    /// On the path of an event: a look at one number, which is nearly always what it was.
    @inline(__always)
    func gatherDenials(of channel: WorkerChannel, now: Timestamp) {
        guard let source = channel.denialSource else { return }
        let total = source.total()
        if total > channel.deniedTotal { self.gather(source, total, of: channel, now: now) }
    }

    @inline(never)
    private func gather(_ source: DenialSource, _ total: UInt32, of channel: WorkerChannel, now: Timestamp) {
        channel.deniedTotal = total
        self.take(source.report(), of: channel, now: now)
    }

    /// A worker has ended: the rest of what it was denied, and which of its bounds it met.
    func gatherDenials(of channel: WorkerChannel, _ exit: WorkerExit, now: Timestamp) {
        if exit.isUnaudited { self.statistics.unaudited += 1 }
        if !exit.denials.isEmpty { self.take(exit.denials, of: channel, now: now) }
        let resources = Self.resources(exit, channel.function.function.launch.bounds)
        if !resources.isEmpty { self.tell(DenialReport(resources), of: channel, now: now) }
    }

    private static func resources(_ exit: WorkerExit, _ bounds: SandboxBounds) -> [Denial] {
        var found: [Denial] = []
        if exit.isOutOfMemory { found.append(Denial("resource:memory", "\(bounds.memoryBytes >> 20) MiB")) }
        if exit.processesRefused > 0 {
            found.append(Denial("resource:processes", "\(bounds.processes)", count: exit.processesRefused))
        }
        if exit.signal == SIGXFSZ { found.append(Denial("resource:file-size", "\(bounds.scratchBytes >> 20) MiB")) }
        if exit.signal == SIGSYS { found.append(Denial("trip-wire")) }
        return found
    }

    private func take(_ report: DenialReport, of channel: WorkerChannel, now: Timestamp) {
        let news = report.since(channel.denied)
        channel.denied = report
        if !news.isEmpty || news.isSpent { self.tell(news, of: channel, now: now) }
    }

    private func tell(_ news: DenialReport, of channel: WorkerChannel, now: Timestamp) {
        let place = channel.attempts.onlyPlace
        if let place { channel.extras(at: place).denials.add(news.denials) }
        channel.activity.denied(news)
        let attempt = channel.attempts.only
        for line in Self.lines(news, channel) {
            self.logged(Array(line.utf8), isCut: false, level: .warning, by: channel, attempt, now: now)
        }
    }

    private static func lines(_ news: DenialReport, _ channel: WorkerChannel) -> [String] {
        let when =
            switch channel.attempts.count {
            case 1: ""
            case 0: channel.hasBeenReady ? " (between invocations)" : " (while it started)"
            default: " (while \(channel.attempts.count) invocations ran)"
            }
        var lines = news.denials.prefix(Limits.Host.denialLines).map { "denied \($0.text)\(when)" }
        let others = news.denials.dropFirst(Limits.Host.denialLines).reduce(news.others) { $0 &+ $1.count }
        if others > 0 { lines.append("denied \(others) calls more\(when)") }
        if news.isSpent { lines.append("denied too many calls to count: the rest is refused all the same\(when)") }
        return lines
    }
}
