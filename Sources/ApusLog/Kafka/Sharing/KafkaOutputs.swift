internal import ApusCore
internal import CRDKafka
internal import Synchronization

/// Where this node's outputs outside of transactions go: one idempotent producer for all shares, made with the first of them.
final class KafkaOutputs: Sendable {
    private let configuration: KafkaLogConfiguration
    private struct State {
        var line: OutputLine?
        var next: UInt32 = 1
        var isClosed = false
    }
    private let state = Mutex(State())

    init(_ configuration: KafkaLogConfiguration) {
        var configuration = configuration
        // Whoever is deposed meanwhile has nothing of his come later than that.
        if let sharing = configuration.sharing {
            configuration.deliveryMilliseconds = min(
                configuration.deliveryMilliseconds, Int(sharing.proof.milliseconds))
        }
        self.configuration = configuration
    }

    /// A group of so many records, to be handed over by the thread that asks.
    func begin(_ count: Int) throws(KafkaFailure) -> OutputGroup {
        let (made, retired) = self.state.withLock { state -> (Result<OutputGroup, KafkaFailure>, OutputLine?) in
            guard !state.isClosed else {
                return (.failure(KafkaFailure(RD_KAFKA_RESP_ERR__DESTROY, "append", "the event log is closing")), nil)
            }
            var retired: OutputLine?
            // One that lost the order of its records does nothing more: the next one begins a new order.
            if let line = state.line, let fatal = line.client.fatal {
                self.configuration.observer.log(3, line.client.context.name, "made anew: \(fatal)")
                retired = line
                state.line = nil
            }
            do throws(KafkaFailure) {
                let line = if let known = state.line { known } else { try OutputLine(self.configuration) }
                state.line = line
                defer { state.next = state.next == UInt32(Int32.max) ? 1 : state.next + 1 }
                return (.success(line.open(state.next, count)), retired)
            } catch { return (.failure(error), retired) }
        }
        retired?.end()
        return try made.get()
    }

    /// For who asks the cluster in its name.
    var client: KafkaClient? { self.state.withLock { $0.line?.client } }

    /// Nothing is under way any more.
    func close() {
        let line = self.state.withLock { state -> OutputLine? in
            state.isClosed = true
            defer { state.line = nil }
            return state.line
        }
        line?.end()
    }
}
