internal import ApusCore
internal import ApusEngine

/// Requests, their queues, and the instances that run them: what a shard does live.
extension FleetSimulation {
    mutating func arrive(_ index: Int32) {
        let function = self.arrivals[Int(index)].function
        self.functions[function].came += 1
        if self.functions[function].queue.isEmpty, let open = self.functions[function].open.last {
            self.begin(index, on: open, isWarm: true)
        } else {
            self.functions[function].queue.append(index)
        }
        self.tell(function)
    }

    private mutating func begin(_ index: Int32, on instance: InstanceID, isWarm: Bool) {
        let arrival = self.arrivals[Int(index)]
        self.tell(.used(instance, 1))
        self.functions[arrival.function].running += 1
        self.processes[instance.slot].running.append(index)
        self.processes[instance.slot].free -= 1
        if self.processes[instance.slot].free == 0 { self.close(instance) }
        if self.chances(self.fleet.faults?.crash) {
            self.schedule(.crashed(instance), after: TimeSpan(microseconds: arrival.service.microseconds / 2))
        }
        self.schedule(.done(instance, run: index), after: arrival.service)
        guard arrival.at >= self.countFrom else { return }
        let origin = isWarm ? .device : self.processes[instance.slot].origin
        self.beginnings?[Int(index)] = RequestStart(from: origin, after: self.now - arrival.at)
        self.report.served(origin, after: self.now - arrival.at, at: self.now)
    }

    /// A request that waited takes what is free.
    mutating func serve(_ function: Int) {
        while let open = self.functions[function].open.last, let index = self.functions[function].queue.popFirst() {
            self.begin(index, on: open, isWarm: false)
        }
        self.tell(function)
    }

    mutating func tell(_ function: Int) {
        self.tell(
            .message(
                .demand(
                    self.functions[function].id, running: self.functions[function].running,
                    queued: self.functions[function].queue.count)))
    }

    mutating func finish(_ instance: InstanceID, _ index: Int32) {
        let slot = instance.slot
        guard self.processes[slot].instance == instance,
            let place = self.processes[slot].running.firstIndex(of: index)
        else { return }
        self.processes[slot].running.remove(at: place)
        let function = self.processes[slot].function
        self.functions[function].running -= 1
        self.open -= 1
        if self.isForetold { self.foretell(function) }
        self.tell(.released(instance, 1))
        switch self.pool.state(of: instance) {
        case .ready, .busy: self.open(instance, 1)
        case .draining where self.processes[slot].running.isEmpty: self.tell(.drained(instance))
        // It was told to make room the moment that it became idle.
        default: break
        }
        self.serve(function)
        // A device that fell off the bus is noticed where something ends on it.
        if self.chances(self.fleet.faults?.loss), let device = self.processes[slot].devices.first {
            self.schedule(.deviceLost(device.index), after: .zero)
        }
    }

    private mutating func foretell(_ function: Int) {
        let came = self.functions[function].came
        guard came < self.functions[function].arrivals.count else {
            return self.pool.foretell(.seconds(1 << 40), of: function)
        }
        self.pool.foretell(self.arrivals[Int(self.functions[function].arrivals[came])].at - self.now, of: function)
    }

    /// Its requests go back to the front of the queue.
    mutating func lose(_ instance: InstanceID) {
        let slot = instance.slot
        let function = self.processes[slot].function
        for index in self.processes[slot].running.reversed() where self.fleet.broken != .noLostRequest {
            self.functions[function].queue.prepend(index)
        }
        self.functions[function].running -= self.processes[slot].running.count
        self.processes[slot].running = []
        self.close(instance)
        self.serve(function)
    }

    mutating func open(_ instance: InstanceID, _ free: Int) {
        let slot = instance.slot
        self.processes[slot].free += free
        guard !self.processes[slot].isOpen, !self.processes[slot].isResting, self.processes[slot].free > 0 else { return }
        self.processes[slot].isOpen = true
        self.functions[self.processes[slot].function].open.append(instance)
    }

    mutating func close(_ instance: InstanceID) {
        let slot = instance.slot
        guard self.processes[slot].isOpen else { return }
        self.processes[slot].isOpen = false
        self.functions[self.processes[slot].function].open.removeAll { $0 == instance }
    }
}
