internal import ApusCore

/// The functions of CESQL. Characters are Unicode scalars.
extension FilterProgram {
    func call(_ function: FilterFunction, _ arguments: Range<Int>, _ state: inout FilterState) -> FilterValue {
        switch function {
        case .int: return .integer(self.integer(self.children[arguments.lowerBound], &state))
        case .bool:
            let value = self.value(self.children[arguments.lowerBound], &state)
            return .boolean(state.hasFailed ? false : self.boolean(value, &state))
        case .abs: return .integer(self.absolute(self.children[arguments.lowerBound], &state))
        case .length:
            guard let text = self.argument(arguments, 0, &state) else { return .integer(0) }
            return .integer(Int32(clamping: self.length(text, state)))
        default: return self.made(function, arguments, &state).map { .text($0) } ?? .emptyText
        }
    }

    /// Functions that give a text; nil when an argument failed.
    private func made(
        _ function: FilterFunction, _ arguments: Range<Int>, _ state: inout FilterState
    ) -> FilterText? {
        switch function {
        case .concat: return self.joined(arguments, separator: nil, &state)
        case .concatWithSeparator:
            guard let separator = self.argument(arguments, 0, &state) else { return nil }
            return self.joined(arguments.dropFirst(), separator: separator, &state)
        case .lower, .upper:
            guard let text = self.argument(arguments, 0, &state) else { return nil }
            return self.cased(text, isUpper: function == .upper, &state)
        case .trim: return self.argument(arguments, 0, &state).map { self.trimmed($0, state) }
        case .left, .right: return self.end(arguments, isLeft: function == .left, &state)
        case .substring: return self.substring(arguments, &state)
        default: return self.argument(arguments, 0, &state)
        }
    }

    /// An argument as text; nil when it failed.
    private func argument(_ arguments: Range<Int>, _ number: Int, _ state: inout FilterState) -> FilterText? {
        let value = self.value(self.children[arguments.lowerBound + number], &state)
        guard !state.hasFailed else { return nil }
        let text = self.text(of: value, &state)
        return state.charge(text.range.count) && !state.hasFailed ? text : nil
    }

    private func absolute(_ argument: Int32, _ state: inout FilterState) -> Int32 {
        let value = self.integer(argument, &state)
        guard !state.hasFailed else { return 0 }
        if value == .min {
            state.fail(.math)
            return .max
        }
        return Swift.abs(value)
    }

    private func length(_ text: FilterText, _ state: FilterState) -> Int {
        self.withBytes(text, state) { bytes in
            var characters = TextCharacters(bytes)
            var count = 0
            while characters.next() != nil { count += 1 }
            return count
        }
    }

    /// What follows the first `count` characters begins here.
    private func place(after count: Int, in text: FilterText, _ state: FilterState) -> Int {
        self.withBytes(text, state) { bytes in
            var characters = TextCharacters(bytes)
            for _ in 0..<count where characters.next() == nil { break }
            return text.range.lowerBound + characters.at
        }
    }

    private func joined(
        _ arguments: Range<Int>, separator: FilterText?, _ state: inout FilterState
    ) -> FilterText? {
        // Arguments may make texts themselves, so that all are there before the first is copied.
        var texts: [FilterText] = []
        for number in 0..<arguments.count {
            guard let text = self.argument(arguments, number, &state) else { return nil }
            texts.append(text)
        }
        let start = state.made.count
        for (index, text) in texts.enumerated() {
            if index > 0, let separator, !self.append(separator, &state) { return nil }
            guard self.append(text, &state) else { return nil }
        }
        return state.madeText(since: start)
    }

    private func cased(_ text: FilterText, isUpper: Bool, _ state: inout FilterState) -> FilterText? {
        // No character grows to more than three times its bytes.
        guard state.hasRoom(3 * text.range.count) else { return nil }
        let result = self.withBytes(text, state) { bytes in
            var result: [UInt8] = []
            result.reserveCapacity(bytes.count)
            var characters = TextCharacters(bytes)
            var start = 0
            while let character = characters.next() {
                defer { start = characters.at }
                if let scalar = Unicode.Scalar(character) {
                    let properties = scalar.properties
                    result.append(
                        contentsOf: (isUpper ? properties.uppercaseMapping : properties.lowercaseMapping).utf8)
                } else {
                    result.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[start..<characters.at]))
                }
            }
            return result
        }
        guard state.hasRoom(result.count) else { return nil }
        let start = state.made.count
        state.made += result
        return state.madeText(since: start)
    }

    private func trimmed(_ text: FilterText, _ state: FilterState) -> FilterText {
        let inner = self.withBytes(text, state) { bytes in
            var characters = TextCharacters(bytes)
            var start = 0
            var (first, end): (Int?, Int) = (nil, 0)
            while let character = characters.next() {
                if Unicode.Scalar(character)?.properties.isWhitespace != true {
                    if first == nil { first = start }
                    end = characters.at
                }
                start = characters.at
            }
            return (first ?? 0)..<end
        }
        let start = text.range.lowerBound
        return FilterText(source: text.source, range: start + inner.lowerBound..<start + inner.upperBound)
    }

    private func end(_ arguments: Range<Int>, isLeft: Bool, _ state: inout FilterState) -> FilterText? {
        guard let text = self.argument(arguments, 0, &state) else { return nil }
        let count = Int(self.integer(self.children[arguments.lowerBound + 1], &state))
        guard !state.hasFailed else { return nil }
        guard count >= 0 else {
            state.fail(.functionEvaluation)
            return text
        }
        if isLeft {
            let end = self.place(after: count, in: text, state)
            return FilterText(source: text.source, range: text.range.lowerBound..<end)
        }
        let start = self.place(after: max(0, self.length(text, state) - count), in: text, state)
        return FilterText(source: text.source, range: start..<text.range.upperBound)
    }

    /// Places count from 1; negative ones from the end.
    private func substring(_ arguments: Range<Int>, _ state: inout FilterState) -> FilterText? {
        guard let text = self.argument(arguments, 0, &state) else { return nil }
        let from = Int(self.integer(self.children[arguments.lowerBound + 1], &state))
        guard !state.hasFailed else { return nil }
        var count = Int.max
        if arguments.count > 2 {
            count = Int(self.integer(self.children[arguments.lowerBound + 2], &state))
            guard !state.hasFailed else { return nil }
        }
        let length = self.length(text, state)
        guard (-length...length).contains(from), count >= 0 else {
            state.fail(.functionEvaluation)
            return nil
        }
        guard from != 0 else { return FilterText(source: .made, range: 0..<0) }
        let skipped = from > 0 ? from - 1 : length + from
        let start = self.place(after: skipped, in: text, state)
        let end = self.place(after: skipped + min(count, length - skipped), in: text, state)
        return FilterText(source: text.source, range: start..<end)
    }
}
