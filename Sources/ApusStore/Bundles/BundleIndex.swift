public import ApusCore

/// Where on `apus.bundles` the pieces of which bundle lie, made by reading its partitions as far as they go.
///
/// A value without I/O. Records may be noted again: by whoever wrote them, and by whoever reads them later.
public struct BundleIndex: Sendable {
    private struct Bundle {
        var places: [Offset?]
        /// Of the newest piece.
        var newest: Timestamp

        var isWhole: Bool { self.places.allSatisfy { $0 != nil } }
    }

    private var bundles: [String: Bundle] = [:]
    private var reached = [Offset](repeating: 0, count: Limits.Bundle.partitions)
    private let bundlesMax: Int

    public init(bundlesMax: Int = Limits.Bundle.onLog) { self.bundlesMax = bundlesMax }

    /// As far as a partition was read.
    public func next(of partition: Int) -> Offset { self.reached[partition] }

    /// Everything before `next` was noted.
    public mutating func passed(_ partition: Int, to next: Offset) {
        self.reached[partition] = max(self.reached[partition], next)
    }

    /// - Parameter time: of a record that its log has stamped since.
    public mutating func note(_ block: UnsafeRawBufferPointer, at offset: Offset, time: Timestamp? = nil) {
        guard var head = BundleChunkHead(block) else { return }
        head.time = time ?? head.time
        self.note(head, at: offset)
    }

    mutating func note(_ head: BundleChunkHead, at offset: Offset) {
        guard let count = head.count else { return self.forget(head, before: offset) }
        var bundle = self.bundles[head.hash]
        if bundle == nil, self.isFull { return }
        // Pieces of another size belong to another way of cutting: the newer one counts.
        if bundle?.places.count != count { bundle = nil }
        var known = bundle ?? Bundle(places: Array(repeating: nil, count: count), newest: head.time)
        guard offset >= known.places[head.number] ?? 0 else { return }
        known.places[head.number] = offset
        known.newest = max(known.newest, head.time)
        self.bundles[head.hash] = known
    }

    private mutating func forget(_ head: BundleChunkHead, before offset: Offset) {
        guard var known = self.bundles[head.hash], let place = known.places[within: head.number], place < offset else {
            return
        }
        known.places[head.number] = nil
        self.bundles[head.hash] = known.places.contains { $0 != nil } ? known : nil
    }

    /// No further bundle is known, nor may one be written.
    public var isFull: Bool { self.bundles.count >= self.bundlesMax }

    /// The pieces of a bundle in their order; nil unless all are there.
    public func places(of hash: String) -> [Offset]? {
        guard let bundle = self.bundles[hash], bundle.isWhole else { return nil }
        return bundle.places.compactMap { $0 }
    }

    /// When a piece of it was written last; nil for one of which there is nothing.
    public func newest(of hash: String) -> Timestamp? { self.bundles[hash]?.newest }

    /// Those that may go: unused, and older than `cutoff`; halves of bundles too. The oldest first.
    public func unused(before cutoff: Timestamp, max: Int, _ isUsed: (String) -> Bool) -> [(hash: String, count: Int)] {
        self.bundles.filter { $0.value.newest < cutoff && !isUsed($0.key) }
            .sorted { ($0.value.newest, $0.key) < ($1.value.newest, $1.key) }
            .prefix(max).map { ($0.key, $0.value.places.count) }
    }

    public var count: Int { self.bundles.count }
}

extension Array where Element == Offset? {
    fileprivate subscript(within index: Int) -> Offset? { self.indices.contains(index) ? self[index] : nil }
}
