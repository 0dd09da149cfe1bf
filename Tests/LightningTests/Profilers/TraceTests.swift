import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// Traces can be read at any moment, and say what was done when.
struct TraceTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func run() -> ToyRun {
        var run = ToyRun(directory: scratch.path)
        run.trainer.profiler = .trace
        return run
    }

    private var path: String { scratch.file("version_0/trace-fit-rank0.json") }

    @Test func eventsLieWithinEachOther() throws {
        try run().fit { module, _ in
            module.inTraining = { module, _, _ in module.profile("my \"own\"\n\\") { _ = module.parameters } }
        }
        let trace = try Trace(path)
        let host = try World.current().topology.hostname
        #expect(trace.processes == [0: "rank 0 on \(host)"])
        #expect(trace.threads == [0: "training"])
        #expect(trace.count("trainingStep") == 12 && trace.count("runTrainingEpoch") == 2)
        #expect(trace.count("my \"own\"\n\\") == 12)
        for (inner, outer) in [
            ("trainingStep", "runTrainingBatch"), ("backward", "runTrainingBatch"), ("my \"own\"\n\\", "trainingStep"),
            ("runTrainingBatch", "runTrainingEpoch"), ("optimizerStep", "runTrainingBatch"),
        ] {
            for event in trace.events where event.name == inner {
                #expect(trace.events.count { $0.name == outer && $0.holds(event) } == 1, "\(inner) in \(outer)")
            }
        }
        // Complete events of a thread lie within each other or apart, or a viewer cannot draw them.
        for (index, one) in trace.events.enumerated() {
            for other in trace.events[..<index] where one.thread == other.thread {
                #expect(one.holds(other) || other.holds(one) || one.end <= other.begin || other.end <= one.begin)
            }
        }
    }

    /// The judge is Python's reader.
    @Test func pythonReadsIt() throws {
        try run().fit()
        let program = """
            import json, sys
            trace = json.load(open(sys.argv[1]))
            events = [e for e in trace["traceEvents"] if e["ph"] == "X"]
            assert all(e["dur"] >= 0 and e["ts"] >= 0 and e["pid"] == 0 for e in events)
            print(sum(e["name"] == "trainingStep" for e in events))
            """
        let python = Process()
        python.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        python.arguments = ["python3", "-c", program, path]
        let output = Pipe()
        python.standardOutput = output
        try MPIRun.withAllSignals { try python.run() }
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        python.waitUntilExit()
        #expect(python.terminationStatus == 0 && text == "12\n")
    }

    @Test func itIsWholeWhileItGrows() throws {
        var run = run()
        run.samples = 4 * 600  // some thousands of events are written at once
        var counts: [Int] = []
        try run.fit { module, _ in
            module.inTraining = { [path] module, _, index in
                if index % 200 == 199 { counts.append(try Trace(path).count("trainingStep")) }
            }
        }
        let trace = try Trace(path)
        #expect(counts.count == 6 && counts[5] > counts[0] && counts == counts.sorted(), "\(counts)")
        #expect(trace.count("trainingStep") == 1200 && trace.count("writeTrace") > 0)
    }

    @Test func itIsWholeAfterAFailure() throws {
        #expect(throws: OnPurpose.self) {
            try run().fit { module, _ in
                module.inTraining = { _, _, index in if index == 3 { throw OnPurpose("in the middle") } }
            }
        }
        let trace = try Trace(path)
        #expect(trace.count("trainingStep") == 4 && trace.count("backward") == 3)
    }
}

/// A file in the format of Chrome's tracing.
struct Trace {
    struct Event {
        var name: String
        var process: Int
        var thread: Int
        var begin: Double
        var end: Double

        func holds(_ other: Event) -> Bool { begin <= other.begin && end >= other.end }
    }

    private(set) var events: [Event] = []
    private(set) var processes: [Int: String] = [:]
    private(set) var threads: [Int: String] = [:]

    init(_ path: String) throws {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        for event in try #require(object["traceEvents"] as? [[String: Any]]) {
            let process = try #require(event["pid"] as? Int), name = try #require(event["name"] as? String)
            let argument = (event["args"] as? [String: Any])?["name"] as? String
            switch (event["ph"] as? String, name) {
            case ("M", "process_name"): processes[process] = argument
            case ("M", "thread_name"): threads[try #require(event["tid"] as? Int)] = argument
            case ("X", _):
                let begin = try #require(event["ts"] as? Double), length = try #require(event["dur"] as? Double)
                // To the nanosecond, as they are written.
                events.append(
                    Event(
                        name: name, process: process, thread: try #require(event["tid"] as? Int),
                        begin: (begin * 1000).rounded(), end: ((begin + length) * 1000).rounded()))
            default: break
            }
        }
    }

    func count(_ name: String) -> Int { events.count { $0.name == name } }
}
