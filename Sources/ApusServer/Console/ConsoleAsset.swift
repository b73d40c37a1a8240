internal import ApusCrypto
internal import ConsoleAssets

/// A file of the console, compiled into the binary.
struct ConsoleAsset: Sendable {
    /// The operation that serves it.
    let operation: String
    /// Where it is served.
    let path: String
    let type: String
    let bytes: [UInt8]
    /// Its content's hash: a browser that has it asks for no more than that.
    let tag: String

    private init(_ operation: String, _ path: String, _ type: String, _ start: UnsafePointer<UInt8>, _ count: Int) {
        self.operation = operation
        self.path = path
        self.type = type
        self.bytes = Array(UnsafeBufferPointer(start: start, count: count))
        self.tag = "\"\(Hex.encode(SHA256.hash(self.bytes)).prefix(16))\""
    }

    /// Made once, when the server starts.
    static func all() -> [ConsoleAsset] {
        let script = "text/javascript; charset=utf-8"
        return [
            ConsoleAsset("getConsole", "/", "text/html; charset=utf-8", console_page_start(), console_page_bytes),
            ConsoleAsset(
                "getConsoleStyle", "/console/style.css", "text/css; charset=utf-8", console_style_start(),
                console_style_bytes),
            ConsoleAsset("getConsoleCore", "/console/core.js", script, console_core_start(), console_core_bytes),
            ConsoleAsset("getConsoleViews", "/console/views.js", script, console_views_start(), console_views_bytes),
            ConsoleAsset("getConsoleMain", "/console/main.js", script, console_main_start(), console_main_bytes),
            ConsoleAsset(
                "getConsoleIcon", "/console/icon.svg", "image/svg+xml", console_icon_start(), console_icon_bytes),
        ]
    }
}
