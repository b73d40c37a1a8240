internal import ApusCore
internal import ApusEngine
internal import ApusHTTP
internal import ApusHost
internal import ApusJSON

/// Answers an HTTP exchange with what a direct invocation gives: the result whole, or its parts as they come.
/// Confined to the loop of the exchange.
final class InvocationAnswer: ResponseSink {
    private enum Form {
        /// `text/event-stream`: an event for each part.
        case events
        /// JSON values, one a line.
        case lines
        case bytes
    }

    private let exchange: HTTPExchange
    private let headers: [(String, String)]
    private let wantsEvents: Bool
    private var form = Form.bytes
    /// Called once, when nothing more will come.
    private let onOver: () -> Void

    init(_ exchange: HTTPExchange, invocation: InvocationID, onOver: @escaping () -> Void) {
        self.exchange = exchange
        self.headers = [("Apus-Invocation", invocation.description)]
        self.wantsEvents = exchange.header("Accept")?.contains(ServerSentEvent.mediaType) ?? false
        self.onOver = onOver
    }

    func onTiming(_ timing: AttemptTiming) { if !self.exchange.isAnswered { self.exchange.add(timing) } }

    func onResult(_ block: UnsafeRawBufferPointer) {
        let result: Event
        do { result = try EventBlock.decode(block.bytes) } catch {
            return self.onFailure(Failure(.protocolError, "the worker's result could not be read"))
        }
        self.onOver()
        guard let data = result.data else { return self.exchange.respond(status: 204, headers: self.headers) }
        let type = HeaderValue.contentType(result["datacontenttype"])
        self.exchange.respond(
            status: 200, headers: self.headers + [("Content-Type", type)] + Self.attributeHeaders(result), body: data)
    }

    func onStart(_ block: UnsafeRawBufferPointer) {
        let type = HeaderValue.contentType((try? EventBlock.decode(block.bytes))?["datacontenttype"])
        if self.wantsEvents {
            self.form = .events
            self.exchange.stream(status: 200, headers: self.headers + ServerSentEvent.headers)
        } else if MediaType(parsing: type)?.isJSON ?? false {
            self.form = .lines
            self.exchange.stream(status: 200, headers: self.headers + [("Content-Type", "application/x-ndjson")])
        } else {
            self.form = .bytes
            self.exchange.stream(status: 200, headers: self.headers + [("Content-Type", type)])
        }
    }

    func onPart(_ bytes: UnsafeRawBufferPointer) {
        // A client that does not read is cut off by the exchange's own bound.
        switch self.form {
        case .events: _ = self.exchange.write(ServerSentEvent.encode(data: bytes))
        case .lines: _ = self.exchange.write(Array(bytes) + [0x0A])
        case .bytes: _ = self.exchange.write(Array(bytes))
        }
    }

    func onEnd() {
        self.onOver()
        if self.form == .events { _ = self.exchange.write(ServerSentEvent.encode(data: [], event: "end")) }
        self.exchange.end()
    }

    func onFailure(_ failure: Failure) {
        self.onOver()
        if self.exchange.isAnswered {
            // The head is out. A stream of events can say what happened; of the other forms only breaking off tells the client.
            guard self.form == .events else { return self.exchange.abort() }
            let problem = Problem(failure.code, failure.message).json()
            _ = self.exchange.write(ServerSentEvent.encode(data: problem, event: "error"))
            return self.exchange.end()
        }
        let lines = failure.detail.isEmpty ? [] : failure.detail.split(separator: "\n").map(String.init)
        self.exchange.respond(Problem(failure.code, failure.message, errors: lines), headers: self.headers)
    }

    /// What an `apus.Event` says of itself, as headers of the binary mode. A function may name its attributes as it likes; names
    /// that no header can have are left out.
    static func attributeHeaders(_ event: Event) -> [(String, String)] {
        event.attributes.compactMap { attribute in
            guard attribute.kind != .header, attribute.name != "datacontenttype", HeaderValue.isName(attribute.name)
            else { return nil }
            return ("ce-\(attribute.name)", HeaderValue.encode(attribute.text))
        }
    }
}

/// Text as the value of a CloudEvents header: what is not visible ASCII, and quotes and percent signs, are percent-encoded UTF-8.
enum HeaderValue {
    /// Whether a header's name may hold it: letters, digits and what RFC 9110 allows beside them.
    static func isName(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }

    /// A media type as it is; what is none would break the answer's head.
    static func contentType(_ text: String?) -> String {
        guard let text, MediaType(parsing: text) != nil, text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) else {
            return "application/octet-stream"
        }
        return text
    }

    static func encode(_ text: String) -> String {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if byte > 0x20, byte < 0x7F, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "%") {
                bytes.append(byte)
            } else {
                let digits = Array("0123456789ABCDEF".utf8)
                bytes.append(contentsOf: [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]])
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
