import Foundation
import Lightning
import Testing

@Suite struct ConfigurationEncodingTests {
    @Test func theTextInDeclarationOrderWithNulls() throws {
        var sample = TrainerSample()
        sample.learningRate = 1e-5
        sample.tags = ["z": 1, "a": 2, "m": 3]
        sample.layers.append(.init(size: 2, activation: "relu"))
        #expect(
            try YAMLText.encode(sample) == """
                maxEpochs: 10
                learningRate: 1.0e-05
                maxSteps: null
                fastDevRun: false
                name: run
                limit: all
                checkpointing:
                  saveTop: 1
                  monitor: null
                  mode: min
                tags:
                  a: 2
                  m: 3
                  z: 1
                layers:
                - size: 8
                  activation: null
                - size: 2
                  activation: relu
                history: []

                """)
    }

    @Test func whatIsWrittenReadsBack() throws {
        var sample = TrainerSample()
        sample.learningRate = 0.1
        sample.maxSteps = .max
        sample.limit = .fraction(1.0 / 3)
        sample.tags = ["true": 1, "1": 2, "a: b": 3, "null": 4, "": 5]
        sample.history = [.init(), .init(saveTop: -1, monitor: "null", mode: .max)]
        let file = try ConfigurationFile(text: YAMLText.encode(sample), name: "config.yaml")
        #expect(try file.decode(TrainerSample.self) == sample)
        #expect(try file.decode(TrainerSample.self, default: TrainerSample()) == sample)
    }

    @Test(arguments: [
        "", " ", "null", "~", "true", "no", "1", "1e3", "1_0", "0x1f", ".5", "- a", "a: b", "a #b", "#", "'", "\"",
        "two\nlines\n", "tab\there", "ünïcode 🙂", "@at", "%", "!tag", "&a", "*a", "[1", "{", "=", "<<", "2020-01-01",
        "trailing ", "\\", "\u{7}", "\r\n", "?", "a,b", "-", "---", "...", String(repeating: "long ", count: 60),
    ])
    func stringsReadBack(_ text: String) throws {
        let values = ["s": [text], text: ["x"]]
        let file = try ConfigurationFile(text: YAMLText.encode(values), name: "a.yaml")
        #expect(try file.decode([String: [String]].self) == values)
    }

    @Test func numbersReadBackToTheBit() throws {
        let special: [UInt64] = [0, 1 << 63, 1, 0x7ff0_0000_0000_0000, 0xfff0_0000_0000_0000, 0x7fef_ffff_ffff_ffff]
        let random = (0..<500).map { _ in UInt64.random(in: 0...UInt64.max) }
        let doubles = (special + random).map { Double(bitPattern: $0) }.filter { !$0.isNaN }
        let floats = random.map { Float(bitPattern: UInt32(truncatingIfNeeded: $0)) }.filter { !$0.isNaN }
        let overrides = ["d=\(try YAMLText.encode(doubles))", "f=\(try YAMLText.encode(floats))"]
        let file = try ConfigurationFile(text: "", name: "a.yaml", overrides: overrides)
        #expect(try file.decode([Double].self, at: "d").map(\.bitPattern) == doubles.map(\.bitPattern))
        #expect(try file.decode([Float].self, at: "f").map(\.bitPattern) == floats.map(\.bitPattern))
        let odd = ["n": Double.nan, "i": -.infinity, "j": .infinity]
        #expect(try YAMLText.encode(odd) == "i: -.inf\nj: .inf\nn: .nan\n")
    }

    @Test func setsDictionariesAndEmptyTypesAreDeterministic() throws {
        struct Empty: Codable {}
        #expect(try YAMLText.encode(Set(["c", "a", "b"])) == "[a, b, c]\n")
        #expect(try YAMLText.encode([3: "x", 1: "y"]) == "'1': y\n'3': x\n")
        #expect(try YAMLText.encode(Empty()) == "{}\n")
        #expect(try YAMLText.encode(ScheduleSample.step(every: 2, factor: 0.5)) == "step:\n  every: 2\n  factor: 0.5\n")
        #expect(try YAMLText.encode(URL(filePath: "/a/b")) == "file:///a/b\n")
        #expect(try YAMLText.encode([1, nil, 3]) == "[1, null, 3]\n")
    }
}
