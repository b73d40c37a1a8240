internal import ApusCore
internal import ApusEngine
internal import ApusLoop
internal import ApusTelemetry
internal import Synchronization

extension Server {
    /// Removes weights that no deployed revision names until so many bytes have room, as far as there are such.
    func makeRoom(forWeights bytes: Int64) {
        do throws(ApusError) {
            let steps = SweepSteps(server: self)
            while try steps.weights(false, self.clock.now, room: bytes).hasMore {}
        } catch {
            self.journal.warning("no room can be made for weights: \(error.message)", ["code": error.code.rawValue])
        }
    }

    static func makePool(
        _ configuration: ServerConfiguration, _ shards: PoolShards, _ weights: WeightStore, _ journal: Log
    ) throws(ApusError) -> PoolHost {
        let bytes = configuration.pool.recordBytes
        let path = "\(configuration.dataDirectory)/pool.record"
        return try PoolHost(
            hostMemory: configuration.pool.hostMemory, shards: shards, weights: weights,
            record: bytes == 0
                ? nil
                : { head throws(ApusError) in
                    try PoolRecorder(path: path, bytesMax: bytes, head: head, journal: journal)
                })
    }

    /// One of several servers that has devices, and not their class, runs nothing on them, and nothing else would say so.
    static func warnOfUnused(_ devices: DeviceHost, isWorked: Bool, _ journal: Log) {
        guard !isWorked, !devices.inventory.isEmpty else { return }
        journal.warning(
            "this server has devices and not the class gpu: it runs no function on them; add gpu to `log.kafka.classes` in apus.yaml")
    }

    /// Lets the pool place on the devices that there are, the devices tell it what changes, and the accounts hear of both. Once, before
    /// anything starts.
    static func connect(_ pool: PoolHost, _ devices: DeviceHost, _ accounts: UsageKeeper) {
        let inventory = devices.inventory
        let ids = inventory.map(\.id)
        for device in inventory {
            pool.add(device)
            switch device.health {
            case .working: break
            case .draining: pool.drain(device.id)
            case .quarantined(let reason): pool.quarantine(device.id, reason)
            case .lost: pool.lost(device.id)
            }
        }
        pool.onChanges.withLock { hook in
            hook = { changes in
                devices.changed(changes)
                accounts.record(changes)
            }
        }
        pool.memoryCheck.withLock { hook in
            hook = { names, hasEnded, completion in
                let places = names.compactMap { ids.firstIndex(of: $0) }.map { DeviceID($0) }
                devices.whenReturned(places, quarantines: hasEnded, completion)
            }
        }
        devices.bind { changes in
            for change in changes {
                switch change {
                case .observed(let device, let used, let attributed):
                    pool.observed(ids[device.index], used: used, attributed: attributed)
                case .quarantined(let device, let reason): pool.quarantine(ids[device.index], reason)
                case .lost(let device, _): pool.lost(ids[device.index])
                case .draining(let device): pool.drain(ids[device.index])
                case .cleared(let device): pool.clear(ids[device.index])
                }
            }
        }
    }
}
