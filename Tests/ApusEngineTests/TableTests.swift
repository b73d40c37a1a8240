import ApusCore
import Testing

@testable import ApusEngine

@Suite struct TableTests {
    private static let table = TriggerID(rawValue: 20)

    private func rig(end: Offset, window: Int = 64) -> EngineRig {
        var configuration = EngineConfiguration()
        configuration.tableWindow = window
        var plan = EngineRig.plan(order: .none, scale: ScalePlan(min: 0, max: 2, idle: .seconds(10)))
        plan.triggers.append(TriggerPlan(trigger: Self.table, kind: .table))
        return EngineRig(plan, configuration: configuration, bounds: OffsetBounds(start: 0, end: end))
    }

    /// Brings what the engine asked of the table; the trigger's own reads are left alone.
    private func bring(_ rig: inout EngineRig, _ actions: [EngineAction], _ offsets: [Offset], next: Offset) {
        guard actions.contains(where: { if case .fetch(Self.table, _, _, _) = $0 { true } else { false } }) else {
            return
        }
        rig.engine.fetched(Self.table, partition: 0, records: offsets.map { record($0) }, next: next, now: rig.now)
    }

    private func tableRecords(_ actions: [EngineAction]) -> [Dispatch] {
        actions.flatMap(\.dispatches).filter { if case .tableRecord = $0.work { true } else { false } }
    }

    private func ready(_ rig: inout EngineRig) -> [WorkerID] { rig.startWorkers() }

    @Test func aWorkerIsFedItsTablesBeforeItsFirstWork() {
        var rig = self.rig(end: 0)
        rig.engine.grew(Self.table, partition: 0, end: 3, now: rig.now)
        #expect(rig.take().isEmpty, "table records start no worker")
        rig.engine.invoke(RequestID(rawValue: 1), function: EngineRig.function, bytes: 0, deadline: nil, now: rig.now)
        _ = self.ready(&rig)
        self.bring(&rig, rig.take(), [0, 2], next: 3)
        let records = rig.take().flatMap(\.dispatches)
        #expect(
            records.map(\.work) == [
                .tableRecord(Delivery(trigger: Self.table, partition: 0, offset: 0)),
                .tableRecord(Delivery(trigger: Self.table, partition: 0, offset: 2)),
            ])
        #expect(rig.engine.outcome(records[0].stream, .succeeded, now: rig.now) == .fed)
        #expect(rig.dispatches().isEmpty)
        #expect(rig.engine.outcome(records[1].stream, .succeeded, now: rig.now) == .fed)
        #expect(rig.dispatches().map(\.work) == [.request(RequestID(rawValue: 1))])
    }

    @Test func workWaitsForTheEndsAtItsArrivalAndNotForLaterOnes() {
        var rig = self.rig(end: 0)
        rig.engine.grew(Self.table, partition: 0, end: 1, now: rig.now)
        rig.engine.invoke(RequestID(rawValue: 1), function: EngineRig.function, bytes: 0, deadline: nil, now: rig.now)
        _ = self.ready(&rig)
        rig.engine.grew(Self.table, partition: 0, end: 2, now: rig.now)
        rig.engine.invoke(RequestID(rawValue: 2), function: EngineRig.function, bytes: 0, deadline: nil, now: rig.now)
        self.bring(&rig, rig.take(), [0], next: 1)
        var actions = rig.take()
        let first = self.tableRecords(actions)
        _ = rig.engine.outcome(first[0].stream, .succeeded, now: rig.now)
        let work = rig.take()
        #expect(work.flatMap(\.dispatches).map(\.work) == [.request(RequestID(rawValue: 1))])
        guard let running = work.flatMap(\.dispatches).first else { return }
        _ = rig.engine.outcome(running.stream, .succeeded, now: rig.now)
        #expect(rig.dispatches().isEmpty, "the second came after the second record")
        actions.append(contentsOf: work)
        self.bring(&rig, actions, [1], next: 2)
        let second = self.tableRecords(rig.take())
        #expect(second.map(\.offset) == [1])
        _ = rig.engine.outcome(second[0].stream, .succeeded, now: rig.now)
        #expect(rig.dispatches().map(\.work) == [.request(RequestID(rawValue: 2))])
    }

    @Test func noMoreRecordsThanTheWindowAreUnderWay() {
        var rig = self.rig(end: 100, window: 4)
        rig.engine.invoke(RequestID(rawValue: 1), function: EngineRig.function, bytes: 0, deadline: nil, now: rig.now)
        _ = self.ready(&rig)
        var fed: [Offset] = []
        var underWay: [Dispatch] = []
        for _ in 0..<1_000 where fed.count < 100 {
            let actions = rig.take()
            underWay += self.tableRecords(actions)
            #expect(underWay.count <= 4)
            for case .fetch(Self.table, _, let from, let count) in actions {
                #expect(count <= 4)
                let next = min(100, from + Offset(count))
                rig.engine.fetched(
                    Self.table, partition: 0, records: (from..<next).map { record($0) }, next: next, now: rig.now)
            }
            guard let first = underWay.first else { continue }
            underWay.removeFirst()
            fed.append(first.offset)
            _ = rig.engine.outcome(first.stream, .succeeded, now: rig.now)
        }
        #expect(fed == Array(0..<100))
    }

    @Test func aTableRecordThatFailsStopsTheWorker() {
        var rig = self.rig(end: 1)
        rig.engine.invoke(RequestID(rawValue: 1), function: EngineRig.function, bytes: 0, deadline: nil, now: rig.now)
        let workers = self.ready(&rig)
        self.bring(&rig, rig.take(), [0], next: 1)
        guard let dispatch = rig.dispatches().first else { return }
        #expect(rig.fail(dispatch) == .ignore)
        #expect(rig.take() == [.kill(workers[0], reason: .tableFailed)])
        rig.engine.workerExited(workers[0], Failure(.tableFailed, "the table"), now: rig.now)
        #expect(rig.engine.status(of: EngineRig.function)?.startFailures == 1, "the next start waits")
        rig.advance(.seconds(1))
        _ = self.ready(&rig)
        self.bring(&rig, rig.take(), [0], next: 1)
        #expect(rig.dispatches().map(\.offset) == [0], "the new worker is fed from the first record")
    }

    @Test func beingFedIsNoUse() {
        var rig = self.rig(end: 0)
        rig.engine.invoke(RequestID(rawValue: 1), function: EngineRig.function, bytes: 0, deadline: nil, now: rig.now)
        let workers = self.ready(&rig)
        for dispatch in rig.dispatches() { rig.succeed(dispatch) }
        for second in 0..<10 {
            rig.advance(.milliseconds(999))
            rig.engine.grew(Self.table, partition: 0, end: Offset(second + 1), now: rig.now)
            let actions = rig.take()
            self.bring(&rig, actions, [Offset(second)], next: Offset(second + 1))
            for dispatch in rig.dispatches() { rig.succeed(dispatch) }
        }
        rig.advance(.milliseconds(20))
        #expect(rig.take().contains(.stop(workers[0])))
    }

    @Test func moreGrowthsThanAreToldApartMakeWorkWaitLongerAndNeverLess() {
        var feed = TableFeed()
        let table = feed.open(Self.table, partition: 0, bounds: OffsetBounds(start: 0, end: 0), hasWorkers: true)
        var worker = WorkerFeed()
        worker.extend(to: feed.tables)
        for end in 1...Limits.Engine.tableGrowths + 1 { feed.grew(table, end: Offset(end), hasWorkers: true) }
        #expect(feed.mark == UInt64(Limits.Engine.tableGrowths + 1))
        worker.pass(table, to: Offset(Limits.Engine.tableGrowths))
        #expect(feed.mark(of: worker) == 0, "the growths are folded into one")
        worker.pass(table, to: Offset(Limits.Engine.tableGrowths + 1))
        #expect(feed.mark(of: worker) == feed.mark)
    }

    @Test func recordsTakenInOutOfOrderCountFromTheFront() {
        var feed = TableFeed()
        let table = feed.open(Self.table, partition: 0, bounds: OffsetBounds(start: 0, end: 0), hasWorkers: true)
        feed.grew(table, end: 1, hasWorkers: true)
        feed.grew(table, end: 3, hasWorkers: true)
        var worker = WorkerFeed()
        worker.extend(to: feed.tables)
        for offset in 0..<3 { worker.gave(table, offset: Offset(offset)) }
        worker.took(table, offset: 1)
        #expect(feed.mark(of: worker) == 0)
        worker.took(table, offset: 0)
        #expect(feed.mark(of: worker) == 1)
        worker.took(table, offset: 2)
        #expect(feed.mark(of: worker) == 2)
        #expect(worker.underWay == 0)
    }
}
