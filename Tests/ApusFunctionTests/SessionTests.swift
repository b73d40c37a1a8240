import ApusCore
import Synchronization
import Testing

@testable import ApusFunction

private struct Person: Codable, Sendable {
    var name: String
    var age: Int?
}

private struct Greeting: Codable, Sendable, Equatable { var text: String }

private struct Broken: Error, CustomStringConvertible { var description: String { "it is broken" } }

/// The SDK as the server sees it.
@Suite struct SessionTests {
    private static let greet = Function { (person: Person, context: Context) in
        Greeting(text: "Hello, \(person.name), attempt \(context.attempt)")
    }

    @Test func aTypedHandlerGetsJSONAndGivesJSON() async throws {
        try await SessionBed.run(Self.greet) { (bed: SessionBed) async throws in
            bed.invoke(7, #"{"name": "Ada", "more": [1, {}]}"#)
            let result = try await bed.result()
            #expect(String(decoding: result.data ?? [], as: UTF8.self) == #"{"text":"Hello, Ada, attempt 1"}"#)
            #expect(result["datacontenttype"] == "application/json")
            #expect(result.key == nil)
        }
    }

    @Test func helloNamesWhatItSpeaks() async throws {
        let bed = try SessionBed(Self.greet)
        try await withThrowingTaskGroup(of: Int32.self) { group in
            group.addTask { await bed.session.run() }
            let hello = try SessionBed.hello(try await bed.next().payload)
            #expect(hello.features == [.descriptors, .batch, .sleep, .streams])
            #expect(hello.runtime == "swift")
            bed.send(.initialize, Array(SessionBed.initialization.utf8))
            #expect(try await bed.next().type == .ready)
            #expect(try await bed.next().payload == [4, 0, 0, 0])
            bed.send(.ping, [1, 2, 3])
            let answer = try await bed.next()
            #expect(answer.header.flags == .answer && answer.payload == [1, 2, 3])
            bed.send(.drain)
            #expect(try await bed.next().type == .bye)
            #expect(try await group.next() == 0)
        }
    }

    @Test func dataThatIsNoInputIsRejectedBeforeTheHandler() async throws {
        try await SessionBed.run(Self.greet) { (bed: SessionBed) async throws in
            let cases = [
                ("{", "no JSON"), (#"{"age": 3}"#, "'name' is missing"),
                (#"{"name": 3}"#, "expected a string, found a number at .name"),
                (#"{"name": "x", "age": 1.5}"#, "does not fit"),
            ]
            for (index, (data, part)) in cases.enumerated() {
                // A stream is never used again, as the protocol asks: the handler of the last may still be returning.
                bed.invoke(UInt64(index + 1), data)
                let failure = try await bed.failure()
                #expect(failure.kind == .poison && failure.code == "invalid_json")
                #expect(failure.message.contains(part), "\(failure.message)")
            }
            bed.invoke(UInt64(cases.count + 1), "<xml/>", type: "application/xml")
            #expect(try await bed.failure().message.contains("expected JSON for Person"))
        }
    }

    @Test func textAndBytesComeAsTheyAre() async throws {
        try await SessionBed.run(Function { (text: String, _: Context) in Array(text.uppercased().utf8) }) {
            (bed: SessionBed) async throws in
            bed.invoke(1, "plain", type: "text/plain")
            let result = try await bed.result()
            #expect(result.data == Array("PLAIN".utf8))
            #expect(result["datacontenttype"] == "application/octet-stream")
            bed.invoke(2, #""quoted""#)
            #expect(try await bed.text() == "QUOTED")
        }
        try await SessionBed.run(Function { (bytes: [UInt8], _: Context) in bytes.count }) {
            (bed: SessionBed) async throws in
            bed.invoke(1, "12345", type: "application/octet-stream")
            #expect(try await bed.text() == "5")
        }
    }

    @Test func nilAndVoidAreNothing() async throws {
        let function = Function { (name: String, _: Context) -> Greeting? in name == "x" ? nil : Greeting(text: name) }
        try await SessionBed.run(function) { (bed: SessionBed) async throws in
            bed.invoke(1, #""x""#)
            #expect(try await bed.result().data == nil)
            bed.invoke(2, #""y""#)
            #expect(try await bed.text() == #"{"text":"y"}"#)
        }
        try await SessionBed.run(Function { (_: JSON, _: Context) in }) { (bed: SessionBed) async throws in
            bed.invoke(1, "[]")
            #expect(try await bed.result().data == nil)
        }
    }

    @Test func errorsSayWhatBecomesOfTheDelivery() async throws {
        let function = Function { (kind: String, _: Context) -> String in
            switch kind {
            case "retry": throw Retry("not now", after: .milliseconds(1_500))
            case "reject": throw Reject("never")
            case "cancel": throw CancellationError()
            case "large": return String(repeating: "x", count: 65 << 20)
            default: throw Broken()
            }
        }
        try await SessionBed.run(function) { (bed: SessionBed) async throws in
            let expected: [(String, ErrorPayload.Class, String, String, Int64?)] = [
                ("retry", .retryable, "function_failed", "not now", 1_500),
                ("reject", .permanent, "function_rejected", "never", nil),
                ("cancel", .retryable, "cancelled", "the invocation was cancelled", nil),
                ("other", .retryable, "function_failed", "Broken: it is broken", nil),
            ]
            for (stream, (kind, severity, code, message, after)) in expected.enumerated() {
                bed.invoke(UInt64(stream + 1), "\"\(kind)\"")
                let failure = try await bed.failure()
                #expect(failure.kind == severity && failure.code == code && failure.message == message, "\(failure)")
                #expect(failure.retryAfter?.milliseconds == after)
            }
            bed.invoke(9, #""large""#)
            #expect(try await bed.failure().code == "result_too_large")
        }
    }

    @Test func theWholeEventAndItsPlaceAreThere() async throws {
        let function = Function(event: { event, context in
            #expect(event.key == "k" && event.id == "1" && event["tenant"] == "t")
            #expect(event.headers.map(\.name) == ["h"])
            #expect(event.place == Event.Place(trigger: "documents", topic: "documents", partition: 2, offset: 7))
            #expect(context.trace == "00-ab" && context.invocation == "00000000000000010000000000000002")
            #expect(context.function == Context.Function(name: "tested", namespace: "default", revision: "r1"))
            #expect(context.remaining.map { $0 > .seconds(1_000) } == true)
            return .text("done", attributes: ["type": "com.example.done"], key: "k2")
        })
        try await SessionBed.run(function) { (bed: SessionBed) async throws in
            let block = SessionBed.block(
                "x", type: "text/plain", key: "k",
                [
                    Attribute("id", "1"), Attribute("tenant", "t"), Attribute("traceparent", "00-ab"),
                    Attribute("h", bytes: [1], kind: .header),
                ])
            bed.send(
                .invoke, SessionBed.head(trigger: 0, offset: 7) + block, stream: 3,
                deadline: Timestamp(microseconds: 4_102_444_800_000_000))
            let result = try await bed.result()
            #expect(result.key == Array("k2".utf8) && result["type"] == "com.example.done")
        }
    }

    @Test func theTraceIsTheAttemptsOwnWhereOneIsRecorded() async throws {
        let function = Function(event: { event, context in
            #expect(event["traceparent"] == "00-began", "the attribute stays as its producer set it")
            return .text(context.trace ?? "none")
        })
        try await SessionBed.run(function) { (bed: SessionBed) async throws in
            let block = SessionBed.block(
                "x", type: "text/plain",
                [
                    Attribute("id", "1"), Attribute("traceparent", "00-began"),
                    Attribute("traceparent", bytes: Array("00-attempt".utf8), kind: .header),
                ])
            bed.send(.invoke, SessionBed.head() + block, stream: 3)
            let result = try await bed.result()
            #expect(result.data.map { String(decoding: $0, as: UTF8.self) } == "00-attempt")
        }
    }

    @Test func logProgressAndEmitGoBeforeTheAnswerAndNotBehindIt() async throws {
        let kept = Mutex<Context?>(nil)
        let function = Function { (_: JSON, context: Context) in
            kept.withLock { $0 = context }
            context.log.warning("careful")
            try context.progress(3, of: 10, "a third")
            try context.emit("alerts", Greeting(text: "hi"), key: "k")
            #expect(throws: ResultTooLarge.self) {
                try context.emit("alerts", .bytes(Array(repeating: 0, count: 2 << 20)))
            }
            #expect(throws: NotAvailable.self) { try context.secret("TOKEN") }
        }
        try await SessionBed.run(function) { (bed: SessionBed) async throws in
            bed.invoke(5, "1")
            let log = try await bed.next()
            #expect(log.type == .log && log.header.stream == 5)
            #expect(try SessionBed.log(log.payload) == LogPayload(level: .warning, text: "careful"))
            let progress = try SessionBed.progress(try await bed.next().payload)
            #expect(progress == ProgressPayload(done: 3, total: 10, message: "a third"))
            let emit = try await bed.next()
            let layout = try SessionBed.emit(emit.payload)
            #expect(String(decoding: emit.payload[layout.topic], as: UTF8.self) == "alerts")
            let event = try SessionBed.event(Array(emit.payload[layout.block]))
            #expect(event.data == Array(#"{"text":"hi"}"#.utf8) && event.key == Array("k".utf8))
            #expect(try await bed.result().data == nil)
            let context = try #require(kept.withLock { $0 })
            #expect(throws: NotAvailable.self) { try context.progress(4) }
            #expect(throws: NotAvailable.self) { try context.emit("alerts", 1) }
            context.log.info("late")
            #expect(try await bed.next().header.stream == 0)
        }
    }

    @Test func cancelReachesAHandlerThatWaitsAndOneThatComputes() async throws {
        let function = Function { (kind: String, context: Context) -> String in
            if kind == "wait" { try await Task.sleep(for: .seconds(1_000)) }
            while !Task.isCancelled {}
            return context.isCancelled ? "stopped" : "not told"
        }
        try await SessionBed.run(function) { (bed: SessionBed) async throws in
            bed.invoke(1, #""wait""#)
            bed.send(.cancel, stream: 1)
            #expect(try await bed.failure().code == "cancelled")
            bed.invoke(2, #""compute""#)
            bed.send(.cancel, stream: 2)
            #expect(try await bed.text() == #""stopped""#)
            bed.send(.cancel, stream: 2)
            bed.send(.cancel, stream: 99)
            bed.send(.ping)
            #expect(try await bed.next().type == .ping)
        }
    }

    @Test func asManyRunAtOnceAsThereIsCredit() async throws {
        let gate = Gate()
        let function = Function { (_: Int, _: Context) in await gate.arrive(4) }
        try await SessionBed.run(function) { (bed: SessionBed) async throws in
            for stream in 1...4 { bed.invoke(UInt64(stream), "\(stream)") }
            for _ in 1...4 { #expect(try await bed.result().data == nil) }
        }
    }

    @Test func aStreamComesInParts() async throws {
        let function = Function(streaming: { event, response, _ in
            if event.text == "none" { return }
            if event.text == "whole" { return try response.finish(with: .text("all")) }
            for index in 0..<3 { try response.write(json: ["part": index]) }
            if event.text == "fail" { throw Broken() }
        })
        try await SessionBed.run(function) { (bed: SessionBed) async throws in
            bed.invoke(1, "x", type: "text/plain")
            let head = try await bed.next()
            #expect(head.type == .result && head.header.flags == [.more, .stream])
            #expect(try SessionBed.event(head.payload)["datacontenttype"] == "application/x-ndjson")
            for index in 0..<3 {
                let part = try await bed.next()
                #expect(
                    part.header.flags == .more
                        && String(decoding: part.payload, as: UTF8.self) == "{\"part\":\(index)}\n")
            }
            let end = try await bed.next()
            #expect(end.type == .data && end.header.flags.isEmpty && end.payload.isEmpty)
            bed.invoke(2, "none", type: "text/plain")
            #expect(try await bed.result().data == nil)
            bed.invoke(3, "whole", type: "text/plain")
            #expect(try await bed.text() == "all")
            bed.invoke(4, "fail", type: "text/plain")
            for _ in 0..<4 { _ = try await bed.next() }
            #expect(try await bed.failure().message.contains("it is broken"))
        }
    }

    @Test func largeDataComesAndGoesInFrames() async throws {
        try await SessionBed.run(Function(event: { event, _ in Reply(event) })) { (bed: SessionBed) async throws in
            let data = String(repeating: "0123456789", count: 100_000)
            let block = SessionBed.block(data, type: "text/plain")
            let room = FrameHeader.payloadBytesMax - InvokeHead.byteCount
            bed.send(.invoke, SessionBed.head() + block[..<room], flags: .more, stream: 1)
            let rest = Array(block[room...])
            for at in stride(from: 0, to: rest.count, by: 200_000) {
                let isLast = at + 200_000 >= rest.count
                bed.send(.data, Array(rest[at..<min(at + 200_000, rest.count)]), flags: isLast ? [] : .more, stream: 1)
            }
            #expect(try await bed.text() == data)
        }
    }

    @Test func sealedMemoryBringsDataAndSecrets() async throws {
        let function = Function { (text: String, context: Context) in "\(text.count) \(try context.secret("TOKEN"))" }
        let bed = try SessionBed(function)
        try await withThrowingTaskGroup(of: Int32.self) { group in
            group.addTask { await bed.session.run() }
            _ = try await bed.next()
            try bed.sendSealed(0, Array(#"{"TOKEN": "t1"}"#.utf8))
            bed.send(.initialize, Array(#"{"function": "f", "concurrency": 1, "secrets": ["TOKEN"]}"#.utf8))
            _ = try await bed.next()
            _ = try await bed.next()
            let data = Array(repeating: UInt8(ascii: "x"), count: 100_000)
            var block: [UInt8] = []
            EventBlock.append(
                ApusCore.Event(attributes: [Attribute("datacontenttype", "text/plain")], data: data), to: &block)
            try bed.sendSealed(4, data)
            bed.send(.invoke, SessionBed.head() + block.dropLast(data.count), flags: .descriptor, stream: 4)
            #expect(try await bed.text() == #""100000 t1""#)
            bed.send(.drain)
            #expect(try await bed.next().type == .bye)
            #expect(try await group.next() == 0)
        }
    }

    @Test func whatBreaksTheProtocolEndsTheWorker() async throws {
        let good = SessionBed.head() + SessionBed.block("1")
        let broken: [@Sendable (SessionBed) -> Void] = [
            { $0.sendRaw(Array(repeating: 0xEE, count: 64)) },
            { $0.send(.invoke, good, stream: 0) },
            { $0.send(.invoke, Array(good.dropLast()), stream: 1) },
            { $0.send(.invoke, good + [0], stream: 1) },
            { $0.send(.data, [1], stream: 1) },
            { $0.send(.initialize, Array("{}".utf8)) },
            { $0.send(.result, [], stream: 1) },
            { $0.send(.batch, [1, 0, 0, 0, 0, 0, 0, 0]) },
            { $0.send(.invoke, Array(good.prefix(30)), stream: 1) },
        ]
        for (index, violate) in broken.enumerated() {
            let bed = try SessionBed(Function { (_: Int, _: Context) in try await Task.sleep(for: .seconds(100)) })
            await withTaskGroup(of: Int32.self) { group in
                group.addTask { await bed.session.run() }
                _ = try? await bed.next()
                bed.send(.initialize, Array(SessionBed.initialization.utf8))
                _ = try? await bed.next()
                _ = try? await bed.next()
                violate(bed)
                #expect(await group.next() == 70, "case \(index)")
            }
        }
    }
}

/// Lets nobody pass before a number of them have come.
actor Gate {
    private var waiting: [CheckedContinuation<Void, Never>] = []
    func arrive(_ count: Int) async {
        guard self.waiting.count + 1 < count else {
            for one in self.waiting { one.resume() }
            return self.waiting.removeAll()
        }
        await withCheckedContinuation { self.waiting.append($0) }
    }
}
