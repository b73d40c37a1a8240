import ApusCore
import ApusCrypto
import ApusLoop
import ApusTestSupport
import ApusTools
import Glibc
import Synchronization
import Testing

@testable import ApusHost
@testable import ApusServer

/// Results on disk: what is written, what of it is read, and how much there is room for.
@Suite struct LargeResultFileTests {
    private static let sealer = Sealer([(id: "0011223344556677", bytes: [UInt8](repeating: 7, count: 32))])

    private static func folder() throws -> String {
        var template = Array("/tmp/apus-results-XXXXXX".utf8CString)
        return String(cString: try #require(mkdtemp(&template)))
    }

    private static func store() throws -> LargeResults { LargeResults(sealer: self.sealer, folder: try self.folder()) }

    private static func masks(_ values: [String]) -> SecretMasks {
        var masks = SecretMasks()
        for value in values { Array(value.utf8).withUnsafeBytes { masks.add($0) } }
        return masks
    }

    /// What lies on disk of a result that came in parts of a size.
    private static func file(
        _ data: [UInt8], type: String = "text/plain", by size: Int, _ secrets: [String] = []
    ) throws -> ResultFile {
        let spool = try ResultSpool(type, bytes: data.count, self.masks(secrets), in: self.store(), for: "ann", now: .zero)
        try self.feed(spool, data, by: size)
        return try spool.finish().file
    }

    private static func feed(_ spool: ResultSpool, _ data: [UInt8], by size: Int) throws {
        var at = 0
        while at < data.count {
            try spool.take(Array(data[at..<min(data.count, at + size)]))
            at += size
        }
    }

    @Test func aTextIsWhatItsJSONSaysWhereverItIsCut() throws {
        let json = Array(#""a\"b\\\n\u00e9\ud83d\ude00\ud83dx\/é😀\udc00""#.utf8)
        let text = Array("a\"b\\\né😀\u{FFFD}x/é😀\u{FFFD}".utf8)
        for size in 1...json.count {
            let file = try Self.file(json, type: "application/json", by: size)
            #expect(try file.read(0..<file.size) == text, "in parts of \(size)")
            #expect(file.digest == Hex.encode(SHA256.hash(text)))
        }
    }

    @Test func aTextBehindSpaceIsATextAsWell() throws {
        let json = Array(" \r\n\t \"a\\nb\" ".utf8)
        for size in 1...json.count {
            let file = try Self.file(json, type: "application/json", by: size)
            #expect(try file.read(0..<file.size) == Array("a\nb".utf8), "in parts of \(size)")
        }
    }

    @Test(arguments: [#""no end"#, #""a" b"#, "\"a\u{1}b\"", " \n \"a\tb\"", #""\x""#, #""\u00g0""#]) func whatIsNoJSONIsNotKept(_ json: String) {
        #expect(throws: ApusError.self) { try Self.file(Array(json.utf8), type: "application/json", by: 3) }
    }

    @Test func secretsAreFoundWhereverTheTextIsCut() throws {
        let secrets = ["hunter2-long", "long-tail", "abcabcabc"]
        let text = Array("hunter2-long, hunter2-long-tail abcabcabcabcabcabc hunter2-lon abcabc\nhunter2-long".utf8)
        let whole = Self.masks(secrets).apply(text)
        #expect(whole != text)
        for size in 1...text.count {
            let file = try Self.file(text, by: size, secrets)
            #expect(try file.read(0..<file.size) == whole, "in parts of \(size)")
        }
        // Spelled otherwise in JSON it is the same secret.
        let spelled = try Self.file(Array(#""\u0068unter2-long""#.utf8), type: "application/json", by: 4, secrets)
        #expect(try spelled.read(0..<spelled.size) == Array("***".utf8))
    }

    /// Wherever it is cut, it is masked as the whole one is, but for how strings are written.
    @Test func secretsInJSONAreFoundWhereverItIsCut() throws {
        let secrets = ["hunter2-long", "with \"quotes\"", "4242424242", "b\u{FC}cher-long"]
        let json = Array(
            #"{"hunter2-long": ["is \u0068unter2-long.", 1.50, {"b\u00fccher-long": "with \"quotes\" é\ud83d\ude00\n\u0001"}], "x": "4242424242"}"#.utf8)
        let whole = #"{"***": ["is ***.", 1.50, {"***": "*** é😀\n\u0001"}], "x": "***"}"#
        for size in 1...json.count {
            let file = try Self.file(json, type: "application/json", by: size, secrets)
            #expect(try String(decoding: file.read(0..<file.size), as: UTF8.self) == whole, "in parts of \(size)")
        }
        // Without secrets nothing is written anew, and lines of JSON are each JSON.
        let plain = try Self.file(json, type: "application/json", by: 7)
        #expect(try plain.read(0..<plain.size) == json)
        let lines = try Self.file(Array("[\"hunter2-long\"]\n{\"a\":1}\n".utf8), type: "application/x-ndjson", by: 5, secrets)
        #expect(try lines.read(0..<lines.size) == Array("[\"***\"]\n{\"a\":1}\n".utf8))
        for (text, secret) in [(#"{"a": 4242424242}"#, "4242424242"), (#"{"part": "of json", "a": 1}"#, #""part": "of json""#), (#"{"no end"#, "hunter2")] {
            for size in [1, 4, 100] {
                #expect(throws: ApusError.self, "\(text)") { try Self.file(Array(text.utf8), type: "application/json", by: size, [secret]) }
            }
        }
    }

    /// A file of JSON with a key in it is a usual secret, and its escapes are not always those that are written here.
    @Test func aSecretThatIsJSONIsFoundHoweverItsEscapesAreWritten() throws {
        let secret = #"""
            {"id": "a1",
            \#t"endpoint": "https:\/\/example.com\/x", "key": "abc\u003d\u003D\/q\n\u00e9\ud83d\ude00\u0041"}
            """#
        var masks = SecretMasks()
        Array(secret.utf8).withUnsafeBytes { SecretVault.add($0, to: &masks) }
        let inside = String(secret.split(separator: "\n")[1])
        let part = #"{"is": {"id": "b2", \#(inside), "n": 1}"#
        #expect(ResultMask(masks: masks).apply("application/json", Array(part.utf8)) == nil)
        for size in 1...part.utf8.count {
            #expect(throws: ApusError.self, "in parts of \(size)") {
                let spool = try ResultSpool("application/json", bytes: part.utf8.count, masks, in: Self.store(), for: "ann", now: .zero)
                try Self.feed(spool, Array(part.utf8), by: size)
                _ = try spool.finish()
            }
        }
        // As a text in JSON it is masked.
        var quoted: [UInt8] = []
        JSONText.append(inside, to: &quoted)
        let text = Array("[".utf8) + quoted + Array("]".utf8)
        for size in 1...text.count {
            let spool = try ResultSpool("application/json", bytes: text.count, masks, in: Self.store(), for: "ann", now: .zero)
            try Self.feed(spool, text, by: size)
            let file = try spool.finish().file
            #expect(try file.read(0..<file.size) == Array(#"["***"]"#.utf8), "in parts of \(size)")
        }
    }

    @Test(arguments: [
        (#"a\/b"#, "a/b"), (#""k": "\u003d\u00e9", "l": "\\\"x""#, #""k": "=é", "l": "\\\"x""#), (#"half\ud83d"#, nil), (#"ends in \"#, nil),
        (#"no \x escape"#, nil), ("plain", nil),
    ] as [(String, String?)])
    func aLineOfASecretIsWrittenAnewAsResultsAre(_ line: String, _ told: String?) {
        #expect(MaskedJSON.writtenAnew(Array(line.utf8)).map { String(decoding: $0, as: UTF8.self) } == told)
    }

    @Test func roomThatIsNotNeededIsGivenBack() throws {
        let results = try Self.store()
        let all = Limits.ToolEndpoint.callerResultsBytes
        let spool = try ResultSpool("text/plain", bytes: all, SecretMasks(), in: results, for: "ann", now: .zero)
        #expect(throws: ApusError.self) { try results.makeRoom(1, for: "ann", now: .zero) }
        try spool.take([0x61])
        let finished = try spool.finish()
        let rest = try results.makeRoom(all - 1, for: "ann", now: .zero)
        #expect(throws: ApusError.self) { try results.makeRoom(1, for: "ann", now: .zero) }
        withExtendedLifetime((finished, rest)) {}
    }

    @Test func rangesOfAFileAreThoseOfItsBytes() throws {
        let mark = Limits.ToolEndpoint.lineMarkBytes
        var data: [UInt8] = []
        for line in 0..<20_000 { data += Array("line \(line) é\n".utf8) }
        // A line that is longer than the marks are apart, and one that ends where a mark lies.
        data += [UInt8](repeating: 0x61, count: 3 * mark) + [0x0A]
        data += [UInt8](repeating: 0x62, count: mark - 1 - data.count % mark) + [0x0A] + Array("end".utf8)
        for size in [1_000, mark, data.count] {
            let file = try Self.file(data, by: size)
            let ranges: [ResultRange] = [
                .beginning, .bytes(0, 0), .bytes(data.count - 1, data.count - 1), .bytes(5, 12), .bytes(mark - 3, mark + 3),
                .bytes(data.count, data.count + 5), .bytes(0, .max), .lines(1, 1), .lines(1, 3), .lines(9_999, 10_001), .lines(20_000, 20_002),
                .lines(20_001, 20_001), .lines(20_002, 20_003), .lines(20_003, .max), .lines(30_000, 30_001), .lines(1, .max),
            ]
            for range in ranges {
                for isText in [true, false] {
                    let part = try range.part(of: file, isText: isText)
                    let inMemory = range.part(of: ResultBytes(bytes: data), isText: isText)
                    #expect(part.bytes == inMemory.bytes && part.range == inMemory.range, "\(range) \(isText)")
                    if case .lines(let first, let last) = range {
                        let lines = data.split(separator: 0x0A, omittingEmptySubsequences: false).dropFirst(first - 1).prefix(
                            last == .max ? data.count : last - first + 1)
                        let said = Array(lines.joined(separator: [0x0A])) + (last < 20_003 ? [0x0A] : [])
                        #expect(first > 20_003 || part.bytes == Array(said.prefix(part.bytes.count)), "\(range)")
                        #expect(first > 20_003 || part.bytes.count >= min(said.count, Limits.ToolEndpoint.resultPartBytes - 3), "\(range)")
                    }
                    #expect(part.bytes == Array(data[part.range]) && part.bytes.count <= Limits.ToolEndpoint.resultPartBytes)
                }
            }
        }
    }

    @Test func eachReadingGoesOnWhereTheLastOneEnded() throws {
        // Half characters at every bound, and bytes that are no text at all.
        for data in [Array(String(repeating: "é", count: 200_000).utf8), [UInt8](repeating: 0x80, count: 300_000)] {
            let file = try Self.file(data, by: 7_777)
            var read: [UInt8] = []
            var rounds = 0
            while read.count < data.count, rounds < 10 {
                let part = try ResultRange.bytes(read.count, data.count - 1).part(of: file, isText: data[0] != 0x80)
                read += part.bytes
                rounds += 1
            }
            #expect(read == data && rounds == 2)
        }
    }

    /// A disk that is slower than the worker slows the worker, and nothing is lost.
    @Test func aResultWaitsForTheDiskWithinABound() throws {
        let thread = WorkThread()
        let results = LargeResults(sealer: Self.sealer, folder: try Self.folder(), thread: thread)
        let gate = ResultSlot<Bool>()
        #expect(thread.run { _ = gate.take() })
        let resumed = Mutex(0)
        let flow = PartFlow { resumed.withLock { $0 += 1 } }
        let part = [UInt8](repeating: 0x61, count: 64 << 10)
        let count = 2 * Limits.Host.partsWaitingBytes / part.count
        let feed = ResultFeed(results, flow, onFailure: { Issue.record("\($0)") }) { () throws(ApusError) in
            try ResultSpool("text/plain", bytes: count * part.count, SecretMasks(), in: results, for: "ann", now: .zero)
        }
        for _ in 0..<count {
            flow.came(part.count)
            feed.take(part)
        }
        #expect(flow.isHeld && resumed.withLock { $0 } == 0)
        gate.fill(true)
        let finished = ResultSlot<ResultSpool.Finished>()
        feed.finish { finished.fill($0) }
        #expect(finished.take().file.size == count * part.count)
        #expect(!flow.isHeld && resumed.withLock { $0 } == 1)
        thread.stop()
    }

    /// The thread's places are for everybody: a result has one, into however many parts its worker cuts it.
    @Test func theSmallestPartsTakeOnePlaceOfTheThread() throws {
        let places = 8
        let thread = WorkThread(queueMax: places)
        let results = LargeResults(sealer: Self.sealer, folder: try Self.folder(), thread: thread)
        let gate = ResultSlot<Bool>()
        let isBlocked = ResultSlot<Bool>()
        #expect(
            thread.run {
                isBlocked.fill(true)
                _ = gate.take()
            })
        _ = isBlocked.take()
        let data = (0..<10 * places).map { UInt8($0) }
        let failures = Mutex<[ErrorCode]>([])
        func feed(_ name: String) -> ResultFeed {
            ResultFeed(results, PartFlow {}, onFailure: { error in failures.withLock { $0.append(error.code) } }) { () throws(ApusError) in
                try ResultSpool("application/octet-stream", bytes: data.count, SecretMasks(), in: results, for: name, now: .zero)
            }
        }
        let finished = (0..<places).map { _ in ResultSlot<ResultSpool.Finished>() }
        for (index, slot) in finished.enumerated() {
            let feed = feed("caller \(index)")
            for byte in data { feed.take([byte], isCounted: index % 2 == 0) }
            feed.finish { slot.fill($0) }
        }
        // The last place is taken: one more is refused, once.
        let refused = feed("one more")
        for byte in data { refused.take([byte]) }
        refused.finish { _ in Issue.record("it was refused") }
        refused.giveUp()
        #expect(failures.withLock { $0 } == [.overloaded])
        gate.fill(true)
        for slot in finished { #expect(try slot.take().file.read(0..<data.count) == data) }
        thread.stop()
        #expect(failures.withLock { $0 } == [.overloaded])
    }

    @Test func whatIsGivenUpOrFailsHoldsNobodyAndLeavesNothing() throws {
        let thread = WorkThread()
        let failures = Mutex<[ErrorCode]>([])
        let results = LargeResults(sealer: Self.sealer, folder: try Self.folder(), thread: thread)
        func feed(_ flow: PartFlow, _ bytes: Int) -> ResultFeed {
            ResultFeed(results, flow, onFailure: { error in failures.withLock { $0.append(error.code) } }) { () throws(ApusError) in
                try ResultSpool("text/plain", bytes: bytes, SecretMasks(), in: results, for: "ann", now: .zero)
            }
        }
        let all = Limits.ToolEndpoint.callerResultsBytes
        for given in [true, false] {
            let gate = ResultSlot<Bool>()
            #expect(thread.run { _ = gate.take() })
            let flow = PartFlow {}
            let one = feed(flow, all)
            flow.came(2 * Limits.Host.partsWaitingBytes)
            #expect(flow.isHeld)
            if given { one.giveUp() } else { one.take([UInt8](repeating: 0x61, count: 1)) }
            #expect(flow.isHeld != given, "who gave up waits for no disk")
            gate.fill(true)
            one.finish { _ in #expect(!given) }
            one.giveUp()
        }
        // All of the room is there again, for one that then sends more than it said.
        let flow = PartFlow {}
        let liar = feed(flow, 1)
        liar.take([0x61, 0x61])
        liar.take([0x61])
        liar.finish { _ in Issue.record("it failed") }
        let more = feed(flow, all + 1)
        more.finish { _ in Issue.record("there is no such room") }
        thread.stop()
        #expect(failures.withLock { $0 } == [.resultTooLarge, .limitReached] && !flow.isHeld)
    }

    @Test func moreThanAnnouncedIsNotWritten() throws {
        let spool = try ResultSpool("text/plain", bytes: 10, SecretMasks(), in: Self.store(), for: "ann", now: .zero)
        try spool.take(Array("0123456789".utf8))
        #expect(throws: ApusError.self) { try spool.take([0x61]) }
    }

    @Test func roomOnDiskIsBoundedForACallerAndForAll() throws {
        let results = try Self.store()
        let piece = 64 << 20
        func keep(_ owner: String) throws -> String {
            let room = try results.makeRoom(piece, for: owner, now: .zero)
            return results.keep(try Self.file([0x61], by: 1), room, type: "text/plain", for: owner, until: .zero + .seconds(10), now: .zero)
        }
        func has(_ uri: String, _ owner: String, at seconds: Int64 = 0) -> Bool {
            results.find(uri, for: owner, now: .zero + .seconds(seconds)) != nil
        }
        let each = Limits.ToolEndpoint.callerResultsBytes / piece
        let ann = try (0..<each).map { _ in try keep("ann") }
        #expect(ann.allSatisfy { has($0, "ann") } && !has(ann[0], "bob"))
        let bob = try keep("bob")
        let more = try keep("ann")
        // Her own oldest went, and nobody else's.
        #expect(!has(ann[0], "ann") && has(ann[1], "ann") && has(more, "ann") && has(bob, "bob"))
        // Of all, the oldest go.
        for caller in 0..<Limits.ToolEndpoint.diskResultsBytes / piece { _ = try keep("caller \(caller)") }
        #expect(!has(more, "ann") && !has(bob, "bob"))
        // What is being written cannot go.
        let others = try Self.store()
        let rooms = try (0..<each).map { _ in try others.makeRoom(piece, for: "ann", now: .zero) }
        #expect(throws: ApusError.self) { try others.makeRoom(1, for: "ann", now: .zero) }
        _ = try others.makeRoom(1, for: "bob", now: .zero)
        #expect(rooms.count == each)
    }

    /// The bound of the disk counts it for as long as it is read; nobody else's goes in vain for that.
    @Test func whatIsBeingReadKeepsItsRoom() throws {
        let results = try Self.store()
        let piece = Limits.ToolEndpoint.callerResultsBytes / 2
        func keep(until seconds: Int64) throws -> String {
            let room = try results.makeRoom(piece, for: "ann", now: .zero)
            return results.keep(
                try Self.file([0x61], by: 1), room, type: "text/plain", for: "ann", until: .zero + .seconds(seconds), now: .zero)
        }
        func reading(_ uri: String) throws -> LargeResults.Room.Reading {
            let found = try #require(results.find(uri, for: "ann", now: .zero))
            guard case .file(_, let room) = found.result.body else { throw ApusError(.internal, "it is in memory") }
            return room.reading()
        }
        let (first, second) = (try keep(until: 10), try keep(until: 20))
        let one = try reading(first)
        // The older one is read: the other goes.
        let third = try keep(until: 20)
        #expect(results.find(first, for: "ann", now: .zero) != nil && results.find(second, for: "ann", now: .zero) == nil)
        let other = try reading(third)
        #expect(throws: ApusError.self) { try results.makeRoom(piece, for: "ann", now: .zero) }
        #expect(results.find(third, for: "ann", now: .zero) != nil, "none went in vain")
        // Nor is the room of one free that has had its time while it was read.
        #expect(throws: ApusError.self) { try results.makeRoom(piece, for: "ann", now: .zero + .seconds(10)) }
        withExtendedLifetime((one, other)) {}
    }

    @Test func whatWasReadGivesItsRoomBack() throws {
        let results = try Self.store()
        func keep() throws -> String {
            let room = try results.makeRoom(Limits.ToolEndpoint.callerResultsBytes, for: "ann", now: .zero)
            return results.keep(
                try Self.file([0x61], by: 1), room, type: "text/plain", for: "ann", until: .zero + .seconds(10), now: .zero)
        }
        func read(_ uri: String) throws {
            let found = try #require(results.find(uri, for: "ann", now: .zero))
            guard case .file(_, let room) = found.result.body else { throw ApusError(.internal, "it is in memory") }
            let reading = room.reading()
            #expect(throws: ApusError.self) { try results.makeRoom(1, for: "ann", now: .zero) }
            withExtendedLifetime(reading) {}
        }
        try read(try keep())
        _ = try results.makeRoom(1, for: "ann", now: .zero)
    }

    @Test func soManyLieOnDisk() throws {
        let results = try Self.store()
        let rooms = try (0..<Limits.ToolEndpoint.diskResults).map { try results.makeRoom(1, for: "caller \($0)", now: .zero) }
        #expect(throws: ApusError.self) { try results.makeRoom(1, for: "one more", now: .zero) }
        #expect(rooms.count == Limits.ToolEndpoint.diskResults)
    }

    @Test func whatHasHadItsTimeGivesItsRoomBack() throws {
        let results = try Self.store()
        let bytes = Limits.ToolEndpoint.callerResultsBytes
        let spool = try ResultSpool("text/plain", bytes: bytes, SecretMasks(), in: results, for: "ann", now: .zero)
        let finished = try spool.finish()
        let uri = results.keep(finished.file, finished.room, type: "text/plain", for: "ann", until: .zero + .seconds(10), now: .zero)
        #expect(results.find(uri, for: "ann", now: .zero + .seconds(9)) != nil)
        #expect(results.find(uri, for: "ann", now: .zero + .seconds(10)) == nil)
    }

    @Test func nothingHasANameOnDiskAndWhatHadOneIsSwept() throws {
        let folder = try Self.folder()
        let results = LargeResults(sealer: Self.sealer, folder: folder)
        let spool = try ResultSpool("text/plain", bytes: 10, SecretMasks(), in: results, for: "ann", now: .zero)
        #expect(rmdir(folder) == 0, "there is no file in it")
        try spool.take([0x61])
        #expect(try spool.finish().file.read(0..<1) == [0x61])
        #expect(throws: ApusError.self, "there is no disk to write to") {
            try ResultSpool("text/plain", bytes: 10, SecretMasks(), in: results, for: "ann", now: .zero)
        }
        #expect(mkdir(folder, 0o700) == 0)
        try writeFile("\(folder)/result-left", "x")
        try writeFile("\(folder)/other", "x")
        _ = LargeResults(sealer: Self.sealer, folder: folder)
        #expect(access("\(folder)/result-left", F_OK) != 0 && access("\(folder)/other", F_OK) == 0)
    }
}
