internal import ApusCore
internal import ApusCrypto
internal import ApusEgress
internal import ApusHost
internal import ApusJSON
internal import ApusManifest
internal import ApusStore
internal import Synchronization

/// The server's secrets: sealed in memory as on the log, opened one at a time for a worker that starts. From any thread.
final class SecretVault: Sendable {
    let keys: MasterKeys
    private let secrets = Mutex<[SecretName: Catalogue.Secret]>([:])
    /// What results are looked through for, of functions that were asked about since something changed.
    private let masks = Mutex<[ResourceName: SecretMasks]>([:])

    init(keys: MasterKeys) { self.keys = keys }

    /// What holds from now on.
    func follow(_ catalogue: Catalogue) {
        let secrets = catalogue.secrets
        self.secrets.withLock { $0 = secrets }
        self.masks.withLock { $0.removeAll() }
    }

    /// Finds what a function's results must not say: the values of these secrets of its, and how JSON writes them.
    func masks(of function: ResourceName, _ names: [String]) -> SecretMasks {
        guard !names.isEmpty else { return SecretMasks() }
        return self.masks.withLock { all in
            if let known = all[function] { return known }
            let masks = self.masks(of: names, in: function.namespace)
            all[function] = masks
            return masks
        }
    }

    private func masks(of names: [String], in namespace: Namespace) -> SecretMasks {
        let secrets = self.secrets.withLock { $0 }
        var masks = SecretMasks()
        for text in names {
            guard let name = SecretName(namespace, text), let secret = secrets[name] else { continue }
            // One that cannot be opened was given to no worker either.
            guard let value = try? self.keys.open(secret.sealed, of: name) else { continue }
            value.withUnsafeBytes { Self.add($0, to: &masks) }
        }
        return masks
    }

    /// A secret as it stands, as JSON writes it, and, where it is JSON itself, as that is written anew.
    static func add(_ value: UnsafeRawBufferPointer, to masks: inout SecretMasks) {
        masks.add(value)
        var written: [UInt8] = []
        JSONText.append(String(decoding: value, as: UTF8.self), to: &written)
        written.withUnsafeBytes { masks.add(UnsafeRawBufferPointer(rebasing: $0.dropFirst().dropLast())) }
        MaskedJSON.writtenAnew(Array(value))?.withUnsafeBytes { masks.add($0) }
    }

    /// What a worker of a function is given.
    /// - Throws: `secret_not_found`, `secret_unavailable`, `limit_reached`, `overloaded`.
    func open(for function: HostFunction) throws(ApusError) -> WorkerSecrets {
        var object = SecretsObject()
        let masks = try self.open(function.secrets, of: function) { (name, bytes) throws(ApusError) in
            try object.add(name, bytes)
        }
        try object.finish()
        return try object.bytes.withUnsafeBytes { (bytes) throws(ApusError) in
            try WorkerSecrets(copying: bytes, masks: masks)
        }
    }

    /// What the requests of a function's workers are given on their way out, as ``InjectedValues`` has it. Lines are looked through
    /// for these secrets and the worker's own: a server may send back what it was sent.
    /// - Throws: as above.
    func openInjections(for function: HostFunction) throws(ApusError) -> WorkerSecrets {
        let injections = function.network?.inject ?? []
        var bytes = SecretBytes(capacity: Limits.Secrets.deliveredBytes)
        var masks = try self.open(function.secrets, of: function) { (_, _) throws(ApusError) in }
        for injection in injections {
            let more = try self.open([injection.secret], of: function) { (name, value) throws(ApusError) in
                // A file's last line end is nobody's secret.
                var value = value[...]
                while value.last == 0x0A || value.last == 0x0D { value = value.dropLast() }
                guard InjectedValues.isUsable(value) else {
                    throw ApusError(
                        .secretUnavailable,
                        "the secret '\(name)' cannot be a header's value: it is empty, too long or holds control characters"
                    )
                }
                let head = withUnsafeBytes(of: UInt32(value.count).littleEndian) { Array($0) }
                guard bytes.append(head), bytes.append(UnsafeRawBufferPointer(rebasing: value)) else {
                    throw ApusError(.limitReached, "the secrets that '\(function.name)' injects are too long together")
                }
            }
            masks.merge(more)
        }
        return try bytes.withUnsafeBytes { (bytes) throws(ApusError) in try WorkerSecrets(copying: bytes, masks: masks)
        }
    }

    private func open(
        _ names: [String], of function: HostFunction,
        _ use: (String, UnsafeRawBufferPointer) throws(ApusError) -> Void
    ) throws(ApusError) -> SecretMasks {
        let secrets = self.secrets.withLock { $0 }
        var masks = SecretMasks()
        for text in names {
            guard let name = SecretName(function.name.namespace, text), let secret = secrets[name] else {
                throw ApusError(
                    .secretNotFound,
                    "the secret '\(text)' of '\(function.name)' is not set: set it with `apus secret set \(text)`")
            }
            let value = try self.keys.open(secret.sealed, of: name)
            try value.withUnsafeBytes { (bytes) throws(ApusError) in
                try use(text, bytes)
                masks.add(bytes)
            }
        }
        return masks
    }

    /// Whether this server can open a secret.
    func holdsKey(of secret: SealedSecret) -> Bool { self.keys.holds(secret.key) }

    /// Why functions that need secrets do not start, a sentence for each key; empty when all keys are there.
    var problems: [String] {
        let secrets = self.secrets.withLock { $0 }
        var lost: [String: Int] = [:]
        for secret in secrets.values where !self.holdsKey(of: secret.sealed) {
            lost[secret.sealed.key, default: 0] += 1
        }
        return lost.sorted { $0.key < $1.key }.map { key, count in
            "\(count) \(count == 1 ? "secret is" : "secrets are") sealed under the key \(key), which is missing, and functions that need "
                + "them do not start: start the server with the --key-file that holds it, or set them anew"
        }
    }

    /// What works and yet should not stay so.
    var warnings: [String] {
        guard self.keys.isGenerated else { return [] }
        return [
            "secrets are sealed under a key that lies beside them, in \(self.keys.origin): fit for development only; "
                + "give a key of your own with --key-file, then `apus secret rotate-key`"
        ]
    }
}

/// A JSON object of names to texts, made in memory that is overwritten when it goes.
struct SecretsObject: ~Copyable {
    private(set) var bytes = SecretBytes(capacity: Limits.Secrets.deliveredBytes)
    private var isEmpty = true

    /// - Throws: `limit_reached` when all together are too much for one worker.
    mutating func add(_ name: String, _ value: UnsafeRawBufferPointer) throws(ApusError) {
        var fits = self.bytes.append((self.isEmpty ? "{\"" : ",\"").utf8) && self.bytes.append(name.utf8)
        fits = fits && self.bytes.append("\":\"".utf8)
        // What needs no escape goes over in one piece.
        var start = 0
        for index in value.indices where fits {
            guard let escape = Self.escape(value[index]) else { continue }
            fits =
                self.bytes.append(UnsafeRawBufferPointer(rebasing: value[start..<index]))
                && self.bytes.append(escape.utf8)
            start = index + 1
        }
        fits = fits && self.bytes.append(UnsafeRawBufferPointer(rebasing: value[start...]))
        guard fits, self.bytes.append("\"".utf8) else { throw Self.tooMuch }
        self.isEmpty = false
    }

    mutating func finish() throws(ApusError) {
        guard self.bytes.append((self.isEmpty ? "{}" : "}").utf8) else { throw Self.tooMuch }
    }

    private static let tooMuch = ApusError(
        .limitReached,
        "the secrets of the function have more than \(Limits.Secrets.deliveredBytes) bytes together: give it fewer of them"
    )

    private static let digits = Array("0123456789abcdef")

    private static func escape(_ byte: UInt8) -> String? {
        switch byte {
        case UInt8(ascii: "\""): "\\\""
        case UInt8(ascii: "\\"): "\\\\"
        case 0..<0x20: "\\u00\(Self.digits[Int(byte >> 4)])\(Self.digits[Int(byte & 15)])"
        default: nil
        }
    }
}
