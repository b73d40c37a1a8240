internal import ApusCore
internal import Glibc

/// A result that is data of a common media type and nothing else, where it lies.
struct PlainResult {
    let type: String
    /// Nil for a result without data.
    let data: UnsafeRawBufferPointer?

    /// The types worth a look; each is well-formed.
    private static let types: [(bytes: StaticString, text: String)] = [
        ("application/json", "application/json"), ("text/plain", "text/plain"),
        ("text/plain; charset=utf-8", "text/plain; charset=utf-8"),
        ("application/octet-stream", "application/octet-stream"),
    ]
    private static let typeName: StaticString = "datacontenttype"

    /// - Returns: nil for a result that is more than that, or none.
    init?(_ block: UnsafeRawBufferPointer) {
        guard let layout = try? EventLayout(parsing: block.bytes), layout.key == nil,
            layout.data.count == layout.dataCount
        else { return nil }
        var type: String?
        var count = 0
        let isWhole: Void? = try? layout.forEachAttribute(in: block.bytes) { name, kind, value in
            count += 1
            guard kind == Attribute.Kind.string.rawValue,
                UnsafeRawBufferPointer(rebasing: block[name]).isEqual(to: Self.typeName)
            else { return false }
            let bytes = UnsafeRawBufferPointer(rebasing: block[value])
            type = Self.types.first { bytes.isEqual(to: $0.bytes) }?.text
            return type != nil
        }
        guard isWhole != nil, count == 1, let type else { return nil }
        self.type = type
        self.data = layout.isNull ? nil : UnsafeRawBufferPointer(rebasing: block[layout.data])
    }

    /// Whether the caller wants it as it is, by a look at the header; one that says more is read elsewhere.
    func isTaken(by accept: String?) -> Bool {
        guard let accept, accept != "*/*" else { return true }
        return accept == self.type
    }
}

extension UnsafeRawBufferPointer {
    fileprivate func isEqual(to text: StaticString) -> Bool {
        guard self.count == text.utf8CodeUnitCount, let base = self.baseAddress else { return false }
        return memcmp(base, text.utf8Start, self.count) == 0
    }
}
