/// Writes JSON into bytes: no tree, commas by itself.
///
/// The caller opens and closes what belongs together; a value where a name is due is a bug of the caller.
public struct JSONWriter {
    /// What was written so far.
    public private(set) var bytes: [UInt8] = []
    private var needsComma = false

    public init(capacity: Int = 0) { self.bytes.reserveCapacity(capacity) }

    /// Forgets what was written and keeps the memory.
    public mutating func removeAll() {
        self.bytes.removeAll(keepingCapacity: true)
        self.needsComma = false
    }

    public mutating func beginObject() { self.open(UInt8(ascii: "{")) }
    public mutating func endObject() { self.close(UInt8(ascii: "}")) }
    public mutating func beginArray() { self.open(UInt8(ascii: "[")) }
    public mutating func endArray() { self.close(UInt8(ascii: "]")) }

    /// The name of the member whose value comes next.
    public mutating func key(_ name: String) {
        self.separate()
        self.quoted(name)
        self.bytes.append(UInt8(ascii: ":"))
        self.needsComma = false
    }

    public mutating func string(_ value: String) {
        self.separate()
        self.quoted(value)
    }

    public mutating func integer(_ value: some FixedWidthInteger) {
        self.separate()
        // Digits from the right into a small buffer; `description` would allocate.
        var magnitude = UInt64(value.magnitude)
        if value < 0 { self.bytes.append(UInt8(ascii: "-")) }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var at = 20
            repeat {
                at -= 1
                digits[at] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: magnitude % 10)
                magnitude /= 10
            } while magnitude != 0
            self.bytes.append(contentsOf: digits[at...])
        }
    }

    /// The shortest text that reads back as the same number, with `.0` where it is whole; `null` for what JSON cannot
    /// say.
    public mutating func double(_ value: Double) {
        self.separate()
        if value.isFinite {
            self.bytes.append(contentsOf: value.description.utf8)
        } else {
            self.bytes.append(contentsOf: "null".utf8)
        }
    }

    public mutating func boolean(_ value: Bool) {
        self.separate()
        self.bytes.append(contentsOf: (value ? "true" : "false").utf8)
    }

    public mutating func null() {
        self.separate()
        self.bytes.append(contentsOf: "null".utf8)
    }

    /// A value that is JSON already, as it is.
    public mutating func raw(_ json: some Sequence<UInt8>) {
        self.separate()
        self.bytes.append(contentsOf: json)
    }

    public mutating func value(_ value: JSONValue) {
        switch value {
        case .null: self.null()
        case .boolean(let value): self.boolean(value)
        case .integer(let value): self.integer(value)
        case .unsigned(let value): self.integer(value)
        case .double(let value): self.double(value)
        case .string(let value): self.string(value)
        case .array(let elements):
            self.beginArray()
            for element in elements { self.value(element) }
            self.endArray()
        case .object(let object):
            self.beginObject()
            for member in object {
                self.key(member.name)
                self.value(member.value)
            }
            self.endObject()
        }
    }

    // A member in one call.
    public mutating func member(_ name: String, _ value: String) {
        self.key(name)
        self.string(value)
    }
    public mutating func member(_ name: String, _ value: Int) {
        self.key(name)
        self.integer(value)
    }
    public mutating func member(_ name: String, _ value: Bool) {
        self.key(name)
        self.boolean(value)
    }
    public mutating func member(_ name: String, _ value: JSONValue) {
        self.key(name)
        self.value(value)
    }

    /// A line break between the values of an NDJSON text.
    public mutating func newline() {
        self.bytes.append(UInt8(ascii: "\n"))
        self.needsComma = false
    }

    private mutating func open(_ bracket: UInt8) {
        self.separate()
        self.bytes.append(bracket)
        self.needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        self.bytes.append(bracket)
        self.needsComma = true
    }

    private mutating func separate() {
        if self.needsComma { self.bytes.append(UInt8(ascii: ",")) }
        self.needsComma = true
    }

    private mutating func quoted(_ text: String) {
        self.bytes.append(UInt8(ascii: "\""))
        var text = text
        text.withUTF8 { utf8 in
            var run = 0
            for index in 0..<utf8.count where Self.needsEscape(utf8[index]) {
                self.bytes.append(contentsOf: utf8[run..<index])
                Self.appendEscaped(utf8[index], to: &self.bytes)
                run = index + 1
            }
            self.bytes.append(contentsOf: utf8[run...])
        }
        self.bytes.append(UInt8(ascii: "\""))
    }

    /// Whether a byte may not stand in a string as it is.
    public static func needsEscape(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    /// Appends one that ``needsEscape(_:)``.
    public static func appendEscaped(_ byte: UInt8, to bytes: inout [UInt8]) {
        switch byte {
        case UInt8(ascii: "\""): bytes.append(contentsOf: "\\\"".utf8)
        case UInt8(ascii: "\\"): bytes.append(contentsOf: "\\\\".utf8)
        case 0x0A: bytes.append(contentsOf: "\\n".utf8)
        case 0x0D: bytes.append(contentsOf: "\\r".utf8)
        case 0x09: bytes.append(contentsOf: "\\t".utf8)
        case 0x08: bytes.append(contentsOf: "\\b".utf8)
        case 0x0C: bytes.append(contentsOf: "\\f".utf8)
        default:
            let digits = String(byte, radix: 16)
            bytes.append(contentsOf: (byte < 16 ? "\\u000" : "\\u00").utf8)
            bytes.append(contentsOf: digits.utf8)
        }
    }
}
