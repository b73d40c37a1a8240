/// A text as the patterns see it: its words in lower case, and where sentences end.
struct LintWords {
    struct Word {
        var text: String
        /// Which sentence it is in.
        var sentence: Int
    }

    /// In lower case, spaces as single ones.
    let plain: String
    let words: [Word]

    init(_ text: String) {
        // What looks like a letter of another alphabet is read as that letter: a disguise is taken off.
        let folded = String(String.UnicodeScalarView(text.unicodeScalars.map { Self.lookalikes[$0] ?? $0 }))
            .lowercased()
        self.plain = folded.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        var words: [Word] = []
        var current = ""
        var sentence = 0
        func end() {
            guard !current.isEmpty else { return }
            words.append(Word(text: current, sentence: sentence))
            current = ""
        }
        for character in self.plain {
            if character.isLetter || character.isNumber || character == "_" {
                current.append(character)
            } else if character != "'" && character != "’" {
                end()
                if ".!?;".contains(character) { sentence += 1 }
            }
        }
        end()
        self.words = words
    }

    /// Cyrillic and Greek letters that look like Latin ones.
    private static let lookalikes: [Unicode.Scalar: Unicode.Scalar] = [
        "а": "a", "е": "e", "о": "o", "р": "p", "с": "c", "у": "y", "х": "x", "і": "i", "ѕ": "s", "ј": "j", "ԁ": "d",
        "ο": "o", "ν": "v", "α": "a", "ι": "i", "Α": "A", "Β": "B", "Ε": "E", "І": "I", "О": "O", "Т": "T", "А": "A",
    ]
}
