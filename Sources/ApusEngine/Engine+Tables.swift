internal import ApusCore

/// Tables: every worker of a function is fed them from their first records on, in order, before and beside its work.
extension Engine {
    mutating func openTable(_ trigger: Int32, partition: Int, bounds: OffsetBounds, now: Timestamp) {
        let function = self.triggers[Int(trigger)].function
        let id = self.triggers[Int(trigger)].plan.trigger
        guard self.triggers[Int(trigger)].lanes[partition] < 0 else {
            self.tableGrew(function, table: self.triggers[Int(trigger)].lanes[partition], end: bounds.end, now: now)
            return
        }
        let hasWorkers = !self.functions[Int(function)].workers.isEmpty
        var feed = self.functions[Int(function)].tables ?? TableFeed()
        let place = feed.open(id, partition: partition, bounds: bounds, hasWorkers: hasWorkers)
        self.functions[Int(function)].tables = feed
        self.triggers[Int(trigger)].lanes[partition] = place
        for worker in self.functions[Int(function)].workers where self.workers[Int(worker)].phase == .ready {
            self.beginFeed(worker, now: now)
        }
    }

    /// A worker that became ready begins at the tables' first records.
    mutating func beginFeed(_ worker: Int32, now: Timestamp) {
        let function = self.workers[Int(worker)].function
        guard let tables = self.functions[Int(function)].tables?.tables else { return }
        var feed = self.workers[Int(worker)].feed ?? WorkerFeed()
        feed.extend(to: tables)
        self.workers[Int(worker)].feed = feed
        self.updateMark(worker)
        for table in tables.indices { self.considerTableFetch(function, Int32(table)) }
    }

    mutating func tableGrew(_ function: Int32, table: Int32, end: Offset, now: Timestamp) {
        let hasWorkers = !self.functions[Int(function)].workers.isEmpty
        self.functions[Int(function)].tables?.grew(table, end: end, hasWorkers: hasWorkers)
        self.considerTableFetch(function, table)
    }

    /// Reads on for the worker that is furthest behind and has room for a good part of its window. One read serves all
    /// workers that stand within what it brings.
    private mutating func considerTableFetch(_ function: Int32, _ table: Int32) {
        guard let state = self.functions[Int(function)].tables?.tables[Int(table)], state.isOpen, state.fetch == .idle,
            !self.isDraining
        else { return }
        let window = max(1, self.configuration.tableWindow)
        var from = state.end
        var room = 0
        for worker in self.functions[Int(function)].workers where self.workers[Int(worker)].phase == .ready {
            guard let feed = self.workers[Int(worker)].feed, Int(table) < feed.cursors.count else { continue }
            let next = feed.cursors[Int(table)].next
            guard window - feed.underWay >= max(1, window / 2), next < from else { continue }
            from = next
            room = window - feed.underWay
        }
        guard from < state.end else { return }
        self.functions[Int(function)].tables?.tables[Int(table)].fetch = .underWay
        self.functions[Int(function)].tables?.tables[Int(table)].fetchFrom = from
        self.actions.append(
            .fetch(
                state.trigger, partition: state.partition, from: from, maxRecords: min(room, Limits.Engine.fetchRecords)
            )
        )
    }

    mutating func tableFetched(_ function: Int32, table: Int32, records: [RecordSummary], next: Offset, now: Timestamp)
    {
        guard let state = self.functions[Int(function)].tables?.tables[Int(table)], state.fetch == .underWay else {
            return
        }
        guard next > state.fetchFrom else {
            self.restTableFetch(function, table, now: now)
            return
        }
        self.functions[Int(function)].tables?.tables[Int(table)].fetch = .idle
        for worker in self.functions[Int(function)].workers where self.workers[Int(worker)].phase == .ready {
            guard let cursor = self.workers[Int(worker)].feed?.cursors[Int(table)].next else { continue }
            guard cursor >= state.fetchFrom, cursor < next else { continue }
            self.feed(worker, state, table, records: records, next: next, now: now)
        }
        self.considerTableFetch(function, table)
        self.schedule(function, now: now)
    }

    /// Gives a worker the records it does not have, as far as its window allows.
    private mutating func feed(
        _ worker: Int32, _ table: TableFeed.Table, _ place: Int32, records: [RecordSummary], next: Offset,
        now: Timestamp
    ) {
        guard var feed = self.workers[Int(worker)].feed else { return }
        let window = max(1, self.configuration.tableWindow)
        let cursor = feed.cursors[Int(place)].next
        var through = next
        for record in records where record.offset >= cursor && record.isMatch {
            guard feed.underWay < window else {
                through = record.offset
                break
            }
            let delivery = Delivery(trigger: table.trigger, partition: table.partition, offset: record.offset)
            self.giveTableRecord(delivery, place, worker: worker, before: feed.underWay, now: now)
            feed.gave(place, offset: record.offset)
        }
        feed.pass(place, to: through)
        self.workers[Int(worker)].feed = feed
        self.updateMark(worker)
    }

    /// A worker takes its table records one after the other, so each has the function's timeout for itself and for
    /// those before it.
    private mutating func giveTableRecord(
        _ delivery: Delivery, _ table: Int32, worker: Int32, before: Int, now: Timestamp
    ) {
        let function = self.workers[Int(worker)].function
        let timeout = self.functions[Int(function)].plan.timeout.microseconds
        let (whole, isOver) = timeout.multipliedReportingOverflow(by: Int64(before + 1))
        let deadline = now + TimeSpan(microseconds: isOver ? .max : whole)
        let slot = self.inFlight.begin(
            .tableRecord(table: table, offset: delivery.offset), worker: worker, function: function,
            batch: InFlight.none,
            deadline: deadline, workerList: &self.workers[Int(worker)].attempts,
            deadlines: &self.functions[Int(function)].deadlines
        )
        self.watchDeadlines(function)
        let stream = self.inFlight.stream(slot)
        self.actions.append(
            .dispatch(
                Dispatch(
                    worker: self.workerID(worker), stream: stream, work: .tableRecord(delivery), attempt: 1,
                    deadline: deadline)
            )
        )
    }

    /// A worker took a record in.
    mutating func tableRecordDone(_ function: Int32, worker: Int32, table: Int32, offset: Offset, now: Timestamp) {
        self.workers[Int(worker)].feed?.took(table, offset: offset)
        self.updateMark(worker)
        // The window is shared by all tables, so room that one leaves may be another's.
        guard let feed = self.workers[Int(worker)].feed, feed.underWay <= max(1, self.configuration.tableWindow) / 2
        else { return }
        for place in feed.cursors.indices { self.considerTableFetch(function, Int32(place)) }
    }

    /// A worker whose table is not whole is of no use. One that never did anything else counts as a failed start, or a
    /// record that no worker takes would have them started over and over.
    mutating func tableFailed(_ worker: Int32, _ cause: Failure, now: Timestamp) {
        let (phase, isProven) = (self.workers[Int(worker)].phase, self.workers[Int(worker)].isProven)
        let function = self.workers[Int(worker)].function
        self.kill(worker, .tableFailed, now: now)
        guard phase == .ready, !isProven else { return }
        let failure = Failure(
            .tableFailed, "a record of the function's table failed: \(cause.message)", detail: cause.detail)
        self.startsFail(function, failure, now: now)
    }

    private mutating func updateMark(_ worker: Int32) {
        let function = Int(self.workers[Int(worker)].function)
        guard let feed = self.workers[Int(worker)].feed, let mark = self.functions[function].tables?.mark(of: feed)
        else { return }
        self.workers[Int(worker)].feed?.mark = mark
    }

    mutating func tableFetchFailed(_ function: Int32, table: Int32, now: Timestamp) {
        guard self.functions[Int(function)].tables?.tables[Int(table)].fetch == .underWay else { return }
        self.restTableFetch(function, table, now: now)
    }

    private mutating func restTableFetch(_ function: Int32, _ table: Int32, now: Timestamp) {
        self.functions[Int(function)].tables?.tables[Int(table)].fetch = .resting
        let generation = UInt64(self.functions[Int(function)].generation)
        self.timers.insert(
            EngineTimer(
                due: now + Limits.Engine.fetchRetry, kind: .tableFetch, index: function, detail: table,
                generation: generation)
        )
    }

    mutating func tableFetchRested(_ function: Int32, table: Int32, now: Timestamp) {
        guard self.functions[Int(function)].tables?.tables[Int(table)].fetch == .resting else { return }
        self.functions[Int(function)].tables?.tables[Int(table)].fetch = .idle
        self.considerTableFetch(function, table)
    }
}
