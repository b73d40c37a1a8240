internal import ApusCore

/// Cuts a stream of bytes into lines of bounded length. Pure: bytes in, lines out.
struct LineCapture {
    private var part: [UInt8] = []
    private var isOver = false
    private let lineBytes: Int

    init(lineBytes: Int = Limits.Host.lineBytes) { self.lineBytes = lineBytes }

    /// - Parameter body: gets each line without its end, and whether its rest was cut off.
    mutating func take(_ bytes: UnsafeRawBufferPointer, _ body: (_ line: [UInt8], _ isCut: Bool) -> Void) {
        var rest = bytes[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            self.add(rest[..<end])
            self.flush(body)
            rest = rest[(end + 1)...]
        }
        self.add(rest)
    }

    /// Gives the last line, which had no end.
    mutating func finish(_ body: (_ line: [UInt8], _ isCut: Bool) -> Void) {
        guard !self.part.isEmpty || self.isOver else { return }
        self.flush(body)
    }

    private mutating func add(_ bytes: Slice<UnsafeRawBufferPointer>) {
        let room = self.lineBytes - self.part.count
        if bytes.count > room { self.isOver = true }
        self.part.append(contentsOf: bytes.prefix(max(room, 0)))
    }

    private mutating func flush(_ body: (_ line: [UInt8], _ isCut: Bool) -> Void) {
        if self.part.last == UInt8(ascii: "\r") { self.part.removeLast() }
        body(self.part, self.isOver)
        self.part.removeAll(keepingCapacity: true)
        self.isOver = false
    }
}

/// How much of a worker's output is passed on: lines per second, bytes per attempt, and the last lines whatever was
/// dropped.
struct LogBudget {
    private var second: Int64 = 0
    private var linesInSecond = 0
    private var bytes = 0
    private(set) var droppedSinceLast = 0
    private(set) var droppedTotal = 0
    private var lastLines: [[UInt8]] = []
    /// Secrets that no failure may quote.
    var masks = SecretMasks()
    /// V8 ended the worker, since its heap was full: the kernel never saw the bound reached.
    private(set) var saysHeapIsFull = false

    /// - Returns: how many lines were dropped before this one when it may pass, nil when it is dropped.
    mutating func admit(_ lineBytes: Int, now: Timestamp) -> Int? {
        let second = now.microseconds / 1_000_000
        if second != self.second {
            self.second = second
            self.linesInSecond = 0
        }
        guard self.linesInSecond < Limits.Host.linesPerSecond, self.bytes + lineBytes <= Limits.Host.logBytesPerAttempt
        else {
            self.droppedSinceLast += 1
            self.droppedTotal += 1
            return nil
        }
        self.linesInSecond += 1
        self.bytes += lineBytes
        defer { self.droppedSinceLast = 0 }
        return self.droppedSinceLast
    }

    /// A new attempt has its own bytes.
    mutating func beginAttempt() { self.bytes = 0 }

    mutating func remember(_ line: [UInt8]) {
        // Its native stack, which follows, may be longer than what is kept.
        if line.starts(with: "FATAL ERROR:".utf8) {
            self.saysHeapIsFull = String(decoding: line, as: UTF8.self).hasSuffix("JavaScript heap out of memory")
        }
        if self.lastLines.count == Limits.Host.lastLines { self.lastLines.removeFirst() }
        self.lastLines.append(Array(line.prefix(512)))
    }

    /// The last of them.
    var lastLine: [UInt8]? { self.lastLines.last.map { self.masks.apply($0) } }

    /// What a failed start says.
    var lastText: String {
        self.lastLines.map { String(decoding: self.masks.apply($0), as: UTF8.self) }.joined(separator: "\n")
    }
}
