internal import ApusCore
internal import ApusEngine
internal import ApusJSON
internal import ApusManifest
internal import ApusStore
internal import Glibc

func closeDescriptor(_ descriptor: CInt) { _ = Glibc.close(descriptor) }

extension WeightStore {
    /// How far one file is.
    private struct Part {
        var isThere: Bool
        var here: Int64
        /// Nil where it is not known.
        var whole: Int64?
        /// Why it is not here.
        var error: ApusError?
    }

    private func part(_ file: FunctionManifest.Weights) -> Part {
        let here = self.folder.fetched(file.sha256)
        if self.folder.isThere(file.sha256) { return Part(isThere: true, here: here, whole: here) }
        let progress = self.progress(of: file.sha256)
        return Part(isThere: false, here: here, whole: progress?.total ?? file.bytes, error: progress?.error)
    }

    /// How far a set is: bytes of it that are here, and all of them where that is known.
    func json(ofSum set: WeightSet) -> JSONValue {
        var fetched: Int64 = 0
        var bytes: Int64? = 0
        for file in set.files {
            let part = self.part(file)
            fetched += part.here
            bytes = bytes.flatMap { sum in part.whole.map { sum + $0 } }
        }
        return ["fetched": .integer(fetched), "bytes": bytes.map { .integer($0) } ?? .null]
    }

    /// The files of a function, and where each is: what `apus describe` tells.
    func json(_ set: WeightSet) -> JSONValue {
        .array(
            set.files.map { file in
                let part = self.part(file)
                var json: JSONValue = [
                    "name": .string(file.name), "sha256": .string(file.sha256),
                    "path": .string("\(WeightSet.place)/\(file.name)"),
                    "tier": .string(part.isThere ? "\(Tier.disk)" : "\(Tier.remote)"),
                    "fetched": .number(part.here), "bytes": part.whole.map { .number($0) } ?? .null,
                ]
                if let error = part.error { json["error"] = .string(error.message) }
                return json
            })
    }
}

extension WeightSet {
    /// Where its files are inside sandboxes.
    static let place = "/weights"
}
