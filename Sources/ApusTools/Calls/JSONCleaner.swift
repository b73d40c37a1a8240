/// Takes out of JSON what would steer the terminal or fool the eye of whoever reads it: control characters but for tab and line ends, and
/// escape sequences of terminals, whole. The JSON stays JSON: bytes outside of strings hold none of them.
public enum JSONCleaner {
    public static func clean(_ json: [UInt8]) -> [UInt8] {
        guard Self.isSuspect(json) else { return json }
        var cleaner = Cleaner(json)
        return cleaner.run()
    }

    /// A look that most results pass.
    private static func isSuspect(_ json: [UInt8]) -> Bool {
        json.withUnsafeBytes { bytes in
            var at = 0
            while at < bytes.count {
                switch bytes[at] {
                case UInt8(ascii: "\\"):
                    at += 1
                    if at < bytes.count, [UInt8(ascii: "u"), UInt8(ascii: "b"), UInt8(ascii: "f")].contains(bytes[at]) {
                        return true
                    }
                case 0x7F, 0xC2: return true
                default: break
                }
                at += 1
            }
            return false
        }
    }

    private struct Cleaner {
        let json: [UInt8]
        var at = 0
        var out: [UInt8] = []
        var isInString = false

        init(_ json: [UInt8]) {
            self.json = json
            self.out.reserveCapacity(json.count)
        }

        mutating func run() -> [UInt8] {
            while self.at < self.json.count {
                let byte = self.json[self.at]
                guard self.isInString else {
                    self.isInString = byte == UInt8(ascii: "\"")
                    self.out.append(byte)
                    self.at += 1
                    continue
                }
                if byte == UInt8(ascii: "\"") {
                    self.isInString = false
                    self.out.append(byte)
                    self.at += 1
                    continue
                }
                let (scalar, end) = self.unit(self.at)
                if scalar == 0x1B || scalar == 0x9B {
                    self.at = self.afterSequence(end, isIntroduced: scalar == 0x9B)
                } else if Self.isControl(scalar) {
                    self.at = end
                } else {
                    self.out.append(contentsOf: self.json[self.at..<end])
                    self.at = end
                }
            }
            return self.out
        }

        private static func isControl(_ scalar: UInt32) -> Bool {
            (scalar < 0x20 && scalar != 0x09 && scalar != 0x0A && scalar != 0x0D) || (0x7F...0x9F).contains(scalar)
        }

        /// What stands at a place within a string, and where it ends. Of characters of more than two bytes only their place counts.
        private func unit(_ at: Int) -> (UInt32, Int) {
            let byte = self.json[at]
            if byte == UInt8(ascii: "\\"), at + 1 < self.json.count {
                switch self.json[at + 1] {
                case UInt8(ascii: "u"):
                    let end = min(at + 6, self.json.count)
                    let digits = String(decoding: self.json[(at + 2)..<end], as: UTF8.self)
                    return (UInt32(digits, radix: 16) ?? 0xFFFD, end)
                case UInt8(ascii: "b"): return (0x08, at + 2)
                case UInt8(ascii: "f"): return (0x0C, at + 2)
                default: return (0x20, at + 2)
                }
            }
            if byte == 0xC2, at + 1 < self.json.count { return (UInt32(self.json[at + 1]), at + 2) }
            return (byte < 0x80 ? UInt32(byte) : 0xFFFD, at + 1)
        }

        /// Where the sequence ends that an ESC before `at` begins. It never reaches over the end of the string.
        private func afterSequence(_ start: Int, isIntroduced: Bool) -> Int {
            var at = start
            if !isIntroduced {
                guard at < self.json.count, self.json[at] != UInt8(ascii: "\"") else { return at }
                let (kind, end) = self.unit(at)
                switch kind {
                case UInt32(UInt8(ascii: "[")): at = end
                case UInt32(UInt8(ascii: "]")), UInt32(UInt8(ascii: "P")), UInt32(UInt8(ascii: "^")),
                    UInt32(UInt8(ascii: "_")), UInt32(UInt8(ascii: "X")):
                    return self.afterText(end)
                case 0x40...0x5F, 0x30...0x3F, 0x60...0x7E: return end
                default: return start
                }
            }
            // CSI: parameters, intermediate bytes, one final byte.
            while at < self.json.count, self.json[at] != UInt8(ascii: "\"") {
                let (scalar, end) = self.unit(at)
                if (0x40...0x7E).contains(scalar) { return end }
                guard (0x20...0x3F).contains(scalar) else { return at }
                at = end
            }
            return at
        }

        /// A title, a link: up to BEL or ESC backslash.
        private func afterText(_ start: Int) -> Int {
            var at = start
            while at < self.json.count, self.json[at] != UInt8(ascii: "\"") {
                let (scalar, end) = self.unit(at)
                if scalar == 0x07 || scalar == 0x9C { return end }
                if scalar == 0x1B { return self.afterEscape(end) }
                at = end
            }
            return at
        }

        /// ESC backslash ends a text; the backslash is written as two.
        private func afterEscape(_ at: Int) -> Int {
            guard at + 1 < self.json.count, self.json[at] == UInt8(ascii: "\\"), self.json[at + 1] == UInt8(ascii: "\\")
            else { return at }
            return at + 2
        }
    }
}
