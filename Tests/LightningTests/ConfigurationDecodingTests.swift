import Foundation
import Lightning
import Testing

@Suite struct ConfigurationDecodingTests {
    @Test func missingKeysKeepTheirDefaultsAtAnyDepth() throws {
        var expected = TrainerSample()
        #expect(try trainer("") == expected)
        #expect(try trainer("trainer:") == expected)
        #expect(try trainer("# nothing but a comment") == expected)
        expected.maxEpochs = 3
        expected.checkpointing.monitor = "val_acc"
        #expect(try trainer("trainer:\n  maxEpochs: 3\n  checkpointing:\n    monitor: val_acc") == expected)
        let blank = "trainer:\n  maxEpochs: 3\n  checkpointing:"
        #expect(try trainer(blank, "trainer.checkpointing.monitor=val_acc") == expected)
    }

    @Test func anOptionalThatIsNilByDefaultCanBeSetAndUnset() throws {
        #expect(try trainer("trainer: {maxSteps: 7}").maxSteps == 7)
        #expect(try trainer("trainer: {maxSteps: 7}", "trainer.maxSteps=null").maxSteps == nil)
        var given = TrainerSample()
        given.maxSteps = 5
        let file = try ConfigurationFile(text: "maxSteps: null", name: "a.yaml")
        #expect(try file.decode(TrainerSample.self, default: given).maxSteps == nil)
    }

    @Test func theGivenDefaultWinsOverTheDefaultsOfATypeInside() throws {
        var given = TrainerSample()
        given.checkpointing = .init(saveTop: 9, monitor: nil, mode: .max)
        let file = try ConfigurationFile(text: "checkpointing: {monitor: loss}", name: "a.yaml")
        let decoded = try file.decode(TrainerSample.self, default: given)
        #expect(decoded.checkpointing == .init(saveTop: 9, monitor: "loss", mode: .max))
    }

    @Test func elementsOfListsHaveTheirTypesDefaults() throws {
        let decoded = try trainer("trainer:\n  history:\n  - saveTop: 2\n  - monitor: loss\n  -")
        #expect(decoded.history == [.init(saveTop: 2), .init(monitor: "loss"), .init()])
    }

    @Test func listsAndDictionariesReplaceTheDefaults() throws {
        let decoded = try trainer("trainer:\n  tags: {b: 2}\n  layers: [{size: 1}, {size: 2, activation: relu}]")
        #expect(decoded.tags == ["b": 2])
        #expect(decoded.layers == [.init(size: 1), .init(size: 2, activation: "relu")])
    }

    @Test func enumsWithTheirOwnCoding() throws {
        #expect(try trainer("trainer: {limit: all}").limit == .all)
        #expect(try trainer("trainer: {limit: 8}").limit == .batches(8))
        #expect(try trainer("trainer: {limit: 0.25}").limit == .fraction(0.25))
        #expect(
            errorText { _ = try trainer("trainer:\n  limit: al") }
                == "a.yaml:2: trainer.limit: expected all, a number of batches or a fraction from 0.0 to 1.0")
    }

    @Test func enumsWithTheCompilersCoding() throws {
        struct Sample: Codable { var schedule = ScheduleSample.step(every: 1, factor: 0.5) }
        func schedule(_ text: String) throws -> ScheduleSample {
            try ConfigurationFile(text: text, name: "a.yaml").decode(Sample.self, default: Sample()).schedule
        }
        #expect(try schedule("") == .step(every: 1, factor: 0.5))
        #expect(try schedule("schedule: {constant: {}}") == .constant)
        #expect(try schedule("schedule: {step: {every: 3, factor: 1}}") == .step(every: 3, factor: 1))
        #expect(
            errorText { _ = try schedule("schedule:\n  step:\n    every: 3\n    factor: 1\n    facto: 2") }
                == "a.yaml:5: schedule.step: unknown key 'facto'; did you mean 'factor'?")
    }

    @Test(arguments: [
        ("1", 1.0), ("-2", -2), ("1e-3", 1e-3), ("1.", 1), (".5", 0.5), ("1_000", 1000), ("+3e2", 300),
        (".inf", .infinity), ("-.inf", -.infinity), ("0x10", 16), ("0.1", 0.1),
    ])
    func numbers(_ text: String, _ value: Double) throws {
        let file = try ConfigurationFile(text: "x: \(text)", name: "a.yaml")
        #expect(try file.decode(Double.self, at: "x") == value)
        #expect(try file.decode([String: Double].self) == ["x": value])
    }

    @Test(arguments: [
        ("1", 1), ("-2", -2), ("0x1F", 31), ("0o17", 15), ("0b101", 5), ("1_000_000", 1_000_000), ("+3", 3),
    ])
    func integers(_ text: String, _ value: Int) throws {
        #expect(try ConfigurationFile(text: "x: \(text)", name: "a.yaml").decode(Int.self, at: "x") == value)
    }

    @Test func aStringIsTheTextAsWritten() throws {
        let texts = ["1.10": "1.10", "no": "no", "true": "true", "'null'": "null", "a b": "a b", "!!str ~": "~"]
        for (text, value) in texts {
            let file = try ConfigurationFile(text: "x: \(text)", name: "a.yaml")
            #expect(try file.decode(String.self, at: "x") == value)
        }
    }

    @Test func otherTypes() throws {
        let text = "url: https://a.b/c\nbig: 18446744073709551615\nset: [3, 1]"
        let file = try ConfigurationFile(text: text, name: "a.yaml")
        #expect(try file.decode(URL.self, at: "url").absoluteString == "https://a.b/c")
        #expect(try file.decode(UInt64.self, at: "big") == .max)
        #expect(try file.decode(Set<Int>.self, at: "set") == [1, 3])
        #expect(try file.decode(Double?.self, at: "big") == Double(UInt64.max))
    }

    @Test func anchorsAndMergeKeys() throws {
        let text = """
            base: &base
              size: 4
              activation: relu
            one: *base
            two:
              <<: *base
              size: 5
            """
        let file = try ConfigurationFile(text: text, name: "a.yaml")
        let layers = try file.decode([String: LayerSample].self)
        #expect(layers["one"] == .init(size: 4, activation: "relu"))
        #expect(layers["two"] == .init(size: 5, activation: "relu"))
    }

    @Test func sectionsDeepInAFile() throws {
        let file = try ConfigurationFile(text: "model:\n  name: mlp\n  parameters: {size: 3}", name: "a.yaml")
        #expect(try file.decode(String.self, at: "model.name") == "mlp")
        #expect(try file.decode(LayerSample.self, at: "model.parameters") == .init(size: 3))
        #expect(file.contains("model.parameters.size") && !file.contains("model.size"))
        #expect(
            errorText { _ = try file.decode(LayerSample.self, at: "model.name.x") }
                == "a.yaml:2: model.name: expected a mapping, found 'mlp'")
    }
}
