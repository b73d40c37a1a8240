internal import ApusCore

/// Looks for what does not belong into a text that models read: what people do not see, and what speaks to the model instead of saying what
/// the tool does.
///
/// It knows patterns, and is no proof: a text it finds nothing in may still mislead a model.
public enum DescriptionLint {
    public struct Finding: Sendable, Equatable {
        public enum Kind: String, Sendable, CaseIterable {
            /// Characters that are not shown, or that turn the direction of what is.
            case hiddenCharacters
            /// Sequences that a terminal obeys.
            case terminalControl
            /// Words that tell the model what to do.
            case instruction
            /// Words about when to call other tools.
            case otherTools
            /// What could be anything, written in letters.
            case blob
            case length
        }

        public let kind: Kind
        /// What was found, so that it can be put right.
        public let message: String

        /// Whether a deploy is refused for it: nobody writes these by mistake.
        public var isError: Bool { self.kind == .hiddenCharacters || self.kind == .terminalControl }
    }

    /// - Parameter name: the tool's own name, which it may speak of.
    public static func findings(in text: String, of name: String? = nil) -> [Finding] {
        var findings: [Finding] = []
        if let scalar = HiddenCharacters.first(in: text) {
            let code = String(scalar.value, radix: 16, uppercase: true)
            findings.append(
                Finding(
                    kind: .hiddenCharacters,
                    message:
                        "holds the character U+\(String(repeating: "0", count: max(0, 4 - code.count)))\(code), which people do not see"
                ))
        }
        if HiddenCharacters.hasTerminalControl(text) {
            findings.append(
                Finding(kind: .terminalControl, message: "holds control characters that a terminal obeys"))
        }
        let words = LintWords(text)
        if let found = LintPhrases.instruction(in: words) ?? LintMarks.instruction(in: words) {
            findings.append(
                Finding(
                    kind: .instruction,
                    message: "speaks to the model (`\(found)`), expected a text that says what the tool does"))
        }
        if let found = LintPhrases.otherTool(in: words, own: name) {
            findings.append(
                Finding(
                    kind: .otherTools,
                    message: "says when other tools are to be called (`\(found)`), expected what this one does"))
        }
        if let blob = LintMarks.blob(in: text) {
            findings.append(
                Finding(kind: .blob, message: "holds what nobody can read (`\(blob.prefix(16))…`), expected words"))
        }
        if text.utf8.count > Limits.Manifest.lintedBytes {
            findings.append(
                Finding(
                    kind: .length,
                    message:
                        "has \(text.utf8.count) bytes, expected at most \(Limits.Manifest.lintedBytes): models read all of it each time"
                ))
        }
        return findings
    }
}
