internal import ApusCrypto
internal import ConsoleAssets

/// A file of the console, compiled into the binary.
struct ConsoleAsset: Sendable {
    let name: String
    let type: String
    let bytes: [UInt8]
}

/// The page and the files it loads.
///
/// The files lie below a version, the hash of all of them. What has a version never changes, so that a browser keeps it for good and a
/// later visit is one request; modules import each other by relative paths and stay within it.
struct ConsoleAssets: Sendable {
    let version: String
    let page: ConsoleAsset
    /// The page's own hash: a browser that has it asks for no more than that.
    let pageTag: String
    private let files: [String: ConsoleAsset]

    /// Made once, when the server starts.
    init() {
        let all = Self.compiledIn()
        let digest = SHA256.hash(all.flatMap { Array($0.name.utf8) + [0] + $0.bytes })
        self.version = String(Hex.encode(digest).prefix(12))
        self.files = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
        guard let page = self.files[Self.pageName] else {
            preconditionFailure("the console's \(Self.pageName) is compiled in")
        }
        let text = Self.replacing(Self.placeholder, with: self.version, in: page.bytes)
        self.page = ConsoleAsset(name: page.name, type: page.type, bytes: text)
        self.pageTag = "\"\(self.version)\""
    }

    /// A file by its name; the page, which has a path of its own, is none.
    func file(_ name: String) -> ConsoleAsset? { name == Self.pageName ? nil : self.files[name] }

    static let types = [
        "html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8",
        "svg": "image/svg+xml",
    ]

    private static let pageName = "page.html"
    private static let placeholder = "@VERSION@"

    private static func compiledIn() -> [ConsoleAsset] {
        var assets: [ConsoleAsset] = []
        while case let asset = console_asset_at(assets.count), let name = asset.name {
            let text = String(cString: name)
            let type = self.types[String(text.split(separator: ".").last ?? "")] ?? "application/octet-stream"
            let bytes = Array(UnsafeBufferPointer(start: asset.start, count: asset.bytes))
            assets.append(ConsoleAsset(name: text, type: type, bytes: bytes))
        }
        return assets
    }

    private static func replacing(_ placeholder: String, with text: String, in bytes: [UInt8]) -> [UInt8] {
        let whole = String(decoding: bytes, as: UTF8.self)
        return Array(whole.split(separator: placeholder, omittingEmptySubsequences: false).joined(separator: text).utf8)
    }
}
