public import ApusCore

/// What the workers of one function took: time in each part, and what was held meanwhile. Amounts add up over any stretch of time.
public struct WorkerUsage: Sendable, Hashable {
    /// Microseconds of workers that had something to do.
    public var busy: Int64 = 0
    /// Microseconds of workers that were ready and had nothing to do.
    public var idle: Int64 = 0
    /// Microseconds of workers that were being started.
    public var starting: Int64 = 0
    /// Mebibytes of memory that their bounds allow, times microseconds, in all three parts.
    public var memory: Int64 = 0
    /// Thousandths of a processor that their bounds allow, times microseconds, while busy or starting.
    public var processor: Int64 = 0

    public init() {}

    public var isEmpty: Bool { self == WorkerUsage() }

    public static func += (left: inout WorkerUsage, right: WorkerUsage) {
        left.busy += right.busy
        left.idle += right.idle
        left.starting += right.starting
        left.memory += right.memory
        left.processor += right.processor
    }

    public static func -= (left: inout WorkerUsage, right: WorkerUsage) {
        left.busy -= right.busy
        left.idle -= right.idle
        left.starting -= right.starting
        left.memory -= right.memory
        left.processor -= right.processor
    }

    /// A part of it, from 0 to 1.
    public func part(_ part: Double) -> WorkerUsage {
        func cut(_ value: Int64) -> Int64 { Int64((Double(value) * min(max(part, 0), 1)).rounded(.down)) }
        var first = WorkerUsage()
        (first.busy, first.idle, first.starting) = (cut(self.busy), cut(self.idle), cut(self.starting))
        (first.memory, first.processor) = (cut(self.memory), cut(self.processor))
        return first
    }
}

/// Adds up the time of one function's workers. It is told of each change and never looks at a clock: between two changes the numbers
/// of workers stand still, so that their sum times the time between is exact.
public struct WorkerMeter: Sendable {
    /// What one worker may take, as its revision says.
    public struct Size: Sendable, Hashable {
        public var mebibytes: Int64
        public var processorMillis: Int64

        public init(memoryBytes: UInt64, processorMillis: UInt32) {
            self.mebibytes = Int64(clamping: (memoryBytes + (1 << 20) - 1) >> 20)
            self.processorMillis = Int64(processorMillis)
        }
    }

    /// Where a worker is, as far as its cost goes.
    public enum Part: Sendable, Hashable { case starting, idle, busy }

    private var starting: Int64 = 0
    private var idle: Int64 = 0
    private var busy: Int64 = 0
    private var mebibytes: Int64 = 0
    /// Of the workers that are busy or starting.
    private var processorMillis: Int64 = 0
    private var since = Timestamp.zero
    private var usage = WorkerUsage()

    public init() {}

    /// Workers that there are.
    public var workers: Int64 { self.starting + self.idle + self.busy }

    public mutating func joined(_ size: Size, now: Timestamp) {
        self.accrue(now: now)
        self.mebibytes += size.mebibytes
        self.count(.starting, size, 1)
    }

    public mutating func moved(from: Part, to: Part, _ size: Size, now: Timestamp) {
        self.accrue(now: now)
        self.count(from, size, -1)
        self.count(to, size, 1)
    }

    public mutating func left(from part: Part, _ size: Size, now: Timestamp) {
        self.accrue(now: now)
        self.mebibytes -= size.mebibytes
        self.count(part, size, -1)
    }

    /// What was taken since the last call.
    public mutating func take(now: Timestamp) -> WorkerUsage {
        self.accrue(now: now)
        defer { self.usage = WorkerUsage() }
        return self.usage
    }

    private mutating func count(_ part: Part, _ size: Size, _ step: Int64) {
        switch part {
        case .starting: self.starting += step
        case .idle: self.idle += step
        case .busy: self.busy += step
        }
        if part != .idle { self.processorMillis += step * size.processorMillis }
    }

    private mutating func accrue(now: Timestamp) {
        let span = now.microseconds - self.since.microseconds
        guard span > 0 else { return }
        self.since = now
        guard self.workers > 0 else { return }
        self.usage.busy += self.busy * span
        self.usage.idle += self.idle * span
        self.usage.starting += self.starting * span
        self.usage.memory += self.mebibytes * span
        self.usage.processor += self.processorMillis * span
    }
}
