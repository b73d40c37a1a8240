internal import ApusCore
internal import ApusHost

/// Takes secrets of a function out of what it returns to agents. What a model reads goes on to whoever runs the model.
struct ResultMask {
    let masks: SecretMasks

    /// - Returns: nil for JSON that would be none without the secret: a number that is one.
    func apply(_ type: String?, _ data: [UInt8]) -> [UInt8]? {
        let isJSON = type.map { $0.contains("json") } ?? true
        return isJSON ? self.masks.apply(json: data) : self.masks.apply(data)
    }

    static let refusal = "The result holds a secret of its function and is not passed on."
}

extension ResultMask {
    init(_ function: ResourceName, _ secrets: [String], _ vault: SecretVault) {
        self.init(masks: vault.masks(of: function, secrets))
    }
}
