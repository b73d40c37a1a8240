internal import ApusCore
internal import Synchronization

/// Parts of a list that were put together once, by where they begin. A list does not change, and neither do they. From any thread.
final class KeptParts: Sendable {
    private struct State {
        var parts: [Int: ToolListing.Part] = [:]
        var bytes = 0
    }

    private let state = Mutex(State())

    /// The first that are asked for stay: a walk through all of a long list does not take the place of its first page.
    func part(from first: Int, _ make: () -> ToolListing.Part) -> ToolListing.Part {
        if let known = self.state.withLock({ $0.parts[first] }) { return known }
        let part = make()
        self.state.withLock { state in
            guard state.parts[first] == nil, state.bytes + part.items.count <= Limits.Tools.keptPartsBytes else { return }
            state.parts[first] = part
            state.bytes += part.items.count
        }
        return part
    }

    var bytes: Int { self.state.withLock { $0.bytes } }
}
