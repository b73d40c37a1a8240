internal import ApusCore
internal import ApusEngine
internal import ApusJSON
internal import ApusManifest
internal import ApusStore
internal import Glibc

func closeDescriptor(_ descriptor: CInt) { _ = Glibc.close(descriptor) }

extension WeightStore {
    /// How far a set is: bytes of it that are here, and all of them where that is known.
    func json(ofSum set: WeightSet) -> JSONValue {
        var fetched: Int64 = 0
        var bytes: Int64? = 0
        for file in set.files {
            let here = self.folder.fetched(file.sha256)
            fetched += here
            let whole = self.folder.isThere(file.sha256) ? here : self.progress(of: file.sha256)?.total ?? file.bytes
            bytes = bytes.flatMap { sum in whole.map { sum + $0 } }
        }
        return ["fetched": .integer(fetched), "bytes": bytes.map { .integer($0) } ?? .null]
    }

    /// The files of a function, and where each is: what `apus describe` tells.
    func json(_ set: WeightSet) -> JSONValue {
        .array(
            set.files.map { file in
                let progress = self.progress(of: file.sha256)
                let isThere = self.folder.isThere(file.sha256)
                var json: JSONValue = [
                    "name": .string(file.name), "sha256": .string(file.sha256),
                    "path": .string("\(WeightSet.place)/\(file.name)"),
                    "tier": .string(isThere ? "\(Tier.disk)" : "\(Tier.remote)"),
                    "fetched": .number(self.folder.fetched(file.sha256)),
                    "bytes": (isThere ? self.folder.fetched(file.sha256) : progress?.total ?? file.bytes).map {
                        .number($0)
                    } ?? .null,
                ]
                if let error = progress?.error, !isThere { json["error"] = .string(error.message) }
                return json
            })
    }
}

extension WeightSet {
    /// Where its files are inside sandboxes.
    static let place = "/weights"
}
