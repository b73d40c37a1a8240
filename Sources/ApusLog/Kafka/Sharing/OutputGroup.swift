internal import ApusCore
internal import CRDKafka

/// Records that were handed over together outside of a transaction, and what becomes of each. The thread that hands them over waits for it;
/// the thread of their line tells.
final class OutputGroup: RecordFates, @unchecked Sendable {
    // SAFETY: `codes` and `offsets` of the handing thread are written by it alone, once ``wait()`` took them out of the monitor.

    private struct State {
        var offsets: [Offset]
        var codes: [rd_kafka_resp_err_t]
        /// Negative while more was told than counted: the count is added when all was handed over.
        var outstanding = 0
        var isSealed = false
    }

    let number: UInt32
    private let line: OutputLine
    private let state: Monitor<State>
    private var handed = 0
    private var offsets: [Offset] = []
    private var codes: [rd_kafka_resp_err_t] = []

    init(_ number: UInt32, _ count: Int, _ line: OutputLine) {
        self.number = number
        self.line = line
        self.codes = Array(repeating: RD_KAFKA_RESP_ERR_NO_ERROR, count: count)
        self.state = Monitor(
            State(
                offsets: Array(repeating: -1, count: count),
                codes: Array(repeating: RD_KAFKA_RESP_ERR_NO_ERROR, count: count)))
    }

    var client: KafkaClient { self.line.client }

    /// Queues one; a full queue is waited for.
    /// - Parameter send: hands it to librdkafka with what its report is to show.
    func produce(_ index: Int, _ send: (_ opaque: Int) -> rd_kafka_resp_err_t) {
        let opaque = Int(self.number) << 32 | index
        var code = send(opaque)
        while code == RD_KAFKA_RESP_ERR__QUEUE_FULL, self.client.fatal == nil, self.client.purgeAtTheEnd() {
            self.line.waitForRoom()
            code = send(opaque)
        }
        if code == RD_KAFKA_RESP_ERR_NO_ERROR { self.handed += 1 } else { self.codes[index] = code }
    }

    /// Waits until the fate of every record is known, which their time-out bounds.
    func wait() {
        let handed = self.handed
        let isDone = self.state.withLock { state in
            state.outstanding += handed
            state.isSealed = true
            return state.outstanding == 0
        }
        if !isDone {
            while self.state.take(within: 1_000, { $0.outstanding == 0 ? true : nil }) == nil, self.client.fatal == nil,
                self.client.purgeAtTheEnd()
            {}
        }
        self.line.forget(self)
        let (offsets, told) = self.state.withLock { ($0.offsets, $0.codes) }
        self.offsets = offsets
        for index in told.indices where told[index] != RD_KAFKA_RESP_ERR_NO_ERROR { self.codes[index] = told[index] }
    }

    /// On the thread of the line.
    func delivered(_ index: Int, _ offset: Offset, _ code: rd_kafka_resp_err_t) {
        let isLast = self.state.withLock { state in
            guard state.offsets.indices.contains(index) else { return false }
            state.offsets[index] = offset
            state.codes[index] = code
            state.outstanding -= 1
            return state.isSealed && state.outstanding == 0
        }
        if isLast { self.state.signal() }
    }

    // MARK: once it waited

    func offset(_ index: Int) -> Offset { self.offsets[index] }

    func failure(_ index: Int) -> KafkaFailure? {
        let code = self.codes[index]
        if code != RD_KAFKA_RESP_ERR_NO_ERROR {
            let why = code == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT ? self.client.context.error : nil
            return KafkaFailure(code, "append", why)
        }
        return self.offsets[index] < 0 ? self.client.fatal ?? KafkaFailure(RD_KAFKA_RESP_ERR__FAIL, "append") : nil
    }
}
