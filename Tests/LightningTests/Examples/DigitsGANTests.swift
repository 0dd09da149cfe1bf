import ExampleModules
import Foundation
import Lightning
import TestSupport
import Testing

/// The document's adversarial networks.
@Suite(.serialized) struct DigitsGANTests {
    /// What is drawn comes to look like digits, on the whole.
    @Test func drawnImagesApproachRealOnes() throws {
        let scratch = try ScratchDirectory()
        var configuration = Trainer.Configuration()
        (configuration.maxEpochs, configuration.seed, configuration.threads) = (8, 3, 1)
        (configuration.enableProgressBar, configuration.enableModelSummary) = (false, false)
        configuration.defaultRootDir = scratch.path
        let trainer = try Trainer(configuration: configuration)
        let module = RandomContext.$current.withValue(RandomContext(seed: 3)) { DigitsGAN(.init()) }
        let data = try DigitsData()
        let before = try #require(try trainer.validate(module, data: data)["val_distance"])
        try trainer.fit(module, data: data)
        let after = try #require(try trainer.validate(module, data: data)["val_distance"])
        print("the mean drawn image is \(before), then \(after) away from the mean digit")
        #expect(after < before / 2)
        // Twenty batches of 1,257 digits: two updates each, one of each optimizer.
        #expect(trainer.lightningOptimizers.map(\.updateCount) == [160, 160] && trainer.globalStep == 320)
        #expect(trainer.progress.batch == 160)
        let images = module(try #require(module.exampleInputArray))
        #expect(images.shape == Shape([64, 64]))
        #expect(images.doubles.allSatisfy { $0 >= 0 && $0 <= 1 })
    }

    /// The shipped configuration, on two ranks.
    @Test func trainsFromTheCommandLine() throws {
        let scratch = try ScratchDirectory()
        let run = try MPIRun(
            "lightning",
            [
                "fit", "--config", repository + "/configs/digits-gan.yaml", "--json", "trainer.maxEpochs=1",
                "trainer.enableProgressBar=false", "trainer.defaultRootDir=\(scratch.path)",
            ], ranks: 2, limit: 60)
        #expect(run.status == 0 && run.output.contains("\"val_distance\""), "\(run.output)")
    }
}
