internal import ApusCore
internal import ApusJSON
internal import ApusStore

extension ScheduleMachine.Firing {
    /// What the function gets. The id is made from the trigger and the time it stands for, so that a repetition would
    /// show.
    func event(now: Timestamp) -> Event {
        let due = RFC3339.format(self.due)
        let data: JSONValue = [
            "scheduledTime": .string(due), "trigger": .string(self.key.trigger), "missed": .number(self.missed),
        ]
        var event = Event(data: data.encoded())
        event.attributes = [
            Attribute("id", "\(self.key)/\(due)"),
            Attribute("source", "/apus/schedules/\(self.key)", kind: .uriReference),
            Attribute("type", "dev.apus.schedule"), Attribute("time", RFC3339.format(now), kind: .timestamp),
            Attribute("datacontenttype", "application/json"), Attribute("scheduledtime", due, kind: .timestamp),
            Attribute("trigger", self.key.trigger), Attribute("missed", String(self.missed), kind: .integer),
        ]
        return event
    }
}
