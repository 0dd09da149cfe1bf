import Foundation
import Lightning
import TrainerFixtures

/// What `key=value` arguments say.
struct Options {
    /// The run they describe.
    var run: ToyRun
    /// The name of the checkpoint written at the end.
    var final = "final.h5"
    /// Which fault to make, or what to try.
    var kind = ""
    /// The optimizer step after which the last rank is killed, and by which signal.
    var end: (step: Int, signal: Int32)?
    /// Whether it is killed only if it was not before, in a run in the same directory.
    var endsOnce = false
    /// Switches of the module that is trained by hand.
    var manual = AdversarialToy.Hyperparameters()
    /// Whether each rank starts from other weights.
    var hasOwnWeights = false

    init(_ arguments: [String], directory: String) throws {
        run = ToyRun(directory: directory)
        var checkpoint: (monitor: String?, everySteps: Int?) = (nil, nil)
        var (saves, savesInRun) = (false, false)
        for argument in arguments {
            let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { throw OnPurpose("'\(argument)' is not key=value") }
            let (key, value) = (parts[0], parts[1])
            func number() throws -> Int {
                guard let number = Int(value) else { throw OnPurpose("'\(argument)' needs a number") }
                return number
            }
            switch key {
            case "epochs": run.trainer.maxEpochs = try number()
            case "steps": run.trainer.maxSteps = try number()
            case "accumulate": run.trainer.accumulateGradientBatches = try number()
            case "validateSeconds": run.trainer.validateEverySeconds = Double(value)
            case "validateSteps": run.trainer.validateEverySteps = try number()
            case "overfit": run.trainer.overfitBatches = .batches(try number())
            case "logEvery": run.trainer.logEverySteps = try number()
            case "validateEvery": run.trainer.validateEveryBatches = try number()
            case "precision": run.trainer.precision = Precision(named: value) ?? .float32
            case "clip": run.trainer.gradientClipNorm = Double(value)
            case "samples": run.samples = try number()
            case "heldOut": run.heldOut = try number()
            case "global": run.batch = .global(try number())
            case "perRank": run.batch = .perRank(try number())
            case "dropout": run.module.dropout = Double(value) ?? 0
            case "schedule": run.module.schedule = value
            case "gathered": manual.gathered = try number()
            case "clipCritic": manual.clip = Double(value)
            case "toggles": manual.toggles = value == "yes"
            case "unused": (run.module.hasUnused, manual.hasUnused) = (value == "yes", value == "yes")
            case "frozen": run.module.isBiasFrozen = value == "yes"
            case "halves": run.module.halvesGradients = value == "yes"
            case "loading": run.loading = ToyLoading(rawValue: value) ?? .plain
            case "heldOutLoading": run.heldOutLoading = ToyLoading(rawValue: value) ?? .plain
            case "distributed": run.trainer.useDistributedSampler = value == "yes"
            case "prefetch": run.prefetches = value == "yes"
            case "monitor": (checkpoint.monitor, saves) = (value, true)
            case "saveEvery": (checkpoint.everySteps, saves) = (try number(), true)
            case "saveIn": savesInRun = value == "run"
            case "allowNonFinite": run.trainer.allowsNonFiniteLoss = value == "yes"
            case "progress":
                run.trainer.enableProgressBar = value == "yes"
                if value == "yes" { run.callbacks.append(ProgressBar(plainInterval: 0)) }
            case "patience": run.callbacks.append(EarlyStopping(monitor: "val_loss", patience: try number()))
            case "with": run.callbacks.append(try makeCallback(value, directory: directory))
            case "resume": run.resuming = value
            case "final": final = value
            case "killAt": end = (try number(), SIGKILL)
            case "killOnceAt": (end, endsOnce) = ((try number(), SIGKILL), true)
            case "terminateAt": end = (try number(), SIGTERM)
            case "sanity": run.trainer.sanityValidationBatches = try number()
            case "loggers":
                run.trainer.loggers = value.split(separator: ",").compactMap { LoggerKind(rawValue: String($0)) }
            case "profiler": run.trainer.profiler = ProfilerKind(rawValue: value)
            case "kind": kind = value
            case "ownWeights": hasOwnWeights = value == "yes"
            default: throw OnPurpose("there is no option '\(key)'")
            }
        }
        if saves {
            run.checkpoint = ModelCheckpoint(
                monitor: checkpoint.monitor, saveTop: checkpoint.monitor == nil ? -1 : 2,
                everySteps: checkpoint.everySteps,
                directory: savesInRun ? nil : directory + "/checkpoints")
        }
    }
}
