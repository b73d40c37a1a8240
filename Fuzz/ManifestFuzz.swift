// libFuzzer on the manifest parser: any bytes are either refused with errors that have a place, or accepted and then go
// through JSON unchanged.
//
// `bash Fuzz/ManifestFuzz.build OUTPUT` builds it, `make fuzz TARGETS=ManifestFuzz` runs it.

import ApusJSON
import ApusManifest

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzManifest(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let text = Array(UnsafeBufferPointer(start: start, count: count))
    let manifests: [Manifest]
    do throws(ManifestErrors) {
        manifests = try Manifest.parse(text, file: "fuzz")
    } catch {
        precondition(!error.errors.isEmpty, "refused without a reason")
        for problem in error.errors {
            precondition(problem.location != nil, "\(problem) has no place")
        }
        return 0
    }
    for manifest in manifests {
        let json = manifest.toJSON()
        do {
            let back = try Manifest(json: JSONValue.parse(json.encoded()))
            precondition(back == manifest && back.toJSON() == json, "changed on its way through JSON")
        } catch {
            preconditionFailure("its own JSON is refused: \(error)")
        }
    }
    return 0
}
