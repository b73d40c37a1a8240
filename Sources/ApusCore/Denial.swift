/// Something that a sandbox refused to what runs in it: a system call, or more of a resource than it has.
public struct Denial: Sendable, Hashable {
    /// A system call (`socket`), or `resource:memory`, `resource:processes`, `resource:file-size`, or `trip-wire` for a call that
    /// ended the process.
    public var call: String
    /// Those that matter, in words where there are any: `AF_NETLINK, SOCK_RAW`. Empty for none.
    public var arguments: String
    public var count: UInt32

    public init(_ call: String, _ arguments: String = "", count: UInt32 = 1) {
        self.call = call
        self.arguments = arguments
        self.count = count
    }

    /// `socket(AF_NETLINK, SOCK_RAW) x3`
    public var text: String {
        let what = self.arguments.isEmpty ? self.call : "\(self.call)(\(self.arguments))"
        return "\(what) x\(self.count)"
    }
}

extension [Denial] {
    /// At most `max` of them, and how many more kinds there are.
    public func text(max: Int) -> String {
        let shown = self.prefix(max).map(\.text).joined(separator: ", ")
        return self.count > max ? "\(shown), and \(self.count - max) more" : shown
    }

    /// Adds what was counted since, to what is alike.
    public mutating func add(_ others: [Denial]) {
        for other in others {
            if let place = self.firstIndex(where: { $0.call == other.call && $0.arguments == other.arguments }) {
                self[place].count &+= other.count
            } else {
                self.append(other)
            }
        }
    }
}

/// What one worker was denied so far. Kinds keep their order, and are only ever added.
public struct DenialReport: Sendable, Equatable {
    public var denials: [Denial]
    /// More kinds than are told apart: how many calls these were.
    public var others: UInt32
    /// Denied calls are no longer counted: there were too many.
    public var isSpent: Bool

    public init(_ denials: [Denial] = [], others: UInt32 = 0, isSpent: Bool = false) {
        self.denials = denials
        self.others = others
        self.isSpent = isSpent
    }

    public var isEmpty: Bool { self.denials.isEmpty && self.others == 0 }

    /// What came since an earlier report of the same worker.
    public func since(_ earlier: DenialReport) -> DenialReport {
        var news = DenialReport(
            others: self.others - min(self.others, earlier.others), isSpent: self.isSpent && !earlier.isSpent)
        for (place, denial) in self.denials.enumerated() {
            var new = denial
            if place < earlier.denials.count { new.count -= min(new.count, earlier.denials[place].count) }
            if new.count > 0 { news.denials.append(new) }
        }
        return news
    }
}

/// Where a worker's denied calls can be looked at while it runs. Looking costs no system call.
public struct DenialSource: Sendable {
    /// How many there were: whether there is anything new to read.
    public let total: @Sendable () -> UInt32
    public let report: @Sendable () -> DenialReport

    public init(total: @escaping @Sendable () -> UInt32, report: @escaping @Sendable () -> DenialReport) {
        self.total = total
        self.report = report
    }
}
