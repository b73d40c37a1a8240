internal import ApusCore
internal import ApusLoop
internal import Glibc

/// Reads the file of a log without LMDB, which trusts what it finds: a page beyond the end of a cut file would be a
/// signal, one with impossible contents an abort. Nothing in here can do more than say what is wrong.
///
/// The format is that of LMDB 0.9: pages with a head of 16 bytes, two of them meta pages, the rest nodes of B+ trees.
struct FileCheck: ~Copyable {
    enum Verdict: Error, Equatable {
        case damaged(String)
        /// Another version of LMDB, or of the machine's byte order.
        case foreign
    }

    private let path: String
    private let bytes: UnsafeRawBufferPointer

    private init(path: String, bytes: UnsafeRawBufferPointer) {
        self.path = path
        self.bytes = bytes
    }

    /// - Returns: nil when there is nothing to check: no file, or an empty one.
    static func open(_ path: String) throws(ApusError) -> FileCheck? {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 {
            if errno == ENOENT { return nil }
            throw ApusError(
                .dataDirectoryInvalid, "cannot open the event log \(path): \(String(cString: strerror(errno)))")
        }
        // The map keeps the file.
        let file = OwnedDescriptor(adopting: descriptor)
        let size = Int(lseek(file.rawValue, 0, SEEK_END))
        guard size >= 0 else {
            throw ApusError(
                .dataDirectoryInvalid, "cannot measure the event log \(path): \(String(cString: strerror(errno)))")
        }
        if size == 0 { return nil }
        guard let base = mmap(nil, size, PROT_READ, MAP_SHARED, file.rawValue, 0), base != MAP_FAILED else {
            throw ApusError(.logFailed, "cannot map the event log \(path): \(String(cString: strerror(errno)))")
        }
        return FileCheck(path: path, bytes: UnsafeRawBufferPointer(start: base, count: size))
    }

    deinit { munmap(UnsafeMutableRawPointer(mutating: self.bytes.baseAddress), self.bytes.count) }

    /// Checks the meta pages always; every page when `isWhole`, when the file is small, or when it is shorter than the
    /// meta pages say.
    func run(isWhole: Bool) throws(ApusError) {
        do throws(Verdict) {
            let meta = try FileMeta(parsing: self.bytes)
            if isWhole || self.bytes.count <= Limits.Log.checkedAtOpenBytes || meta.fileBytes > self.bytes.count {
                var walk = TreeWalk(bytes: self.bytes, meta: meta)
                try walk.run()
            }
        } catch {
            switch error {
            case .damaged(let what):
                throw ApusError(
                    .logDamaged,
                    "the event log \(self.path) is damaged (\(what)): restore it from a backup, or move it away to start anew"
                )
            case .foreign:
                throw ApusError(
                    .logFormat,
                    "the event log \(self.path) was written by another version: use the server that wrote it")
            }
        }
    }
}

/// One tree of the file, as LMDB describes it in 48 bytes.
struct TreeHead: Equatable {
    static let byteCount = 48
    static let noRoot = UInt64.max
    static let integerKeys: UInt16 = 0x08

    var flags: UInt16
    var depth: UInt16
    var branchPages: UInt64
    var leafPages: UInt64
    var overflowPages: UInt64
    var entries: UInt64
    var root: UInt64

    init(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        func field(_ index: Int) -> UInt64 { bytes.loadUnaligned(fromByteOffset: offset + index, as: UInt64.self) }
        self.flags = bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt16.self)
        self.depth = bytes.loadUnaligned(fromByteOffset: offset + 6, as: UInt16.self)
        self.branchPages = field(8)
        self.leafPages = field(16)
        self.overflowPages = field(24)
        self.entries = field(32)
        self.root = field(40)
    }
}

/// The newer of the two meta pages.
struct FileMeta: Equatable {
    var pageBytes: Int
    var free: TreeHead
    var main: TreeHead
    var lastPage: UInt64
    var transaction: UInt64

    /// What the file would have if every page that was ever used was written.
    var fileBytes: Int { (Int(self.lastPage) + 1) * self.pageBytes }

    init(parsing bytes: UnsafeRawBufferPointer) throws(FileCheck.Verdict) {
        let first = try Self.page(0, pageBytes: nil, of: bytes)
        let second = try Self.page(1, pageBytes: first.pageBytes, of: bytes)
        guard first.pageBytes == second.pageBytes else { throw .damaged("its two heads name different page sizes") }
        self = second.transaction > first.transaction ? second : first
    }

    private init(pageBytes: Int, free: TreeHead, main: TreeHead, lastPage: UInt64, transaction: UInt64) {
        self.pageBytes = pageBytes
        self.free = free
        self.main = main
        self.lastPage = lastPage
        self.transaction = transaction
    }

    private static func page(_ number: Int, pageBytes: Int?, of bytes: UnsafeRawBufferPointer) throws(FileCheck.Verdict)
        -> FileMeta
    {
        let start = number * (pageBytes ?? 0)
        guard start + 16 + 136 <= bytes.count else { throw .damaged("it ends within its head") }
        let flags = bytes.loadUnaligned(fromByteOffset: start + 10, as: UInt16.self)
        let magic = bytes.loadUnaligned(fromByteOffset: start + 16, as: UInt32.self)
        let version = bytes.loadUnaligned(fromByteOffset: start + 20, as: UInt32.self)
        guard magic == 0xBEEF_C0DE else { throw .damaged("page \(number) is no head of an LMDB file") }
        guard version == 1 else { throw .foreign }
        guard flags & 0x08 != 0 else { throw .damaged("page \(number) is no head") }
        let size = Int(bytes.loadUnaligned(fromByteOffset: start + 16 + 24, as: UInt32.self))
        guard size >= 512, size <= 65_536, size & (size - 1) == 0, 2 * size <= bytes.count else {
            throw .damaged("its page size is \(size)")
        }
        let lastPage = bytes.loadUnaligned(fromByteOffset: start + 16 + 120, as: UInt64.self)
        guard lastPage >= 1, lastPage < 1 << 40 else { throw .damaged("its last page is \(lastPage)") }
        return FileMeta(
            pageBytes: size,
            free: TreeHead(bytes, at: start + 16 + 24),
            main: TreeHead(bytes, at: start + 16 + 24 + TreeHead.byteCount),
            lastPage: lastPage,
            transaction: bytes.loadUnaligned(fromByteOffset: start + 16 + 128, as: UInt64.self)
        )
    }
}
