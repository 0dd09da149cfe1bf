import Checkpoints
import ExampleModules
import Foundation
import Lightning
import TestSupport
import Testing

/// The program `lightning`, as a user starts it.
@Suite(.serialized) struct CommandLineTests {
    private let scratch: ScratchDirectory
    private let configuration: String

    init() throws {
        scratch = try ScratchDirectory()
        configuration = scratch.file("digits.yaml")
        let text = """
            experiment: digits
            model:
              channels: [4, 8]
              hidden: 16
            data:
              batch:
                global: 60
            trainer:
              maxEpochs: 1
              limitTrainBatches: 6
              enableProgressBar: false
              defaultRootDir: \(scratch.file("runs"))
            checkpoint:
              monitor: val_loss
            """
        try text.write(toFile: configuration, atomically: true, encoding: .utf8)
    }

    private func lightning(_ arguments: [String], ranks: Int = 0) throws -> MPIRun {
        try MPIRun("lightning", arguments, ranks: ranks, limit: 120)
    }

    private func fit(_ more: [String] = [], ranks: Int = 0) throws -> MPIRun {
        try lightning(["fit", "--config", configuration, "--json"] + more, ranks: ranks)
    }

    /// The object on the last line of an output.
    private func report(_ run: MPIRun) throws -> [String: Any] {
        try #require(run.status == 0, "\(run.output)")
        let line = try #require(run.output.split(separator: "\n").last { $0.hasPrefix("{") })
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
        return try #require(object as? [String: Any])
    }

    /// A run that must fail with one message and leave no run directory.
    private func expectError(
        _ run: MPIRun, _ message: String, leavesNothing: Bool = true, at location: SourceLocation = #_sourceLocation
    ) {
        #expect(run.status == 1, "\(run.output)", sourceLocation: location)
        #expect(run.output.contains(message), "\(run.output)", sourceLocation: location)
        let starts = run.output.split(separator: "\n").filter { $0.hasPrefix("error:") || $0.hasPrefix("[rank ") }
        #expect(starts.count == 1, "\(run.output)", sourceLocation: location)
        guard leavesNothing else { return }
        let exists = FileManager.default.fileExists(atPath: scratch.file("runs"))
        #expect(!exists, "a run directory was made", sourceLocation: location)
    }

    // MARK: - What works

    @Test func theReportHasAllKeysOnAnyNumberOfRanks() throws {
        var losses: [Double] = []
        for ranks in [0, 2] {
            let report = try report(fit(["--then-test"], ranks: ranks))
            let numbers = [
                "train_loss", "val_loss", "val_acc", "test_acc", "global_step", "epoch", "world_size", "seconds",
                "samples_per_second",
            ]
            for key in numbers { #expect(report[key] is NSNumber, "\(key) is missing") }
            #expect(report["global_step"] as? Int == 6 && report["epoch"] as? Int == 1)
            #expect(report["world_size"] as? Int == max(ranks, 1))
            let path = try #require(report["checkpoint"] as? String)
            #expect(FileManager.default.fileExists(atPath: path))
            losses.append(try #require(report["val_loss"] as? Double))
        }
        #expect(abs(losses[0] - losses[1]) < 0.05)  // dropout draws differently on two ranks
    }

    @Test func theSavedConfigurationRepeatsTheRunToTheBit() throws {
        let overrides = ["model.learningRate=0.0031", "trainer.seed=9", "trainer.maxEpochs=2"]
        let first = try report(fit(overrides))
        let saved = scratch.file("runs/version_0/config.yaml")
        let again = try report(lightning(["fit", "--config", saved, "--json"]))
        #expect(first["train_loss"] as? Double == again["train_loss"] as? Double)
        let weights = try ["version_0", "version_1"].map { try tensors(scratch.file("runs/\($0)/checkpoints/last.h5")) }
        #expect(weights[0] == weights[1])
        let texts = try ["version_0", "version_1"].map {
            try String(contentsOfFile: scratch.file("runs/\($0)/config.yaml"), encoding: .utf8)
        }
        #expect(texts[0] == texts[1])
        let other = try report(fit(overrides + ["trainer.seed=10"]))
        #expect(first["train_loss"] as? Double != other["train_loss"] as? Double)
    }

    @Test func aRunGoesOnFromItsLastCheckpoint() throws {
        let whole = try report(fit(["trainer.maxEpochs=3", "trainer.defaultRootDir=\(scratch.file("whole"))"]))
        _ = try report(fit(["trainer.maxEpochs=2"]))
        let resumed = try report(fit(["trainer.maxEpochs=3", "--checkpoint", "last"]))
        #expect(resumed["global_step"] as? Int == 18)
        #expect(resumed["val_loss"] as? Double == whole["val_loss"] as? Double)
        #expect(
            try tensors(scratch.file("runs/version_1/checkpoints/last.h5"))
                == tensors(scratch.file("whole/version_0/checkpoints/last.h5")))
    }

    @Test func testAndPredictUseTheBestCheckpoint() throws {
        let fitted = try report(fit(["--then-test"]))
        let tested = try report(lightning(["test", "--config", configuration, "--json"]))
        #expect(tested["test_acc"] as? Double == fitted["test_acc"] as? Double)
        #expect(tested["checkpoint"] as? String == fitted["checkpoint"] as? String)
        _ = try report(lightning(["predict", "--config", configuration, "--json"], ranks: 2))
        let path = scratch.file("runs/version_1/predictions.h5")
        #expect(try HDF5File.open(at: path).dataset("predictions").shape == [360, 10])
    }

    // MARK: - What does not

    @Test func mistakesInTheConfigurationAreErrors() throws {
        try expectError(fit(["trainer.maxEpoch=3"]), "unknown key 'maxEpoch'; did you mean 'maxEpochs'?")
        try expectError(fit(["trainer.maxEpochs=ten"]), "trainer.maxEpochs: expected an integer, found 'ten'")
        try expectError(
            fit(["experiment=cats"]), "there is no experiment 'cats'; there are: digits, digits-gan, fashion-mnist, gpt"
        )
        try expectError(
            lightning(["fit", "--config", scratch.file("none.yaml")]), "none.yaml:1: no such file")
        try expectError(
            fit(["trainer.limitTrainBatches=0.001"]),
            "trainer.limitTrainBatches: a fraction of 0.001 of 21 batches is none",
            leavesNothing: false)
    }

    @Test func anotherNumberOfRanksIsAnError() throws {
        try expectError(fit(["trainer.ranks=2"]), "2 ranks are asked for (trainer.ranks), and the program runs on 1")
        try expectError(
            fit(["trainer.ranks=3"], ranks: 2), "3 ranks are asked for (trainer.ranks), and the program runs on 2")
        try expectError(
            fit(["data.batch.global=61"], ranks: 2), "a global batch of 61 samples cannot be shared evenly by 2 ranks",
            leavesNothing: false)
    }

    @Test func dataThatIsNotThereOrBrokenIsAnError() throws {
        let text = try String(contentsOfFile: configuration, encoding: .utf8)
            .replacing("experiment: digits", with: "experiment: fashion-mnist")
            .replacing("  channels", with: "  imageSize: 8\n  channels")
        let fashion = scratch.file("fashion.yaml")
        try text.write(toFile: fashion, atomically: true, encoding: .utf8)
        let directory = scratch.file("data")
        let arguments = ["fit", "--config", fashion, "data.source=/nowhere", "data.directory=\(directory)"]
        for ranks in [0, 2] {
            try expectError(
                lightning(arguments, ranks: ranks), "Fashion-MNIST is not at '/nowhere' (data.source): install it with")
        }
        #expect(!FileManager.default.fileExists(atPath: directory))

        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let whole = Data(EmbeddedDigits.file)
        try whole.write(to: URL(fileURLWithPath: directory + "/test.h5"))
        try whole.dropLast(1000).write(to: URL(fileURLWithPath: directory + "/train.h5"))
        try expectError(lightning(arguments), "train.h5: the file is shorter than its header says")
    }

    @Test func checkpointsThatCannotBeUsedAreErrors() throws {
        _ = try report(fit())
        let path = scratch.file("runs/version_0/checkpoints/last.h5"), broken = scratch.file("broken.h5")
        let whole = try Data(contentsOf: URL(fileURLWithPath: path))
        func expectRefused(_ data: Data, _ message: String) throws {
            try data.write(to: URL(fileURLWithPath: broken))
            for command in ["fit", "test"] {
                let run = try lightning([command, "--config", configuration, "--checkpoint", broken])
                expectError(run, message, leavesNothing: false)
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.file("runs")) == ["version_0"])
        }
        try expectRefused(whole.prefix(whole.count / 2), "broken.h5: the file is shorter than its header says")
        try expectRefused(Data(), "broken.h5: this is not an HDF5 file")

        // One bit of a weight, and one of the text that says how far training had come.
        let checkpoint = try Checkpoint.read(from: path)
        let weight = try #require(checkpoint.model["head.1.weight"]).withUnsafeBytes { Data($0.prefix(32)) }
        let run = Data(try #require(checkpoint.values["run"]).utf8.prefix(32))
        for bytes in [weight, run] {
            var changed = whole
            let place = try #require(whole.firstRange(of: bytes)).lowerBound
            changed[place + 5] ^= 0x10
            try expectRefused(changed, "checksum")
        }

        // Another model.
        let other = try lightning(["test", "--config", configuration, "--checkpoint", path, "model.hidden=17"])
        expectError(other, "the checkpoint holds a ImageClassifier, this is a ImageClassifier", leavesNothing: false)
        #expect(
            other.output.contains("head.1.weight: model float32 \(Shape([17, 128])), file float32 \(Shape([16, 128]))"))
        try expectError(
            lightning(["test", "--config", configuration, "--checkpoint", "nowhere.h5"]),
            "there is no checkpoint 'nowhere.h5'", leavesNothing: false)
    }

    @Test(.enabled(if: getuid() == 0, "mounting a small file system takes the rights of root"), arguments: [0, 2])
    func aFullDiskIsAnErrorAndLeavesNothingHalfWritten(ranks: Int) throws {
        let disk = scratch.file("disk")
        try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
        try #require(mount("tmpfs", disk, "tmpfs", 0, "size=400k") == 0)
        defer { umount2(disk, Int32(MNT_DETACH)) }
        // Each epoch's best is kept, until there is no room for the next.
        let run = try fit(
            ["trainer.defaultRootDir=\(disk)", "trainer.maxEpochs=40", "checkpoint.saveTop=-1"], ranks: ranks)
        expectError(run, "was not written, in", leavesNothing: false)
        let directory = disk + "/version_0/checkpoints"
        let files = try FileManager.default.contentsOfDirectory(atPath: directory)
        #expect(!files.contains { $0.hasPrefix(".partial") }, "\(files)")
        let whole = files.filter { $0.hasSuffix(".h5") }
        #expect(whole.count > 1)
        for file in whole { #expect(throws: Never.self) { try Checkpoint.read(from: "\(directory)/\(file)") } }
    }
}
