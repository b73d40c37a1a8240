internal import ApusCore
internal import ApusEngine
internal import ApusLoop
internal import ApusTelemetry
internal import Glibc
internal import Synchronization

/// Writes down what the pool is told and what it decides, from the server's start until the file is full: what a trouble was made of can
/// be decided again elsewhere (`apus simulate --replay`).
final class PoolRecorder: Sendable {
    private struct State: Sendable {
        /// What is not written yet.
        var text = ""
        /// Bytes that were taken, written or not.
        var bytes = 0
        var isWriting = false
        /// Nothing is taken any more.
        var isOver = false
    }

    private let descriptor: CInt
    private let bytesMax: Int
    private let thread = WorkThread()
    private let state = Mutex(State())
    private let journal: Log

    /// Replaces what an earlier run wrote.
    /// - Throws: `internal` or `disk_full`.
    init(path: String, bytesMax: Int, head: String, journal: Log) throws(ApusError) {
        self.bytesMax = bytesMax
        self.journal = journal
        self.descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard self.descriptor >= 0 else {
            throw ApusError(
                errno == ENOSPC ? .diskFull : .internal,
                "\(path) cannot be written: \(String(cString: strerror(errno)))")
        }
        self.append(head)
    }

    deinit { Glibc.close(self.descriptor) }

    /// From any thread; does not block. In the order in which the pool was told.
    func note(
        _ input: PoolInput, at now: Timestamp, _ actions: [PoolAction], _ transitions: [InstanceTransition]
    ) {
        guard !self.state.withLock({ $0.isOver }) else { return }
        self.append(PoolRecording.block(input, at: now, actions, transitions))
    }

    private func append(_ block: String) {
        let writes = self.state.withLock { state -> Bool in
            guard !state.isOver else { return false }
            let room = self.bytesMax - state.bytes - PoolRecording.end.utf8.count
            // A disk that does not keep up ends a recording too: one with a gap cannot be decided again.
            if block.utf8.count > room || state.text.utf8.count > Limits.PoolHost.recordPending {
                state.isOver = true
                state.text += PoolRecording.end
            } else {
                state.bytes += block.utf8.count
                state.text += block
            }
            defer { state.isWriting = true }
            return !state.isWriting
        }
        if writes { self.thread.run { self.write() } }
    }

    private func write() {
        while true {
            let text = self.state.withLock { state -> String in
                defer { state.text = "" }
                if state.text.isEmpty { state.isWriting = false }
                return state.text
            }
            if text.isEmpty { return }
            guard !self.put(Array(text.utf8)) else { continue }
            self.journal.warning("the pool's recording ends: \(String(cString: strerror(errno)))")
            self.state.withLock { state in
                state.isOver = true
                state.text = ""
            }
        }
    }

    private func put(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { buffer in
            var done = 0
            while done < buffer.count {
                let count = Glibc.write(self.descriptor, buffer.baseAddress?.advanced(by: done), buffer.count - done)
                if count < 0, errno != EINTR { return false }
                done += max(0, count)
            }
            return true
        }
    }

    /// The server ends: what was taken is written. From another thread than a loop.
    func close() {
        let writes = self.state.withLock { state -> Bool in
            guard !state.isOver else { return false }
            state.isOver = true
            state.text += PoolRecording.end
            defer { state.isWriting = true }
            return !state.isWriting
        }
        if writes { self.thread.run { self.write() } }
        self.thread.stop()
    }
}
