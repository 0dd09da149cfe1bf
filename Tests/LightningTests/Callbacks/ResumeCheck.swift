import Checkpoints
import Foundation
import Lightning
import TestSupport
import Testing

/// A small network with a part that can be frozen, and with normalisation and dropout.
final class TwoPartModule: LightningModule, TrainingModule, ValidationModule, TestModule {
    let backbone = Sequential {
        Linear(3, 6)
        BatchNorm(6)
        ReLU()
        Dropout(0.2)
    }
    let head = Linear(6, 2)
    /// Whether the optimizer gets the parameters of the head alone.
    var trainsHeadOnly = false
    /// What the first parameter of the head was in evaluations.
    var evaluated: [[Double]] = []

    func trainingStep(_ batch: LabeledBatch, batchIndex: Int) throws -> Tensor {
        let loss = meanSquaredError(head(backbone(batch.inputs)), batch.labels)
        log("train_loss", loss, onStep: true, onEpoch: true)
        return loss
    }

    func validationStep(_ batch: LabeledBatch, batchIndex: Int) throws {
        evaluated.append(head.weight.value.doubles)
        log("val_loss", meanSquaredError(head(backbone(batch.inputs)), batch.labels))
    }

    func testStep(_ batch: LabeledBatch, batchIndex: Int) throws { try validationStep(batch, batchIndex: batchIndex) }

    func configureOptimizers() throws -> OptimizerConfiguration {
        let optimizer = AdamW(trainsHeadOnly ? head.parameters : parameters, learningRate: 0.02)
        return .init(optimizer, schedule: ExponentialSchedule(gamma: 0.9), interval: .step, frequency: 2)
    }

    static func data(_ count: Int) -> TensorDataset {
        TensorDataset(
            inputs: Tensor((0..<(3 * count)).map { Float(sin(Double(7 * $0 + 1))) }, shape: [count, 3]),
            labels: Tensor((0..<(2 * count)).map { Float(cos(Double(5 * $0))) }, shape: [count, 2]))
    }
}

/// A run, and the same run gone on from each of its checkpoints: the same lines in its log, the same bits at its end.
struct ResumeCheck {
    let scratch: ScratchDirectory
    var epochs = 4
    var prepare: (TwoPartModule) -> Void = { _ in }
    var change: (inout Trainer.Configuration) -> Void = { _ in }
    let callbacks: () -> [Callback]

    init(_ callbacks: @escaping () -> [Callback]) throws {
        scratch = try ScratchDirectory()
        self.callbacks = callbacks
    }

    /// Counts the lines of the log at each checkpoint.
    private final class LineCounter: Callback {
        var counts: [Int: Int] = [:]
        override func onSaveCheckpoint(_ trainer: Trainer, _ module: LightningModule, _ checkpoint: inout Checkpoint)
            throws
        {
            let lines = try ResumeCheck.lines(trainer.runDirectory()).count
            if counts[trainer.globalStep] == nil { counts[trainer.globalStep] = lines }
        }
    }

    /// Trains in a directory of its own.
    func train(_ name: String, resuming: String? = nil, _ more: [Callback] = []) throws -> (Trainer, TwoPartModule) {
        var configuration = Trainer.Configuration()
        configuration.maxEpochs = epochs
        configuration.enableProgressBar = false
        configuration.enableModelSummary = false
        configuration.logEverySteps = 1
        configuration.threads = 1
        configuration.seed = 3
        configuration.defaultRootDir = scratch.file(name)
        change(&configuration)
        let trainer = try Trainer(
            configuration: configuration,
            callbacks: callbacks() + more + [ModelCheckpoint(monitor: "train_loss", saveTop: -1, everySteps: 1)])
        let module = TwoPartModule()
        prepare(module)
        try trainer.fit(
            module, train: DataLoader(TwoPartModule.data(18), batchSize: 4),
            validation: DataLoader(TwoPartModule.data(6), batchSize: 4), checkpoint: resuming)
        try trainer.saveCheckpoint(scratch.file(name + ".h5"))
        return (trainer, module)
    }

    /// The whole check.
    ///
    /// - Returns: The trainer and the module of the run without interruption.
    @discardableResult
    func run() throws -> (Trainer, TwoPartModule) {
        try RandomContext.$current.withValue(RandomContext(seed: 3)) {
            let counter = LineCounter()
            let whole = try train("whole", [counter])
            let (lines, wanted) = (try Self.lines(whole.0.runDirectory()), try contents("whole"))
            let directory = try whole.0.runDirectory() + "/checkpoints"
            let files = try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasPrefix("epoch") }
            #expect(files.count == whole.0.globalStep)
            for file in files.sorted() {
                let resumed = try train("from " + file, resuming: directory + "/" + file, [LineCounter()])
                let step = try #require(Int(file.split(separator: "-")[3]))
                let done = try #require(counter.counts[step])
                #expect(try Self.lines(resumed.0.runDirectory()) == Array(lines[done...]), "\(file)")
                let found = try contents("from " + file)
                #expect(found.tensors == wanted.tensors, "\(file)")
                #expect(found.values == wanted.values, "\(file)")
            }
            return whole
        }
    }

    /// The log without seconds.
    static func lines(_ directory: String) throws -> [String] {
        guard let text = try? String(contentsOfFile: directory + "/metrics.csv", encoding: .utf8) else { return [] }
        return text.split(separator: "\n").dropFirst().map { line in
            var fields = line.split(separator: ",").map(String.init)
            fields.remove(at: 4)
            return fields.joined(separator: ",")
        }
    }

    private func contents(_ name: String) throws -> (tensors: [String: [UInt64]], values: [String: String]) {
        let checkpoint = try Checkpoint.read(from: scratch.file(name + ".h5"))
        var tensors: [String: [UInt64]] = [:]
        let states =
            [("model", checkpoint.model)] + checkpoint.optimizers.map { ("optimizer", $0) }
            + checkpoint.callbacks.map { ($0.key, $0.value) }
        for (name, state) in states {
            for (key, tensor) in state { tensors[name + " " + key] = tensor.doubles.map(\.bitPattern) }
        }
        // Which files a run has kept depends on where it began.
        return (tensors, checkpoint.values.filter { $0.key != "callback ModelCheckpoint" })
    }
}
