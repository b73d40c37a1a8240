internal import ApusCore
internal import CRDKafka
internal import Glibc
internal import Synchronization

/// A producer with the thread that hears what became of its records.
final class OutputLine: @unchecked Sendable {
    // SAFETY: `last` is the thread's alone; the rest is constant, atomic or behind a mutex.

    let client: KafkaClient
    private let groups = Mutex<[UInt32: OutputGroup]>([:])
    private let isEnding = Atomic<Bool>(false)
    private let thread = Mutex<LogThread?>(nil)
    /// Reports come in runs of one group.
    private var last: OutputGroup?

    init(_ configuration: KafkaLogConfiguration) throws(KafkaFailure) {
        self.client = try KafkaClient(
            configuration, .producer(transactionalID: nil, lingerMilliseconds: Limits.Kafka.outputLingerMilliseconds),
            name: "outputs")
        self.client.context.onDelivery = { [unowned self] message in self.delivered(message) }
        do throws(ApusError) {
            let thread = try LogThread { [unowned self] in
                while !self.isEnding.load(ordering: .acquiring) { _ = rd_kafka_poll(self.client.pointer, 100) }
                self.last = nil
            }
            self.thread.withLock { $0 = thread }
        } catch { throw KafkaFailure(RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "make a thread", error.message) }
    }

    func open(_ number: UInt32, _ count: Int) -> OutputGroup {
        let group = OutputGroup(number, count, self)
        self.groups.withLock { $0[number] = group }
        return group
    }

    func forget(_ group: OutputGroup) { self.groups.withLock { $0[group.number] = nil } }

    /// librdkafka's queue is full: reports make room.
    func waitForRoom() { usleep(1_000) }

    /// Not from its own thread.
    func end() {
        self.isEnding.store(true, ordering: .releasing)
        self.thread.join()
    }

    private func delivered(_ message: UnsafePointer<rd_kafka_message_t>) {
        let opaque = Int(bitPattern: message.pointee._private) - 1
        let number = UInt32(truncatingIfNeeded: opaque >> 32)
        if self.last?.number != number { self.last = self.groups.withLock { $0[number] } }
        self.last?.delivered(opaque & 0xffff_ffff, message.pointee.offset, message.pointee.err)
    }
}
