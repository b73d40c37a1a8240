internal import ApusCore
internal import ApusEngine

/// The invocations of one function that have been begun and have no terminal state yet, as its shard knows them.
final class InvocationLane {
    /// What the record on the queue says beside the event.
    struct Envelope {
        var principal = ""
        var queued = Timestamp.zero
        var expires: Timestamp?

        /// - Parameter block: nil or not readable leaves what is not known empty.
        init(_ block: UnsafeRawBufferPointer?) {
            guard let block, let layout = try? EventLayout(parsing: block.bytes) else { return }
            self.queued = layout.timestamp
            try? layout.forEachAttribute(in: block.bytes) { name, kind, value in
                guard kind == Attribute.Kind.header.rawValue else { return true }
                let name = UnsafeRawBufferPointer(rebasing: block[name])
                if name.elementsEqual(Self.principalName) {
                    self.principal = String(decoding: block[value], as: UTF8.self)
                } else if name.elementsEqual(Self.expiresName) {
                    self.expires = decimal(block[value]).map { Timestamp(microseconds: Int64($0)) }
                }
                return true
            }
        }

        private static let principalName = Array(InvocationHeader.principal.utf8)
        private static let expiresName = Array(InvocationHeader.expires.utf8)
    }

    struct Begun {
        var envelope: Envelope
        /// When its first attempt of this run of the server began.
        var started: Timestamp
        var attempts: Int
        var isRunning = true
        var revision: String
        var progress: ProgressPayload?
        /// Of its last attempt that is over.
        var timing: AttemptTiming?
        /// Something changed that no record says.
        var isNews = true
        /// When the last record was written.
        var notedAt: Timestamp
    }

    private(set) var begun: [Offset: Begun] = [:]
    /// Offsets of those that are to be cancelled; each has its entry in the ledger.
    var cancels: Set<Offset> = []
    var discardedBefore: Offset = 0
    var discardedAt = Timestamp.zero

    /// Its queue is another node's now.
    func forget() {
        self.begun = [:]
        self.cancels = []
        self.discardedBefore = 0
    }

    /// Why an invocation shall not run now that its turn has come.
    func refusal(_ offset: Offset, _ block: UnsafeRawBufferPointer, now: Timestamp) -> Failure? {
        if self.cancels.contains(offset) { return Failure(.cancelled, "it was cancelled before it ran") }
        guard let expires = self.begun[offset]?.envelope.expires ?? Envelope(block).expires, expires <= now else {
            return nil
        }
        return Failure(.expired, "its expiry time had passed before it could run")
    }

    /// An attempt starts.
    func began(_ offset: Offset, _ block: UnsafeRawBufferPointer, attempt: Int, revision: String, now: Timestamp) {
        guard self.begun[offset] == nil else {
            self.begun[offset]?.attempts = attempt
            self.begun[offset]?.revision = revision
            self.begun[offset]?.isRunning = true
            self.begun[offset]?.progress = nil
            self.begun[offset]?.isNews = true
            return
        }
        // The first record waits a little: most invocations are over before it would say anything.
        let noted =
            now
            + .milliseconds(
                Int64(Limits.Host.housekeepingMilliseconds) - Limits.Invocations.progressInterval.milliseconds)
        self.begun[offset] = Begun(
            envelope: Envelope(block), started: now, attempts: attempt, revision: revision, notedAt: noted)
    }

    /// An attempt is over; the invocation may have another.
    func paused(_ offset: Offset, _ timing: AttemptTiming) {
        guard self.begun[offset]?.isRunning == true else { return }
        self.begun[offset]?.timing = timing
        self.begun[offset]?.isRunning = false
        self.begun[offset]?.isNews = true
    }

    func progressed(_ offset: Offset, _ progress: ProgressPayload) {
        self.begun[offset]?.progress = progress
        self.begun[offset]?.isNews = true
    }

    /// The invocation has its terminal state.
    func ended(_ offset: Offset) -> Begun? { self.begun.removeValue(forKey: offset) }

    /// Those whose state may be written again now; they count as written.
    func takeNews(now: Timestamp) -> [(offset: Offset, begun: Begun)] {
        var news: [(offset: Offset, begun: Begun)] = []
        for (offset, begun) in self.begun
        where begun.isNews && now - begun.notedAt >= Limits.Invocations.progressInterval {
            news.append((offset, begun))
        }
        for (offset, _) in news {
            self.begun[offset]?.isNews = false
            self.begun[offset]?.notedAt = now
        }
        return news
    }
}
