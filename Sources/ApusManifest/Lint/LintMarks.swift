internal import ApusCore

/// Marks that have no place in the description of a tool, found as they stand.
enum LintMarks {
    static func instruction(in words: LintWords) -> String? {
        if let tag = self.tags.first(where: { words.plain.contains($0) }) { return tag }
        if let path = self.places.first(where: { words.plain.contains($0) }) { return path }
        return self.exfiltration(words)
    }

    /// A long run of letters that reads as encoded bytes.
    static func blob(in text: String) -> String? {
        for run in text.utf8.split(whereSeparator: { !self.isEncoding($0) })
        where run.count >= Limits.Manifest.blobBytes {
            let hasLower = run.contains { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) }
            let hasUpper = run.contains { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
            let hasDigit = run.contains { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            let slashes = run.count { $0 == UInt8(ascii: "/") }
            if (hasLower && hasUpper && hasDigit && slashes * 8 < run.count) || (hasDigit && run.count >= 96) {
                return String(decoding: Array(run), as: UTF8.self)
            }
        }
        return nil
    }

    private static func isEncoding(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="),
            UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    /// A verb that gives away, and an address behind it.
    private static func exfiltration(_ words: LintWords) -> String? {
        let hasAddress =
            words.plain.contains("http://") || words.plain.contains("https://") || words.plain.contains("@")
        guard hasAddress else { return nil }
        let verbs: Set<String> = ["send", "forward", "upload", "bcc", "exfiltrate", "transmit", "leak"]
        let goods: Set<String> = [
            "conversation", "history", "results", "result", "output", "outputs", "data", "messages", "message",
            "emails",
            "arguments", "copy", "everything", "credentials", "content", "contents", "response", "responses", "prompt",
        ]
        for (index, word) in words.words.enumerated() where verbs.contains(word.text) {
            let behind = words.words[index...].prefix(8).map(\.text)
            let isPassedOn =
                behind.contains(where: goods.contains)
                && behind.contains { $0 == "all" || $0 == "every" || $0 == "each" || $0 == "also" || $0 == "the" }
            if isPassedOn, behind.contains("to") { return behind.joined(separator: " ") }
        }
        return nil
    }

    private static let tags = [
        "<important", "</important", "<system", "</system", "<instruction", "<secret", "<hidden", "<admin", "[system]",
        "[inst]", "[/inst]", "<|", "|>", "### system", "###system", "### instruction", "system:", "assistant:",
        "<!--", "<tool_", "</tool", "<function_calls", "![](http", "javascript:", "| sh", "|sh", "| bash", "|bash",
        "begin hidden", "system prompt", "<assistant", "<user", "<sys>",
    ]
    private static let places = [
        "~/.ssh", ".ssh/", "id_rsa", "id_ed25519", "/etc/passwd", "/etc/shadow", "mcp.json", ".aws/cred", ".netrc",
        ".bash_history", "~/.config", "~/.cursor", "~/.env", ".git-credentials", "~/.kube", "~/.npmrc", "wallet.dat",
        "claude_desktop_config", "~/.gnupg", "process.env", "printenv",
    ]
}
