public import ApusCore
internal import CShims

// What the nursery does with the folder of a dependency layer. A build is: prepare; a `.fetch` launch; a `.build`
// launch; seal, or discard when one of them failed. Names are 64 hexadecimal digits.
extension NurseryClient {
    /// Makes an empty `layers/<layer>.partial`, without what an earlier attempt left there.
    public func prepareLayer(_ layer: String, _ completion: @escaping (Result<Void, ApusError>) -> Void) {
        self.request(NURSERY_PREPARE, layer, completion)
    }

    /// Turns `layers/<layer>.partial/site` into `layers/<layer>`: owned by the server, nothing writable or setuid,
    /// synced; then removes the partial folder. A layer that is there already stays.
    ///
    /// - Parameter completion: fails with `build_failed` when the layer is over a bound or holds something else than
    ///   files, folders and links.
    public func sealLayer(
        _ layer: String, bytes: UInt64 = Limits.Sandbox.layerBytes, entries: UInt64 = Limits.Sandbox.layerEntries,
        _ completion: @escaping (Result<Void, ApusError>) -> Void
    ) {
        do throws(ApusError) {
            var request = try EncodedRequest(NURSERY_SEAL, layer: layer, ticket: self.takeTicket())
            request.head.layer_bytes_max = bytes
            request.head.layer_entries_max = entries
            self.work(onLayer: request, completion)
        } catch {
            completion(.failure(error))
        }
    }

    /// Removes `layers/<layer>.partial`, which need not exist.
    public func discardLayer(_ layer: String, _ completion: @escaping (Result<Void, ApusError>) -> Void) {
        self.request(NURSERY_DISCARD, layer, completion)
    }

    private func request(
        _ operation: nursery_operation, _ layer: String, _ completion: @escaping (Result<Void, ApusError>) -> Void
    ) {
        do throws(ApusError) {
            self.work(onLayer: try EncodedRequest(operation, layer: layer, ticket: self.takeTicket()), completion)
        } catch {
            completion(.failure(error))
        }
    }
}
