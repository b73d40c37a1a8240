internal import ApusCore
internal import ApusJSON

/// What of a text of JSON two readers may understand differently, whatever the schema: looked for before it is parsed.
///
/// A parser rounds or refuses an integer beyond 64 bits, and of two members of one name keeps either; a tool must not be
/// called with what its caller did not mean.
public enum ArgumentCheck {
    /// What is wrong with the text; empty when it can be parsed and checked. At most `Limits.Schema.violations` are listed.
    public static func violations(in text: UnsafeRawBufferPointer) -> [SchemaViolation] {
        do throws(JSONSyntaxError) {
            try JSONChecker.check(text)
            var walk = ArgumentWalk(text)
            try walk.run()
            return walk.violations
        } catch {
            return [SchemaViolation("", "", "is no JSON: \(error)")]
        }
    }

    /// What is wrong with the text; empty when it can be parsed and checked.
    public static func violations(in text: [UInt8]) -> [SchemaViolation] {
        text.withUnsafeBytes { Self.violations(in: $0) }
    }
}

/// Goes over a text that is known to be JSON.
private struct ArgumentWalk {
    private struct Container {
        let isObject: Bool
        /// Of an object: the names so far, by their bytes.
        var names: Set<[UInt8]> = []
        /// Of an object: the name of the member being walked.
        var name = ""
        var index = 0
    }

    private var scanner: JSONScanner
    private var stack: [Container] = []
    private(set) var violations: [SchemaViolation] = []

    init(_ text: UnsafeRawBufferPointer) { self.scanner = JSONScanner(text) }

    mutating func run() throws(JSONSyntaxError) {
        self.scanner.skipSpace()
        while let byte = self.scanner.peek, self.violations.count < Limits.Schema.violations {
            switch byte {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                self.stack.append(Container(isObject: byte == UInt8(ascii: "{")))
                self.scanner.at += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                self.stack.removeLast()
                self.scanner.at += 1
            case UInt8(ascii: ","):
                if let top = self.stack.last, !top.isObject { self.stack[self.stack.count - 1].index += 1 }
                self.scanner.at += 1
            case UInt8(ascii: "\""): try self.string()
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try self.number()
            default: self.scanner.at += 1
            }
            self.scanner.skipSpace()
        }
    }

    /// A string is a name where a colon follows.
    private mutating func string() throws(JSONSyntaxError) {
        let start = self.scanner.at
        try self.scanner.string()
        let end = self.scanner.at
        self.scanner.skipSpace()
        guard self.scanner.peek == UInt8(ascii: ":"), let top = self.stack.indices.last else { return }
        let name = self.scanner.unescaped(start..<end)
        self.stack[top].name = name
        if !self.stack[top].names.insert(Array(name.utf8)).inserted {
            self.violations.append(
                SchemaViolation(self.pointer, "", "is there twice; an object has each name once, so keep one of them"))
        }
    }

    private mutating func number() throws(JSONSyntaxError) {
        let start = self.scanner.at
        try self.scanner.number()
        // Up to 18 digits fit whatever they are.
        guard self.scanner.at - start > 18 || self.hasExponent(start) else { return }
        let text = String(decoding: self.scanner.text[start..<self.scanner.at], as: UTF8.self)
        if !text.utf8.contains(where: { $0 == UInt8(ascii: ".") || $0 | 0x20 == UInt8(ascii: "e") }) {
            guard Int64(text) == nil, UInt64(text) == nil, text != "-0" else { return }
            self.violations.append(
                SchemaViolation(
                    self.pointer, "",
                    "is the integer \(text.prefix(Limits.Schema.quotedCharacters)), which 64 bits do not hold; "
                        + "send it as a string if the tool takes one"))
        } else if Double(text)?.isFinite != true {
            self.violations.append(SchemaViolation(self.pointer, "", "is a number that no double holds"))
        }
    }

    private func hasExponent(_ start: Int) -> Bool {
        self.scanner.text[start..<self.scanner.at].contains { $0 | 0x20 == UInt8(ascii: "e") }
    }

    private var pointer: String {
        self.stack.map { "/" + ($0.isObject ? JSONPointer.escaped($0.name) : "\($0.index)") }.joined()
    }
}
