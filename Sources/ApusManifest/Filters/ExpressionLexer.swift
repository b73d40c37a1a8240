internal import ApusCore

/// What is wrong with an expression, and where.
struct ExpressionError: Error, Equatable {
    /// The number of the character, from 0.
    let at: Int
    let message: String
}

/// Reads the words of CESQL.
struct ExpressionLexer {
    enum Token: Equatable {
        /// Letters, digits and `_`: a name, a keyword, a number.
        case word(String)
        case text(String)
        case symbol(String)
        case end

        /// For messages.
        var found: String {
            switch self {
            case .word(let text), .symbol(let text): "`\(YAMLNode.shorten(text))`"
            case .text(let text): "the text '\(YAMLNode.shorten(text))'"
            case .end: "the end"
            }
        }
    }

    private let characters: [Unicode.Scalar]
    private(set) var token = Token.end
    /// Where the token begins.
    private(set) var start = 0
    private var at = 0

    /// - Throws: where the first word is none.
    init(_ text: String) throws(ExpressionError) {
        self.characters = Array(text.unicodeScalars)
        try self.advance()
    }

    private var peek: Unicode.Scalar? { self.at < self.characters.count ? self.characters[self.at] : nil }

    mutating func advance() throws(ExpressionError) {
        while let next = self.peek, next == " " || next == "\t" || next == "\r" || next == "\n" { self.at += 1 }
        self.start = self.at
        guard let first = self.peek else {
            self.token = .end
            return
        }
        if Self.isWord(first) {
            while let next = self.peek, Self.isWord(next) { self.at += 1 }
            self.token = .word(self.text(self.start..<self.at))
        } else if first == "'" || first == "\"" {
            self.token = .text(try self.quoted(first))
        } else {
            self.token = .symbol(try self.symbol())
        }
    }

    private func text(_ range: Range<Int>) -> String {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: self.characters[range])
        return String(text)
    }

    /// A backslash before the quote makes it part of the text; before anything else it is itself.
    private mutating func quoted(_ quote: Unicode.Scalar) throws(ExpressionError) -> String {
        var text = String.UnicodeScalarView()
        self.at += 1
        while let next = self.peek {
            self.at += 1
            if next == quote { return String(text) }
            if next == "\\", let escaped = self.peek {
                self.at += 1
                if escaped != quote { text.append(next) }
                text.append(escaped)
            } else {
                text.append(next)
            }
        }
        throw ExpressionError(at: self.start, message: "this text has no closing \(quote)")
    }

    private mutating func symbol() throws(ExpressionError) -> String {
        for symbol in ["!=", "<>", ">=", "<="]
        where self.characters[self.at...].starts(with: symbol.unicodeScalars) {
            self.at += 2
            return symbol
        }
        let character = self.characters[self.at]
        guard "()[],.=<>+-*/%".unicodeScalars.contains(character) else {
            throw ExpressionError(
                at: self.at, message: "`\(YAMLNode.shorten(String(character)))` is no part of an expression")
        }
        self.at += 1
        return String(character)
    }

    private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "_": true
        default: false
        }
    }
}
