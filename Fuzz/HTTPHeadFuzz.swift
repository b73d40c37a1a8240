// Feeds arbitrary bytes to everything that reads a request's head: header lines, path, query, media type, ranges of types.
// A finding is a trap, an out-of-bounds access, or a path that passed with something in it that handlers rely on not being there.
//
// `bash Fuzz/HTTPHeadFuzz.build OUTPUT` builds it, `make fuzz TARGETS=HTTPHeadFuzz` runs it.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHead(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    let text = String(decoding: bytes, as: UTF8.self)
    checkPath(text)
    checkQuery(text)
    if let media = MediaType(parsing: text) {
        precondition(MediaType(parsing: media.essence)?.essence == media.essence)
    }
    _ = AcceptHeader(text).best(of: ["application/json", "text/event-stream"])
    checkHead(bytes)
    return 0
}

private func checkPath(_ text: String) {
    guard let path = try? RequestPath(parsing: text) else { return }
    for segment in path.segments {
        precondition(segment != "." && segment != "..")
        precondition(
            !segment.utf8.contains { $0 < 0x20 || $0 == 0x7F || $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") })
    }
}

private func checkQuery(_ text: String) {
    guard let query = try? RequestQuery(parsing: text) else { return }
    precondition(query.parameters.count <= RequestQuery.parametersMax)
}

/// Lines end in a line feed; the first colon of each ends its name.
private func checkHead(_ bytes: UnsafeRawBufferPointer) {
    var check = HeadCheck()
    var hosts = 0
    for line in bytes.split(separator: UInt8(ascii: "\n")) {
        let parts = line.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
        let name = UnsafeRawBufferPointer(rebasing: parts[0])
        check.add(
            name: name,
            value: parts.count > 1
                ? UnsafeRawBufferPointer(rebasing: parts[1]) : UnsafeRawBufferPointer(start: nil, count: 0))
        if String(decoding: name, as: UTF8.self).lowercased() == "host" { hosts += 1 }
    }
    if check.refusal(version: "HTTP/1.1", target: "/") == nil { precondition(hosts == 1) }
}
