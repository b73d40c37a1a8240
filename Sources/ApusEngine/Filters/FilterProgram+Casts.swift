internal import ApusCore

/// One type as another. What cannot be cast is the zero of the type, and an error.
extension FilterProgram {
    func boolean(_ value: FilterValue, _ state: inout FilterState) -> Bool {
        switch value {
        case .boolean(let value): return value
        case .integer(let value): return value != 0
        case .text(let text):
            if let truth = self.withBytes(text, state, { Self.truth($0) }) { return truth }
            state.fail(.cast)
            return false
        }
    }

    func integer(_ value: FilterValue, _ state: inout FilterState) -> Int32 {
        switch value {
        case .boolean(let value): return value ? 1 : 0
        case .integer(let value): return value
        case .text(let text):
            if let number = self.withBytes(text, state, { Self.number($0) }) { return number }
            state.fail(.cast)
            return 0
        }
    }

    func text(of value: FilterValue, _ state: inout FilterState) -> FilterText {
        let start = state.made.count
        switch value {
        case .text(let text): return text
        case .boolean(let value):
            guard state.hasRoom(5) else { break }
            state.made.append(contentsOf: (value ? "true" : "false").utf8)
        case .integer(let value):
            guard state.hasRoom(11) else { break }
            state.made.append(contentsOf: String(value).utf8)
        }
        return state.madeText(since: start)
    }

    /// `true` or `false`, whatever the case.
    static func truth(_ bytes: UnsafeRawBufferPointer) -> Bool? {
        guard bytes.count == 4 || bytes.count == 5 else { return nil }
        let expected: StaticString = bytes.count == 4 ? "true" : "false"
        for index in 0..<bytes.count where bytes[index] | 0x20 != expected.utf8Start[index] { return nil }
        return bytes.count == 4
    }

    /// Decimal digits, with a sign or without, within 32 bits.
    static func number(_ bytes: UnsafeRawBufferPointer) -> Int32? {
        var index = 0
        let isNegative = bytes.first == UInt8(ascii: "-")
        if isNegative || bytes.first == UInt8(ascii: "+") { index = 1 }
        guard index < bytes.count else { return nil }
        var number: Int32 = 0
        while index < bytes.count {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[index]) else { return nil }
            let digit = Int32(bytes[index] - UInt8(ascii: "0"))
            let (tens, isTooMany) = number.multipliedReportingOverflow(by: 10)
            let (sum, isTooMuch) = tens.addingReportingOverflow(isNegative ? -digit : digit)
            guard !isTooMany, !isTooMuch else { return nil }
            number = sum
            index += 1
        }
        return number
    }

    /// Lends the bytes of a text.
    func withBytes<Result>(
        _ text: FilterText, _ state: borrowing FilterState, _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        switch text.source {
        case .event: body(UnsafeRawBufferPointer(rebasing: state.event[text.range]))
        case .program: self.text.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[text.range])) }
        case .made: state.made.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[text.range])) }
        }
    }

    /// Adds a text to those that were made.
    /// - Returns: false when there is no room for it.
    func append(_ text: FilterText, _ state: inout FilterState) -> Bool {
        guard state.hasRoom(text.range.count), state.charge(text.range.count) else { return false }
        switch text.source {
        case .event: state.made.append(contentsOf: UnsafeRawBufferPointer(rebasing: state.event[text.range]))
        case .program: state.made.append(contentsOf: self.text[text.range])
        case .made: state.made.append(contentsOf: Array(state.made[text.range]))
        }
        return true
    }
}
