internal import ApusCore
internal import ApusLoop
internal import Glibc

/// Standard output or error of one worker, read by line within bounds. The descriptor belongs to the channel. Loop
/// thread only.
final class OutputCapture {
    private static let bufferBytes = 64 * 1024

    private let descriptor: CInt
    private let level: LogPayload.Level
    private unowned let channel: WorkerChannel
    private var lines = LineCapture()
    private var watch: DescriptorWatch?
    private var bytesInSecond = 0
    private var second: Int64 = 0
    private(set) var isPaused = false
    /// Something came once: more may.
    private(set) var hasPrinted = false

    init(descriptor: CInt, level: LogPayload.Level, channel: WorkerChannel, loop: EventLoop) {
        self.descriptor = descriptor
        self.level = level
        self.channel = channel
        self.watch = DescriptorWatch(loop, descriptor: descriptor) { [unowned self] _ in self.read() }
        self.watch?.watch(.readable)
    }

    var isWatching: Bool { self.watch != nil }

    func close() {
        self.watch?.close()
        self.watch = nil
    }

    /// A new second begins for a worker that printed too much in the last one.
    func resume() {
        guard self.isPaused else { return }
        self.isPaused = false
        self.watch?.watch(.readable)
    }

    /// Reads what has come, whether or not the loop said so already: one read takes all that the pipe can hold.
    func catchUp() {
        guard self.isWatching, !self.isPaused else { return }
        _ = self.readOnce()
    }

    /// Reads what is left, at most a second's worth, and gives the last line even without an end.
    func finish() {
        self.bytesInSecond = 0
        while self.isWatching, !self.isPaused, self.readOnce() {}
        let now = self.channel.shard.now
        self.lines.finish { self.channel.shard.printed($0, isCut: $1, level: self.level, by: self.channel, now: now) }
    }

    private func read() { _ = self.readOnce() }

    /// - Returns: whether there may be more.
    private func readOnce() -> Bool {
        let now = self.channel.shard.now
        return withUnsafeTemporaryAllocation(byteCount: Self.bufferBytes, alignment: 16) { buffer in
            let count = Glibc.read(self.descriptor, buffer.baseAddress, buffer.count)
            if count < 0 { return errno == EINTR }
            guard count > 0 else {
                self.watch?.watch([])
                return false
            }
            self.hasPrinted = true
            let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count])
            self.lines.take(bytes) { line, isCut in
                self.channel.shard.printed(line, isCut: isCut, level: self.level, by: self.channel, now: now)
            }
            return self.account(count, now: now)
        }
    }

    /// Counts what was read; above ``Limits/Host/captureBytesPerSecond`` nothing more is until a new second.
    /// - Returns: whether more may be read now.
    func account(_ count: Int, now: Timestamp) -> Bool {
        let second = now.microseconds / 1_000_000
        if second != self.second {
            self.second = second
            self.bytesInSecond = 0
        }
        self.bytesInSecond += count
        guard self.bytesInSecond > Limits.Host.captureBytesPerSecond else { return true }
        self.isPaused = true
        self.watch?.watch([])
        return false
    }
}
