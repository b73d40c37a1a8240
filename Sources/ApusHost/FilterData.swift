internal import ApusCore
internal import ApusEngine
internal import ApusJSON

/// What filters ask of an event's data: JSON is read here, as the engine reads none.
enum FilterData {
    static let read: FilterDataReader = { data, paths in
        JSONPaths.find(paths, in: data).map { $0.flatMap { FilterData.value(data, $0) } }
    }

    /// Whole numbers of 32 bits and Booleans as such, null as nothing, all else as text: objects and arrays as they are written.
    private static func value(_ data: UnsafeRawBufferPointer, _ range: Range<Int>) -> FilterDataValue? {
        let text = UnsafeRawBufferPointer(rebasing: data[range])
        switch text.first {
        case UInt8(ascii: "t"): return .boolean(true)
        case UInt8(ascii: "f"): return .boolean(false)
        case UInt8(ascii: "n"): return nil
        case UInt8(ascii: "\""):
            guard text.contains(UInt8(ascii: "\\")) else {
                return .part(range.lowerBound + 1..<range.upperBound - 1)
            }
            return .made(Array(JSONPaths.text(of: range, in: data).utf8))
        case UInt8(ascii: "-"), .some(UInt8(ascii: "0")...UInt8(ascii: "9")):
            guard text.count <= 11, let number = Int32(String(decoding: text, as: UTF8.self)) else {
                return .part(range)
            }
            return .integer(number)
        default: return .part(range)
        }
    }
}
