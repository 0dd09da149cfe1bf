import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// Jumps of the loss, and what tells of them.
@Suite(.serialized) struct SpikeTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    /// Its loss is the number of the batch's epoch and place in a list; its weight stays.
    private final class Listed: LightningModule, TrainingModule {
        let weight = Parameter(Tensor([0.0]))
        let losses: [[Double]]
        init(_ losses: [[Double]]) { self.losses = losses }
        func trainingStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor {
            weight.value.sum() + losses[currentEpoch][batchIndex]
        }
        func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0)) }
    }

    private func fit(
        _ losses: [[Double]], _ detection: SpikeDetection, resuming: String? = nil, saving: String? = nil,
        _ change: (inout ToyRun) -> Void = { _ in }
    ) throws -> Trainer {
        var run = ToyRun(directory: scratch.path)
        (run.trainer.maxEpochs, run.callbacks) = (losses.count, [detection])
        if let saving {
            run.callbacks.append(
                LambdaCallback(onMetricsReady: { trainer, _, moment in
                    if moment == .optimizerStep, trainer.globalStep == 3 { try trainer.saveCheckpoint(saving) }
                }))
        }
        change(&run)
        let trainer = try run.makeTrainer()
        try trainer.fit(Listed(losses), train: run.loader(4 * losses[0].count), checkpoint: resuming)
        return trainer
    }

    private func spike(_ losses: [[Double]], _ detection: SpikeDetection) throws -> [Int]? {
        let error = #expect(throws: TrainingSpike.self) { try fit(losses, detection) }
        return error.map { [$0.epoch] + $0.batches }
    }

    @Test func aJumpEndsTraining() throws {
        // Three times the mean of 1 is a difference of twice the mean.
        #expect(try spike([[1, 1, 3, 1]], SpikeDetection()) == [0, 1, 2])
        #expect(try fit([[1, 1, 2.9, 1]], SpikeDetection()).globalStep == 4)
        // A fall is none, unless larger losses are better.
        #expect(try fit([[9, 9, 1, 1]], SpikeDetection()).globalStep == 4)
        #expect(try spike([[-1, -1, -3]], SpikeDetection(mode: .max)) == [0, 1, 2])
        // The first steps are none, and the mean is that of the newest: (1 + 4) / 2 and not (1 + 1 + 1 + 4) / 4.
        #expect(try fit([[1, 9, 9, 9]], SpikeDetection(warmUp: 2)).globalStep == 4)
        #expect(try fit([[1, 1, 1, 2.5, 5]], SpikeDetection(window: 2)).globalStep == 5)
        #expect(try spike([[1, 1, 1, 2.5, 5]], SpikeDetection(window: 5)) == [0, 3, 4])
        #expect(try fit([[1, 1, 3, 1]], SpikeDetection(absoluteChange: 2.5)).globalStep == 4)
        // Batches of other epochs have numbers of their own.
        #expect(try spike([[1, 1], [9, 1]], SpikeDetection()) == [1, 0])
        // A loss that is not finite.
        let error = #expect(throws: TrainingSpike.self) {
            try fit([[1, .nan, 1]], SpikeDetection()) { $0.trainer.allowsNonFiniteLoss = true }
        }
        #expect(error?.batches == [0, 1])
    }

    @Test func batchesAreWrittenDown() throws {
        let file = scratch.file("spikes.json")
        let error = #expect(throws: TrainingSpike.self) { try fit([[1, 1, 3]], SpikeDetection(file: file)) }
        #expect(
            error?.description
                == "SpikeDetection: the loss became 3.0 at epoch 0, batch 2, after a mean of 1.0 over the last 2 steps; look at the batches in \(file), lower the learning rate or clip gradients (trainer.gradientClipNorm), and go on from an earlier checkpoint"
        )
        #expect(throws: TrainingSpike.self) { try fit([[2, 8]], SpikeDetection(file: file)) }
        let records = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: file)))
        let rows = try #require(records as? [[String: Any]])
        #expect(rows.map { $0["batches"] as? [Int] } == [[1, 2], [0, 1]])
        #expect(rows.map { $0["loss"] as? Double } == [3, 8] && rows.map { $0["mean"] as? Double } == [1, 2])
    }

    /// The losses before a checkpoint count: without them the first step would be within its warm-up.
    @Test func aRunGoesOnWithItsLosses() throws {
        let path = scratch.file("three.h5")
        _ = try fit([[1, 1, 1, 1]], SpikeDetection(), saving: path)
        let error = #expect(throws: TrainingSpike.self) { try fit([[1, 1, 1, 3]], SpikeDetection(), resuming: path) }
        #expect(error?.batches == [2, 3])
        #expect(try fit([[3, 3, 3, 3]], SpikeDetection()).globalStep == 4)
    }

    @Test func whatMakesNoSenseIsRefused() throws {
        let error = #expect(throws: TrainingError.self) { try fit([[1, 1]], SpikeDetection(warmUp: 0)) }
        #expect(
            error?.description
                == "SpikeDetection: window 10 and warmUp 0 are at least 1, absoluteChange 0.0 and relativeChange 2.0 at least 0"
        )
    }

    /// All ranks look at the mean over their samples: a jump that one of them sees ends all, with one message.
    @Test func ranksFindTheSame() throws {
        let test = try SelfTest("spike", ["global=4"], in: scratch, ranks: 2)
        #expect(test.run.status == 1 && !test.run.timedOut, "\(test.run.output)")
        // The mean over both ranks, of 1 and of 100.
        let message =
            "SpikeDetection: the loss became 50.5 at epoch 1, batch 1, after a mean of 1.0 over the last 7 steps"
        #expect(test.run.output.components(separatedBy: message).count == 2, "\(test.run.output)")
        let text = try String(contentsOfFile: scratch.file("spikes.json"), encoding: .utf8)
        #expect(text.contains("\"epoch\" : 1") && text.contains("50.5"))
    }

    // MARK: - Gradient norms

    @Test func normsOfGradients() throws {
        var norms: [[String: Double]] = []
        var wanted: [[String: Double]] = []
        var run = ToyRun(directory: scratch.path)
        (run.module.hasUnused, run.trainer.maxSteps) = (true, 2)
        run.callbacks = [
            LambdaCallback(onBeforeOptimizerStep: { _, module, _ in
                norms.append(module.gradientNorms("norm"))
                var own: [String: Double] = [:]
                for (name, parameter) in module.namedParameters {
                    guard let gradient = parameter.gradient else { continue }
                    own[name] = gradient.doubles.reduce(0) { $0 + $1 * $1 }
                }
                wanted.append(own)
            })
        ]
        try run.fit()
        try #require(norms.count == 2 && wanted.allSatisfy { $0.count >= 3 })
        for (found, squares) in zip(norms, wanted) {
            #expect(found.count == squares.count + 1)
            for (name, square) in squares {
                let norm = try #require(found["norm/\(name)"])
                #expect(abs(norm - square.squareRoot()) < 1e-12)
            }
            let total = squares.values.reduce(0, +).squareRoot()
            let sum = try #require(found["norm_total"])
            #expect(total > 0 && abs(sum - total) < 1e-12 * total)
        }
    }
}
