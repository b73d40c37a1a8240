/// The ASCII form of labels in other scripts (RFC 3492), for labels that need no further mapping: letters and digits of their script, in
/// one piece each. What Unicode writes in several ways (combining marks, compatibility forms) is refused, so that one name has one form.
enum Punycode {
    /// - Returns: nil when the label holds something else.
    static func label(_ text: some StringProtocol) -> String? {
        var scalars: [UInt32] = []
        for scalar in text.unicodeScalars {
            for lower in scalar.properties.lowercaseMapping.unicodeScalars {
                guard self.isPlain(lower) else { return nil }
                scalars.append(lower.value)
            }
        }
        guard (1...Limits.Network.labelBytes).contains(scalars.count) else { return nil }
        return self.encode(scalars).map { "xn--" + $0 }
    }

    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII {
            return scalar.value == 0x2D || scalar.properties.isAlphabetic || scalar.properties.numericType == .decimal
        }
        switch scalar.properties.generalCategory {
        case .lowercaseLetter, .otherLetter, .decimalNumber: break
        default: return false
        }
        // Jamo, compatibility ideographs and forms, full width: written otherwise in their normal form.
        return ![0x1100...0x11FF, 0xF900...0xFAFF, 0xFB00...0xFDFF, 0xFE70...0xFEFF, 0xFF00...0xFFEF].contains {
            $0.contains(scalar.value)
        } && scalar.value < 0x1D400
    }

    private static func encode(_ scalars: [UInt32]) -> String? {
        var output = scalars.filter { $0 < 0x80 }.map { UInt8($0) }
        let basic = UInt32(output.count)
        var handled = basic
        if basic > 0 { output.append(0x2D) }
        var (next, delta, bias): (UInt32, UInt32, UInt32) = (0x80, 0, 72)
        while handled < scalars.count {
            guard let least = scalars.filter({ $0 >= next }).min() else { return nil }
            delta += (least - next) * (handled + 1)
            next = least
            for scalar in scalars {
                if scalar < next { delta += 1 }
                guard scalar == next else { continue }
                var (rest, step) = (delta, UInt32(36))
                while true {
                    let threshold = step <= bias ? 1 : step >= bias + 26 ? 26 : step - bias
                    if rest < threshold { break }
                    output.append(self.digit(threshold + (rest - threshold) % (36 - threshold)))
                    rest = (rest - threshold) / (36 - threshold)
                    step += 36
                }
                output.append(self.digit(rest))
                bias = self.adapt(delta, handled + 1, isFirst: handled == basic)
                delta = 0
                handled += 1
            }
            delta += 1
            next += 1
        }
        return String(decoding: output, as: UTF8.self)
    }

    private static func digit(_ value: UInt32) -> UInt8 { UInt8(value < 26 ? value + 0x61 : value - 26 + 0x30) }

    private static func adapt(_ delta: UInt32, _ count: UInt32, isFirst: Bool) -> UInt32 {
        var delta = isFirst ? delta / 700 : delta / 2
        delta += delta / count
        var step: UInt32 = 0
        while delta > 455 {
            delta /= 35
            step += 36
        }
        return step + 36 * delta / (delta + 38)
    }
}
