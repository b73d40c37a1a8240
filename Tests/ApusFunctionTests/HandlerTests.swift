import ApusCore
import Synchronization
import Testing

@testable import ApusFunction

private let hooks = Mutex<[String]>([])

private struct Hooked: FunctionHandler {
    init() { hooks.withLock { $0 = ["init"] } }
    func start() async throws { hooks.withLock { $0.append("start") } }
    func stop() async throws { hooks.withLock { $0.append("stop") } }
    func sleep() async throws { hooks.withLock { $0.append("sleep") } }
    func wake() async throws { hooks.withLock { $0.append("wake") } }
    func handle(_ input: Int, _ context: Context) async throws -> Int { input + 1 }
}

private struct Unstartable: FunctionHandler {
    init() throws { throw NotAvailable("no model") }
    func handle(_ input: Int, _ context: Context) async throws -> Int { input }
}

private actor Recorder {
    var lines: [String] = []
    func add(_ line: String) { self.lines.append(line) }
}

private struct After: BackgroundFunctionHandler {
    let gate: Gate
    let recorder: Recorder
    init() { preconditionFailure("made by the test") }
    init(gate: Gate, recorder: Recorder) {
        self.gate = gate
        self.recorder = recorder
    }
    func handle(_ input: Int, _ response: BackgroundResponse<Int>, _ context: Context) async throws {
        try response.send(input * 2)
        await self.gate.arrive(2)
        await self.recorder.add("after \(input)")
    }
}

private struct Batched: BatchFunctionHandler {
    init() {}
    func handle(_ items: [BatchItem<Int>]) async throws -> [Result<Int, any Error>] {
        items.map { item in item.input < 0 ? .failure(Reject("negative")) : .success(item.input * 10) }
    }
}

@Suite(.serialized) struct HandlerTests {
    @Test func hooksRunInTheirOrder() async throws {
        let bed = try SessionBed(Hooked.function { Hooked() })
        try await withThrowingTaskGroup(of: Int32.self) { group in
            group.addTask { await bed.session.run() }
            _ = try await bed.next()
            bed.send(.initialize, Array(SessionBed.initialization.utf8))
            _ = try await bed.next()
            _ = try await bed.next()
            bed.send(.sleep)
            #expect(try await bed.next().header.flags == .answer)
            bed.send(.wake)
            #expect(try await bed.next().type == .wake)
            bed.invoke(1, "41")
            #expect(try await bed.text() == "42")
            bed.send(.drain)
            #expect(try await bed.next().type == .bye)
            #expect(try await group.next() == 0)
        }
        #expect(hooks.withLock { $0 } == ["init", "start", "sleep", "wake", "stop"])
    }

    @Test func whatCannotStartSaysWhy() async throws {
        try await SessionBed.run(Unstartable.function { try Unstartable() }, isReady: false) {
            (bed: SessionBed) async throws in
            let failure = try await bed.failure()
            #expect(failure.code == "start_failed" && failure.message.contains("no model"))
        }
        let batch = SessionBed.initialization.replacing("null", with: #"{"maxSize": 4}"#)
        try await SessionBed.run(Hooked.function { Hooked() }, initialization: batch, isReady: false) {
            (bed: SessionBed) async throws in
            #expect(try await bed.failure().message.contains("BatchFunctionHandler"))
        }
        try await SessionBed.run(Batched.function { Batched() }, isReady: false) { (bed: SessionBed) async throws in
            #expect(try await bed.failure().message.contains("spec.batch"))
        }
    }

    @Test func workAfterTheAnswerKeepsItsPlaceAndIsWaitedFor() async throws {
        let gate = Gate()
        let recorder = Recorder()
        let initialization = SessionBed.initialization.replacing(#""concurrency": 4"#, with: #""concurrency": 1"#)
        let function = Function(handler: After(gate: gate, recorder: recorder))
        try await SessionBed.run(function, initialization: initialization) { (bed: SessionBed) async throws in
            bed.invoke(1, "1")
            #expect(try await bed.text() == "2")
            // Its place is taken until the first has returned; the credit is back all the same.
            bed.invoke(2, "5")
            #expect(await recorder.lines == [])
            await gate.arrive(2)
            #expect(try await bed.text() == "10")
            #expect(await recorder.lines == ["after 1"])
            bed.send(.drain)
            await gate.arrive(2)
            #expect(try await bed.next().type == .bye)
            #expect(await recorder.lines == ["after 1", "after 5"])
        }
    }

    @Test func eachEventOfABatchIsAnswered() async throws {
        let batch = SessionBed.initialization.replacing("null", with: #"{"maxSize": 4}"#)
        try await SessionBed.run(Batched.function { Batched() }, initialization: batch) {
            (bed: SessionBed) async throws in
            var payload: [UInt8] = [4, 0, 0, 0, 0, 0, 0, 0]
            for (stream, data) in [(11, "1"), (12, "-1"), (13, #""no number""#), (14, "4")] {
                let item = SessionBed.head() + SessionBed.block(data)
                payload.appendLittleEndian(UInt64(stream))
                payload.appendLittleEndian(UInt32(item.count))
                payload.appendLittleEndian(UInt32(0))
                payload += item
            }
            bed.send(.batch, payload)
            var answers: [UInt64: String] = [:]
            for _ in 0..<4 {
                let frame = try await bed.next()
                #expect(frame.type == .itemResult)
                answers[frame.header.stream] =
                    if frame.header.flags == .failed {
                        try SessionBed.error(frame.payload).code
                    } else {
                        String(decoding: try SessionBed.event(frame.payload).data ?? [], as: UTF8.self)
                    }
            }
            #expect(answers == [11: "10", 12: "function_rejected", 13: "invalid_json", 14: "40"])
        }
    }

    @Test func theRequestOfAnHTTPTriggerIsThereAndItsAnswerIsChosen() async throws {
        let function = Function(event: { event, _ in
            guard let request = event.http else { return .text("no request") }
            #expect(request.method == "POST" && request.path == "/embed/7" && request.query == nil)
            #expect(request.parameters == ["id": "7"] && request["User-Agent"] == "curl/8")
            var reply = Reply.text("gone")
            reply.status = 410
            reply.headers = [Event.Header("x-reason", "moved")]
            return reply
        })
        try await SessionBed.run(function) { (bed: SessionBed) async throws in
            let headers = [
                ("apus-http-method", "POST"), ("apus-http-path", "/embed/7"), ("apus-http-param-id", "7"),
                ("user-agent", "curl/8"),
            ].map { Attribute($0.0, $0.1, kind: .header) }
            bed.send(.invoke, SessionBed.head() + SessionBed.block("x", type: "text/plain", headers), stream: 1)
            let result = try await bed.result()
            #expect(result.attributes.contains(Attribute("apus-http-status", "410", kind: .header)))
            #expect(result.attributes.contains(Attribute("x-reason", "moved", kind: .header)))
            bed.invoke(2, "x", type: "text/plain")
            #expect(try await bed.text() == "no request")
        }
    }

    @Test func recordsOfATableAreHandledInTheirOrder() async throws {
        let recorder = Recorder()
        let function = Function(event: { event, _ in
            #expect(event.isTable)
            await recorder.add(event.text)
            return .nothing
        })
        try await SessionBed.run(function) { (bed: SessionBed) async throws in
            for stream in 1...20 { bed.invoke(UInt64(stream), "\(stream)", flags: .table) }
            for _ in 1...20 { _ = try await bed.result() }
            #expect(await recorder.lines == (1...20).map(String.init))
        }
    }
}
