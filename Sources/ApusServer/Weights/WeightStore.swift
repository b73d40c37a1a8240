internal import ApusCore
internal import ApusHost
internal import ApusLoop
internal import ApusManifest
internal import ApusStore
internal import Synchronization

/// Brings files of weights to this machine, each once, and says how far that is.
///
/// A file is one thread's, by its hash: whoever wants it while it comes waits behind, and finds it there.
final class WeightStore: Sendable {
    /// What became of one file, for people and for estimates.
    struct Progress: Sendable {
        var bytes: Int64
        var total: Int64?
        var error: ApusError?
    }

    private struct State: Sendable {
        var coming: [String: Progress] = [:]
        /// Bytes a second of what came last.
        var rate = Double(Limits.Weights.rate)
    }

    let folder: WeightFolder
    private let egress: any EgressDirecting
    private let quota: Int64
    private let threads = (0..<Limits.Weights.threads).map { _ in WorkThread(queueMax: Limits.Weights.waiting) }
    private let isStopping = Atomic(false)
    private let state = Mutex(State())
    private let clock = SystemClock()
    /// Removes what nobody names until so many bytes have room; before anything is fetched.
    private let makeRoom = Mutex<(@Sendable (Int64) -> Void)?>(nil)

    init(dataDirectory: String, egress: any EgressDirecting, quota: Int64) {
        self.folder = WeightFolder(dataDirectory: dataDirectory)
        self.egress = egress
        self.quota = quota
    }

    func bind(makeRoom: @escaping @Sendable (_ bytes: Int64) -> Void) { self.makeRoom.withLock { $0 = makeRoom } }

    // MARK: what there is

    func isThere(_ set: WeightSet) -> Bool { set.files.allSatisfy { self.folder.isThere($0.sha256) } }

    /// How long what is missing of a set may take; nil where nothing is.
    func estimate(_ set: WeightSet) -> TimeSpan? {
        let missing = set.files.filter { !self.folder.isThere($0.sha256) }
        guard !missing.isEmpty else { return nil }
        let bytes = missing.reduce(Int64(0)) { sum, file in
            sum + max(1, (file.bytes ?? Limits.Weights.unknownBytes) - self.folder.fetched(file.sha256))
        }
        let rate = self.state.withLock { $0.rate }
        return TimeSpan(microseconds: Int64(Double(bytes) / max(1, rate) * 1e6))
    }

    func progress(of hash: String) -> Progress? { self.state.withLock { $0.coming[hash] } }

    // MARK: bringing

    /// Makes `weights/sets/<key>` of a set, with all its files whole. From any thread; never blocks.
    /// - Parameter completion: called once, on no particular thread.
    func bring(_ set: WeightSet, _ completion: @escaping @Sendable (ApusError?) -> Void) {
        self.bring(set, from: 0, completion)
    }

    /// The same where there may be none, or all is there.
    func bring(_ set: WeightSet?, _ completion: @escaping @Sendable (ApusError?) -> Void) {
        guard let set, !self.folder.isThere(set: set.key) else { return completion(nil) }
        self.bring(set, from: 0, completion)
    }

    private func bring(_ set: WeightSet, from index: Int, _ completion: @escaping @Sendable (ApusError?) -> Void) {
        let file = set.files[min(index, set.files.count - 1)]
        let thread = Int(file.sha256.utf8.first ?? 0) % self.threads.count
        let isQueued = self.threads[thread].run {
            do throws(ApusError) {
                guard index < set.files.count else {
                    try self.folder.link(set)
                    return completion(nil)
                }
                try self.fetch(file, bundle: set.bundle)
            } catch {
                let there = Progress(bytes: self.folder.fetched(file.sha256), total: file.bytes)
                self.state.withLock { $0.coming[file.sha256, default: there].error = error }
                return completion(Self.named(error, file))
            }
            self.bring(set, from: index + 1, completion)
        }
        guard !isQueued else { return }
        let isStopping = self.isStopping.load(ordering: .acquiring)
        completion(
            isStopping
                ? ApusError(.shuttingDown, "the server is stopping")
                : ApusError(.overloaded, "too many functions wait for their weights: try again later"))
    }

    private static func named(_ error: ApusError, _ file: FunctionManifest.Weights) -> ApusError {
        switch error.code {
        case .shuttingDown, .overloaded: error
        default: ApusError(.weightsUnavailable, "the weights '\(file.name)': \(error.message)", cause: error)
        }
    }

    private func fetch(_ file: FunctionManifest.Weights, bundle: String) throws(ApusError) {
        let hash = file.sha256
        guard !self.folder.isThere(hash) else { return }
        if self.isStopping.load(ordering: .acquiring) { throw ApusError(.shuttingDown, "the server is stopping") }
        let room = try self.room(for: file)
        let (descriptor, before) = try self.folder.openPartial(hash)
        defer { closeDescriptor(descriptor) }
        self.state.withLock { $0.coming[hash] = Progress(bytes: before, total: file.bytes) }
        let begin = self.clock.now
        switch file.source {
        case .file(let path):
            try self.folder.empty(descriptor, of: hash)
            try self.folder.copy(path, of: bundle, to: descriptor, hash: hash, room: room)
        case .url(let url):
            let download = WeightDownload(
                folder: self.folder, egress: self.egress, hash: hash, bytesMax: room,
                isStopping: { self.isStopping.load(ordering: .acquiring) },
                onProgress: { bytes, total in
                    self.state.withLock { state in
                        state.coming[hash]?.bytes = bytes
                        if let total { state.coming[hash]?.total = total }
                    }
                })
            try download.run(url, into: descriptor)
            self.learn(self.folder.fetched(hash) - before, self.clock.now - begin)
        }
        if let found = try self.folder.adopt(hash, descriptor) {
            let bytes = self.folder.fetched(hash)
            try self.folder.discard(hash)
            throw ApusError(
                .weightsUnavailable,
                "\(bytes) bytes came with the hash \(found), and the manifest says \(hash): they were thrown away")
        }
        self.state.withLock { $0.coming[hash] = nil }
    }

    /// - Returns: what the file may be at most.
    private func room(for file: FunctionManifest.Weights) throws(ApusError) -> Int64 {
        let own = self.folder.fetched(file.sha256)
        let wanted = file.bytes ?? Limits.Weights.unknownBytes
        if try self.folder.bytes() - own + wanted > self.quota { self.makeRoom.withLock { $0 }?(wanted - own) }
        let room = self.quota - (try self.folder.bytes() - own)
        if let bytes = file.bytes {
            guard bytes <= room else {
                throw ApusError(
                    .weightsUnavailable,
                    "it needs \(bytes) bytes, and `retention.weightsBytes` has room for \(max(0, room)): what is there is "
                        + "named by functions that are deployed")
            }
            return bytes
        }
        return max(0, room)
    }

    private func learn(_ bytes: Int64, _ span: TimeSpan) {
        guard bytes >= 1 << 20, span.microseconds > 0 else { return }
        let rate = Double(bytes) / (Double(span.microseconds) * 1e-6)
        self.state.withLock { $0.rate += (rate - $0.rate) / 2 }
    }

    /// Ends what comes; what came of it stays for the next start of the server. Not from a loop.
    func stop() {
        self.isStopping.store(true, ordering: .releasing)
        for thread in self.threads { thread.stop() }
    }
}
