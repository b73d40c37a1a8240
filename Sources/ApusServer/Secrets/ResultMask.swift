internal import ApusCore
internal import ApusHost
internal import ApusJSON
internal import ApusTools

/// Takes secrets of a function out of what it returns to agents. What a model reads goes on to whoever runs the model.
struct ResultMask {
    let masks: SecretMasks

    init(_ function: ResourceName, _ secrets: [String], _ vault: SecretVault) {
        self.masks = vault.masks(of: function, secrets)
    }

    /// - Returns: nil for JSON that would be none without the secret: a number that is one.
    func apply(_ type: String?, _ data: [UInt8]) -> [UInt8]? {
        guard !self.masks.isEmpty else { return data }
        let masked = self.masks.apply(data)
        guard masked.count != data.count || masked != data else { return data }
        let isJSON = type.map { $0.contains("json") || $0 == ContentBlocks.mediaType } ?? true
        let isSound = masked.withUnsafeBytes { bytes -> Bool in
            do throws(JSONSyntaxError) {
                _ = try JSONSlices.document(bytes)
                return true
            } catch { return false }
        }
        return isJSON && !isSound ? nil : masked
    }

    static let refusal = "The result holds a secret of its function and is not passed on."
}
