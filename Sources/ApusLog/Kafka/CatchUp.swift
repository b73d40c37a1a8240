internal import ApusCore
internal import CRDKafka
internal import Synchronization

/// The consumers that read what lies far behind: a few of them, each on several partitions, kept for whoever goes on where a read
/// stopped.
final class CatchUp: Sendable {
    private struct Content {
        /// Answers questions, and reads nothing.
        var asked: KafkaClient?
        var clients: [KafkaClient] = []
        /// Not in use, longest unused first.
        var idle: [CatchUpRead] = []
        var busy: [ObjectIdentifier: CatchUpRead] = [:]
    }

    private let configuration: KafkaLogConfiguration
    private let content = Mutex(Content())
    /// Held by who makes a consumer: others want the one that is being made.
    private let making = Mutex(())

    init(_ configuration: KafkaLogConfiguration) { self.configuration = configuration }

    /// The client that answers questions about committed records; made with the first.
    func client() throws(KafkaFailure) -> KafkaClient {
        if let client = self.content.withLock({ $0.asked }) { return client }
        let client = try KafkaClient(
            self.configuration, .catchingUp, name: "questions")
        return self.content.withLock { content in
            // Another thread may have been faster.
            let asked = content.asked ?? client
            content.asked = asked
            return asked
        }
    }

    /// Consumers that read, and the reads there are: lent, and kept for whoever goes on.
    var counts: (consumers: Int, busy: Int, idle: Int) {
        self.content.withLock { ($0.clients.count, $0.busy.count, $0.idle.count) }
    }

    /// Lends a read that stands at `start`.
    func with<Value>(
        _ partition: KafkaPartition, from start: Offset, _ body: (CatchUpRead) throws(KafkaFailure) -> Value
    ) throws(KafkaFailure) -> Value {
        let read = try self.take(partition, from: start)
        do throws(KafkaFailure) {
            if read.next != start { try read.move(to: start) }
            let value = try body(read)
            self.give(read)
            return value
        } catch {
            // One that failed begins anew.
            self.content.withLock { _ = $0.busy.removeValue(forKey: ObjectIdentifier(read)) }
            throw error
        }
    }

    /// Nothing is read of these partitions any more, unless it is being read now.
    func forget(_ partitions: [KafkaPartition]) {
        let gone = self.content.withLock { content -> [CatchUpRead] in
            let gone = content.idle.filter { read in partitions.contains { $0 === read.partition } }
            content.idle.removeAll { read in gone.contains { $0 === read } }
            return gone
        }
        // Stopped here, outside the lock, as the last reference goes.
        withExtendedLifetime(gone) {}
    }

    /// Lets the clients' callbacks run, and lets go of what nobody went on with: each of them fetches ahead.
    func look(now: Int64 = LogWriter.monotonicMilliseconds()) {
        let (clients, gone) = self.content.withLock { content -> ([KafkaClient], [CatchUpRead]) in
            let gone = content.idle.filter { now - $0.lastUsed > Limits.Kafka.idleReadMilliseconds }
            content.idle.removeAll { read in gone.contains { $0 === read } }
            return (content.clients + (content.asked.map { [$0] } ?? []), gone)
        }
        for client in clients { client.serve() }
        // Stopped here, outside the lock, as the last reference goes.
        withExtendedLifetime(gone) {}
    }

    func close() {
        let gone = self.content.withLock { content in
            defer { content = Content() }
            return content
        }
        withExtendedLifetime(gone) {}
    }

    // MARK: choosing

    private enum Choice {
        case read(CatchUpRead)
        case make(KafkaClient)
        /// One more than there are.
        case makeClient(Int)
        case none
    }

    private func take(_ partition: KafkaPartition, from start: Offset) throws(KafkaFailure) -> CatchUpRead {
        for _ in 0...self.configuration.catchUpConsumers {
            var gone: CatchUpRead?
            let choice = self.content.withLock { content in
                Self.choose(partition, start, self.configuration.catchUpConsumers, &content, &gone)
            }
            withExtendedLifetime(gone) {}
            gone = nil
            switch choice {
            case .read(let read): return read
            case .make(let client):
                let read = try CatchUpRead(client, partition, from: start)
                self.content.withLock { $0.busy[ObjectIdentifier(read)] = read }
                return read
            case .makeClient(let known): try self.makeClient(beside: known)
            case .none: throw self.fullFailure(partition)
            }
        }
        throw self.fullFailure(partition)
    }

    private func fullFailure(_ partition: KafkaPartition) -> KafkaFailure {
        KafkaFailure(
            RD_KAFKA_RESP_ERR__QUEUE_FULL, "read \(partition.place)",
            "\(Limits.Kafka.catchUpReads) reads are under way: try again in a moment")
    }

    private static func choose(
        _ partition: KafkaPartition, _ start: Offset, _ clientsMax: Int, _ content: inout Content,
        _ gone: inout CatchUpRead?
    ) -> Choice {
        let mine = content.idle.indices.filter { content.idle[$0].partition === partition }
        func lend(_ index: Int) -> Choice {
            let read = content.idle.remove(at: index)
            content.busy[ObjectIdentifier(read)] = read
            return .read(read)
        }
        if let index = mine.first(where: { content.idle[$0].next == start })
            ?? mine.first(where: { content.idle[$0].isFetched(start) })
        {
            return lend(index)
        }
        // One that stands elsewhere is mostly another reader's, who comes back to it: it is moved only where there are many.
        if let index = mine.first, mine.count >= Limits.Kafka.catchUpReadsOfPartition { return lend(index) }
        if content.idle.count + content.busy.count >= Limits.Kafka.catchUpReads {
            guard !content.idle.isEmpty else { return .none }
            gone = content.idle.removeFirst()
        }
        // A client reads a partition once.
        let taken = (content.busy.values + content.idle).filter { $0.partition === partition }.map(\.client)
        if let client = content.clients.first(where: { client in !taken.contains { $0 === client } }) {
            return .make(client)
        }
        if content.clients.count < clientsMax { return .makeClient(content.clients.count) }
        return content.idle.firstIndex { $0.partition === partition }.map(lend) ?? .none
    }

    /// Makes a consumer unless another thread has just made one.
    private func makeClient(beside known: Int) throws(KafkaFailure) {
        try self.making.withLock { (_) throws(KafkaFailure) in
            let number = self.content.withLock { $0.clients.count }
            guard number == known else { return }
            let client = try KafkaClient(self.configuration, .catchingUp, name: "catch-up-\(number)")
            self.content.withLock { $0.clients.append(client) }
        }
    }

    private func give(_ read: CatchUpRead) {
        // One that has nothing left to read would ask for news all the time.
        let keeps = !read.isAtEnd
        self.content.withLock { content in
            // Gone when the log was closed meanwhile.
            if let read = content.busy.removeValue(forKey: ObjectIdentifier(read)), keeps { content.idle.append(read) }
        }
    }
}
