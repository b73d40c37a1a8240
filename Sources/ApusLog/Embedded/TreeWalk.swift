internal import ApusCore

/// Walks every page of a log's file: each is of the kind its place needs, inside the file, used once, and not in the
/// free list; keys ascend; counts agree; every record of a partition is an event.
struct TreeWalk {
    private static let headBytes = 16
    private static let nodeBytes = 8
    /// LMDB's own bound.
    private static let depthMax = 32

    private enum Flag {
        static let branch: UInt16 = 0x01
        static let leaf: UInt16 = 0x02
        static let overflow: UInt16 = 0x04
        static let bigData: UInt16 = 0x01
        static let subData: UInt16 = 0x02
        static let duplicates: UInt16 = 0x04
    }

    private let bytes: UnsafeRawBufferPointer
    private let meta: FileMeta
    /// A bit for each page that was seen.
    private var seen: [UInt64]
    private var tables: [(name: String, head: TreeHead)] = []

    typealias Verdict = FileCheck.Verdict

    init(bytes: UnsafeRawBufferPointer, meta: FileMeta) {
        self.bytes = bytes
        self.meta = meta
        // Pages beyond the end of the file are refused before their bit is asked for.
        self.seen = Array(repeating: 0, count: bytes.count / meta.pageBytes / 64 + 1)
    }

    mutating func run() throws(Verdict) {
        for page in 0...1 { try self.claim(UInt64(page), of: "the head") }
        var freePages: [UInt64] = []
        try self.walk(self.meta.free, name: "the free list") { bytes, node in
            let count = node.value.count / 8
            guard count > 0, node.value.count % 8 == 0 else { return false }
            func word(_ index: Int) -> UInt64 {
                bytes.loadUnaligned(fromByteOffset: node.value.lowerBound + 8 * index, as: UInt64.self)
            }
            guard word(0) <= UInt64(count - 1) else { return false }
            for index in 0..<Int(word(0)) { freePages.append(word(index + 1)) }
            return true
        }
        var found: [(String, TreeHead)] = []
        try self.walk(self.meta.main, name: "the list of tables") { bytes, node in
            guard node.isTable, node.value.count == TreeHead.byteCount else { return false }
            found.append((String(decoding: bytes[node.key], as: UTF8.self), TreeHead(bytes, at: node.value.lowerBound)))
            return true
        }
        for (name, head) in found {
            let isOfRecords = name.hasPrefix("r") && name.utf8.count == 9
            try self.walk(head, name: "the table \(name)") { bytes, node in
                guard !node.isTable else { return false }
                return !isOfRecords || Self.isRecord(UnsafeRawBufferPointer(rebasing: bytes[node.value]))
            }
        }
        // A free page may lie beyond the end of the file: one that was given back in the transaction that took it is
        // never written.
        for page in freePages {
            guard page > 1, page <= self.meta.lastPage else { throw .damaged("the free list names page \(page)") }
            if page < UInt64(self.bytes.count / self.meta.pageBytes) { try self.claim(page, of: "the free list") }
        }
    }

    private static func isRecord(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let layout = try? EventLayout(parsing: RawSpan(_unsafeBytes: bytes)) else { return false }
        return layout.data.count == layout.dataCount
    }

    /// A leaf's entry; the ranges lie inside the file.
    private struct Node {
        var key: Range<Int>
        var value: Range<Int>
        var isTable: Bool
    }

    private struct Counts: Equatable {
        var branch: UInt64 = 0
        var leaf: UInt64 = 0
        var overflow: UInt64 = 0
        var entries: UInt64 = 0
    }

    private mutating func walk(
        _ head: TreeHead, name: String, _ isFine: (UnsafeRawBufferPointer, Node) -> Bool
    ) throws(Verdict) {
        var counts = Counts()
        if head.root != TreeHead.noRoot {
            guard head.depth >= 1, Int(head.depth) <= Self.depthMax else {
                throw .damaged("\(name) is \(head.depth) pages deep")
            }
            var lastKey: Range<Int>?
            var open: [(page: UInt64, level: Int)] = [(head.root, 1)]
            while let (page, level) = open.popLast() {
                try self.claim(page, of: name)
                let start = Int(page) * self.meta.pageBytes
                let isLeaf = level == Int(head.depth)
                let nodes = try self.nodes(start, page, isLeaf: isLeaf, name)
                if !isLeaf {
                    counts.branch += 1
                    for node in nodes.reversed() { open.append((self.child(of: node), level + 1)) }
                    continue
                }
                counts.leaf += 1
                for offset in nodes {
                    let node = try self.leafNode(offset, start, &counts, name)
                    if let lastKey, !self.ascends(lastKey, node.key, isInteger: head.flags & TreeHead.integerKeys != 0)
                    {
                        throw .damaged("\(name) is out of order on page \(page)")
                    }
                    lastKey = node.key
                    counts.entries += 1
                    guard isFine(self.bytes, node) else {
                        throw .damaged("\(name) holds an impossible entry on page \(page)")
                    }
                }
            }
        }
        let expected = Counts(
            branch: head.branchPages, leaf: head.leafPages, overflow: head.overflowPages, entries: head.entries)
        guard counts == expected else {
            throw .damaged("\(name) has \(counts.entries) entries where \(head.entries) are said to be")
        }
    }

    /// Marks a page as used, once.
    private mutating func claim(_ page: UInt64, of name: String) throws(Verdict) {
        guard page <= self.meta.lastPage, page < UInt64(self.bytes.count / self.meta.pageBytes) else {
            throw .damaged("\(name) needs page \(page), which is beyond the end of the file")
        }
        let bit = UInt64(1) << (page % 64)
        guard self.seen[Int(page / 64)] & bit == 0 else { throw .damaged("page \(page) of \(name) is used twice") }
        self.seen[Int(page / 64)] |= bit
    }

    /// The places of a page's nodes, each with room for its head.
    private func nodes(_ start: Int, _ page: UInt64, isLeaf: Bool, _ name: String) throws(Verdict) -> [Int] {
        let number = self.bytes.loadUnaligned(fromByteOffset: start, as: UInt64.self)
        let flags = self.word(start + 10)
        let lower = Int(self.word(start + 12))
        let upper = Int(self.word(start + 14))
        guard number == page, flags & (Flag.branch | Flag.leaf | Flag.overflow) == (isLeaf ? Flag.leaf : Flag.branch),
            lower >= Self.headBytes, lower <= upper, upper <= self.meta.pageBytes
        else { throw .damaged("page \(page) is none of \(name)") }
        var places: [Int] = []
        for index in 0..<(lower - Self.headBytes) / 2 {
            let offset = Int(self.word(start + Self.headBytes + 2 * index))
            guard offset >= upper, offset + Self.nodeBytes <= self.meta.pageBytes else {
                throw .damaged("an entry of \(name) lies outside of its page \(page)")
            }
            places.append(start + offset)
        }
        guard isLeaf || places.count >= 2 else { throw .damaged("page \(page) of \(name) has too few branches") }
        return places
    }

    private func word(_ offset: Int) -> UInt16 { self.bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self) }

    private func child(of node: Int) -> UInt64 {
        UInt64(self.word(node)) | UInt64(self.word(node + 2)) << 16 | UInt64(self.word(node + 4)) << 32
    }

    private mutating func leafNode(_ node: Int, _ pageStart: Int, _ counts: inout Counts, _ name: String)
        throws(Verdict) -> Node
    {
        let size = Int(self.word(node)) | Int(self.word(node + 2)) << 16
        let flags = self.word(node + 4)
        let key = node + Self.nodeBytes..<node + Self.nodeBytes + Int(self.word(node + 6))
        let pageEnd = pageStart + self.meta.pageBytes
        guard flags & Flag.duplicates == 0, key.upperBound <= pageEnd else {
            throw .damaged("an entry of \(name) is malformed")
        }
        guard flags & Flag.bigData != 0 else {
            guard key.upperBound + size <= pageEnd else { throw .damaged("an entry of \(name) is cut") }
            return Node(key: key, value: key.upperBound..<key.upperBound + size, isTable: flags & Flag.subData != 0)
        }
        guard key.upperBound + 8 <= pageEnd else { throw .damaged("an entry of \(name) is cut") }
        let first = self.bytes.loadUnaligned(fromByteOffset: key.upperBound, as: UInt64.self)
        try self.claim(first, of: name)
        let start = Int(first) * self.meta.pageBytes
        let count = self.bytes.loadUnaligned(fromByteOffset: start + 12, as: UInt32.self)
        let needed = (size + Self.headBytes + self.meta.pageBytes - 1) / self.meta.pageBytes
        guard self.bytes.loadUnaligned(fromByteOffset: start, as: UInt64.self) == first,
            self.word(start + 10) & Flag.overflow != 0,
            count >= 1, Int(count) == needed
        else { throw .damaged("page \(first) does not hold the entry of \(name) that it should") }
        for page in 1..<max(1, UInt64(count)) { try self.claim(first + page, of: name) }
        counts.overflow += UInt64(count)
        return Node(key: key, value: start + Self.headBytes..<start + Self.headBytes + size, isTable: false)
    }

    private func ascends(_ left: Range<Int>, _ right: Range<Int>, isInteger: Bool) -> Bool {
        guard !isInteger else {
            guard left.count == 8, right.count == 8 else { return false }
            return self.bytes.loadUnaligned(fromByteOffset: left.lowerBound, as: UInt64.self)
                < self.bytes.loadUnaligned(fromByteOffset: right.lowerBound, as: UInt64.self)
        }
        return self.bytes[left].lexicographicallyPrecedes(self.bytes[right])
    }
}
