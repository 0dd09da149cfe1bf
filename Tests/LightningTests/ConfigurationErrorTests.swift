import Foundation
import Lightning
import Testing

/// Every message is compared as a whole: the text is what the user gets.
@Suite struct ConfigurationErrorTests {
    @Test(arguments: [
        ("maxEpochs: ten", "maxEpochs: expected an integer, found 'ten'"),
        ("maxEpochs: 1.0", "maxEpochs: expected an integer, found 1.0"),
        ("maxEpochs: '3'", "maxEpochs: expected an integer, found the string \"3\""),
        ("maxEpochs: null", "maxEpochs: expected an integer, found null"),
        ("maxEpochs: [1]", "maxEpochs: expected an integer, found a list"),
        (
            "maxEpochs: 9223372036854775808",
            "maxEpochs: expected an integer between -9223372036854775808 and 9223372036854775807, "
                + "found 9223372036854775808"
        ),
        ("maxEpochs: true", "maxEpochs: expected an integer, found true"),
        ("learningRate: fast", "learningRate: expected a number, found 'fast'"),
        ("learningRate: 1e39", "learningRate: expected a number that a Float can hold, found 1e39"),
        ("learningRate: inf", "learningRate: expected a number, found 'inf'"),
        ("fastDevRun: yes", "fastDevRun: expected true or false, found 'yes'"),
        ("fastDevRun: 1", "fastDevRun: expected true or false, found 1"),
        ("name: {a: 1}", "name: expected a string, found a mapping"),
        ("name: ~", "name: expected a string, found null"),
        ("layers: {size: 1}", "layers: expected a list, found a mapping"),
        ("checkpointing: best", "checkpointing: expected a mapping, found 'best'"),
        ("checkpointing: null", "checkpointing: expected a mapping, found null"),
        ("tags: {x: one}", "tags.x: expected an integer, found 'one'"),
        ("layers: [{size: 1}, {size: big}]", "layers.1.size: expected an integer, found 'big'"),
        (
            "checkpointing: {mode: maxx}",
            "checkpointing.mode: unknown value 'maxx'; did you mean 'max'? allowed: min, max"
        ),
        ("checkpointing: {mode: best}", "checkpointing.mode: unknown value 'best'; allowed: min, max"),
    ])
    func wrongTypes(_ line: String, _ message: String) {
        #expect(errorText { _ = try trainer("trainer:\n  \(line)") } == "a.yaml:2: trainer.\(message)")
        let parts = line.split(separator: ": ", maxSplits: 1)
        let override = "trainer.\(parts[0])=\(parts[1])"
        #expect(errorText { _ = try trainer("", override) } == "command line: \(override): trainer.\(message)")
    }

    @Test(arguments: [
        ("maxEpoch: 1", "trainer: unknown key 'maxEpoch'; did you mean 'maxEpochs'?"),
        ("max_epochs: 1", "trainer: unknown key 'max_epochs'; did you mean 'maxEpochs'?"),
        ("maxEpcohs: 1", "trainer: unknown key 'maxEpcohs'; did you mean 'maxEpochs'?"),
        (
            "patience: 1",
            "trainer: unknown key 'patience'; valid keys: maxEpochs, learningRate, maxSteps, fastDevRun, name, limit, "
                + "checkpointing, tags, layers, history"
        ),
        ("checkpointing: {top: 1}", "trainer.checkpointing: unknown key 'top'; valid keys: saveTop, monitor, mode"),
        ("layers: [{size: 1, sizes: 2}]", "trainer.layers.0: unknown key 'sizes'; did you mean 'size'?"),
    ])
    func unknownKeys(_ line: String, _ message: String) {
        #expect(errorText { _ = try trainer("trainer:\n  \(line)") } == "a.yaml:2: \(message)")
    }

    @Test func unknownKeyOfAnOverride() {
        #expect(
            errorText { _ = try trainer("", "trainer.checkpointing.monitr=x") }
                == "command line: trainer.checkpointing.monitr=x: trainer.checkpointing: "
                + "unknown key 'monitr'; did you mean 'monitor'?")
    }

    @Test func missingKeys() throws {
        let file = try ConfigurationFile(text: "\nlayers:\n- size: 1\n- activation: relu", name: "a.yaml")
        #expect(
            errorText { _ = try file.decode([LayerSample].self, at: "layers") }
                == "a.yaml:4: layers.1: missing key 'size'")
        #expect(errorText { _ = try file.decode(LayerSample.self, at: "model") } == "a.yaml:1: missing key 'model'")
        let misspelt = try ConfigurationFile(text: "sise: 1", name: "a.yaml")
        #expect(
            errorText { _ = try misspelt.decode(LayerSample.self) }
                == "a.yaml:1: unknown key 'sise'; did you mean 'size'?")
    }

    @Test func allProblemsAreReportedInTheOrderOfTheFile() {
        let text = """
            trainer:
              learningRat: 1
              layers:
              - size: x
              - {}
              - {size: 1, extra: 2}
              maxEpochs: ten
              checkpointing:
                mode: mxa
                saveTop: 1.5
                monitors: x
              limit: 1.5
            """
        #expect(
            errorText { _ = try trainer(text, "trainer.name=null", "trainer.tag=1") } == """
                a.yaml:2: trainer: unknown key 'learningRat'; did you mean 'learningRate'?
                a.yaml:4: trainer.layers.0.size: expected an integer, found 'x'
                a.yaml:5: trainer.layers.1: missing key 'size'
                a.yaml:6: trainer.layers.2: unknown key 'extra'; valid keys: size, activation
                a.yaml:7: trainer.maxEpochs: expected an integer, found 'ten'
                a.yaml:9: trainer.checkpointing.mode: unknown value 'mxa'; did you mean 'max'? allowed: min, max
                a.yaml:10: trainer.checkpointing.saveTop: expected an integer, found 1.5
                a.yaml:11: trainer.checkpointing: unknown key 'monitors'; did you mean 'monitor'?
                a.yaml:12: trainer.limit: expected all, a number of batches or a fraction from 0.0 to 1.0
                command line: trainer.name=null: trainer.name: expected a string, found null
                command line: trainer.tag=1: trainer: unknown key 'tag'; did you mean 'tags'?
                """)
    }

    @Test func withoutDefaultsAllProblemsAreReportedToo() throws {
        struct Model: Codable {
            struct Part: Codable {
                var depth: Int
                var names: [String]
                var inner: LayerSample
            }
            var part: Part
            var scale: Float
            var on: Bool
        }
        let file = try ConfigurationFile(text: "part:\n  depth: deep\nscale: big\nextra: 1", name: "a.yaml")
        #expect(
            errorText { _ = try file.decode(Model.self) } == """
                a.yaml:1: part: missing key 'names'
                a.yaml:1: part: missing key 'inner'
                a.yaml:1: missing key 'on'
                a.yaml:2: part.depth: expected an integer, found 'deep'
                a.yaml:3: scale: expected a number, found 'big'
                a.yaml:4: unknown key 'extra'; valid keys: part, scale, on
                """)
    }

    @Test func keysThatDependOnAWordAreNotJudgedByAWrongWord() throws {
        func decode(_ text: String) throws {
            _ = try ConfigurationFile(text: text, name: "a.yaml").decode(OptimizerSample.self)
        }
        #expect(errorText { try decode("name: adam\nbeta: 0.9") } == "")
        #expect(
            errorText { try decode("name: adam\nmomentum: 0.9") }
                == "a.yaml:2: unknown key 'momentum'; valid keys: name, beta")
        #expect(
            errorText { try decode("name: adma\nbeta: 0.9\nbetas: 1") } == """
                a.yaml:1: name: unknown value 'adma'; did you mean 'adam'? allowed: sgd, adam
                a.yaml:3: unknown key 'betas'; did you mean 'beta'?
                """)
        #expect(
            errorText { try decode("name: lion\nbeta: 0.9") }
                == "a.yaml:1: name: unknown value 'lion'; allowed: sgd, adam")
    }

    @Test func anErrorOfTheTypeItselfIsPlaced() throws {
        struct Odd: Codable {
            struct IsEven: Error, CustomStringConvertible { var description: String { "the number must be odd" } }
            init(from decoder: any Decoder) throws {
                if try decoder.singleValueContainer().decode(Int.self) % 2 == 0 { throw IsEven() }
            }
        }
        let file = try ConfigurationFile(text: "a: 1\nb: 2", name: "a.yaml")
        #expect(errorText { _ = try file.decode([String: Odd].self) } == "a.yaml:2: b: the number must be odd")
    }

    @Test func aListThatIsTooShort() throws {
        struct Bounds: Decodable {
            init(from decoder: any Decoder) throws {
                var list = try decoder.unkeyedContainer()
                _ = try (list.decode(Double.self), list.decode(Double.self))
            }
        }
        let file = try ConfigurationFile(text: "bounds: [1]", name: "a.yaml")
        #expect(
            errorText { _ = try file.decode(Bounds.self, at: "bounds") }
                == "a.yaml:1: bounds: expected at least 2 elements, found 1")
    }

    @Test func textThatIsNotAConfiguration() {
        func read(_ text: String) -> String { errorText { _ = try ConfigurationFile(text: text, name: "a.yaml") } }
        #expect(read("- 1") == "a.yaml:1: expected keys with values, found a list")
        #expect(read("word") == "a.yaml:1: expected keys with values, found 'word'")
        #expect(read("a: 1\nb: 2\na: 3") == "a.yaml:1: key 'a' is given more than once in one mapping")
        #expect(read("a: 1\n---\nb: 2") == "a.yaml:2: a second document starts here; a configuration is one document")
        #expect(read("a: [1\nb: 2") == "a.yaml:2: not valid YAML: did not find expected ',' or ']' (column 2)")
        #expect(read("a: *x") == "a.yaml:1: not valid YAML: found undefined alias (column 4)")
        #expect(read("? [1, 2]\n: 3") == "a.yaml:1: a key must be a word, found a list or a mapping")
        #expect(
            read("a: 1\n\tb: 2")
                == "a.yaml:2: not valid YAML: found a tab character that violates indentation (column 1)")
    }

    @Test func filesThatCannotBeRead() throws {
        #expect(
            errorText { _ = try ConfigurationFile(path: "configs/none.yaml") } == "configs/none.yaml:1: no such file")
        let folder = FileManager.default.temporaryDirectory.appending(path: "configuration-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        #expect(
            errorText { _ = try ConfigurationFile(path: folder.path) } == "\(folder.path):1: the file cannot be read")
        let path = folder.appending(path: "b.yaml").path
        try Data([0x61, 0xff, 0xfe]).write(to: URL(fileURLWithPath: path))
        #expect(errorText { _ = try ConfigurationFile(path: path) } == "\(path):1: the file is not UTF-8 text")
        try Data("a: 1\nb: x".utf8).write(to: URL(fileURLWithPath: path))
        let file = try ConfigurationFile(path: path, overrides: ["a=2"])
        #expect(try file.decode(Int.self, at: "a") == 2)
        #expect(errorText { _ = try file.decode(Int.self, at: "b") } == "\(path):2: b: expected an integer, found 'x'")
    }

    @Test func severalSectionsInOneError() throws {
        let file = try ConfigurationFile(text: "model: {size: x}\ntrainr:\ntrainer: {maxEpochs: y}", name: "a.yaml")
        var layer: LayerSample?
        let text = errorText {
            try ConfigurationError.collecting(
                { _ = try file.decode(TrainerSample.self, default: TrainerSample(), at: "trainer") },
                { layer = try file.decode(LayerSample.self, at: "model") },
                { try file.allowOnly(keys: ["model", "trainer"]) },
                { try file.allowOnly(keys: ["sizes"], at: "model") },
                { try file.allowOnly(keys: ["a"], at: "absent") })
        }
        #expect(
            text == """
                a.yaml:1: model.size: expected an integer, found 'x'
                a.yaml:1: model: unknown key 'size'; did you mean 'sizes'?
                a.yaml:2: unknown key 'trainr'; did you mean 'trainer'?
                a.yaml:3: trainer.maxEpochs: expected an integer, found 'y'
                """)
        #expect(layer == nil)
        #expect(
            errorText { try file.allowOnly(keys: ["a"], at: "model.size") }
                == "a.yaml:1: model.size: expected a mapping, found 'x'")
    }
}
