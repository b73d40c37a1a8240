internal import ApusCore
internal import ApusCrypto
internal import ApusJSON
internal import ApusTools
internal import Synchronization

/// Results that are too large to be sent with a call, kept for a while for who called. Small ones in memory, large ones on disk; both are
/// bounded, and the oldest go first.
final class LargeResults: Sendable {
    enum Body: Sendable {
        case memory([UInt8])
        case file(ResultFile, Room)

        var count: Int { switch self { case .memory(let data): data.count case .file(let file, _): file.size } }
    }

    struct Result: Sendable {
        var type: String
        var body: Body
        var owner: String
        var until: Timestamp
    }

    /// Bytes of the disk that one result has, until nobody holds it: it is being written, kept, or read.
    final class Room: Sendable {
        private let results: LargeResults
        let bytes: Int
        let owner: String

        fileprivate init(_ results: LargeResults, _ bytes: Int, _ owner: String) {
            self.results = results
            self.bytes = bytes
            self.owner = owner
        }

        deinit {
            self.results.disk.withLock { disk in
                disk.rooms -= 1
                disk.bytes -= self.bytes
                let left = (disk.byOwner[self.owner] ?? 0) - self.bytes
                disk.byOwner[self.owner] = left > 0 ? left : nil
            }
        }
    }

    private struct Disk {
        var rooms = 0
        var bytes = 0
        var byOwner: [String: Int] = [:]
    }

    private struct State {
        var results: [String: Result] = [:]
        /// The oldest first.
        var order: [String] = []
        /// In memory.
        var bytes = 0

        /// - Returns: what is to go, once no lock is held.
        mutating func remove(_ key: String) -> Result? {
            guard let result = self.results.removeValue(forKey: key) else { return nil }
            if case .memory(let data) = result.body { self.bytes -= data.count }
            self.order.removeAll { $0 == key }
            return result
        }

        mutating func removeExpired(_ now: Timestamp) -> [Result] {
            self.results.filter { $0.value.until <= now }.compactMap { self.remove($0.key) }
        }

        mutating func removeOldest(_ isMeant: (Result) -> Bool) -> Result? {
            let key = self.order.first { self.results[$0].map(isMeant) ?? false }
            return key.flatMap { self.remove($0) }
        }
    }

    private static let prefix = "apus://results/"
    let folder: String
    private let sealer: Sealer
    private let state = Mutex(State())
    private let disk = Mutex(Disk())
    private let resultsMax: Int
    private let bytesMax: Int

    /// - Parameter folder: where results that go to disk are written.
    init(
        sealer: Sealer, folder: String, resultsMax: Int = Limits.ToolEndpoint.results, bytesMax: Int = Limits.ToolEndpoint.resultsBytes
    ) {
        self.sealer = sealer
        self.folder = folder
        self.resultsMax = resultsMax
        self.bytesMax = bytesMax
        ResultWriter.sweep(folder)
    }

    static func isOne(_ uri: String) -> Bool { uri.hasPrefix(Self.prefix) }

    /// Lets go of what nobody can read any more.
    func sweep(now: Timestamp) { _ = self.state.withLock { $0.removeExpired(now) } }

    // MARK: the disk

    /// Makes room on disk: the oldest results of this caller go first, then the oldest of all.
    /// - Throws: `limit_reached` where results that are being written now have all of it.
    func makeRoom(_ bytes: Int, for owner: String, now: Timestamp) throws(ApusError) -> Room {
        self.sweep(now: now)
        while true {
            let lacks = self.disk.withLock { disk -> Lack? in
                if (disk.byOwner[owner] ?? 0) + bytes > Limits.ToolEndpoint.callerResultsBytes { return .owner }
                if disk.rooms >= Limits.ToolEndpoint.diskResults || disk.bytes + bytes > Limits.ToolEndpoint.diskResultsBytes {
                    return .all
                }
                disk.rooms += 1
                disk.bytes += bytes
                disk.byOwner[owner, default: 0] += bytes
                return nil
            }
            guard let lacks else { return Room(self, bytes, owner) }
            let gone = self.state.withLock { state in
                state.removeOldest {
                    guard case .file = $0.body else { return false }
                    return lacks == .all || $0.owner == owner
                }
            }
            guard gone != nil else {
                throw ApusError(.limitReached, "there is no room for a result of \(bytes) bytes: others are being written, try again in a moment")
            }
        }
    }

    private enum Lack { case owner, all }

    // MARK: results

    /// - Returns: where its owner can read it.
    func keep(_ data: [UInt8], type: String, for owner: String, until: Timestamp, now: Timestamp) -> String {
        self.keep(Result(type: type, body: .memory(data), owner: owner, until: until), now: now)
    }

    func keep(_ file: ResultFile, _ room: Room, type: String, for owner: String, until: Timestamp, now: Timestamp) -> String {
        self.keep(Result(type: type, body: .file(file, room), owner: owner, until: until), now: now)
    }

    private func keep(_ result: Result, now: Timestamp) -> String {
        let key = Random.bytes(16)
        let name = Hex.encode(key)
        var bytes = 0
        if case .memory(let data) = result.body { bytes = data.count }
        _ = self.state.withLock { state -> [Result] in
            var gone = state.removeExpired(now)
            while state.results.count >= self.resultsMax, let old = state.removeOldest({ _ in true }) { gone.append(old) }
            while state.bytes + bytes > self.bytesMax,
                let old = state.removeOldest({ if case .memory = $0.body { true } else { false } })
            {
                gone.append(old)
            }
            state.results[name] = result
            state.order.append(name)
            state.bytes += bytes
            return gone
        }
        return Self.prefix + self.sealer.seal(key, boundTo: ["apus result 1", result.owner])
    }

    /// - Returns: nil for what was never kept, is no more, or belongs to somebody else.
    func find(_ uri: String, for owner: String, now: Timestamp) -> (result: Result, range: ResultRange)? {
        let parts = uri.dropFirst(Self.prefix.count).split(
            separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let text = parts.first, let key = self.sealer.open(String(text), boundTo: ["apus result 1", owner]),
            let range = ResultRange(query: parts.count == 2 ? String(parts[1]) : nil)
        else { return nil }
        self.sweep(now: now)
        return self.state.withLock { $0.results[Hex.encode(key)] }.map { ($0, range) }
    }
}

/// Which part of a large result is read.
enum ResultRange: Equatable {
    case beginning
    /// From 0, both ends included.
    case bytes(Int, Int)
    /// From 1, both ends included.
    case lines(Int, Int)

    /// - Parameter query: `bytes=0-65535` or `lines=1-100`.
    init?(query: String?) {
        guard let query else {
            self = .beginning
            return
        }
        let parts = query.split(separator: "=", maxSplits: 1)
        guard parts.count == 2 else { return nil }
        let ends = parts[1].split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
        guard ends.count == 2, let first = ends[0], let last = ends[1], first >= 0, first <= last else { return nil }
        switch parts[0] {
        case "bytes": self = .bytes(first, last)
        case "lines" where first >= 1: self = .lines(first, last)
        default: return nil
        }
    }

    /// The bytes that are meant, at most ``Limits/ToolEndpoint/resultPartBytes``; of text no character is cut.
    func slice(of data: [UInt8], isText: Bool) -> ArraySlice<UInt8> {
        let range: Range<Int>
        switch self {
        case .beginning: range = 0..<data.count
        case .bytes(let first, let last): range = Self.bytes(first, last, of: data.count)
        case .lines(let first, let last): range = Self.lines(first, last, data)
        }
        let part = data[range.prefix(Limits.ToolEndpoint.resultPartBytes)]
        return isText ? Self.whole(part, isEnd: part.endIndex == data.count || data[part.endIndex] & 0xC0 != 0x80) : part
    }

    /// The same of a file, of which no more is read than that.
    func part(of file: ResultFile, isText: Bool) throws(ApusError) -> (bytes: [UInt8], range: Range<Int>) {
        let range: Range<Int>
        switch self {
        case .beginning: range = 0..<file.size
        case .bytes(let first, let last): range = Self.bytes(first, last, of: file.size)
        case .lines(let first, let last):
            let start = try file.start(ofLine: first)
            range = start..<(last == .max ? file.size : max(start, try file.start(ofLine: last + 1)))
        }
        let short = range.lowerBound..<min(range.upperBound, range.lowerBound + Limits.ToolEndpoint.resultPartBytes)
        // One byte more says whether the last character is whole.
        let read = try file.read(short.lowerBound..<short.upperBound + 1)
        var part = read.prefix(short.count)
        if isText { part = Self.whole(part, isEnd: read.count == part.count || read[part.count] & 0xC0 != 0x80) }
        let start = short.lowerBound + part.startIndex
        return (Array(part), start..<start + part.count)
    }

    private static func bytes(_ first: Int, _ last: Int, of count: Int) -> Range<Int> {
        min(first, count)..<min(last == .max ? count : last + 1, count)
    }

    /// Without the halves of characters at both ends. A character has at most three bytes after its first: what has more is no text, and
    /// stays.
    private static func whole(_ part: ArraySlice<UInt8>, isEnd: Bool) -> ArraySlice<UInt8> {
        var part = part
        for _ in 0..<3 { if let first = part.first, first & 0xC0 == 0x80 { part.removeFirst() } }
        guard !isEnd else { return part }
        let tail = part.suffix(4)
        if let cut = tail.lastIndex(where: { $0 & 0xC0 != 0x80 }), cut > part.startIndex { part = part[..<cut] }
        return part
    }

    private static func lines(_ first: Int, _ last: Int, _ data: [UInt8]) -> Range<Int> {
        var line = 1
        var start = first == 1 ? 0 : data.count
        for (at, byte) in data.enumerated() where byte == 0x0A {
            if line == last { return min(start, at + 1)..<at + 1 }
            line += 1
            if line == first { start = at + 1 }
        }
        return start..<data.count
    }
}

extension ToolEndpoint {
    func readResult(_ uri: String, _ request: ToolRequest, _ reply: ToolReply) throws(RPCError) {
        guard let (result, range) = self.registry.results.find(uri, for: request.owner, now: self.runtime.now) else {
            throw Self.resourceNotFound(uri, era: request.era)
        }
        switch result.body {
        case .memory(let data): self.answer(uri, range, of: data, type: result.type, reply)
        case .file(let file, _):
            do throws(ApusError) { try self.answer(uri, range, of: file, result, reply) } catch {
                throw RPCError(.unavailable, error.message)
            }
        }
    }

    private static func isText(_ type: String) -> Bool {
        type.hasPrefix("text/") || type.hasPrefix("application/json") || type == "application/x-ndjson"
    }

    /// Says a part of what lies on disk, and where what follows it is read.
    private func answer(_ uri: String, _ range: ResultRange, of file: ResultFile, _ result: LargeResults.Result, _ reply: ToolReply) throws(ApusError) {
        let type = result.type
        let isText = Self.isText(type)
        let (bytes, place) = try range.part(of: file, isText: isText)
        let members = Array(#""contents":["#.utf8) + ResultContent.resource(uri: uri, type: type, data: bytes) + [UInt8(ascii: "]")]
        var meta = #""dev.apus/size":\#(file.size)"#
        if place.upperBound < file.size {
            let (base, next) = (uri.prefix { $0 != "?" }, place.upperBound)
            let last = min(file.size, next + Limits.ToolEndpoint.resultPartBytes) - 1
            meta += #","dev.apus/next":"\#(base)?bytes=\#(next)-\#(last)""#
        }
        // Clients keep it no longer than it is kept here.
        let left = min(Limits.ToolEndpoint.listMilliseconds, max(0, Int((result.until - self.runtime.now).milliseconds)))
        reply.finish(
            members, cache: CacheHint(ttlMilliseconds: left, isPublic: false), meta: Array(meta.utf8))
    }

    /// Says a part of a large result.
    func answer(_ uri: String, _ range: ResultRange, of data: [UInt8], type: String, _ reply: ToolReply) {
        let isText = Self.isText(type)
        let part = Array(range.slice(of: data, isText: isText))
        // A part of JSON is text that no parser takes.
        let type = isText && part.count < data.count ? "text/plain" : type
        var members = Array(#""contents":["#.utf8)
        members.append(contentsOf: ResultContent.resource(uri: uri, type: type, data: part))
        members.append(UInt8(ascii: "]"))
        reply.finish(
            members, cache: CacheHint(ttlMilliseconds: Limits.ToolEndpoint.listMilliseconds, isPublic: false))
    }
}
