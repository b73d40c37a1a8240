internal import ApusCore
internal import ApusLoop
internal import ApusStore

/// Appends what functions print to `apus.logs`, best effort: lines above the bound are dropped and counted, never waited for.
/// Confined to one loop; one transaction under way at a time.
final class FunctionLogWriter {
    private let loop: EventLoop
    private let log: any EventLog
    private var waiting: [LogLine] = []
    private var timer: LoopTimer?
    private var isTimerSet = false
    private var isWriting = false
    private var whenClosed: (() -> Void)?
    private var isClosing = false
    private(set) var dropped: UInt64 = 0
    private(set) var written: UInt64 = 0

    init(_ loop: EventLoop, _ log: any EventLog) {
        self.loop = loop
        self.log = log
        self.timer = LoopTimer(loop) { [weak self] in
            guard let self else { return }
            // After `close` the timer is its bound.
            if self.isClosing { return self.finishClosing() }
            self.isTimerSet = false
            self.flush()
        }
    }

    func append(_ line: LogLine) {
        guard !self.isClosing, self.waiting.count < Limits.Server.waitingLogLines else {
            self.dropped += 1
            return
        }
        self.waiting.append(line)
        if !self.isTimerSet, !self.isWriting {
            self.isTimerSet = true
            self.timer?.start(milliseconds: Limits.Server.logGatherMilliseconds)
        }
    }

    func flush() {
        guard !self.isWriting, !self.waiting.isEmpty else { return }
        let count = min(self.waiting.count, Limits.Server.logLinesPerBatch)
        let batch = LogBatch(
            urgency: .producer,
            appends: self.waiting[..<count].map { LogBatch.Append(topic: .logs, block: EventBlock.encode($0.event)) }
        )
        self.waiting.removeFirst(count)
        self.isWriting = true
        // SAFETY: the reference only travels to the log's thread and back; it is used on the loop alone.
        nonisolated(unsafe) let writer = self
        self.log.submit(batch) { [loop] result in
            let isWritten =
                switch result {
                case .success: true
                case .failure: false
                }
            loop.post { writer.completed(count, isWritten) }
        }
    }

    /// Writes what waits, within a bound; what is left then counts as dropped, as does every line that comes later.
    /// - Parameter whenDone: called once, on the loop, when nothing of the writer is left there.
    func close(withinMilliseconds bound: UInt64 = Limits.Server.logCloseMilliseconds, whenDone: @escaping () -> Void) {
        guard !self.isClosing else { return whenDone() }
        self.isClosing = true
        self.whenClosed = whenDone
        self.timer?.start(milliseconds: bound)
        self.flush()
        if self.waiting.isEmpty, !self.isWriting { self.finishClosing() }
    }

    private func finishClosing() {
        guard let timer = self.timer else { return }
        timer.close()
        self.timer = nil
        self.dropped += UInt64(self.waiting.count)
        self.waiting = []
        let whenClosed = self.whenClosed
        self.whenClosed = nil
        whenClosed?()
    }

    private func completed(_ count: Int, _ isWritten: Bool) {
        self.isWriting = false
        if isWritten { self.written += UInt64(count) } else { self.dropped += UInt64(count) }
        self.flush()
        if self.isClosing, self.waiting.isEmpty, !self.isWriting { self.finishClosing() }
    }
}
