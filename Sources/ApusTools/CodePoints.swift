extension String {
    /// Its beginning, of so many code points: what is seen as one character may have any number of them, and so no bound.
    func cut(toCodePoints most: Int) -> String {
        // No text has more code points than bytes, and counting bytes is quick.
        if self.utf8.count <= most { return self }
        return String(String.UnicodeScalarView(self.unicodeScalars.prefix(most)))
    }
}
