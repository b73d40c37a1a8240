internal import ApusCore
internal import ApusEngine
internal import ApusJSON

/// The invocations of one function that have been begun and have no terminal state yet, as its shard knows them.
final class InvocationLane {
    /// What the record on the queue says beside the event.
    struct Envelope {
        var principal = ""
        var queued = Timestamp.zero
        var expires: Timestamp?
        /// What its caller can be asked; nil where nobody can be.
        var capabilities: String?
        /// The only revision that may run it; nil for any.
        var revision: String?
        /// Who waits for it and lends it the right to call tools.
        var waiting: String?
        /// It was begun as a task of an agent.
        var isTask = false
        /// What must be answered before it begins, JSON.
        var hold: [UInt8]?

        /// - Parameter block: nil or not readable leaves what is not known empty.
        init(_ block: UnsafeRawBufferPointer?) {
            guard let block, let layout = try? EventLayout(parsing: block.bytes) else { return }
            self.queued = layout.timestamp
            try? layout.forEachAttribute(in: block.bytes) { name, kind, value in
                guard kind == Attribute.Kind.header.rawValue else { return true }
                let name = UnsafeRawBufferPointer(rebasing: block[name])
                if name.elementsEqual(Self.principalName) {
                    self.principal = String(decoding: block[value], as: UTF8.self)
                } else if name.elementsEqual(Self.capabilitiesName) {
                    self.capabilities = String(decoding: block[value], as: UTF8.self)
                } else if name.elementsEqual(Self.revisionName) {
                    self.revision = String(decoding: block[value], as: UTF8.self)
                } else if name.elementsEqual(Self.waitingName) {
                    self.waiting = String(decoding: block[value], as: UTF8.self)
                } else if name.elementsEqual(Self.taskName) {
                    self.isTask = true
                } else if name.elementsEqual(Self.holdName) {
                    self.hold = Array(block[value])
                } else if name.elementsEqual(Self.expiresName) {
                    self.expires = decimal(block[value]).map { Timestamp(microseconds: Int64($0)) }
                }
                return true
            }
        }

        private static let principalName = Array(InvocationHeader.principal.utf8)
        private static let capabilitiesName = Array(InvocationHeader.capabilities.utf8)
        private static let revisionName = Array(InvocationHeader.onlyRevision.utf8)
        private static let waitingName = Array(InvocationHeader.waiting.utf8)
        private static let taskName = Array(InvocationHeader.task.utf8)
        private static let holdName = Array(InvocationHeader.hold.utf8)
        private static let expiresName = Array(InvocationHeader.expires.utf8)
    }

    struct Begun {
        var envelope: Envelope
        /// When its first attempt of this run of the server began.
        var started: Timestamp?
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
    /// What was asked of those that are open; each has its entries in the ledger.
    var asked: [Offset: InvocationQuestions] = [:]
    /// What was said of invocations while the queue is not open here: its ledger may have been read before that was written. The oldest
    /// go first, above ``Limits/Invocations/heardMarks``.
    private var heard: [(mark: InvocationMark, value: [UInt8])] = []
    var discardedBefore: Offset = 0
    var discardedAt = Timestamp.zero

    /// Its queue is another node's now.
    func forget() {
        self.begun = [:]
        self.cancels = []
        self.asked = [:]
        self.discardedBefore = 0
    }

    /// Why an invocation shall not run now that its turn has come.
    /// - Parameter revision: that would run it.
    func refusal(
        _ offset: Offset, _ block: UnsafeRawBufferPointer, revision: String, now: Timestamp
    ) -> Failure? {
        if self.cancels.contains(offset) { return Failure(.cancelled, "it was cancelled before it ran") }
        if let asked = self.asked[offset] {
            if asked.isOpen { return Failure(.expired, "nobody answered its questions in time") }
            if asked.answersJSON.count > Limits.Invocations.answerBytes {
                return Failure(
                    .limitReached, "its answers have more than \(Limits.Invocations.answerBytes) bytes together")
            }
        }
        let envelope = self.begun[offset]?.envelope ?? Envelope(block)
        if let only = envelope.revision, only != revision {
            return Failure(
                .functionRejected,
                "the function was deployed anew since this call was approved, and it was not run: make the call again")
        }
        guard let expires = envelope.expires, expires <= now else { return nil }
        return Failure(.expired, "its expiry time had passed before it could run")
    }

    /// An attempt starts.
    func began(_ offset: Offset, _ block: UnsafeRawBufferPointer, attempt: Int, revision: String, now: Timestamp) {
        guard self.begun[offset] == nil else {
            if self.begun[offset]?.started == nil { self.begun[offset]?.started = now }
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

    /// It waits for an answer before its first attempt.
    func held(_ offset: Offset, _ block: UnsafeRawBufferPointer, revision: String, now: Timestamp) {
        guard self.begun[offset] == nil else { return }
        self.begun[offset] = Begun(
            envelope: Envelope(block), attempts: 0, isRunning: false, revision: revision, isNews: false, notedAt: now)
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

    /// A record says all that there is to say.
    func noted(_ offset: Offset, now: Timestamp) {
        self.begun[offset]?.isNews = false
        self.begun[offset]?.notedAt = now
    }

    /// What a handler is given before its invocation; nil where it asked nothing.
    func answers(of offset: Offset) -> [UInt8]? {
        guard let asked = self.asked[offset], asked.hold == nil else { return nil }
        return asked.answersJSON
    }

    /// Something durable was said of one, and the queue is not open here, or not yet.
    func hear(_ mark: InvocationMark, _ value: [UInt8]) {
        if self.heard.count == Limits.Invocations.heardMarks { self.heard.removeFirst() }
        self.heard.append((mark, value))
    }

    /// The queue opens here, and what its ledger said is restored.
    func takeHeard() {
        for (mark, value) in self.heard { self.restore(mark, value) }
        self.heard = []
    }

    /// Takes what a restart found in the ledger.
    func restore(_ mark: InvocationMark, _ value: [UInt8]) {
        switch mark {
        case .cancel(let offset): self.cancels.insert(offset)
        case .asked(let offset): self.asked[offset, default: InvocationQuestions()].restore(mark: value)
        case .answer(let offset, let question):
            self.asked[offset, default: InvocationQuestions()].restore(answer: .init(name: question, json: value))
        }
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
