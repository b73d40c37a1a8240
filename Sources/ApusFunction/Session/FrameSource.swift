internal import ApusCore

/// The server breaks the protocol: the worker ends.
struct Violation: Error { var reason: String }

/// Reads frames, blocking. Used by the session's reading thread only.
struct FrameSource {
    private let descriptor: CInt
    private var buffer: [UInt8] = []
    private var at = 0

    init(descriptor: CInt) { self.descriptor = descriptor }

    /// The next frame; nil when the server is gone.
    mutating func next() throws -> (header: FrameHeader, payload: [UInt8])? {
        while true {
            let available = self.buffer.count - self.at
            if available >= FrameHeader.byteCount {
                let header: FrameHeader
                do { header = try FrameHeader(parsing: self.buffer.span.bytes, at: self.at) } catch {
                    throw Violation(reason: "a frame whose head is \(error)")
                }
                let size = FrameHeader.byteCount + header.length
                if available >= size {
                    let payload = Array(self.buffer[(self.at + FrameHeader.byteCount)..<(self.at + size)])
                    self.at += size
                    return (header, payload)
                }
            }
            guard self.fill() else { return nil }
        }
    }

    private mutating func fill() -> Bool {
        if self.at > 0 {
            self.buffer.removeFirst(self.at)
            self.at = 0
        }
        let descriptor = self.descriptor
        let got = withUnsafeTemporaryAllocation(byteCount: Limits.readBytes, alignment: 16) { room in
            let count = Descriptors.read(descriptor, into: room)
            self.buffer.append(contentsOf: room[..<count])
            return count
        }
        return got > 0
    }
}
