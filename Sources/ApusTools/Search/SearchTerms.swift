/// Words as the search compares them: in lower case, split where names join them, without endings.
enum SearchTerms {
    /// The words of a text or a name. `getUserByID`, `get_user_by_id` and `get user by id` give the same.
    static func words(_ text: String) -> [String] {
        var words: [String] = []
        var current: [UInt8] = []
        func end() {
            guard !current.isEmpty else { return }
            words.append(String(decoding: current, as: UTF8.self))
            current.removeAll(keepingCapacity: true)
        }
        let bytes = Array(text.utf8)
        for (index, byte) in bytes.enumerated() {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"):
                let before = index > 0 ? bytes[index - 1] : 0
                let after = index + 1 < bytes.count ? bytes[index + 1] : 0
                // A capital begins a word behind a small letter, and as the last of several before a small one.
                if self.isSmall(before) || self.isDigit(before) || (self.isCapital(before) && self.isSmall(after)) { end() }
                current.append(byte + 32)
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): current.append(byte)
            case UInt8(ascii: "'"): break
            case 0x80...: current.append(byte)
            default: end()
            }
        }
        end()
        return words
    }

    /// The words that say something, reduced to their stems.
    static func terms(_ text: String) -> [String] {
        self.words(text).filter { !self.empty.contains($0) }.map { self.stem($0) }
    }

    /// Without the endings of plurals and of verbs: light, so that words that differ seldom become one.
    static func stem(_ word: String) -> String {
        var bytes = Array(word.utf8)
        guard bytes.count > 3, bytes.allSatisfy({ self.isSmall($0) }) else { return word }
        if bytes.ends("ies"), bytes.count > 4 {
            bytes.removeLast(3)
            bytes.append(UInt8(ascii: "y"))
        } else if bytes.ends("sses") || bytes.ends("xes") || bytes.ends("ches") || bytes.ends("shes") {
            bytes.removeLast(2)
        } else if bytes.ends("s"), !bytes.ends("ss"), !bytes.ends("us"), !bytes.ends("is") {
            bytes.removeLast()
        }
        for ending in ["ing", "ed", "ment", "er", "or", "ion"] {
            let count = ending.utf8.count
            guard bytes.ends(ending), bytes.count - count >= 3, bytes.dropLast(count).contains(where: self.isVowel) else {
                continue
            }
            bytes.removeLast(count)
            break
        }
        // `stopp`, `cancell`: the letter that an ending doubled.
        if bytes.count > 3, let last = bytes.last, last == bytes[bytes.count - 2], !self.isVowel(last),
            last != UInt8(ascii: "s")
        {
            bytes.removeLast()
        }
        if bytes.count > 3, bytes.last == UInt8(ascii: "e") { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func isSmall(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }
    private static func isCapital(_ byte: UInt8) -> Bool { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) }
    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
    private static func isVowel(_ byte: UInt8) -> Bool { "aeiouy".utf8.contains(byte) }

    /// Words that stand in every text, and in questions to a tool box.
    private static let empty: Set<String> = [
        "a", "an", "the", "of", "to", "in", "on", "for", "by", "with", "and", "or", "is", "are", "be", "it", "its", "this",
        "that", "these", "those", "from", "as", "at", "into", "i", "me", "my", "we", "our", "you", "your", "can", "could",
        "would", "should", "please", "want", "need", "needs", "how", "do", "does", "did", "what", "which", "when", "who",
        "tool", "tools", "function", "there", "has", "have", "had", "will", "if", "so", "any", "some", "about", "id",
        "given", "returns", "return", "using", "via", "let", "lets", "like", "help", "way", "not", "no", "was", "were",
        "than", "then", "them", "they", "their", "one", "us", "im", "up", "now", "last", "something", "somebody", "someone", "thing",
    ]
}

extension [UInt8] {
    fileprivate func ends(_ text: String) -> Bool {
        self.count >= text.utf8.count && self.suffix(text.utf8.count).elementsEqual(text.utf8)
    }
}
