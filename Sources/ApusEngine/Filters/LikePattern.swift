internal import ApusCore

/// A pattern after LIKE: `%` stands for any characters, `_` for one, a backslash takes its meaning from either.
///
/// Patterns with at most one `%` and no `_` compare the ends. All others run as an automaton whose states are bits, one step for each
/// character of the text: no pattern makes a text take longer than its length says.
struct LikePattern: Sendable, Equatable {
    private enum Form: Sendable, Equatable {
        case whole
        /// What stands before the one `%` is this long.
        case ends(prefix: Int)
        case automaton(Automaton)
    }

    /// State n means: the first n characters of the pattern have been met.
    private struct Automaton: Sendable, Equatable {
        /// 64 states each.
        var words: Int
        /// States that any further character leaves as they are: a `%` follows.
        var stays: [UInt64]
        /// For each character that the pattern names, in their order: the states that it takes to their next.
        var characters: [UInt32]
        var steps: [UInt64]
        /// What a character that the pattern does not name takes on: `_`.
        var anySteps: [UInt64]
        var last: Int
    }

    /// The characters themselves, where they are compared as bytes.
    private var bytes: [UInt8] = []
    private var form = Form.whole

    init(_ text: String) {
        /// Nil stands for any one character.
        var elements: [Unicode.Scalar?] = []
        /// How many elements stand before each `%`.
        var runs: [Int] = []
        var scalars = text.unicodeScalars[...]
        while let scalar = scalars.popFirst() {
            if scalar == "\\", let next = scalars.first, next == "%" || next == "_" {
                scalars.removeFirst()
                elements.append(next)
            } else if scalar == "%" {
                if runs.last != elements.count { runs.append(elements.count) }
            } else {
                elements.append(scalar == "_" ? .none : scalar)
            }
        }
        if !elements.contains(nil), runs.count <= 1 {
            var prefix = 0
            for (index, element) in elements.enumerated() {
                if index == runs.first { prefix = self.bytes.count }
                if let element {
                    self.bytes.append(contentsOf: UTF8.encode(element) ?? UTF8.encodedReplacementCharacter)
                }
            }
            if let run = runs.first { self.form = .ends(prefix: run == elements.count ? self.bytes.count : prefix) }
        } else {
            self.form = .automaton(Self.automaton(elements, runs))
        }
    }

    private static func automaton(_ elements: [Unicode.Scalar?], _ runs: [Int]) -> Automaton {
        let words = elements.count / 64 + 1
        var stays = [UInt64](repeating: 0, count: words)
        for run in runs { stays[run / 64] |= 1 << UInt64(run % 64) }
        var any = [UInt64](repeating: 0, count: words)
        for (index, element) in elements.enumerated() where element == nil {
            any[index / 64] |= 1 << UInt64(index % 64)
        }
        let characters = Set(elements.compactMap { $0?.value }).sorted()
        var steps: [UInt64] = []
        for character in characters {
            var row = any
            for (index, element) in elements.enumerated() where element?.value == character {
                row[index / 64] |= 1 << UInt64(index % 64)
            }
            steps += row
        }
        return Automaton(
            words: words, stays: stays, characters: characters, steps: steps, anySteps: any, last: elements.count)
    }

    func matches(_ text: UnsafeRawBufferPointer) -> Bool {
        switch self.form {
        case .whole: return text.elementsEqual(self.bytes)
        case .ends(let prefix):
            guard text.count >= self.bytes.count else { return false }
            let suffix = self.bytes.count - prefix
            return self.bytes.withUnsafeBytes { bytes in
                Self.equals(text, 0, bytes, 0, prefix)
                    && Self.equals(text, text.count - suffix, bytes, prefix, suffix)
            }
        case .automaton(let automaton): return Self.run(automaton, text)
        }
    }

    private static func equals(
        _ left: UnsafeRawBufferPointer, _ leftStart: Int, _ right: UnsafeRawBufferPointer, _ rightStart: Int,
        _ count: Int
    ) -> Bool {
        for index in 0..<count where left[leftStart + index] != right[rightStart + index] { return false }
        return true
    }

    private static func run(_ automaton: Automaton, _ text: UnsafeRawBufferPointer) -> Bool {
        let words = automaton.words
        return withUnsafeTemporaryAllocation(of: UInt64.self, capacity: words) { states in
            states.initialize(repeating: 0)
            states[0] = 1
            var characters = TextCharacters(text)
            while let character = characters.next() {
                let row = self.row(automaton, character)
                var carry: UInt64 = 0
                var alive: UInt64 = 0
                for word in 0..<words {
                    let step = row < 0 ? automaton.anySteps[word] : automaton.steps[row * words + word]
                    let moved = states[word] & step
                    let next = moved << 1 | carry | states[word] & automaton.stays[word]
                    carry = moved >> 63
                    states[word] = next
                    alive |= next
                }
                if alive == 0 { return false }
            }
            return states[automaton.last / 64] >> UInt64(automaton.last % 64) & 1 == 1
        }
    }

    /// The number of the character's row; -1 when the pattern does not name it.
    private static func row(_ automaton: Automaton, _ character: UInt32) -> Int {
        var (low, high) = (0, automaton.characters.count)
        while low < high {
            let middle = (low + high) / 2
            if automaton.characters[middle] < character { low = middle + 1 } else { high = middle }
        }
        return low < automaton.characters.count && automaton.characters[low] == character ? low : -1
    }
}
