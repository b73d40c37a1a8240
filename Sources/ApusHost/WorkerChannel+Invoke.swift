internal import ApusCore
internal import ApusEngine

extension WorkerChannel {
    /// Appends an INVOKE: whole in one frame, or its data by descriptor, or going on in DATA frames.
    /// - Parameter block: an ``EventBlock`` that is whole.
    func writeInvoke(_ header: FrameHeader, _ head: InvokeHead, _ block: UnsafeRawBufferPointer) {
        var header = header
        self.unwritten.append(header.stream)
        let size = FrameHeader.byteCount + InvokeHead.byteCount + block.count
        let dataCount = EventBlock.dataCount(of: block)
        var present = block.count
        if dataCount > Limits.inlineDataBytes, self.machine.features.contains(.descriptors) {
            let data = UnsafeRawBufferPointer(rebasing: block[(block.count - dataCount)...])
            if self.sendSealed(data, stream: header.stream) {
                header.flags.insert(.descriptor)
                present = block.count - dataCount
            }
        }
        if !header.flags.contains(.descriptor), size > Limits.frameBytes {
            header.flags.insert(.more)
            present = FrameHeader.payloadBytesMax - InvokeHead.byteCount
        }
        header.length = InvokeHead.byteCount + present
        let target = self.output.extend(by: FrameHeader.byteCount + header.length)
        guard let base = target.baseAddress, let source = block.baseAddress else { return }
        header.write(to: base)
        head.write(to: base + FrameHeader.byteCount)
        (base + FrameHeader.byteCount + InvokeHead.byteCount).copyMemory(from: source, byteCount: present)
        if header.flags.contains(.more) {
            self.writeData(UnsafeRawBufferPointer(rebasing: block[present...]), stream: header.stream)
        }
    }

    /// Appends data as DATA frames, the last of them without `more`.
    func writeData(_ data: UnsafeRawBufferPointer, stream: UInt64) {
        var at = 0
        repeat {
            let count = min(data.count - at, FrameHeader.payloadBytesMax)
            let isLast = at + count == data.count
            let header = FrameHeader(.data, flags: isLast ? [] : .more, stream: stream, length: count)
            let target = self.output.extend(by: FrameHeader.byteCount + count)
            guard let base = target.baseAddress else { return }
            header.write(to: base)
            UnsafeMutableRawBufferPointer(rebasing: target[FrameHeader.byteCount...])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: data[at..<at + count]))
            at += count
        } while at < data.count
    }

}

extension EventBlock {
    /// The length of the data that a block announces, at most what is there.
    static func dataCount(of block: UnsafeRawBufferPointer) -> Int {
        guard block.count >= EventBlock.headBytes else { return 0 }
        return min(Int(block.bytes.littleEndian(at: 16, as: UInt32.self)), block.count - EventBlock.headBytes)
    }
}

/// One BATCH frame while it is gathered; it goes to the channel when it is finished.
struct BatchFrame {
    private let channel: WorkerChannel
    private var payload: [UInt8] = []
    private var count: UInt32 = 0
    private var deadline = Timestamp.distantFuture
    /// Data of a single large item that does not fit the frame, and its stream.
    private var rest: (stream: UInt64, bytes: [UInt8])?

    init(channel: WorkerChannel) {
        self.channel = channel
        self.payload = Array(repeating: 0, count: BatchPayload.headBytes)
    }

    private static func size(_ block: UnsafeRawBufferPointer) -> Int {
        BatchPayload.itemHeadBytes + InvokeHead.byteCount + block.count
    }

    /// Whether an event fits: any does as the first, whose data may go on in DATA frames.
    func fits(_ block: UnsafeRawBufferPointer) -> Bool {
        self.count == 0 || (self.rest == nil && self.payload.count + Self.size(block) <= FrameHeader.payloadBytesMax)
    }

    mutating func append(_ stream: StreamID, _ head: InvokeHead, _ block: UnsafeRawBufferPointer, deadline: Timestamp) {
        let room = FrameHeader.payloadBytesMax - self.payload.count - BatchPayload.itemHeadBytes - InvokeHead.byteCount
        let present = min(block.count, room)
        self.payload.appendLittleEndian(stream.rawValue)
        self.payload.appendLittleEndian(UInt32(InvokeHead.byteCount + present))
        self.payload.appendLittleEndian(UInt32(0))
        withUnsafeTemporaryAllocation(byteCount: InvokeHead.byteCount, alignment: 8) { bytes in
            guard let base = bytes.baseAddress else { return }
            head.write(to: base)
            self.payload.append(contentsOf: bytes)
        }
        self.channel.unwritten.append(stream.rawValue)
        self.payload.append(contentsOf: block[..<present])
        if present < block.count { self.rest = (stream.rawValue, Array(block[present...])) }
        self.count += 1
        self.deadline = min(self.deadline, deadline)
    }

    /// Hands the frame to the channel; nothing when it stayed empty.
    mutating func finish() {
        guard self.count > 0 else { return }
        let count = self.count
        self.payload.withUnsafeMutableBytes { $0.storeBytes(of: count.littleEndian, as: UInt32.self) }
        let header = FrameHeader(
            .batch, flags: self.rest == nil ? [] : .more, deadline: self.deadline, length: self.payload.count)
        let target = self.channel.output.extend(by: FrameHeader.byteCount)
        guard let base = target.baseAddress else { return }
        header.write(to: base)
        self.channel.output.append(self.payload)
        if let rest = self.rest { rest.bytes.withUnsafeBytes { self.channel.writeData($0, stream: rest.stream) } }
    }
}
