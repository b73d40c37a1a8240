internal import ApusCore
internal import ApusEngine

/// Results that whoever waits takes as they come: no part of one is kept here.
extension Shard {
    /// - Returns: false for what is gathered, or refused, as any other result.
    func beganLarge(
        _ payload: UnsafeRawBufferPointer, _ announced: Int, _ channel: WorkerChannel, _ index: Int, _ extras: AttemptExtras
    ) throws(FrameError) -> Bool {
        guard announced <= Limits.Host.largeResultBytes, case .request(let request) = channel.attempts[index].work,
            let sink = self.requests[request]?.sink
        else { return false }
        // A length of all ones is that of no key.
        let keyCount = payload.bytes.littleEndian(at: 8, as: UInt32.self)
        let attributes = Int(payload.bytes.littleEndian(at: 12, as: UInt32.self))
        let start = EventBlock.headBytes + (keyCount == .max ? 0 : Int(keyCount)) + attributes
        guard start <= payload.count, payload.count - start <= announced else { throw .malformed }
        if start == payload.count {
            // Workers may begin the data with the next frame, and what it begins with says what it is.
            extras.open = .undecided
            extras.expectedBytes = announced
            extras.result = Array(payload)
            return true
        }
        // What is there is a whole block, of fewer bytes, and its layout is checked as that of any other.
        let head = Self.block(payload, data: payload.count - start)
        let layout = try EventLayout(parsing: head.span.bytes)
        guard !layout.isNull else { throw .malformed }
        guard head.withUnsafeBytes({ sink.takesParts(of: $0, bytes: announced) }) else { return false }
        sink.onTiming(self.timing(of: channel.attempts[index], on: channel, now: self.turnTime ?? self.now))
        Self.block(UnsafeRawBufferPointer(rebasing: payload[..<start]), data: 0).withUnsafeBytes { sink.onStart($0) }
        extras.open = .large
        extras.result = []
        extras.expectedBytes = announced
        extras.partBytes = layout.data.count
        if !layout.data.isEmpty { sink.onPart(UnsafeRawBufferPointer(rebasing: payload[layout.data])) }
        return true
    }

    private static func block(_ bytes: UnsafeRawBufferPointer, data count: Int) -> [UInt8] {
        var block = Array(bytes)
        block.withUnsafeMutableBytes { $0.storeBytes(of: UInt32(count).littleEndian, toByteOffset: 16, as: UInt32.self) }
        return block
    }

    /// The first data of a result whose first frame had none.
    func decideLarge(
        _ payload: UnsafeRawBufferPointer, isLast: Bool, _ channel: WorkerChannel, _ index: Int, _ extras: AttemptExtras,
        now: Timestamp
    ) throws(FrameError) {
        let (head, announced) = (extras.result, extras.expectedBytes)
        guard payload.count <= announced, !payload.isEmpty else { throw .malformed }
        var isTaken = false
        try lend(head + Array(payload)) { block throws(FrameError) in
            isTaken = try self.beganLarge(block, announced, channel, index, extras)
        }
        guard !isTaken else {
            guard isLast else { return }
            guard extras.partBytes == announced else { throw .truncated }
            return try self.endStream(channel, at: index, extras, now: now)
        }
        try lend(head) { head throws(FrameError) in try self.gather(head, announced, channel, index, extras) }
        try self.receivedData(payload, isLast: isLast, from: channel, at: index, extras, now: now)
    }

    /// What was announced is what must come: neither more, nor less.
    func continueLarge(
        _ payload: UnsafeRawBufferPointer, isLast: Bool, _ channel: WorkerChannel, _ index: Int, _ extras: AttemptExtras,
        now: Timestamp
    ) throws(FrameError) {
        guard extras.partBytes + payload.count <= extras.expectedBytes else { throw .malformed }
        extras.partBytes += payload.count
        if case .request(let request) = channel.attempts[index].work, !payload.isEmpty {
            self.requests[request]?.sink.onPart(payload)
        }
        guard isLast else { return }
        guard extras.partBytes == extras.expectedBytes else { throw .truncated }
        try self.endStream(channel, at: index, extras, now: now)
    }
}
