internal import ApusCore
internal import Glibc
internal import Synchronization

/// Writes what the server says about itself, from any thread.
///
/// A line never holds up its writer: nothing is locked while it is written, one that the reader does not take is dropped and
/// counted, and a flood is cut to a rate. The next line that is written says how many are missing.
public final class Log: Sendable {
    private struct Budget {
        var lines = Double(Limits.Telemetry.logLinesAtOnce)
        var at: Int64 = 0
        var dropped = 0
    }

    private let level: LogLevel
    private let format: LogFormat
    private let descriptor: CInt
    private let file: LogFile?
    private let budget = Mutex(Budget())

    /// - Parameter descriptor: stays its owner's; standard error by default.
    public init(level: LogLevel = .info, format: LogFormat = .text, descriptor: CInt = 2) {
        self.level = level
        self.format = format
        self.descriptor = descriptor
        self.file = nil
    }

    /// Writes to a file that is turned over.
    public init(level: LogLevel, format: LogFormat, file: LogFile) {
        self.level = level
        self.format = format
        self.descriptor = file.descriptor
        self.file = file
    }

    /// Opens the file anew, for whoever moved it away; nothing where lines go elsewhere.
    public func reopen() { self.file?.reopen() }

    public func debug(_ message: @autoclosure () -> String, _ fields: KeyValuePairs<String, String> = [:]) {
        if self.level <= .debug { self.write(.debug, message(), fields) }
    }
    public func info(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) {
        self.write(.info, message, fields)
    }
    public func warning(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) {
        self.write(.warning, message, fields)
    }
    public func error(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) {
        self.write(.error, message, fields)
    }

    /// Lines that were dropped and that no line has told of yet.
    public var dropped: Int { self.budget.withLock { $0.dropped } }

    private func write(_ level: LogLevel, _ message: String, _ fields: KeyValuePairs<String, String>) {
        guard level >= self.level else { return }
        let monotonic = Log.clock(CLOCK_MONOTONIC)
        guard let dropped = self.budget.withLock({ Log.take(&$0, now: monotonic) }) else { return }
        let fields = fields.map { ($0.key, $0.value) }
        let line = LogLine.make(
            self.format, microseconds: Log.clock(CLOCK_REALTIME), level, message, fields, dropped: dropped)
        if !self.isWritten(line) { self.budget.withLock { $0.dropped += dropped + 1 } }
    }

    /// - Returns: what was dropped before and is told now, or nil when this line is dropped too.
    private static func take(_ budget: inout Budget, now: Int64) -> Int? {
        let earned = Double(now - budget.at) * Double(Limits.Telemetry.logLinesPerSecond) / 1_000_000
        budget.lines = min(Double(Limits.Telemetry.logLinesAtOnce), budget.lines + max(0, earned))
        budget.at = now
        guard budget.lines >= 1 else {
            budget.dropped += 1
            return nil
        }
        budget.lines -= 1
        defer { budget.dropped = 0 }
        return budget.dropped
    }

    /// A pipe that is ready takes a line of at most its atomic size without blocking; one that is full must not stop the server.
    private func isWritten(_ line: [UInt8]) -> Bool {
        var interest = pollfd(fd: self.descriptor, events: Int16(POLLOUT), revents: 0)
        // Nothing else may be said of it: a pipe without reader is ready too, with an error.
        guard poll(&interest, 1, 0) == 1, Int32(interest.revents) == POLLOUT else { return false }
        let count = line.withUnsafeBytes { Glibc.write(self.descriptor, $0.baseAddress, $0.count) }
        if count > 0 { self.file?.grew(by: count) }
        return count == line.count
    }

    private static func clock(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }
}
