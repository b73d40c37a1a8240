// The frame decoder and every payload's parser under libFuzzer; compiled with the sources of ApusCore by `make fuzz`.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    var at = 0
    while bytes.count - at >= FrameHeader.byteCount {
        let rest = UnsafeRawBufferPointer(rebasing: bytes[at...])
        guard let header = try? FrameHeader(parsing: rest.bytes) else { return 0 }
        precondition(header.length <= FrameHeader.payloadBytesMax)
        let end = FrameHeader.byteCount + header.length
        guard end <= rest.count else { return 0 }
        parse(header, UnsafeRawBufferPointer(rebasing: rest[FrameHeader.byteCount..<end]))
        at += end
    }
    return 0
}

private func parse(_ header: FrameHeader, _ payload: UnsafeRawBufferPointer) {
    let bytes = payload.bytes
    switch header.type {
    case .hello: roundTrip { try HelloPayload(parsing: bytes) } append: { $0.append(to: &$1) } again: { try HelloPayload(parsing: $0) }
    case .error, .callResult:
        roundTrip { try ErrorPayload(parsing: bytes) } append: { $0.append(to: &$1) } again: { try ErrorPayload(parsing: $0) }
    case .itemResult, .result: event(bytes)
    case .progress: _ = try? ProgressPayload(parsing: bytes)
    case .log: _ = try? LogPayload(parsing: bytes)
    case .emit:
        guard let layout = try? EmitLayout(parsing: bytes) else { return }
        event(bytes.extracting(layout.block))
    case .invoke:
        guard (try? InvokeHead(parsing: bytes)) != nil else { return }
        event(bytes.extracting(InvokeHead.byteCount..<bytes.byteCount))
    default: event(bytes)
    }
}

/// What was read is written and read again as the same.
private func roundTrip<Value: Equatable>(
    _ read: () throws -> Value, append: (Value, inout [UInt8]) -> Void, again: (RawSpan) throws -> Value
) {
    guard let value = try? read() else { return }
    var written: [UInt8] = []
    append(value, &written)
    // Bytes that are no UTF-8 are repaired while they are read, which may change lengths; the second reading must hold.
    guard let second = try? again(written.span.bytes) else { preconditionFailure("what was written can be read") }
    precondition(second == value)
}

private func event(_ bytes: RawSpan) {
    guard let layout = try? EventLayout(parsing: bytes) else { return }
    precondition(layout.data.upperBound == bytes.byteCount)
    guard let event = try? EventBlock.decode(bytes) else { return }
    _ = try? EventBlock.check(event)
}
