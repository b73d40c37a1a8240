internal import ApusCore

/// A request to the proxy, read strictly: whatever two readers could read in two ways is refused.
struct ProxyRequest: Equatable {
    enum Form: Equatable {
        /// `CONNECT host:port`: a tunnel.
        case tunnel(NetworkTarget)
        /// `GET http://host/path`: one request that is passed on.
        case request(NetworkTarget, isEncrypted: Bool, path: String)
    }

    struct Field: Equatable {
        /// In lower case.
        var name: String
        var value: [UInt8]
    }

    var method: String
    var form: Form
    var fields: [Field]
    var body: BodyPassage

    enum Reading: Equatable {
        /// The head has not ended yet.
        case incomplete
        /// A request, and how many bytes its head has.
        case request(ProxyRequest, head: Int)
        case refused(EgressRefusal)
    }

    /// Reads the head that `bytes` starts with.
    /// - Parameter known: how many of them were looked at before, and held no end.
    static func read(_ bytes: ArraySlice<UInt8>, known: Int = 0) -> Reading {
        let end = Self.end(of: bytes, from: bytes.startIndex + max(0, known - 3))
        guard (end ?? bytes.endIndex) - bytes.startIndex <= Limits.Egress.headBytes else {
            return .refused(
                EgressRefusal(.malformed, "the head is over \(Limits.Egress.headBytes) bytes", status: 431))
        }
        guard let end else { return .incomplete }
        do throws(EgressRefusal) {
            // Without the empty line.
            let request = try Self.parse(bytes[bytes.startIndex..<(end - 2)])
            return .request(request, head: end - bytes.startIndex)
        } catch { return .refused(error) }
    }

    private static func end(of bytes: ArraySlice<UInt8>, from start: Int) -> Int? {
        guard bytes.endIndex - start >= 4 else { return nil }
        for index in start...(bytes.endIndex - 4)
        where bytes[index] == 0x0D && bytes[index + 1] == 0x0A && bytes[index + 2] == 0x0D && bytes[index + 3] == 0x0A {
            return index + 4
        }
        return nil
    }

    /// Each line with its end.
    private static func parse(_ head: ArraySlice<UInt8>) throws(EgressRefusal) -> ProxyRequest {
        var lines: [ArraySlice<UInt8>] = []
        var start = head.startIndex
        var index = head.startIndex
        while index < head.endIndex {
            if head[index] == 0x0A { throw EgressRefusal(.malformed, "a line ends without a carriage return") }
            if head[index] == 0x0D {
                guard index + 1 < head.endIndex, head[index + 1] == 0x0A else {
                    throw EgressRefusal(.malformed, "a carriage return ends no line")
                }
                lines.append(head[start..<index])
                index += 2
                start = index
            } else {
                index += 1
            }
        }
        guard let first = lines.first, lines.count - 1 <= Limits.Egress.headerFields else {
            throw EgressRefusal(
                .malformed, "there are more than \(Limits.Egress.headerFields) header fields", status: 431)
        }
        var fields: [Field] = []
        for line in lines.dropFirst() { fields.append(try Self.field(line)) }
        return try Self.request(first, fields)
    }

    private static func field(_ line: ArraySlice<UInt8>) throws(EgressRefusal) -> Field {
        guard let colon = line.firstIndex(of: 0x3A), colon > line.startIndex else {
            throw EgressRefusal(.malformed, "a header field has no name")
        }
        let name = line[..<colon]
        // A space before the colon or at the start of a line too: no token.
        guard name.allSatisfy(isTokenByte) else {
            throw EgressRefusal(.malformed, "a header name holds a character that no name may hold")
        }
        var value = line[(colon + 1)...]
        while value.first == 0x20 || value.first == 0x09 { value = value.dropFirst() }
        while value.last == 0x20 || value.last == 0x09 { value = value.dropLast() }
        guard value.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
            throw EgressRefusal(.malformed, "a header value holds a control character")
        }
        return Field(name: String(decoding: name, as: UTF8.self).lowercased(), value: Array(value))
    }

    private static func request(_ line: ArraySlice<UInt8>, _ fields: [Field]) throws(EgressRefusal) -> ProxyRequest {
        let words = line.split(separator: 0x20, omittingEmptySubsequences: false)
        guard words.count == 3 else {
            throw EgressRefusal(.malformed, "the request line is not `METHOD TARGET VERSION`")
        }
        let version = String(decoding: words[2], as: UTF8.self)
        guard version == "HTTP/1.1" || version == "HTTP/1.0" else {
            throw EgressRefusal(.malformed, "only HTTP/1.1 and HTTP/1.0 are spoken here", status: 505)
        }
        guard (1...Limits.Egress.methodBytes).contains(words[0].count), words[0].allSatisfy(isTokenByte) else {
            throw EgressRefusal(.malformed, "the method is no token")
        }
        guard words[1].allSatisfy({ (0x21..<0x7F).contains($0) }) else {
            throw EgressRefusal(.malformed, "the request target holds a character that must be percent-encoded")
        }
        let method = String(decoding: words[0], as: UTF8.self)
        let target = String(decoding: words[1], as: UTF8.self)
        let body = try Self.body(fields, version)
        if method == "CONNECT" {
            guard body.isDone else { throw EgressRefusal(.malformed, "a CONNECT has a body") }
            return ProxyRequest(
                method: method, form: .tunnel(try Self.target(target, standard: nil)), fields: fields, body: body)
        }
        // These send back what they get: with it the secret that was put in.
        guard method != "TRACE", method != "TRACK" else {
            throw EgressRefusal(.malformed, "\(method) is not passed on", status: 405)
        }
        let form = try Self.absolute(target)
        try Self.checkHost(fields, form)
        return ProxyRequest(method: method, form: form, fields: fields, body: body)
    }

    private static func target(_ text: some StringProtocol, standard: UInt16?) throws(EgressRefusal) -> NetworkTarget {
        do throws(NetworkTextError) { return try NetworkTarget(text, standard: standard) } catch {
            throw EgressRefusal(.malformed, "the host that is asked for \(error.message)")
        }
    }

    private static func absolute(_ text: String) throws(EgressRefusal) -> Form {
        let lower = text.prefix(8).lowercased()
        let isEncrypted = lower == "https://"
        guard isEncrypted || lower.hasPrefix("http://") else {
            throw EgressRefusal(.malformed, "this is a proxy: ask for http://HOST/PATH, or CONNECT HOST:PORT")
        }
        let rest = text.dropFirst(isEncrypted ? 8 : 7)
        let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        let authority = rest[..<end]
        guard !authority.contains("@") else { throw EgressRefusal(.malformed, "the URL names a user before the host") }
        guard !rest[end...].contains("#") else { throw EgressRefusal(.malformed, "the URL holds a fragment") }
        var path = String(rest[end...])
        if !path.hasPrefix("/") { path = "/" + path }
        let target = try Self.target(authority, standard: isEncrypted ? 443 : 80)
        return .request(target, isEncrypted: isEncrypted, path: path)
    }

    /// Whoever is asked for decides, not what a header says besides: one that says something else is no mistake of an honest client.
    private static func checkHost(_ fields: [Field], _ form: Form) throws(EgressRefusal) {
        guard case .request(let target, let isEncrypted, _) = form else { return }
        let hosts = fields.filter { $0.name == "host" }
        guard hosts.count <= 1 else { throw EgressRefusal(.malformed, "the header Host comes more than once") }
        guard let host = hosts.first else { return }
        let text = String(decoding: host.value, as: UTF8.self)
        let named = try? NetworkTarget(text, standard: isEncrypted ? 443 : 80)
        guard named == target else {
            throw EgressRefusal(.hostMismatch, "the header Host names another host than the request", target: target)
        }
    }

    private static func body(_ fields: [Field], _ version: String) throws(EgressRefusal) -> BodyPassage {
        let lengths = fields.filter { $0.name == "content-length" }
        let codings = fields.filter { $0.name == "transfer-encoding" }
        guard lengths.count + codings.count <= 1 else {
            throw EgressRefusal(.malformed, "the length of the body is said more than once")
        }
        if let coding = codings.first {
            guard version == "HTTP/1.1", String(decoding: coding.value, as: UTF8.self).lowercased() == "chunked" else {
                throw EgressRefusal(.malformed, "the only coding of a body is chunked, with HTTP/1.1", status: 501)
            }
            return BodyPassage(.chunked)
        }
        guard let length = lengths.first else { return BodyPassage(.length(0)) }
        guard (1...15).contains(length.value.count), length.value.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = UInt64(String(decoding: length.value, as: UTF8.self))
        else { throw EgressRefusal(.malformed, "Content-Length is not a decimal number") }
        return BodyPassage(.length(number))
    }
}

/// RFC 9110, section 5.6.2.
func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E...0x60, 0x7C, 0x7E: true
    default: false
    }
}
