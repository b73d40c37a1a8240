internal import ApusCore
internal import Synchronization

/// Who is to hear which shares are worked here, and who has yet to let one go.
final class ShareBoard: Sendable {
    private struct Content {
        var watchers: [ShareWatch: @Sendable (ShareChange) -> Void] = [:]
        var next: UInt64 = 1
        var working: [Share: UInt64] = [:]
        /// Those whose work on a share that drains is not over.
        var leaving: [Share: Set<ShareWatch>] = [:]
    }

    private let content = Mutex(Content())

    func watch(_ change: @escaping @Sendable (ShareChange) -> Void) -> ShareWatch {
        self.content.withLock { content in
            let watch = ShareWatch(rawValue: content.next)
            content.next += 1
            content.watchers[watch] = change
            for (share, term) in content.working where content.leaving[share] == nil {
                change(.working(ShareTerm(share, term: term)))
            }
            return watch
        }
    }

    /// - Returns: the shares that nobody works on any more for it.
    func unwatch(_ watch: ShareWatch) -> [Share] {
        self.content.withLock { content in
            content.watchers[watch] = nil
            return content.leaving.keys.filter { Self.isLast(&content, $0, watch) }
        }
    }

    func working(_ term: ShareTerm) {
        self.content.withLock { content in
            content.working[term.share] = term.term
            for change in content.watchers.values { change(.working(term)) }
        }
    }

    /// - Returns: whether nobody works on it.
    func draining(_ share: Share) -> Bool {
        self.content.withLock { content in
            guard !content.watchers.isEmpty else { return true }
            content.leaving[share] = Set(content.watchers.keys)
            for change in content.watchers.values { change(.draining(share)) }
            return false
        }
    }

    /// - Returns: whether it was the last to let go.
    func drained(_ share: Share, _ watch: ShareWatch) -> Bool {
        self.content.withLock { Self.isLast(&$0, share, watch) }
    }

    func stopped(_ share: Share) {
        self.content.withLock { content in
            content.working[share] = nil
            content.leaving[share] = nil
            for change in content.watchers.values { change(.stopped(share)) }
        }
    }

    private static func isLast(_ content: inout Content, _ share: Share, _ watch: ShareWatch) -> Bool {
        guard content.leaving[share]?.remove(watch) != nil else { return false }
        return content.leaving[share]?.isEmpty ?? false
    }
}
