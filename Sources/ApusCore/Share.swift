/// What a function needs of a node that runs it.
public struct WorkClass: Sendable, Hashable, CustomStringConvertible {
    public let name: String

    /// - Returns: nil unless the name is lower-case letters, digits and dashes, and short enough to be part of a topic's name.
    public init?(_ name: String) {
        let isPlain = name.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-")
        }
        guard isPlain, (1...Limits.workClassBytes).contains(name.utf8.count) else { return nil }
        self.name = name
    }

    private init(known name: String) { self.name = name }

    /// Every node can.
    public static let cpu = WorkClass(known: "cpu")
    /// Functions that ask for a device.
    public static let gpu = WorkClass(known: "gpu")

    public var description: String { self.name }
}

/// That a function is not of the class any more that it was made with.
public struct ClassMove: Sendable, Hashable {
    /// The class that it was made with.
    public var first: WorkClass
    /// The function's generation that gave it the class that it has.
    public var since: UInt64

    public init(first: WorkClass, since: UInt64) {
        self.first = first
        self.since = since
    }
}

/// One of the parts of a class's work. Each is done by one node at a time.
public struct Share: Sendable, Hashable, CustomStringConvertible {
    /// Parts of each class: fixed when a cluster is created.
    public static let count = 16

    public var workClass: WorkClass
    /// From 0 to ``count`` - 1.
    public var number: Int

    public init(_ workClass: WorkClass, _ number: Int) {
        self.workClass = workClass
        self.number = number
    }

    /// The share that a partition of a topic belongs to, for functions of a class: neighbouring partitions lie in neighbouring shares.
    public static func of(_ topic: TopicName, partition: Int, _ workClass: WorkClass) -> Share {
        var name = topic.onLog
        let hash = name.withUTF8 { Murmur2.hash(UnsafeRawBufferPointer($0)) }
        return Share(workClass, (Int(hash % UInt32(Self.count)) + partition) % Self.count)
    }

    public var description: String { "\(self.workClass)/\(self.number)" }
}

/// A share as one node holds it, from the moment it may decide until it may not. What was begun in one term is refused in every other.
public struct ShareTerm: Sendable, Hashable {
    public var share: Share
    public var term: UInt64

    public init(_ share: Share, term: UInt64) {
        self.share = share
        self.term = term
    }
}

/// How a log spreads work over the nodes that stand on it.
public protocol WorkSharing: AnyObject, Sendable {
    /// What this node is called among them.
    var node: String { get }
    /// The classes that this node takes part in, in a fixed order.
    var classes: [WorkClass] { get }
    /// Calls `change` for each share that is worked here, and for each change from then on. From the log's threads, in order, under a lock:
    /// it must not wait, nor call the log.
    func watch(_ change: @escaping @Sendable (ShareChange) -> Void) -> ShareWatch
    /// What is asked to be let go is: nothing of it runs any more for this watcher, and what ended is on the log.
    func drained(_ share: Share, _ watch: ShareWatch)
    func unwatch(_ watch: ShareWatch)
    /// Brings what is known of the ledger of a share up to date that may be another's: to what is decided by now. Blocks.
    func read(_ share: Share) throws(ApusError)
    /// The same, whoever works it: for entries that no class owns any more. Blocks.
    func readEntries(_ number: Int) throws(ApusError)
    /// Takes a lane from another class that does not let it go: nothing that its nodes decide of it from now on takes effect. They begin the
    /// share anew, and find there what `entry` says. Blocks.
    func take(_ term: ShareTerm, from former: WorkClass, _ entry: LogBatch.LedgerWrite) throws(ApusError)
    /// What this node holds, as it is now.
    var shares: [ShareStatus] { get }
    /// What the nodes hold of this one's classes: its own as it is now, that of others as they said a few seconds ago. One that died
    /// holds what it held until another takes it.
    var nodes: [NodeShare] { get }
    /// Whether any node takes part in a class, this one or another: one that is gone counts until its session is over. Blocks.
    func hasNodes(_ workClass: WorkClass) throws(ApusError) -> Bool
    /// How often shares of each class began to be worked here since the log was opened.
    var terms: [WorkClass: UInt64] { get }
}

public enum ShareChange: Sendable, Hashable {
    /// Its ledger is read: its work may be done.
    case working(ShareTerm)
    /// Nothing new of it may begin; ``WorkSharing/drained(_:_:)`` says that what ran is done.
    case draining(Share)
    /// Nothing of it is written any more: what runs has been in vain.
    case stopped(Share)
}

public struct ShareWatch: Sendable, Hashable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

public struct ShareStatus: Sendable, Hashable {
    public enum State: String, Sendable, Hashable, CaseIterable {
        case initialising, reading, working, draining, waiting
    }

    public var share: Share
    public var state: State
    /// When this node began to hold it.
    public var since: Timestamp

    public init(_ share: Share, _ state: State, since: Timestamp = .zero) {
        self.share = share
        self.state = state
        self.since = since
    }
}

/// A share and who holds it.
public struct NodeShare: Sendable, Hashable {
    public var node: String
    public var status: ShareStatus

    public init(node: String, _ status: ShareStatus) {
        self.node = node
        self.status = status
    }
}

extension WorkSharing {
    /// Where nobody hears of others.
    public var nodes: [NodeShare] { self.shares.map { NodeShare(node: self.node, $0) } }
    public func hasNodes(_ workClass: WorkClass) throws(ApusError) -> Bool { self.classes.contains(workClass) }
}
