/// `127.0.0.1:8787`, `[::1]:8787`.
enum ListenAddress {
    static func parse(_ text: String) throws(SettingRefusal) -> (host: String, port: UInt16) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]),
            colon != text.startIndex
        else { throw SettingRefusal("an address and a port such as 127.0.0.1:8787") }
        let host = text[..<colon]
        return (host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : String(host), port)
    }

    /// The same address in a URL.
    static func url(_ host: String, _ port: UInt16, isEncrypted: Bool) -> String {
        "\(isEncrypted ? "https" : "http")://\(host.contains(":") ? "[\(host)]" : host):\(port)"
    }
}
