// Feeds arbitrary bytes to everything that reads what a worker sends: the reader that cuts frames, the parsers of their payloads,
// the event block. A finding is a trap, an out-of-bounds access, a frame that depends on how its bytes arrived, or something
// accepted that is different after it was written again.
//
// `bash Fuzz/FrameFuzz.build OUTPUT` builds it, `make fuzz TARGETS=FrameFuzz` runs it. The first byte says in which pieces the rest
// arrives.

import ApusCore

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzFrames(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = UnsafeRawBufferPointer(start: start, count: count)
    guard let piece = input.first else { return 0 }
    let bytes = UnsafeRawBufferPointer(rebasing: input.dropFirst())
    let whole = readFrames(bytes, piece: max(bytes.count, 1))
    let cut = readFrames(bytes, piece: Int(piece) + 1)
    precondition(whole == cut, "what is read depends on how it arrived")
    for frame in whole.frames { checkPayload(frame) }
    // Most inputs are no frame; what stands in one is reached directly too.
    checkHello(bytes)
    checkError(bytes)
    checkBlock(bytes)
    return 0
}

private struct Frame: Equatable {
    var header: FrameHeader
    var payload: [UInt8]
}

private struct Session: Equatable {
    var frames: [Frame] = []
    var error: FrameError?
}

/// What a session reads from bytes that arrive `piece` at a time.
private func readFrames(_ bytes: UnsafeRawBufferPointer, piece: Int) -> Session {
    var session = Session()
    var reader = FrameReader(capacity: 2 * Limits.frameBytes)
    defer { reader.release() }
    var rest = bytes
    do throws(FrameError) {
        while true {
            while let (header, payload) = try reader.next() {
                session.frames.append(Frame(header: header, payload: Array(payload)))
            }
            if rest.isEmpty { break }
            let taken = reader.fill(with: UnsafeRawBufferPointer(rebasing: rest.prefix(piece)))
            precondition(taken > 0, "a reader that has cut all its frames has room")
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(taken))
        }
    } catch {
        session.error = error
    }
    return session
}

private func checkPayload(_ frame: Frame) {
    var head: [UInt8] = []
    frame.header.append(to: &head)
    precondition(head.count == FrameHeader.byteCount && (try? FrameHeader(parsing: head.span.bytes)) == frame.header)
    precondition(frame.header.length == frame.payload.count && frame.payload.count <= FrameHeader.payloadBytesMax)
    frame.payload.withUnsafeBytes { bytes in
        switch frame.header.type {
        case .hello: checkHello(bytes)
        case .error: checkError(bytes)
        case .call: checkCall(bytes)
        case .callResult:
            checkCall(bytes)
            if frame.header.flags.contains(.failed), bytes.count >= CallLayout.headBytes {
                checkError(UnsafeRawBufferPointer(rebasing: bytes[CallLayout.headBytes...]))
            }
        case .itemResult:
            if frame.header.flags.contains(.failed) { checkError(bytes) } else { checkBlock(bytes) }
        case .result: checkBlock(bytes)
        case .invoke:
            guard (try? InvokeHead(parsing: bytes.bytes)) != nil else { return }
            checkBlock(UnsafeRawBufferPointer(rebasing: bytes[InvokeHead.byteCount...]))
        case .emit:
            guard let emit = try? EmitLayout(parsing: bytes.bytes) else { return }
            precondition(emit.topic.upperBound == emit.block.lowerBound && emit.block.upperBound == bytes.count)
            checkBlock(UnsafeRawBufferPointer(rebasing: bytes[emit.block]))
        case .progress: _ = try? ProgressPayload(parsing: bytes.bytes)
        case .log: _ = try? LogPayload(parsing: bytes.bytes)
        default: break
        }
    }
}

private func checkCall(_ bytes: UnsafeRawBufferPointer) {
    guard let call = try? CallLayout(parsing: bytes.bytes) else { return }
    precondition(call.number > 0 && call.json.lowerBound == CallLayout.headBytes && call.json.upperBound == bytes.count)
}

private func checkHello(_ bytes: UnsafeRawBufferPointer) {
    guard let hello = try? HelloPayload(parsing: bytes.bytes) else { return }
    var again: [UInt8] = []
    hello.append(to: &again)
    // Text that is no UTF-8 is repaired, and the repaired text may be too long to be sent; nobody sends it on.
    guard String(validating: bytes.dropFirst(10), as: UTF8.self) != nil else { return }
    precondition(again.elementsEqual(bytes), "a HELLO was changed")
}

private func checkError(_ bytes: UnsafeRawBufferPointer) {
    guard let error = try? ErrorPayload(parsing: bytes.bytes) else { return }
    precondition(error.code.utf8.count + error.message.utf8.count + error.detail.utf8.count <= 3 * bytes.count)
}

private func checkBlock(_ bytes: UnsafeRawBufferPointer) {
    guard let layout = try? EventLayout(parsing: bytes.bytes) else { return }
    precondition(layout.data.upperBound == bytes.count && layout.data.count <= layout.dataCount)
    guard let event = try? EventBlock.decode(bytes.bytes) else { return }
    // Names that are no UTF-8 are repaired, and so may be too long; they are refused before they are written anywhere.
    guard event.attributes.allSatisfy({ (1...255).contains($0.name.utf8.count) }) else { return }
    let block = EventBlock.encode(event)
    guard let again = try? EventBlock.decode(block.span.bytes) else {
        preconditionFailure("a block of our own is refused")
    }
    precondition(again == event, "an event was changed")
}
