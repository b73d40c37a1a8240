import ApusCore
import ApusEngine
import ApusHTTP
import ApusLoop
import Testing

@testable import ApusServer

@Suite struct InvocationAnswerTests {
    /// What a caller receives of an answer that this makes.
    private static func answer(
        _ accept: String?, _ way: InvocationCall.Way = .direct, _ make: @escaping @Sendable (InvocationAnswer) -> Void
    ) throws
        -> Result<HTTPResponse, ApusError>
    {
        let function = try #require(ResourceName(.default, "worker"))
        let call = InvocationCall(function: function, id: InvocationID(high: 1, low: 2), way: way)
        let loop = EventLoop()
        let socket = try ListeningSocket.open(address: "127.0.0.1", port: 0)
        let port = ListeningSocket.port(of: socket)
        let descriptor = socket.release()
        // SAFETY: touched on `loop` only.
        nonisolated(unsafe) var listener: HTTPListener?
        let failure = loop.runAndWait { () -> ApusError? in
            let made = HTTPListener(loop: loop) { exchange in
                make(InvocationAnswer(exchange, call, CallerCounts(), now: .zero))
            }
            listener = made
            do throws(ApusError) { try made.listen(socket: OwnedDescriptor(adopting: descriptor)) } catch {
                return error
            }
            return nil
        }
        if let failure { throw failure }
        defer {
            let stopped = ResultSlot<Bool>()
            loop.post { listener?.stop(withinMilliseconds: 0) { stopped.fill(true) } }
            _ = stopped.take()
            loop.runAndWait { listener = nil }
            loop.stop()
        }
        let client = try HTTPClient()
        do throws(ApusError) {
            let headers = accept.map { [HTTPHeader("Accept", $0)] } ?? []
            return .success(try client.request("GET", "http://127.0.0.1:\(port)/", headers: headers))
        } catch { return .failure(error) }
    }

    private static func start(_ answer: InvocationAnswer, _ type: String) {
        EventBlock.encode(Event(attributes: [Attribute("datacontenttype", type)], data: [])).withUnsafeBytes {
            answer.onStart($0)
        }
        Array("1".utf8).withUnsafeBytes { answer.onPart($0) }
    }

    @Test func aStreamOfEventsSaysHowItFailedAndEndsWhole() throws {
        let response = try Self.answer("text/event-stream") { answer in
            Self.start(answer, "application/json")
            answer.onFailure(Failure(.functionFailed, "it broke"))
        }.get()
        let text = String(decoding: response.body, as: UTF8.self)
        #expect(text.contains("data: 1\n\n") && text.contains("event: error\n") && text.contains("function_failed"))
    }

    @Test func otherStreamsAreBrokenOffWhenTheyFail() throws {
        let result = try Self.answer(nil) { answer in
            Self.start(answer, "application/json")
            answer.onFailure(Failure(.functionFailed, "it broke"))
        }
        if case .success(let response) = result { Issue.record("whole: \(response)") }
    }

    /// A comment of the stream, which says nothing to a client that only reads events; the result is an event behind it.
    @Test func whoTakesEventsHearsHowLongTheStartMayTake() throws {
        let block = EventBlock.encode(Event(attributes: [Self.json], data: Array("[1]".utf8)))
        let response = try Self.answer("text/event-stream") { answer in
            answer.onWaiting(.milliseconds(2_100))
            answer.onWaiting(.seconds(9))
            block.withUnsafeBytes { answer.onResult($0) }
        }.get()
        let text = String(decoding: response.body, as: UTF8.self)
        #expect(response.status == 200 && text.hasPrefix(": starting worker, about 3 s\n\n"), "\(text)")
        #expect(text.contains("data: [1]\n") && text.split(separator: "starting").count == 2, "\(text)")
    }

    /// Others wait without a word: their status is not known yet.
    @Test(arguments: [nil, "application/json", "application/json, text/event-stream"]) func othersAreToldNothing(_ accept: String?) throws {
        let block = EventBlock.encode(Event(attributes: [Self.json], data: Array("[1]".utf8)))
        let response = try Self.answer(accept) { answer in
            answer.onWaiting(.seconds(9))
            block.withUnsafeBytes { answer.onResult($0) }
        }.get()
        #expect(response.body == Array("[1]".utf8))
    }

    @Test func aRefusalSaysWhenToTryAgainInWholeSeconds() throws {
        for (span, seconds) in [(TimeSpan.milliseconds(1), "1"), (.milliseconds(4_200), "5")] {
            let response = try Self.answer(nil) { answer in
                answer.onFailure(Failure(.queueFull, "too many wait", retryAfter: span))
            }.get()
            #expect(response.status == 429 && response.header("Retry-After") == seconds, "\(response)")
        }
    }

    @Test func whatNoHeaderCanSayIsLeftOutAndTheResultArrives() throws {
        let event = Event(
            attributes: [
                Attribute("id", "7 ä"), Attribute("bad name", "x"), Attribute("line\r\nbreak", "x"),
                Attribute("ünder", "x"),
                Attribute("datacontenttype", "text/plain\r\nX: 1"), Attribute("own", "header", kind: .header),
            ],
            data: Array("result".utf8))
        let block = EventBlock.encode(event)
        let response = try Self.answer(nil) { answer in block.withUnsafeBytes { answer.onResult($0) } }.get()
        #expect(response.status == 200 && response.body == Array("result".utf8))
        #expect(response.header("Content-Type") == "application/octet-stream")
        #expect(
            response.headers.filter { $0.name.lowercased().hasPrefix("ce-") } == [
                HTTPHeader("ce-specversion", "1.0"), HTTPHeader("ce-id", "7%20%C3%A4"),
                HTTPHeader("ce-source", "/apus/default/worker"), HTTPHeader("ce-type", "dev.apus.result"),
            ])
    }

    private static func whole(_ event: Event, _ accept: String? = nil, _ way: InvocationCall.Way = .direct) throws
        -> HTTPResponse
    {
        let block = EventBlock.encode(event)
        return try self.answer(accept, way) { answer in block.withUnsafeBytes { answer.onResult($0) } }.get()
    }

    private static let json = Attribute("datacontenttype", "application/json")
    private static func status(_ text: String) -> Attribute { Attribute("apus-http-status", text, kind: .header) }

    @Test func aPlainResultIsPlainUnlessTheCallerWantsAnEvent() throws {
        let result = Event(attributes: [Self.json], data: Array("[1]".utf8))
        for accept in [nil, "*/*", "application/json", "text/html", "application/cloudevents+json;q=0.5, */*"] {
            let plain = try Self.whole(result, accept)
            #expect(plain.status == 200 && plain.body == Array("[1]".utf8), "\(accept ?? "")")
            #expect(!plain.headers.contains { $0.name.lowercased().hasPrefix("ce-") })
        }
        let structured = try Self.whole(result, "application/cloudevents+json")
        #expect(structured.header("Content-Type") == "application/cloudevents+json")
        let event = try Sent.structured(bytes: structured.body)
        #expect(event["source"] == "/apus/default/worker" && event.data == Array("[1]".utf8))
        let batched = try Self.whole(result, "application/cloudevents-batch+json")
        #expect(try Sent.batch(String(decoding: batched.body, as: UTF8.self)) == [event])
        #expect(try Self.whole(Event(data: nil)).status == 204)
    }

    @Test func attributesThatNoHeadCanHoldAreAskedForAsJSON() throws {
        let long = Event(attributes: [Attribute("ext", String(repeating: "x", count: 20_000))], data: [1])
        #expect(try Self.whole(long).status == 502)
        #expect(try Self.whole(long, "application/cloudevents+json").status == 200)
    }

    @Test func aFunctionChoosesTheAnswerOfItsTriggerAndOfNothingElse() throws {
        let attributes = [
            Self.json, Self.status("201"), Attribute("location", "/x", kind: .header),
            Attribute("set-cookie", "a=1", kind: .header), Attribute("set-cookie", "b=2", kind: .header),
        ]
        let result = Event(attributes: attributes, data: Array("1".utf8))
        let answer = try Self.whole(result, nil, .trigger(isAnonymous: false))
        #expect(answer.status == 201 && answer.header("location") == "/x")
        #expect(answer.headers.filter { $0.isNamed("set-cookie") }.map(\.value) == ["a=1", "b=2"])
        #expect(answer.header("Content-Security-Policy")?.hasPrefix("sandbox") == true)
        let direct = try Self.whole(result)
        #expect(direct.status == 200 && direct.header("location") == nil)
        let none = try Self.whole(
            Event(attributes: [Self.json, Self.status("204")], data: [1]), nil, .trigger(isAnonymous: false))
        #expect(none.status == 204 && none.body.isEmpty)
    }

    @Test func whoHasNoTokenIsNotToldHowAFunctionFailed() throws {
        for (isAnonymous, isTold) in [(true, false), (false, true)] {
            let answer = try Self.answer(nil, .trigger(isAnonymous: isAnonymous)) { answer in
                answer.onFailure(Failure(.functionFailed, "key sesame is wrong", detail: "line 7"))
            }.get()
            let text = String(decoding: answer.body, as: UTF8.self)
            #expect(answer.status == 502 && text.contains("sesame") == isTold && text.contains("line 7") == isTold)
        }
        let rejected = try Self.answer(nil, .trigger(isAnonymous: true)) { answer in
            answer.onFailure(Failure(.functionRejected, "too long"))
        }.get()
        #expect(rejected.status == 422 && String(decoding: rejected.body, as: UTF8.self).contains("too long"))
    }
}
