internal import ApusCore
internal import Synchronization

/// Frames to the server. One message's frames go out together, in the order of the calls.
///
/// The lock is held while it writes: frames of two handlers may not mix, and a server that does not read is meant to hold up
/// those who speak.
final class Outgoing: Sendable {
    private let descriptor: Mutex<CInt>

    init(descriptor: CInt) { self.descriptor = Mutex(descriptor) }

    func send(_ type: FrameType, flags: FrameFlags = [], stream: UInt64 = 0, _ payload: [UInt8]) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(FrameHeader.byteCount + payload.count)
        FrameHeader(type, flags: flags, stream: stream, length: payload.count).append(to: &bytes)
        bytes.append(contentsOf: payload)
        self.write(bytes)
    }

    /// A frame whose event may be larger than a frame: its data then goes on in DATA frames.
    func send(_ type: FrameType, stream: UInt64, _ prefix: [UInt8], block: [UInt8]) {
        let room = FrameHeader.payloadBytesMax - prefix.count
        let present = min(block.count, room)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(FrameHeader.byteCount + prefix.count + block.count + 64 * 24)
        FrameHeader(type, flags: present < block.count ? .more : [], stream: stream, length: prefix.count + present)
            .append(to: &bytes)
        bytes.append(contentsOf: prefix)
        bytes.append(contentsOf: block[..<present])
        Self.append(block[present...], stream: stream, isLast: true, to: &bytes)
        self.write(bytes)
    }

    /// A part of a streamed result: more may follow.
    func sendParts(_ part: [UInt8], stream: UInt64) {
        var bytes: [UInt8] = []
        Self.append(part[...], stream: stream, isLast: false, to: &bytes)
        self.write(bytes)
    }

    private static func append(_ data: ArraySlice<UInt8>, stream: UInt64, isLast: Bool, to bytes: inout [UInt8]) {
        var rest = data
        while !rest.isEmpty {
            let count = min(rest.count, FrameHeader.payloadBytesMax)
            let isEnd = isLast && count == rest.count
            FrameHeader(.data, flags: isEnd ? [] : .more, stream: stream, length: count).append(to: &bytes)
            bytes.append(contentsOf: rest.prefix(count))
            rest = rest.dropFirst(count)
        }
    }

    private func write(_ bytes: [UInt8]) {
        self.descriptor.withLock { descriptor in
            // Without a server nobody is left to be told.
            if !Descriptors.writeAll(descriptor, bytes) { descriptor = -1 }
        }
    }
}
