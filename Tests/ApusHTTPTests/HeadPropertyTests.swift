import ApusHTTP
import Testing

/// Generated heads and paths, from fixed seeds: what passes holds the promises that handlers rely on, and nothing traps.
@Suite struct HeadPropertyTests {
    static let seeds: [UInt64] = [1, 2, 3, 4]
    static let inputsPerSeed = 30_000

    /// Mostly the characters that matter, sometimes any.
    private static func text(_ random: inout SplitMix, upTo count: Int) -> [UInt8] {
        let pieces: [StaticString] = [
            "/", "//", "%", "%2F", "%2f", "%00", "%5C", "%2e", ".", "..", "a", "Z", "0", "%C3%A9", "%C0%AF", "%FF", "?",
            "&", "=", "+", ";",
            "\"", "\\", " ", ",", "q=0.5", "*", "text", "/json", "%25", "-", "_", "~", "%7F", "%ED%A0%80",
        ]
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 0...count, using: &random) {
            if Int.random(in: 0..<8, using: &random) == 0 {
                bytes.append(UInt8.random(in: .min ... .max, using: &random))
            } else if let piece = pieces.randomElement(using: &random) {
                bytes += Array(UnsafeBufferPointer(start: piece.utf8Start, count: piece.utf8CodeUnitCount))
            }
        }
        return bytes
    }

    @Test(arguments: seeds)
    func `a path that passes holds no separator, control or dot segment, and encodes back to itself`(seed: UInt64)
        throws
    {
        var random = SplitMix(seed)
        for _ in 0..<Self.inputsPerSeed {
            let raw = String(decoding: [UInt8(ascii: "/")] + Self.text(&random, upTo: 12), as: UTF8.self)
            guard let path = try? RequestPath(parsing: raw) else { continue }
            for (index, segment) in path.segments.enumerated() {
                let isSound =
                    segment != "." && segment != ".." && (!segment.isEmpty || index == path.segments.count - 1)
                    && segment.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F && $0 != 0x2F && $0 != 0x5C }
                #expect(isSound, "seed \(seed): \(raw)")
            }
            let again = "/" + path.segments.map(percentEncoded).joined(separator: "/")
            #expect(try RequestPath(parsing: again) == path, "seed \(seed): \(raw)")
        }
    }

    @Test(arguments: seeds)
    func `a query, a media type and a list of ranges never trap, and a query encodes back to itself`(seed: UInt64)
        throws
    {
        var random = SplitMix(seed)
        for _ in 0..<Self.inputsPerSeed {
            let raw = String(decoding: Self.text(&random, upTo: 16), as: UTF8.self)
            if let media = MediaType(parsing: raw) {
                #expect(MediaType(parsing: media.essence)?.essence == media.essence)
            }
            _ = AcceptHeader(raw).best(of: ["application/json", "text/event-stream"])
            guard let query = try? RequestQuery(parsing: raw) else { continue }
            let again = query.parameters.map { "\(percentEncoded($0.name))=\(percentEncoded($0.value))" }.joined(
                separator: "&")
            #expect(try RequestQuery(parsing: again) == query, "seed \(seed): \(raw)")
        }
    }

    @Test(arguments: seeds)
    func `a head that passes has one reading`(seed: UInt64) {
        var random = SplitMix(seed)
        let names: [String] = [
            "Content-Length", "content-length", "Transfer-Encoding", "Host", "HOST", "X-Other", "Origin",
            "Content-Length ", "X(", "",
        ]
        let values: [String] = [
            "1", "0", "+1", "chunked", "Chunked", "gzip", "localhost", "a\u{1}b", "", "1,1", "18446744073709551616",
        ]
        var passed = 0
        for _ in 0..<Self.inputsPerSeed {
            var check = HeadCheck()
            var lines: [(String, String)] = []
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                let line = (names.randomElement(using: &random) ?? "", values.randomElement(using: &random) ?? "")
                lines.append(line)
                add(line.0, line.1, to: &check)
            }
            guard check.refusal(version: "HTTP/1.1", target: "/") == nil else { continue }
            passed += 1
            let lower = lines.map { ($0.0.lowercased(), $0.1.lowercased()) }
            let lengths = lower.filter { $0.0 == "content-length" }
            let codings = lower.filter { $0.0 == "transfer-encoding" }
            #expect(lengths.count + codings.count <= 1, "seed \(seed): \(lines)")
            #expect(lower.filter { $0.0 == "host" }.count == 1, "seed \(seed): \(lines)")
            #expect(codings.allSatisfy { $0.1 == "chunked" }, "seed \(seed): \(lines)")
            #expect(
                lengths.allSatisfy { Int($0.1) == check.contentLength && !$0.1.hasPrefix("+") },
                "seed \(seed): \(lines)")
            #expect(
                !lower.contains { $0.0.isEmpty || $0.0.contains(" ") || $0.0.contains("(") || $0.1.contains("\u{1}") },
                "seed \(seed): \(lines)")
        }
        #expect(passed > 100, "the inputs are not all refused")
    }
}

private func add(_ name: String, _ value: String, to check: inout HeadCheck) {
    Array(name.utf8).withUnsafeBytes { name in
        Array(value.utf8).withUnsafeBytes { value in check.add(name: name, value: value) }
    }
}

private func percentEncoded(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 { bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
    return String(decoding: bytes, as: UTF8.self)
}

/// A small generator whose seed is printed with a failure.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
