import ApusCore
import ApusEngine
@testable import ApusHost
import ApusTestSupport
import Glibc
import Testing

/// Frames of a hostile worker: mutations of valid ones, from a seed that is printed. `make soak` sends more than a million.
@Suite struct FrameFuzzTests {
    private static let isSoak = getenv("APUS_SOAK") != nil
    /// In soak, one that no run had before.
    private static let seed: UInt64 = isSoak ? .random(in: 1...1 << 40) : 20_261_122
    private static let readerFrames = isSoak ? 1_200_000 : 50_000
    private static let shardFrames = isSoak ? 1_200_000 : 50_000
    /// In one call.
    private static let burst = 250

    /// One frame as a worker may send it, in one piece.
    private static func frame(_ generator: inout ApusTestSupport.SeededGenerator) -> [UInt8] {
        var bytes: [UInt8] = []
        var payload = (0..<Int.random(in: 0...60, using: &generator)).map { _ in
            UInt8.random(in: 0...255, using: &generator)
        }
        let type = FrameType.allCases.randomElement(using: &generator) ?? .hello
        if type == .result { payload = EventBlock.encode(Event(attributes: [Attribute("a", "b")], data: payload)) }
        FrameHeader(type, stream: UInt64.random(in: 0...3, using: &generator), length: payload.count).append(to: &bytes)
        bytes += payload
        return bytes
    }

    /// Behaviour 67.
    @Test func theReaderAndEveryParserTakeMutatedFrames() {
        print("mutated frames for the reader: seed \(Self.seed), \(Self.readerFrames) frames")
        var generator = ApusTestSupport.SeededGenerator(seed: Self.seed)
        var sent = 0
        var accepted = 0
        var refused = 0
        while sent < Self.readerFrames {
            var bytes: [UInt8] = []
            for _ in 0..<4 { bytes += Self.frame(&generator) }
            sent += 4
            for _ in 0..<Int.random(in: 0...5, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            var reader = FrameReader()
            var machine = ChannelMachine(concurrency: 4)
            machine.launched()
            do throws(FrameError) {
                var at = 0
                while at < bytes.count {
                    let piece = min(Int.random(in: 1...90, using: &generator), bytes.count - at)
                    at += bytes.withUnsafeBytes {
                        reader.fill(with: UnsafeRawBufferPointer(rebasing: $0[at..<at + piece]))
                    }
                    while let (header, payload) = try reader.next() {
                        accepted += 1
                        FrameReaderTests.parsePayload(header, Array(payload))
                    }
                }
            } catch { refused += 1 }
            reader.release()
        }
        #expect(
            accepted > sent / 4 && refused > sent / 40, "\(sent) frames: \(accepted) read, \(refused) streams refused")
    }

    /// The whole shard: a worker that is one call long sends many frames, of which the last may be anything.
    /// Behaviour 67.
    @Test func theShardOutlivesAHostileWorkerAndAnswersItsNeighbours() async throws {
        print("mutated frames for the shard: seed \(Self.seed), \(Self.shardFrames) frames")
        let bed = try await Bed()
        let alerts = try bed.topic("alerts")
        try await bed.deploy(function(1, ["fuzz"], scale: ScalePlan(min: 1, max: 2), emits: ["alerts": alerts]))
        try await bed.deploy(function(2))
        var sent = 0
        var call: UInt64 = 0
        while sent < Self.shardFrames {
            // An odd number ends with frames that are hostile, and with the worker.
            let frames = Self.burst + Int(call % 2)
            let words = "bad \(Self.seed &+ call) \(frames)"
            var answer = await bed.invoke(1, words)
            // The worker before may have answered with its last frames and gone: whoever comes next can still meet it.
            if frames % 2 == 0, answer.code == .workerCrashed || answer.code == .protocolError {
                answer = await bed.invoke(1, words)
            }
            if frames % 2 == 0 {
                try #require(answer.text?.hasPrefix("bad") == true, "seed \(Self.seed &+ call): \(answer)")
            }
            if call % 16 == 0 {
                let neighbour = await bed.invoke(2, "neighbour \(call)")
                try #require(neighbour.text == "neighbour \(call)", "after seed \(Self.seed &+ call): \(neighbour)")
            }
            sent += frames
            call += 1
        }
        let statistics = await bed.statistics()
        #expect(statistics.bytesFromWorkers > UInt64(sent * FrameHeader.byteCount), "they were read")
        #expect(statistics.protocolErrors > call / 4, "\(statistics.protocolErrors) of \(call) calls")
        #expect(await bed.invoke(2, "last").text == "last")
        await bed.close()
    }
}
