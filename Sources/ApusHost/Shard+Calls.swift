internal import ApusCore
internal import ApusEngine
internal import ApusLoop

/// Calls of tools by functions that run: handed to whoever waits for the attempt, since it knows for whom the function works.
extension Shard {
    func called(
        _ channel: WorkerChannel, at index: Int, _ payload: UnsafeRawBufferPointer
    ) throws(FrameError) {
        let layout = try CallLayout(parsing: payload.bytes)
        let extras = channel.extras(at: index)
        guard extras.open == .none || extras.open == .parts, extras.openEmit == nil, layout.number > extras.lastCall
        else { throw .unexpected(.call) }
        extras.lastCall = layout.number
        let stream = channel.attempts[index].stream
        let json = Array(payload[layout.json])
        guard case .request(let request) = channel.attempts[index].work else {
            let call = self.call(channel, stream, layout.number, json)
            if let waiting = self.waiting(for: channel.attempts[index]), self.configuration.passCall(waiting, call) { return }
            return self.answerCall(channel, stream, layout.number, .failure(Self.noCaller))
        }
        guard let pending = self.requests[request] else {
            let left = Failure(.cancelled, "nobody waits for this function any more")
            return self.answerCall(channel, stream, layout.number, .failure(left))
        }
        pending.sink.onCall(self.call(channel, stream, layout.number, json))
    }

    private func call(_ channel: WorkerChannel, _ stream: UInt64, _ number: UInt32, _ json: [UInt8]) -> FunctionCall {
        let place = LoopOnly(CallPlace(shard: self, channel: channel))
        return FunctionCall(number: number, json: json) { [loop = self.loop] result in
            loop.post {
                guard let shard = place.value.shard, let channel = place.value.channel else { return }
                shard.answerCall(channel, stream, number, result)
                shard.requestTurn()
            }
        }
    }

    /// Who waits for an accepted invocation.
    private func waiting(for attempt: Attempt) -> String? {
        guard case .delivery(let delivery) = attempt.work else { return nil }
        return attempt.trigger?.invocations?.begun[delivery.offset]?.envelope.waiting
    }

    static let noCaller = Failure(
        .notYetSupported,
        "a function calls tools with the rights of whoever called it as a tool and waits for it here; nobody does")

    /// Where an answer goes; neither is kept alive by a call.
    private final class CallPlace {
        weak var shard: Shard?
        weak var channel: WorkerChannel?

        init(shard: Shard, channel: WorkerChannel) {
            self.shard = shard
            self.channel = channel
        }
    }

    /// Answers while the attempt is under way.
    private func answerCall(
        _ channel: WorkerChannel, _ stream: UInt64, _ number: UInt32, _ result: FunctionCall.Answer
    ) {
        guard channel.attempts.index(of: stream) != nil else { return }
        switch result {
        case .result(let json):
            let most = FrameHeader.payloadBytesMax - CallLayout.headBytes
            var at = 0
            repeat {
                let count = min(json.count - at, most)
                var payload: [UInt8] = []
                payload.reserveCapacity(CallLayout.headBytes + count)
                payload.appendLittleEndian(number)
                payload.append(contentsOf: json[at..<at + count])
                at += count
                channel.send(.callResult, flags: at < json.count ? .more : [], stream: stream, payload: payload)
            } while at < json.count
        case .failure(let failure):
            var payload: [UInt8] = []
            payload.appendLittleEndian(number)
            ErrorPayload(
                kind: .permanent, code: failure.code.rawValue,
                message: clipped(failure.message, to: Limits.Host.messageBytes)
            ).append(to: &payload)
            channel.send(.callResult, flags: .failed, stream: stream, payload: payload)
        }
        self.mustFlush(channel)
    }
}
