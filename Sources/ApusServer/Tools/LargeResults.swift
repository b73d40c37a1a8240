internal import ApusCore
internal import ApusCrypto
internal import ApusLoop
internal import ApusTools
internal import Synchronization

/// Results that are too large to be sent with a call, kept for a while for who called. Small ones in memory, large ones on disk; both are
/// bounded, and the oldest go first.
final class LargeResults: Sendable {
    enum Body: Sendable {
        case memory([UInt8])
        case file(ResultFile, Room)

        var count: Int { switch self { case .memory(let data): data.count case .file(let file, _): file.size } }
    }

    struct Result: Sendable {
        var type: String
        var body: Body
        var owner: String
        var until: Timestamp
    }

    /// Bytes of the disk that one result has, until nobody holds it: it is being written, kept, or read.
    final class Room: Sendable {
        private let results: LargeResults
        private let bytes: Mutex<Int>
        private let readers = Mutex(0)
        let owner: String

        fileprivate init(_ results: LargeResults, _ bytes: Int, _ owner: String) {
            self.results = results
            self.bytes = Mutex(bytes)
            self.owner = owner
        }

        deinit {
            self.shrink(to: 0)
            self.results.disk.withLock { $0.rooms -= 1 }
        }

        /// The result stays where it is until whoever reads it lets go of this.
        func reading() -> Reading { Reading(self) }

        fileprivate var isRead: Bool { self.readers.withLock { $0 > 0 } }

        final class Reading: Sendable {
            private let room: Room

            fileprivate init(_ room: Room) {
                self.room = room
                room.readers.withLock { $0 += 1 }
            }

            deinit { self.room.readers.withLock { $0 -= 1 } }
        }

        /// Gives back what it turned out not to need.
        func shrink(to size: Int) {
            let less = self.bytes.withLock { bytes in
                defer { bytes = min(bytes, size) }
                return bytes - min(bytes, size)
            }
            self.results.disk.withLock { disk in
                disk.bytes -= less
                let left = (disk.byOwner[self.owner] ?? 0) - less
                disk.byOwner[self.owner] = left > 0 ? left : nil
            }
        }
    }

    private struct Disk {
        var rooms = 0
        var bytes = 0
        var byOwner: [String: Int] = [:]
    }

    private struct State {
        var results: [String: Result] = [:]
        /// The oldest first.
        var order: [String] = []
        /// In memory.
        var bytes = 0

        /// - Returns: what is to go, once no lock is held.
        mutating func remove(_ key: String) -> Result? {
            guard let result = self.results.removeValue(forKey: key) else { return nil }
            if case .memory(let data) = result.body { self.bytes -= data.count }
            self.order.removeAll { $0 == key }
            return result
        }

        mutating func removeExpired(_ now: Timestamp) -> [Result] {
            self.results.filter { $0.value.until <= now }.compactMap { self.remove($0.key) }
        }

        mutating func removeOldest(_ isMeant: (Result) -> Bool) -> Result? {
            let key = self.order.first { self.results[$0].map(isMeant) ?? false }
            return key.flatMap { self.remove($0) }
        }
    }

    private static let prefix = "apus://results/"
    let folder: String
    private let sealer: Sealer
    private let state = Mutex(State())
    private let disk = Mutex(Disk())
    private let resultsMax: Int
    private let bytesMax: Int
    private let thread: WorkThread?

    /// - Parameters:
    ///   - folder: where results that go to disk are written.
    ///   - thread: what may wait for that disk runs there; nil where whoever calls may.
    init(
        sealer: Sealer, folder: String, resultsMax: Int = Limits.ToolEndpoint.results, bytesMax: Int = Limits.ToolEndpoint.resultsBytes,
        thread: WorkThread? = nil
    ) {
        self.thread = thread
        self.sealer = sealer
        self.folder = folder
        self.resultsMax = resultsMax
        self.bytesMax = bytesMax
        ResultWriter.sweep(folder)
    }

    static func isOne(_ uri: String) -> Bool { uri.hasPrefix(Self.prefix) }

    /// Ends the thread. Once.
    func stop() { self.thread?.stop() }

    /// Runs what may wait for the disk, in order.
    /// - Returns: false where too much waits already; it will not run then.
    func onDisk(_ work: @escaping @Sendable () -> Void) -> Bool {
        guard let thread else {
            work()
            return true
        }
        return thread.run(work)
    }

    /// Lets go of what nobody can read any more.
    func sweep(now: Timestamp) { _ = self.state.withLock { $0.removeExpired(now) } }

    // MARK: the disk

    /// Makes room on disk: the oldest results of this caller go first, then the oldest of all. Those that are being read stay, since their room
    /// would not be free before that is over.
    /// - Throws: `limit_reached` where results that are being written or read now have all of it.
    func makeRoom(_ bytes: Int, for owner: String, now: Timestamp) throws(ApusError) -> Room {
        self.sweep(now: now)
        while true {
            let lacks = self.disk.withLock { disk -> Lack? in
                if (disk.byOwner[owner] ?? 0) + bytes > Limits.ToolEndpoint.callerResultsBytes { return .owner }
                if disk.rooms >= Limits.ToolEndpoint.diskResults || disk.bytes + bytes > Limits.ToolEndpoint.diskResultsBytes {
                    return .all
                }
                disk.rooms += 1
                disk.bytes += bytes
                disk.byOwner[owner, default: 0] += bytes
                return nil
            }
            guard let lacks else { return Room(self, bytes, owner) }
            let gone = self.state.withLock { state in
                state.removeOldest {
                    guard case .file(_, let room) = $0.body, !room.isRead else { return false }
                    return lacks == .all || $0.owner == owner
                }
            }
            guard gone != nil else {
                throw ApusError(.limitReached, "there is no room for a result of \(bytes) bytes: others are being written or read, try again in a moment")
            }
        }
    }

    private enum Lack { case owner, all }

    // MARK: results

    /// - Returns: where its owner can read it.
    func keep(_ data: [UInt8], type: String, for owner: String, until: Timestamp, now: Timestamp) -> String {
        self.keep(Result(type: type, body: .memory(data), owner: owner, until: until), now: now)
    }

    func keep(_ file: ResultFile, _ room: Room, type: String, for owner: String, until: Timestamp, now: Timestamp) -> String {
        self.keep(Result(type: type, body: .file(file, room), owner: owner, until: until), now: now)
    }

    private func keep(_ result: Result, now: Timestamp) -> String {
        let key = Random.bytes(16)
        let name = Hex.encode(key)
        var bytes = 0
        if case .memory(let data) = result.body { bytes = data.count }
        _ = self.state.withLock { state -> [Result] in
            var gone = state.removeExpired(now)
            while state.results.count >= self.resultsMax, let old = state.removeOldest({ _ in true }) { gone.append(old) }
            while state.bytes + bytes > self.bytesMax,
                let old = state.removeOldest({ if case .memory = $0.body { true } else { false } })
            {
                gone.append(old)
            }
            state.results[name] = result
            state.order.append(name)
            state.bytes += bytes
            return gone
        }
        return Self.prefix + self.sealer.seal(key, boundTo: ["apus result 1", result.owner])
    }

    /// - Returns: nil for what was never kept, is no more, or belongs to somebody else.
    func find(_ uri: String, for owner: String, now: Timestamp) -> (result: Result, range: ResultRange)? {
        let parts = uri.dropFirst(Self.prefix.count).split(
            separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let text = parts.first, let key = self.sealer.open(String(text), boundTo: ["apus result 1", owner]),
            let range = ResultRange(query: parts.count == 2 ? String(parts[1]) : nil)
        else { return nil }
        self.sweep(now: now)
        return self.state.withLock { $0.results[Hex.encode(key)] }.map { ($0, range) }
    }
}
