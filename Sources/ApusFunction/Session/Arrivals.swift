internal import ApusCore

/// Makes calls of INVOKE, BATCH and DATA frames and of sealed memory. Used by the session's reading thread only.
struct Arrivals {
    /// An event, or what is there of it.
    struct Item {
        var stream: UInt64
        var deadline: Timestamp
        var head: InvokeHead
        var block: [UInt8]
        var isTable: Bool
        var isItem: Bool
    }

    private let ancillary: CInt
    private var waiting: [UInt64: (item: Item, expected: Int)] = [:]
    private var strays: [UInt64: CInt] = [:]

    init(ancillary: CInt) { self.ancillary = ancillary }

    /// - Returns: the events that are whole now: one, or those of a batch; empty while data is missing.
    mutating func frame(_ header: FrameHeader, _ payload: [UInt8]) throws -> [Item] {
        switch header.type {
        case .invoke:
            guard header.flags.isSubset(of: [.more, .table, .descriptor]), header.stream != 0 else {
                throw Violation(reason: "an INVOKE with other flags, or on stream 0")
            }
            let item = try self.item(payload[...], header, stream: header.stream, isItem: false)
            return try self.complete(item, header.flags).map { [$0] } ?? []
        case .batch:
            return try self.batch(header, payload)
        default:
            return try self.data(header, payload).map { [$0] } ?? []
        }
    }

    private func item(
        _ bytes: ArraySlice<UInt8>, _ header: FrameHeader, stream: UInt64, isItem: Bool
    ) throws -> Item {
        let bytes = Array(bytes)
        guard bytes.count >= InvokeHead.byteCount + EventBlock.headBytes,
            let head = try? InvokeHead(parsing: bytes.span.bytes)
        else { throw Violation(reason: "an INVOKE without an event") }
        return Item(
            stream: stream, deadline: header.deadline, head: head, block: Array(bytes[InvokeHead.byteCount...]),
            isTable: header.flags.contains(.table), isItem: isItem)
    }

    private mutating func complete(_ item: Item, _ flags: FrameFlags) throws -> Item? {
        let layout = try Self.layout(item.block, isPartial: !flags.isDisjoint(with: [.more, .descriptor]))
        let missing = layout.dataCount - layout.data.count
        if flags.contains(.descriptor) {
            guard layout.data.isEmpty, !flags.contains(.more) else {
                throw Violation(reason: "data in a frame and by descriptor")
            }
            var item = item
            item.block += try self.sealed(item.stream, count: missing)
            return item
        }
        guard flags.contains(.more) else { return item }
        guard self.waiting[item.stream] == nil else { throw Violation(reason: "a stream that is in use") }
        self.waiting[item.stream] = (item, missing)
        return nil
    }

    private static func layout(_ block: [UInt8], isPartial: Bool) throws -> EventLayout {
        guard let layout = try? EventLayout(parsing: block.span.bytes),
            isPartial || layout.data.count == layout.dataCount
        else { throw Violation(reason: "an event whose lengths contradict each other") }
        return layout
    }

    private mutating func batch(_ header: FrameHeader, _ payload: [UInt8]) throws -> [Item] {
        guard header.flags.isSubset(of: [.more, .descriptor]), payload.count >= BatchPayload.headBytes else {
            throw Violation(reason: "a malformed BATCH")
        }
        let count = Int(payload.span.bytes.littleEndian(at: 0, as: UInt32.self))
        guard count > 0, count <= payload.count / BatchPayload.itemHeadBytes, count == 1 || header.flags.isEmpty else {
            throw Violation(reason: "a BATCH of \(count)")
        }
        var items: [Item] = []
        var at = BatchPayload.headBytes
        for _ in 0..<count {
            guard at + BatchPayload.itemHeadBytes <= payload.count else { throw Violation(reason: "a BATCH cut off") }
            let stream = payload.span.bytes.littleEndian(at: at, as: UInt64.self)
            let length = Int(payload.span.bytes.littleEndian(at: at + 8, as: UInt32.self))
            at += BatchPayload.itemHeadBytes
            guard stream != 0, length <= payload.count - at else { throw Violation(reason: "a BATCH cut off") }
            let item = try self.item(payload[at..<at + length], header, stream: stream, isItem: true)
            if let whole = try self.complete(item, header.flags) { items.append(whole) }
            at += length
        }
        guard at == payload.count else { throw Violation(reason: "bytes behind a BATCH") }
        return items
    }

    private mutating func data(_ header: FrameHeader, _ payload: [UInt8]) throws -> Item? {
        guard header.flags.isSubset(of: .more), var (item, expected) = self.waiting.removeValue(forKey: header.stream)
        else { throw Violation(reason: "DATA that nothing waits for") }
        guard payload.count <= expected else { throw Violation(reason: "more data than was announced") }
        item.block += payload
        expected -= payload.count
        if header.flags.contains(.more) {
            self.waiting[header.stream] = (item, expected)
            return nil
        }
        guard expected == 0 else { throw Violation(reason: "less data than was announced") }
        return item
    }

    // MARK: sealed memory

    /// Waits for the descriptor of a stream: the server sends it beside the frame.
    private mutating func descriptor(of stream: UInt64) throws -> CInt {
        if let descriptor = self.strays.removeValue(forKey: stream) { return descriptor }
        while let message = Descriptors.receive(self.ancillary) {
            if message.stream == stream { return message.descriptor }
            guard self.strays.count < Limits.strayDescriptors,
                self.strays.updateValue(message.descriptor, forKey: message.stream) == nil
            else { throw Violation(reason: "descriptors that no frame speaks of") }
        }
        throw Violation(reason: "a descriptor that did not come")
    }

    private mutating func sealed(_ stream: UInt64, count: Int) throws -> [UInt8] {
        let descriptor = try self.descriptor(of: stream)
        defer { Descriptors.close(descriptor) }
        guard let bytes = Descriptors.contents(of: descriptor, count: count) else {
            throw Violation(reason: "sealed memory of another size")
        }
        return bytes
    }

    /// The function's secrets, which come as stream 0.
    mutating func secrets() throws -> [String: String] {
        let descriptor = try self.descriptor(of: 0)
        defer { Descriptors.close(descriptor) }
        guard let count = Descriptors.size(of: descriptor), count <= Limits.secretsBytes,
            let bytes = Descriptors.contents(of: descriptor, count: count), let json = try? JSON(parsing: bytes),
            let members = json.object
        else { throw Violation(reason: "secrets that cannot be read") }
        return Dictionary(
            members.compactMap { member in member.value.string.map { (member.name, $0) } }, uniquingKeysWith: { $1 })
    }
}
