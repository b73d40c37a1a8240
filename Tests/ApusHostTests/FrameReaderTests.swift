import ApusCore
import ApusEngine
@testable import ApusHost
import ApusTestSupport
import CShims
import Glibc
import Testing

/// The frame decoder against generated input: it never crashes, never reads past what came, and gives back what was
/// written.
@Suite struct FrameReaderTests {
    /// Hands bytes over in pieces and gives the frames that came out.
    private func read(_ bytes: [UInt8], pieces: () -> Int) throws(FrameError) -> [(FrameHeader, [UInt8])] {
        var reader = FrameReader()
        defer { reader.release() }
        var frames: [(FrameHeader, [UInt8])] = []
        var at = 0
        while at < bytes.count {
            let count = min(max(pieces(), 1), bytes.count - at)
            at += bytes.withUnsafeBytes { reader.fill(with: UnsafeRawBufferPointer(rebasing: $0[at..<at + count])) }
            while let (header, payload) = try reader.next() { frames.append((header, Array(payload))) }
        }
        return frames
    }

    @Test func whatWasWrittenIsReadBackHoweverItArrives() throws {
        var generator = ApusTestSupport.SeededGenerator(seed: 0xF4A3)
        var inputs = 0
        while inputs < 50_000 {
            var bytes: [UInt8] = []
            var written: [(FrameHeader, [UInt8])] = []
            for _ in 0..<Int.random(in: 1...10, using: &generator) {
                let payload = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                    UInt8.random(in: 0...255, using: &generator)
                }
                let header = FrameHeader(
                    FrameType.allCases.randomElement(using: &generator) ?? .hello,
                    flags: FrameFlags(rawValue: UInt8.random(in: 0..<64, using: &generator)),
                    stream: UInt64.random(in: 0 ... .max, using: &generator),
                    deadline: Timestamp(microseconds: Int64.random(in: .min ... .max, using: &generator)),
                    length: payload.count)
                header.append(to: &bytes)
                bytes += payload
                written.append((header, payload))
                inputs += 1
            }
            let frames = try self.read(bytes) { Int.random(in: 1...100, using: &generator) }
            try #require(frames.map(\.0) == written.map(\.0))
            try #require(frames.map(\.1) == written.map(\.1))
        }
    }

    @Test func brokenInputIsAnErrorOrNothing() {
        var generator = ApusTestSupport.SeededGenerator(seed: 0xB40C)
        var refused = 0
        for _ in 0..<100_000 {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let payload = (0..<Int.random(in: 0...60, using: &generator)).map { _ in
                    UInt8.random(in: 0...255, using: &generator)
                }
                FrameHeader(FrameType.allCases.randomElement(using: &generator) ?? .hello, length: payload.count)
                    .append(to: &bytes)
                bytes += payload
            }
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let index = Int.random(in: 0..<bytes.count, using: &generator)
                bytes[index] = UInt8.random(in: 0...255, using: &generator)
            }
            bytes.removeLast(Int.random(in: 0...min(20, bytes.count), using: &generator))
            do throws(FrameError) {
                for (header, payload) in try self.read(bytes, pieces: { 64 }) {
                    #expect(payload.count == header.length)
                    Self.parsePayload(header, payload)
                }
            } catch {
                refused += 1
            }
        }
        #expect(refused > 10_000)
    }

    /// Every payload's own parser, on whatever came.
    static func parsePayload(_ header: FrameHeader, _ payload: [UInt8]) {
        let bytes = payload.span.bytes
        _ = try? HelloPayload(parsing: bytes)
        _ = try? ErrorPayload(parsing: bytes)
        _ = try? ProgressPayload(parsing: bytes)
        _ = try? LogPayload(parsing: bytes)
        _ = try? InvokeHead(parsing: bytes)
        _ = try? EventBlock.decode(bytes)
        if let emit = try? EmitLayout(parsing: bytes) { _ = try? EventBlock.decode(bytes.extracting(emit.block)) }
        var machine = ChannelMachine(concurrency: 4)
        machine.launched()
        _ = try? machine.receive(header, bytes, inFlight: 1)
    }

    @Test func frameAtTheLimitPassesAndOneByteMoreDoesNot() throws {
        var bytes: [UInt8] = []
        FrameHeader(.data, stream: 1, length: FrameHeader.payloadBytesMax).append(to: &bytes)
        bytes += Array(repeating: 7, count: FrameHeader.payloadBytesMax)
        #expect(bytes.count == Limits.frameBytes)
        let frames = try self.read(bytes + bytes + bytes) { 10_000 }
        #expect(frames.map(\.1.count) == Array(repeating: FrameHeader.payloadBytesMax, count: 3))
        var tooLong: [UInt8] = []
        FrameHeader(.data, stream: 1, length: FrameHeader.payloadBytesMax + 1).append(to: &tooLong)
        #expect(throws: FrameError.tooLarge) { try self.read(tooLong) { 24 } }
    }

    @Test func aPipeIsReadToItsEnd() throws {
        var ends: [CInt] = [0, 0]
        #expect(pipe(&ends) == 0)
        defer { Glibc.close(ends[0]) }
        var bytes: [UInt8] = []
        for stream in 0..<100 as Range<UInt64> {
            FrameHeader(.result, stream: stream, length: 100).append(to: &bytes)
            bytes += Array(repeating: UInt8(stream), count: 100)
        }
        #expect(write(ends[1], bytes, bytes.count) == bytes.count)
        Glibc.close(ends[1])
        var reader = FrameReader()
        defer { reader.release() }
        let first = reader.fill(from: ends[0])
        #expect(first == .some)
        var streams: [UInt64] = []
        while let (header, _) = try reader.next() { streams.append(header.stream) }
        #expect(streams == Array(0..<100))
        #expect(!reader.hasPart)
        let last = reader.fill(from: ends[0])
        #expect(last == .closed)
    }

    /// Of small frames no more than its part, of a large one all there is room for.
    @Test(arguments: [100, FrameHeader.payloadBytesMax]) func whatIsReadAtATimeIsBounded(_ length: Int) throws {
        var ends: [CInt] = [0, 0]
        #expect(pipe(&ends) == 0)
        defer { for end in ends { Glibc.close(end) } }
        apus_channel_widen_pipe(ends[1], 1 << 20)
        var frame: [UInt8] = []
        FrameHeader(.data, stream: 1, length: length).append(to: &frame)
        frame += Array(repeating: 7, count: length)
        let bytes = Array(repeatElement(frame, count: 4 * Limits.Host.gatheredBytes / frame.count + 1).joined())
        #expect(write(ends[1], bytes, bytes.count) == bytes.count)
        var reader = FrameReader()
        defer { reader.release() }
        var frames: [Int] = []
        var left = bytes.count
        while left > 0 {
            let read = reader.fill(from: ends[0])
            #expect(read == .some)
            frames.append(0)
            while let (_, payload) = try reader.next() {
                frames[frames.count - 1] += 1
                #expect(payload.count == length)
                left -= frame.count
            }
        }
        if length > Limits.Host.gatheredBytes {
            #expect(frames.prefix(2) == [0, Limits.Host.readBufferBytes / frame.count])
        } else {
            #expect(frames.allSatisfy { $0 <= Limits.Host.gatheredBytes / frame.count + 1 })
        }
    }
}

@Suite struct OutputBufferTests {
    @Test func enoughIsWrittenAheadUntilThePipeIsFull() throws {
        var ends: [CInt] = [0, 0]
        #expect(pipe(&ends) == 0)
        defer { for end in ends { Glibc.close(end) } }
        #expect(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0)
        apus_channel_widen_pipe(ends[1], CInt(Limits.Host.gatheredBytes))
        var buffer = OutputBuffer()
        defer { buffer.release() }
        func add(_ count: Int) -> Bool {
            buffer.append(Array(repeating: 1, count: count))
            return buffer.writeAhead(to: ends[1])
        }
        let almost = add(Limits.Host.gatheredBytes - 1)
        #expect(!almost && buffer.count == Limits.Host.gatheredBytes - 1)
        let enough = add(1)
        #expect(enough && buffer.isEmpty)
        let toFull = add(Limits.Host.gatheredBytes)
        #expect(!toFull && buffer.count == Limits.Host.gatheredBytes)
        var taken = [UInt8](repeating: 0, count: 4 * Limits.Host.gatheredBytes)
        #expect(read(ends[0], &taken, taken.count) == Limits.Host.gatheredBytes)
        let afterFull = add(1)
        #expect(!afterFull, "it is the flush that asks a pipe that was full")
        let part = buffer.flush(to: ends[1])
        #expect(part == .part)
        #expect(read(ends[0], &taken, taken.count) == Limits.Host.gatheredBytes)
        let rest = buffer.flush(to: ends[1])
        #expect(rest == .everything)
        #expect(read(ends[0], &taken, taken.count) == 1)
        let again = add(Limits.Host.gatheredBytes)
        #expect(again && buffer.isEmpty)
    }

    @Test func whatAPipeDoesNotTakeWaitsInOrder() throws {
        var ends: [CInt] = [0, 0]
        #expect(pipe(&ends) == 0)
        defer { for end in ends { Glibc.close(end) } }
        #expect(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0)
        #expect(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0)
        var buffer = OutputBuffer()
        defer { buffer.release() }
        var generator = ApusTestSupport.SeededGenerator(seed: 3)
        var sent: [UInt8] = []
        var received: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 50_000)
        for _ in 0..<300 {
            let bytes = (0..<Int.random(in: 0...9_000, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            buffer.append(bytes)
            sent += bytes
            _ = buffer.flush(to: ends[1])
            let count = read(ends[0], &chunk, Int.random(in: 1...chunk.count, using: &generator) / 10)
            if count > 0 { received += chunk[..<count] }
        }
        while received.count < sent.count {
            let isDone = buffer.flush(to: ends[1]) == .everything
            let count = read(ends[0], &chunk, chunk.count)
            if count > 0 { received += chunk[..<count] }
            if isDone, count <= 0 { break }
        }
        #expect(received == sent)
        #expect(buffer.isEmpty)
    }
}

@Suite struct AttemptTableTests {
    @Test func itAgreesWithADictionary() {
        var generator = ApusTestSupport.SeededGenerator(seed: 11)
        var table = AttemptTable()
        var model: [UInt64: Int] = [:]
        for number in 0..<100_000 {
            let stream = UInt64.random(in: 1...400, using: &generator) << UInt64.random(in: 0...2, using: &generator)
            if let index = table.index(of: stream) {
                #expect(model[stream] == table[index].number)
                if Bool.random(using: &generator) {
                    let removed = table.remove(at: index).number
                    let expected = model.removeValue(forKey: stream)
                    #expect(removed == expected)
                }
            } else {
                #expect(model[stream] == nil)
                table.insert(
                    Attempt(
                        stream: stream, work: .request(.init(rawValue: stream)), number: number, dispatchedAt: .zero,
                        arrivedAt: .zero, isItem: false,
                        trigger: nil, source: nil))
                model[stream] = number
            }
            #expect(table.count == model.count)
            #expect(table.contains { $0.stream == stream } == (model[stream] != nil), "it lies in any place")
        }
        #expect(table.index(of: 0) == nil)
        let rest = table.removeAll()
        #expect(Set(rest.map(\.stream)) == Set(model.keys))
        #expect(table.isEmpty)
    }
}
