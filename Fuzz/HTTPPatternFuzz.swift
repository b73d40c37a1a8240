// Feeds arbitrary text to the patterns of HTTP triggers: two patterns and a path, a line each. A finding is a trap, a comparison that
// depends on which pattern comes first, or two patterns called apart that both match the path.
//
// `bash Fuzz/HTTPPatternFuzz.build OUTPUT` builds it, `make fuzz TARGETS=HTTPPatternFuzz` runs it.
import ApusManifest

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPatterns(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let text = String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
    let lines = text.split(separator: "\n", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
    guard lines.count == 3, let left = try? HTTPPathPattern(parsing: lines[0]),
        let right = try? HTTPPathPattern(parsing: lines[1])
    else { return 0 }
    let relation = left.relation(to: right)
    precondition(relation == right.relation(to: left))
    precondition(left.relation(to: left) == .same)
    precondition((try? HTTPPathPattern(parsing: left.description)) == left)
    let path = lines[2].split(separator: "/").map(String.init)
    if matches(left, path), matches(right, path) { precondition(relation != .apart) }
    return 0
}

private func matches(_ pattern: HTTPPathPattern, _ path: [String]) -> Bool {
    for (index, segment) in pattern.segments.enumerated() {
        switch segment {
        case .rest: return true
        case .parameter: if index >= path.count { return false }
        case .fixed(let text): if index >= path.count || path[index] != text { return false }
        }
    }
    return path.count == pattern.segments.count
}
