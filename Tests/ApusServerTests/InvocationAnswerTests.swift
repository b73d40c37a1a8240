import ApusCore
import ApusEngine
import ApusHTTP
import ApusLoop
import Testing

@testable import ApusServer

@Suite struct InvocationAnswerTests {
    /// What a caller receives of an answer that this makes.
    private static func answer(_ accept: String?, _ make: @escaping @Sendable (InvocationAnswer) -> Void) throws
        -> Result<HTTPResponse, ApusError>
    {
        let loop = EventLoop()
        let socket = try ListeningSocket.open(address: "127.0.0.1", port: 0)
        let port = ListeningSocket.port(of: socket)
        let descriptor = socket.release()
        // SAFETY: touched on `loop` only.
        nonisolated(unsafe) var listener: HTTPListener?
        let failure = loop.runAndWait { () -> ApusError? in
            let made = HTTPListener(loop: loop) { exchange in
                make(InvocationAnswer(exchange, invocation: InvocationID(high: 1, low: 2)) {})
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
            response.headers.filter { $0.name.lowercased().hasPrefix("ce-") } == [HTTPHeader("ce-id", "7%20%C3%A4")])
    }
}
