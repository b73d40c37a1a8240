enum Log {
    static func error(_ text: String) { print("error: \(text)") }
    static func info(_ text: String) { print(text) }
    static func warning(_ text: String) { print("warning: \(text)") }
}
