/// Whether the parts of a head lie in memory just as a well-formed head would have them.
///
/// The library ends a string at a NUL, takes a bare line feed for the end of a line, and glues folded lines to the name instead of
/// the value; none of that shows in the strings it hands out. But it works in place: it overwrites colon and line end with NULs
/// and gives out pointers into what was received. So the distances between them tell, and nothing else needs to be read.
struct HeadLayout {
    private let start: UInt
    /// Where the last part ended.
    private var end: UInt
    private(set) var isSound: Bool

    /// The request line: method, space, target, space, version.
    init(method: UnsafePointer<CChar>, target: UInt, targetCount: Int, version: UnsafePointer<CChar>, versionCount: Int)
    {
        self.start = UInt(bitPattern: method)
        let version = UInt(bitPattern: version)
        self.isSound = version == target &+ UInt(targetCount) &+ 1
        self.end = version &+ UInt(versionCount)
    }

    /// A header line: two bytes of line end before it, then name, colon, spaces and value.
    mutating func add(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        guard self.isSound, let nameStart = name.baseAddress, let valueStart = value.baseAddress else {
            self.isSound = false
            return
        }
        let nameEnd = nameStart + name.count
        self.isSound = UInt(bitPattern: nameStart) == self.end &+ 2 && valueStart > nameEnd
        guard self.isSound else { return }
        // Both lie in the same buffer of the library, in this order: what is between may be read.
        let between = UnsafeRawBufferPointer(start: nameEnd, count: valueStart - nameEnd)
        self.isSound = between.dropFirst().allSatisfy { $0 == 0x20 || $0 == 0x09 }
        self.end = UInt(bitPattern: valueStart + value.count)
    }

    /// The verdict once all lines are in: two line ends remain.
    /// - Parameter count: the bytes of the whole head.
    func isWhole(count: Int) -> Bool { self.isSound && self.end &+ 4 == self.start &+ UInt(count) }
}
