internal import Synchronization

/// Collects one part from each shard and hands all of them on when the last has come.
final class Gathering<Part: Sendable>: Sendable {
    private let parts = Mutex<[Part]>([])
    private let count: Int
    private let completion: @Sendable ([Part]) -> Void

    init(_ count: Int, _ completion: @escaping @Sendable ([Part]) -> Void) {
        self.count = count
        self.completion = completion
    }

    func add(_ part: Part) {
        let all = self.parts.withLock { parts in
            parts.append(part)
            return parts.count == self.count ? parts : nil
        }
        if let all { self.completion(all) }
    }
}
