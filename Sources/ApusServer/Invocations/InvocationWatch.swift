internal import Synchronization

/// Tells the store thread whether somebody still wants to hear of an invocation. From any thread.
final class InvocationWatch: Sendable {
    private let over = Atomic(false)

    var isOver: Bool { self.over.load(ordering: .relaxed) }
    func end() { self.over.store(true, ordering: .relaxed) }
}
