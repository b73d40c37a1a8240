internal import ApusCore
internal import CRDKafka
internal import Glibc

/// Transactions under one id, one after the other: the next begins when the outcome of the last is known. The writer's thread alone uses it.
///
/// Each writes its number and its owner to the ledger. When a commit's answer is lost, the producer is made anew, which decides the
/// old transaction, and the ledger says how. A broker that stalls past a transaction's time-out fences its producer for good, as
/// another server of the same name would: the owner in the ledger tells them apart.
final class KafkaTransactions {
    /// How a transaction ended that did not simply succeed.
    enum Trouble: Error {
        /// Nothing of it is on the log; it may be tried again.
        case aborted(KafkaFailure)
        /// The producer is of no use any more: another process has the id, or a transaction took too long.
        case fenced(KafkaFailure)

        var failure: KafkaFailure {
            switch self {
            case .aborted(let failure), .fenced(let failure): failure
            }
        }
    }

    private let configuration: KafkaLogConfiguration
    private let id: String
    private let outcomeMilliseconds: Int64
    /// Nil after a failure, until one could be made.
    private(set) var producer: KafkaProducer?
    private var number: UInt64 = 0
    /// Names this life of the server.
    private let owner = UInt64.random(in: 0...UInt64.max)

    /// - Parameters:
    ///   - id: who has it decides; two producers never do at once.
    ///   - outcomeMilliseconds: how long the outcome of one is waited for.
    init(
        _ configuration: KafkaLogConfiguration, id: String,
        outcomeMilliseconds: Int64 = Limits.Kafka.outcomeMilliseconds
    ) {
        self.configuration = configuration
        self.id = id
        self.outcomeMilliseconds = outcomeMilliseconds
    }

    func note(_ text: String) { self.configuration.observer.log(4, self.id, text) }

    var key: [UInt8] { KafkaLedger.Own.transaction(self.id) }

    /// The entry that goes with the transaction under way.
    var entry: LogBatch.LedgerWrite {
        var value: [UInt8] = []
        value.appendLittleEndian(self.number)
        value.appendLittleEndian(self.owner)
        return LogBatch.LedgerWrite(key: self.key, value: value)
    }

    /// Takes the id over: from here on no other producer under it writes anything, and what one left open is undone.
    func takeOver() throws(Trouble) {
        self.producer = nil
        do throws(KafkaFailure) {
            let producer = try KafkaProducer(self.configuration, transactionalID: self.id)
            let deadline = LogWriter.monotonicMilliseconds() + Limits.Kafka.startMilliseconds
            try self.untilDecided(deadline) { rd_kafka_init_transactions(producer.client.pointer, $0) }
            self.producer = producer
        } catch {
            throw error.isFenced ? .fenced(error) : .aborted(error)
        }
    }

    /// The ledger could not be read after a take-over: the next attempt begins with another.
    func giveUp() { self.producer = nil }

    /// The ledger was read: the numbers go on behind the last.
    func goOn(after value: [UInt8]?) {
        guard let value, value.count == 16 else { return }
        self.number = max(self.number, value.span.bytes.littleEndian(at: 0, as: UInt64.self))
    }

    /// Whether the last transaction under the id was this server's.
    func isOwner(_ value: [UInt8]?) -> Bool {
        guard let value, value.count == 16 else { return false }
        return value.span.bytes.littleEndian(at: 8, as: UInt64.self) == self.owner
    }

    func begin() throws(Trouble) -> KafkaProducer {
        guard let producer = self.producer else {
            throw .aborted(KafkaFailure(RD_KAFKA_RESP_ERR__STATE, "begin a transaction", "no producer could be made"))
        }
        self.number += 1
        do throws(KafkaFailure) {
            try verify(rd_kafka_begin_transaction(producer.client.pointer), "begin a transaction")
        } catch {
            self.producer = nil
            throw Self.isFenced(error, producer) ? .fenced(error) : .aborted(error)
        }
        return producer
    }

    private static func isFenced(_ failure: KafkaFailure, _ producer: KafkaProducer) -> Bool {
        failure.isFenced || producer.client.fatal?.isFenced ?? false
    }

    /// Everything of the transaction under way is undone.
    func abort(because failure: KafkaFailure) -> Trouble {
        guard let producer = self.producer else { return .aborted(failure) }
        if Self.isFenced(failure, producer) {
            self.producer = nil
            return .fenced(failure)
        }
        do throws(KafkaFailure) {
            let deadline = LogWriter.monotonicMilliseconds() + self.outcomeMilliseconds
            try self.untilDecided(deadline) { rd_kafka_abort_transaction(producer.client.pointer, $0) }
        } catch {
            // The next producer's start undoes it.
            self.producer = nil
            if Self.isFenced(error, producer) { return .fenced(error) }
        }
        return .aborted(failure)
    }

    enum Outcome {
        case committed
        case aborted(Trouble)
        /// Only the ledger knows: take over, read it, and compare the number.
        case unknown(KafkaFailure)
    }

    func commit() -> Outcome {
        guard let producer = self.producer else { return .unknown(KafkaFailure(RD_KAFKA_RESP_ERR__STATE, "commit")) }
        do throws(KafkaFailure) {
            let deadline = LogWriter.monotonicMilliseconds() + self.outcomeMilliseconds
            try self.untilDecided(deadline) { rd_kafka_commit_transaction(producer.client.pointer, $0) }
            return .committed
        } catch {
            if error.needsAbort { return .aborted(self.abort(because: error)) }
            self.producer = nil
            return Self.isFenced(error, producer) ? .aborted(.fenced(error)) : .unknown(error)
        }
    }

    /// Whether the ledger, read after a take-over, holds what the transaction of unknown outcome wrote.
    func isCommitted(_ value: [UInt8]?) -> Bool { value == self.entry.value }

    /// librdkafka asks to be called again where a request may still be answered, and goes on where it was.
    private func untilDecided(_ deadline: Int64, _ call: (Int32) -> OpaquePointer?) throws(KafkaFailure) {
        while true {
            let left = self.configuration.ending.until(deadline) - LogWriter.monotonicMilliseconds()
            let step = Int32(clamping: max(1, min(left, Limits.Kafka.decisionStepMilliseconds)))
            do throws(KafkaFailure) { return try verify(call(step), "decide a transaction") } catch {
                let deadline = self.configuration.ending.until(deadline)
                guard error.isRetriable, LogWriter.monotonicMilliseconds() < deadline else { throw error }
                // Some refusals are immediate, such as a coordinator that is still loading.
                usleep(Limits.Kafka.settleStepMilliseconds * 1_000)
            }
        }
    }
}
