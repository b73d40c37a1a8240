import ApusCore
import ApusTestSupport
import Testing

@Suite struct FrameTests {
    @Test(arguments: FrameType.allCases)
    func aHeaderComesBackAsItWas(type: FrameType) throws {
        let header = FrameHeader(
            type, flags: [.more, .table], stream: 0x0102_0304_0506_0708, deadline: Timestamp(microseconds: 77),
            length: FrameHeader.payloadBytesMax
        )
        var bytes: [UInt8] = [0xAA]
        header.append(to: &bytes)
        #expect(bytes.count == 1 + FrameHeader.byteCount)
        #expect(try FrameHeader(parsing: bytes.span.bytes, at: 1) == header)
    }

    @Test func headersThatNobodyWroteAreRefused() {
        var sound: [UInt8] = []
        FrameHeader(.ping).append(to: &sound)
        func error(_ change: (inout [UInt8]) -> Void) -> FrameError? {
            var bytes = sound
            change(&bytes)
            do throws(FrameError) {
                _ = try FrameHeader(parsing: bytes.span.bytes)
                return nil
            } catch {
                return error
            }
        }
        #expect(error { _ in } == nil)
        #expect(error { $0[6] = 2 } == .wrongVersion(2))
        #expect(error { $0[4] = 200 } == .unknownType(200))
        #expect(error { $0[5] = 64 } == .malformed)
        #expect(error { $0[2] = 4 } == .tooLarge)
        // The largest payload and one byte more.
        let most = UInt32(FrameHeader.payloadBytesMax)
        #expect(
            error { bytes in for index in 0..<4 { bytes[index] = UInt8(truncatingIfNeeded: most >> (8 * index)) } }
                == nil)
        #expect(
            error { bytes in for index in 0..<4 { bytes[index] = UInt8(truncatingIfNeeded: (most + 1) >> (8 * index)) }
            } == .tooLarge)
    }

    @Test func payloadsComeBackAsTheyWere() throws {
        var bytes: [UInt8] = []
        let hello = HelloPayload(lowest: 1, highest: 2, features: [.batch, .descriptors], runtime: "python3 3.11")
        hello.append(to: &bytes)
        #expect(try HelloPayload(parsing: bytes.span.bytes) == hello)

        let head = InvokeHead(
            attempt: 3, trigger: 1, partition: 9, offset: 1 << 40, invocation: InvocationID(high: 5, low: 6))
        var room = [UInt8](repeating: 0xFF, count: InvokeHead.byteCount)
        room.withUnsafeMutableBytes { raw in if let base = raw.baseAddress { head.write(to: base) } }
        #expect(try InvokeHead(parsing: room.span.bytes) == head)

        for retryAfter in [nil, TimeSpan.milliseconds(0), .milliseconds(1_234)] {
            let failure = ErrorPayload(
                kind: .permanent, code: "rejected", message: "no\u{e4}", detail: "trace\nback", retryAfter: retryAfter)
            bytes = []
            failure.append(to: &bytes)
            #expect(try ErrorPayload(parsing: bytes.span.bytes) == failure)
        }
        bytes = [3] + Array("text".utf8)
        #expect(try LogPayload(parsing: bytes.span.bytes) == LogPayload(level: .error, text: "text"))
        bytes = []
        bytes.appendLittleEndian(UInt64(3))
        bytes.appendLittleEndian(UInt64(9))
        #expect(try ProgressPayload(parsing: bytes.span.bytes) == ProgressPayload(done: 3, total: 9, message: ""))
        bytes = [2, 0] + Array("ab".utf8) + [1, 2, 3]
        let emit = try EmitLayout(parsing: bytes.span.bytes)
        #expect(emit.topic == 2..<4)
        #expect(emit.block == 4..<7)
    }

    /// What a worker sends is anything at all: parsing answers or throws.
    @Test func randomPayloadsNeverTrap() {
        var generator = SeededGenerator(seed: 31)
        var errors = 0
        func tried(_ body: () throws -> Void) { do { try body() } catch { errors += 1 } }
        for _ in 0..<100_000 {
            var bytes = generator.bytes(Int.random(in: 0...80, using: &generator))
            // Small numbers are more often nearly right.
            for index in bytes.indices where Bool.random(using: &generator) { bytes[index] %= 4 }
            tried { _ = try HelloPayload(parsing: bytes.span.bytes) }
            tried { _ = try InvokeHead(parsing: bytes.span.bytes) }
            tried { _ = try ErrorPayload(parsing: bytes.span.bytes) }
            tried { _ = try ProgressPayload(parsing: bytes.span.bytes) }
            tried { _ = try LogPayload(parsing: bytes.span.bytes) }
            tried { _ = try EmitLayout(parsing: bytes.span.bytes) }
            if bytes.count >= FrameHeader.byteCount { tried { _ = try FrameHeader(parsing: bytes.span.bytes) } }
        }
        #expect(errors > 100_000)
    }

    @Test func payloadsThatContradictThemselvesAreRefused() {
        let wrong: [[UInt8]] = [
            [2, 0, 1, 0, 0, 0, 0, 0, 0, 0],
            [1, 0, 1, 0, 0, 0, 0, 0, 5, 0],
            [1, 0, 1, 0, 0, 0, 0, 0, 65, 0] + Array(repeating: 0, count: 65),
        ]
        for bytes in wrong { #expect(throws: FrameError.malformed) { _ = try HelloPayload(parsing: bytes.span.bytes) } }
        #expect(throws: FrameError.malformed) { _ = try EmitLayout(parsing: ([0, 0] as [UInt8]).span.bytes) }
        #expect(throws: FrameError.malformed) { _ = try LogPayload(parsing: ([99] as [UInt8]).span.bytes) }
        var large: [UInt8] = [0, 0, 0, 0]
        large += [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0]
        #expect(throws: FrameError.malformed) { _ = try ErrorPayload(parsing: large.span.bytes) }
    }
}
