internal import ApusCore

extension DocumentChecker {
    mutating func weights(_ spec: Checked) -> [FunctionManifest.Weights] {
        var all: [FunctionManifest.Weights] = []
        for field in spec["weights"]?.list ?? [] {
            guard let name = field["name"]?.text, let hash = field["sha256"]?.text, let source = self.source(field) else {
                continue
            }
            if all.contains(where: { $0.name == name }) {
                self.checker.fail(
                    field.location, "`\(field.path)` is named `\(name)` as one before it, expected another name for each")
            }
            all.append(
                FunctionManifest.Weights(
                    name: name, source: source, sha256: hash.lowercased(), bytes: field["size"]?.integer))
        }
        return all
    }

    private mutating func source(_ field: Checked) -> FunctionManifest.Weights.Source? {
        if let url = field["url"], let text = url.text {
            guard text.hasPrefix("https://") || text.hasPrefix("http://") else {
                self.checker.fail(url.location, "`\(url.path)` is `\(text)`, expected https://HOST/PATH")
                return nil
            }
            return .url(text)
        }
        guard let file = field["file"], let text = file.text else { return nil }
        if text.split(separator: "/").contains("..") || text.hasPrefix("/") {
            self.checker.fail(file.location, "`\(file.path)` leaves the bundle, expected a path inside it")
        }
        return .file(text)
    }
}
