internal import ApusCore

/// Cuts bytes that come in pieces into lines.
struct LineSplitter {
    let lineBytes: Int
    private var rest: [UInt8] = []

    /// - Parameter lineBytes: the longest line that is taken.
    init(lineBytes: Int) { self.lineBytes = lineBytes }

    /// - Returns: the lines that are whole now, without their ends.
    /// - Throws: `body_too_large` for a line longer than is taken.
    mutating func take(_ bytes: [UInt8]) throws(ApusError) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var start = 0
        while let end = bytes[start...].firstIndex(of: 0x0A) {
            self.rest += bytes[start..<end]
            try self.check()
            if self.rest.last == 0x0D { self.rest.removeLast() }
            lines.append(self.rest)
            self.rest = []
            start = end + 1
        }
        self.rest += bytes[start...]
        try self.check()
        return lines
    }

    /// What follows the last line end; nil when nothing does.
    mutating func finish() -> [UInt8]? {
        defer { self.rest = [] }
        return self.rest.isEmpty ? nil : self.rest
    }

    private func check() throws(ApusError) {
        guard self.rest.count <= self.lineBytes else {
            throw ApusError(.bodyTooLarge, "a line has more than \(self.lineBytes) bytes")
        }
    }
}
