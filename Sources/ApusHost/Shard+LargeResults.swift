internal import ApusCore
internal import ApusEngine
internal import ApusLoop

/// Results that whoever waits takes as they come: no part of one is kept here.
extension Shard {
    /// - Returns: false for what is gathered, or refused, as any other result.
    func beganLarge(
        _ payload: UnsafeRawBufferPointer, _ announced: Int, _ channel: WorkerChannel, _ index: Int, _ extras: AttemptExtras
    ) throws(FrameError) -> Bool {
        guard announced <= Limits.largeResultBytes, case .request(let request) = channel.attempts[index].work,
            let sink = self.requests[request]?.sink, let takes = sink.takesParts
        else { return false }
        let layout = try EventLayout(parsing: payload.bytes, dataBytes: Limits.largeResultBytes)
        guard !layout.isNull else { throw .malformed }
        // Whoever takes it reads what it says of itself before it is whole.
        _ = try layout.decodeAttributes(in: payload.bytes)
        let head = Self.head(payload, upTo: layout.data.lowerBound)
        guard head.withUnsafeBytes({ takes($0, announced) }) else { return false }
        let flow = self.flow(from: channel)
        sink.onTiming(self.timing(of: channel.attempts[index], on: channel, now: self.turnTime ?? self.now))
        head.withUnsafeBytes { sink.onLarge($0, bytes: announced, flow) }
        extras.open = .large
        extras.result = []
        extras.expectedBytes = announced
        extras.partBytes = layout.data.count
        extras.flow = flow
        if !layout.data.isEmpty { self.pass(UnsafeRawBufferPointer(rebasing: payload[layout.data]), to: sink, flow, channel) }
        return true
    }

    func flow(from channel: WorkerChannel) -> PartFlow {
        PartFlow { [loop = self.loop, weak self, worker = channel.worker] in
            loop.post { [weak self] in
                guard let self, let channel = self.channels[worker] else { return }
                self.readAgain(channel, now: self.now)
            }
        }
    }

    func pass(_ part: UnsafeRawBufferPointer, to sink: any ResponseSink, _ flow: PartFlow, _ channel: WorkerChannel) {
        flow.came(part.count)
        sink.onPart(part)
        if flow.isHeld { channel.hold() }
    }

    /// What came was taken, or was all of it; other attempts of the worker may still wait.
    func readAgain(_ channel: WorkerChannel, now: Timestamp) {
        guard channel.intake == .held, !channel.attempts.contains(where: { $0.extras?.flow?.isHeld == true }) else { return }
        channel.goOn(now: now)
    }

    /// A whole block, of no data.
    private static func head(_ payload: UnsafeRawBufferPointer, upTo end: Int) -> [UInt8] {
        var block = Array(payload[..<end])
        block.withUnsafeMutableBytes { $0.storeBytes(of: 0, toByteOffset: 16, as: UInt32.self) }
        return block
    }

    /// What was announced is what must come: neither more, nor less.
    func continueLarge(
        _ payload: UnsafeRawBufferPointer, isLast: Bool, _ channel: WorkerChannel, _ index: Int, _ extras: AttemptExtras,
        now: Timestamp
    ) throws(FrameError) {
        guard extras.partBytes + payload.count <= extras.expectedBytes else { throw .malformed }
        extras.partBytes += payload.count
        // Whoever left takes nothing, and holds up nobody.
        if case .request(let request) = channel.attempts[index].work, let sink = self.requests[request]?.sink, let flow = extras.flow,
            !payload.isEmpty
        {
            self.pass(payload, to: sink, flow, channel)
        }
        if isLast { try self.endLarge(channel, index, extras, now: now) }
    }

    private func endLarge(_ channel: WorkerChannel, _ index: Int, _ extras: AttemptExtras, now: Timestamp) throws(FrameError) {
        guard extras.partBytes == extras.expectedBytes else { throw .truncated }
        try self.endStream(channel, at: index, extras, now: now)
    }
}
